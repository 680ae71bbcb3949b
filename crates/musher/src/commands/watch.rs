//! `musher watch`.

use musher_server::api::{NewWatch, Watch};

use super::schedule::span;
use crate::connect::Context;
use crate::error::Outcome;
use crate::output::{self, Table, Tone, moment};

/// Watches: what lies outside and holds up an item or a mission
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List what is watched: where it stands, and when it is looked at next
    List {
        /// Only the watches of this mission
        mission: Option<String>,
        /// Those that are done, too
        #[arg(long)]
        all: bool,
    },
    /// Show a watch, with what the last look saw
    Show {
        /// The watch
        id: String,
    },
    /// Add a watch to an item that has not begun: it starts when the watch is met
    Add(Add),
    /// Let a watch rest: nothing looks at it, or follows from it, for this long
    Snooze {
        /// The watch
        id: String,
        /// How long, such as 30m or 12h
        #[arg(value_name = "SPAN", value_parser = span)]
        rest: u64,
    },
    /// Close a watch: it holds nothing up any more
    #[command(visible_alias = "remove")]
    Close {
        /// The watch
        id: String,
    },
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["command", "url", "issue"]))]
pub(crate) struct Add {
    /// The item
    item: String,
    /// An address; met when it answers with a status of 200 to 299
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// An issue, such as `#12` or `owner/name#12`; met when it is closed
    #[arg(long, value_name = "REF")]
    issue: Option<String>,
    /// Wait with the end of the mission instead, from the end of the item on; this can be added while the item is at work
    #[arg(long)]
    then: bool,
    /// A program and its arguments, run at the repository's root without a shell; met when it exits 0
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(command: &Command, cx: &Context) -> Outcome {
    match command {
        Command::List { mission, all } => {
            let list = cx.client().await?.watches(mission.as_deref(), *all).await?;
            cx.say(&list, || {
                let mut table = Table::new(&["watch", "item", "kind", "status", "next look", "where", "seen"]);
                list.watches.iter().for_each(|watch| table.row(row(watch)));
                table.print("nothing outside is watched; `musher watch add` makes an item wait for something");
            })
        }
        Command::Show { id } => {
            let done = cx.client().await?.watch(id).await?;
            cx.say(&done, || show(&done.watch))
        }
        Command::Add(add) => {
            let wish = NewWatch {
                command: (!add.command.is_empty()).then(|| add.command.clone()),
                url: add.url.clone(),
                issue: add.issue.clone(),
                then: add.then,
            };
            let done = cx.client().await?.add_watch(&add.item, &wish).await?;
            cx.say(&done, || show(&done.watch))
        }
        Command::Snooze { id, rest } => {
            let done = cx.client().await?.snooze_watch(id, *rest).await?;
            cx.say(&done, || show(&done.watch))
        }
        Command::Close { id } => {
            let done = cx.client().await?.close_watch(id).await?;
            cx.say(&done, || show(&done.watch))
        }
    }
}

fn item_of(watch: &Watch) -> String {
    let mission = watch.mission.short();
    format!("{mission}/{}", watch.key)
}

/// What the last look came to: why it failed, or what it saw.
fn seen(watch: &Watch) -> &str {
    watch.error.as_deref().or(watch.text.as_deref()).unwrap_or_default()
}

fn row(watch: &Watch) -> Vec<(String, Tone)> {
    vec![
        (watch.short_id.clone(), Tone::Strong),
        (item_of(watch), Tone::Plain),
        (watch.kind.clone(), Tone::Plain),
        (watch.status.clone(), Tone::of_state(&watch.status)),
        (watch.next_due_at.map(moment).unwrap_or_default(), Tone::Plain),
        (watch.target.clone(), Tone::Plain),
        (seen(watch).lines().next().unwrap_or_default().to_owned(), Tone::Plain),
    ]
}

fn show(watch: &Watch) {
    let target = if watch.target.is_empty() { String::new() } else { format!(" {}", watch.target) };
    output::line(&format!("watch {}: {}{target} is {}", watch.short_id, watch.kind, watch.status));
    let holds = match watch.holds.as_str() {
        "start" => format!("the start of {}", item_of(watch)),
        "pull" => format!("the end of {}", item_of(watch)),
        _ => format!("the end of mission {}, once {} is done", watch.mission.short(), watch.key),
    };
    if let Some(by) = &watch.closed_by {
        output::line(&format!("closed by {by}: it holds nothing up any more"));
    } else if watch.status != "done" {
        output::line(&format!("holds up: {holds}"));
    }
    if let Some(until) = watch.snoozed_until {
        output::line(&format!("rests until {}", moment(until)));
    }
    if let Some(looked) = watch.looked_at {
        output::line(&format!("last answer: {}", moment(looked)));
    }
    if let Some(text) = watch.text.as_deref().filter(|text| !text.is_empty()) {
        output::line(&format!("seen: {text}"));
    }
    if let Some(error) = &watch.error {
        output::line(&format!("{} failed look(s) in a row: {error}", watch.failures));
    }
    if let Some(due) = watch.next_due_at {
        output::line(&format!("next look: {}", moment(due)));
    }
}
