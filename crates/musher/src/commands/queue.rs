//! `musher queue`.

use crate::connect::Context;
use crate::error::Outcome;
use crate::output::{self, Table, Tone};

/// The merge queue
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show what is being merged and what is next
    List,
}

pub(crate) async fn run(command: &Command, cx: &Context) -> Outcome {
    match command {
        Command::List => {
            let queue = cx.client().await?.queue().await?;
            cx.say(&queue, || {
                let mut table = Table::new(&["id", "item", "stage", "into", "why"]);
                for entry in &queue.queue {
                    table.row(vec![
                        (entry.short_id.clone(), Tone::Strong),
                        (entry.key.clone(), Tone::Plain),
                        (entry.stage.clone(), Tone::Busy),
                        (entry.target.clone(), Tone::Plain),
                        (output::one_line(entry.reason.as_deref().unwrap_or_default(), 100), Tone::Quiet),
                    ]);
                }
                table.print("nothing is being merged");
            })
        }
    }
}
