//! `musher deny`.

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// Say no to what a running agent asks; it goes on without
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The request, as `musher inbox` names it
    request: String,
    /// What the agent is told
    #[arg(default_value = "")]
    why: String,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let answered = cx.client().await?.deny(&args.request, &args.why).await?;
    cx.say(&answered, || output::line(&output::harmless(&format!("denied: {}", answered.action))))
}
