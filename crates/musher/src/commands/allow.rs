//! `musher allow`.

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// Say yes to what a running agent asks
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The request, as `musher inbox` names it
    request: String,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let answered = cx.client().await?.allow(&args.request, "").await?;
    cx.say(&answered, || output::line(&output::harmless(&format!("allowed: {}", answered.action))))
}
