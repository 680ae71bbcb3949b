//! `musher inbox`.

use crate::connect::Context;
use crate::error::Outcome;
use crate::output::{self, Tone};

/// Show what waits for a person, with the words that would help
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_: &Args, cx: &Context) -> Outcome {
    let inbox = cx.client().await?.inbox().await?;
    let requests = &inbox.inbox;
    cx.say(&inbox, || {
        if requests.is_empty() {
            output::line("nothing waits for you");
        }
        for request in requests {
            let text = output::harmless(&request.text);
            let mut lines = text.lines();
            output::line(&output::paint(lines.next().unwrap_or_default(), Tone::Strong));
            // What others wrote may have many lines, and none of them may be taken for one of ours.
            lines.for_each(|line| output::line(&format!("  | {line}")));
            for reply in &request.replies {
                output::line(&format!("    {reply}"));
            }
        }
    })
}
