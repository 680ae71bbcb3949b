//! `musher queue`.

use crate::connect::Context;
use crate::error::Outcome;
use crate::output::{self, Table, Tone};

/// The merge queue
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show what is being merged and what is next
    List,
    /// Let no further merge begin; the batch under way goes on
    Pause {
        /// Why
        #[arg(default_value = "")]
        reason: String,
    },
    /// Let merges begin again
    Resume,
    /// Take an item out of the queue
    Eject {
        /// The item
        item: String,
        /// Why
        #[arg(default_value = "")]
        reason: String,
    },
    /// Try a merge again now: one that waits, was ejected, or failed too often
    Retry {
        /// The item
        item: String,
    },
}

pub(crate) async fn run(command: &Command, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    let queue = match command {
        Command::List => client.queue().await?,
        Command::Pause { reason } => client.pause_queue(reason).await?,
        Command::Resume => client.resume_queue().await?,
        Command::Eject { item, reason } => client.eject(item, reason).await?,
        Command::Retry { item } => client.retry_merge(item).await?,
    };
    cx.say(&queue, || {
        if let Some(why) = &queue.paused {
            output::line(&format!("paused: {why}; `musher queue resume` lets merges begin again"));
        }
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
