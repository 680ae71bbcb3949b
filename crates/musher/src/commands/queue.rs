//! `musher queue`.

use crate::connect::Context;
use crate::error::Outcome;
use crate::live::{self, Screen};
use crate::output::{self, Table, Tone};

/// The merge queue
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show the batch that is being merged, what was tested of it, and what is next
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
            output::line(&format!(
                "paused: {}; `musher queue resume` lets merges begin again",
                output::one_line(why, 60)
            ));
        }
        let (width, _) = Screen::size();
        if let Some(batch) = &queue.batch {
            let now = musher_engine::Clock::now(&musher_engine::SystemClock);
            live::batch_lines(batch, now, width).iter().for_each(|line| output::line(line));
        }
        live::past_lines(&queue.ejected, queue.flaky, width).iter().for_each(|line| output::line(line));
        let mut table = Table::new(&["id", "item", "stage", "into", "why"]);
        for entry in &queue.queue {
            table.row(vec![
                (entry.short_id.clone(), Tone::Strong),
                (output::one_line(&entry.key, 28), Tone::Plain),
                (entry.stage.clone(), Tone::Busy),
                (output::one_line(&entry.target, 24), Tone::Plain),
                (output::one_line(entry.reason.as_deref().unwrap_or_default(), 100), Tone::Quiet),
            ]);
        }
        table.print("nothing is being merged");
    })
}
