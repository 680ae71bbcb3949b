//! `musher answer`.

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// Answer what a running agent wants to know; it has waited for this and goes on
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The request, as `musher inbox` names it
    request: String,
    /// The answer
    text: String,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let replied = cx.client().await?.answer(&args.request, &args.text).await?;
    cx.say(&replied, || output::line(&output::one_line(&format!("answered: {}", replied.question), 200)))
}
