//! `musher down`.

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// Stop the daemon; agents at work go on, and the next `musher up` takes them over
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_: &Args, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    client.shutdown().await?;
    client.until_gone().await?;
    cx.say(&serde_json::json!({"stopped": true}), || {
        output::line("musher is down; agents at work go on, and `musher up` takes them over");
    })
}
