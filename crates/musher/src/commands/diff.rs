//! `musher diff`.

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// Show what an item changes
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The item: its id, or MISSION/key
    item: String,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let diff = cx.client().await?.diff(&args.item).await?;
    cx.say(&diff, || {
        for line in output::harmless(&diff.patch).lines() {
            let tone = match line.as_bytes().first() {
                Some(b'+') => output::Tone::Good,
                Some(b'-') => output::Tone::Bad,
                Some(b'@') => output::Tone::Busy,
                _ => output::Tone::Plain,
            };
            output::line(&output::paint(line, tone));
        }
    })
}
