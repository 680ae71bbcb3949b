//! `musher item`.

use musher_server::api::{ItemDocument, ItemQuery, ItemShow};

use crate::connect::Context;
use crate::error::Outcome;
use crate::output::{self, Table, Tone};

/// Items: look at them, and steer them: retry, hold, freeze, demote, skip, supersede, reopen, cancel
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List items
    List {
        /// Only those of this mission
        #[arg(long, value_name = "ID")]
        mission: Option<String>,
        /// Only those in these states, separated by commas
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
    },
    /// Show an item with its runs and what it waits for
    Show {
        /// The item: its id, or MISSION/key
        item: String,
    },
    /// Give a failed or blocked item a fresh start
    Retry {
        /// The item
        item: String,
    },
    /// Let an agent of another account take an item that waits for its own account
    Failover {
        /// The item
        item: String,
    },
    /// Take an item out; its run is interrupted
    Hold {
        /// The item
        item: String,
        /// Why
        #[arg(default_value = "")]
        reason: String,
    },
    /// Let nothing new begin for an item, which keeps its place; a run in flight is let finish
    Freeze {
        /// The item
        item: String,
        /// Why
        #[arg(default_value = "")]
        reason: String,
    },
    /// Send an item back to the start: its run is interrupted, its worktree kept, and it stays pending until released
    Demote {
        /// The item
        item: String,
        /// Why
        #[arg(default_value = "")]
        reason: String,
    },
    /// Put a held item back, or let a frozen or demoted one go on
    Release {
        /// The item
        item: String,
    },
    /// Count an item as done for those that depend on it
    Skip {
        /// The item
        item: String,
    },
    /// Give an item up for another one of its mission; what depends on it waits for that one
    Supersede {
        /// The item that is given up
        item: String,
        /// The item that does its work: its id in the plan, or its own id
        #[arg(long, value_name = "ITEM")]
        by: String,
    },
    /// Make a follow-up of a done item, which stays done
    Reopen {
        /// The item
        item: String,
        /// What is to be mended or added: the prompt of the follow-up
        text: String,
    },
    /// Give an item up; its branch is kept
    Cancel {
        /// The item
        item: String,
    },
}

pub(crate) async fn run(command: &Command, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    let done = match command {
        Command::List { mission, state } => {
            let query = ItemQuery { mission: mission.clone(), state: state.clone(), limit: None };
            let list = client.items(&query).await?;
            return cx.say(&list, || {
                let mut table = Table::new(&["id", "mission", "item", "state", "agent", "why"]);
                for item in &list.items {
                    table.row(vec![
                        (item.short_id.clone(), Tone::Strong),
                        (item.mission.short(), Tone::Quiet),
                        (item.key.clone(), Tone::Plain),
                        (item.state.replace('_', " "), Tone::of_state(&item.state)),
                        (item.agent.clone().unwrap_or_default(), Tone::Plain),
                        (output::one_line(item.reason.as_deref().unwrap_or_default(), 100), Tone::Quiet),
                    ]);
                }
                table.print("no items");
                if list.more {
                    output::line("there are more; `--mission` or `--state` narrows the list");
                }
            });
        }
        Command::Show { item } => {
            let shown = client.item(item).await?;
            return cx.say(&shown, || show(&shown));
        }
        Command::Retry { item } => client.retry_item(item).await?,
        Command::Failover { item } => client.fail_over_item(item).await?,
        Command::Hold { item, reason } => client.hold_item(item, reason).await?,
        Command::Freeze { item, reason } => client.freeze_item(item, reason).await?,
        Command::Demote { item, reason } => client.demote_item(item, reason).await?,
        Command::Supersede { item, by } => client.supersede_item(item, by).await?,
        Command::Reopen { item, text } => {
            let done = ItemDocument { item: client.reopen_item(item, text).await? };
            return cx.say(&done, || output::line(&opened(&done)));
        }
        Command::Release { item } => client.release_item(item).await?,
        Command::Skip { item } => client.skip_item(item).await?,
        Command::Cancel { item } => client.cancel_item(item).await?,
    };
    let done = ItemDocument { item: done };
    cx.say(&done, || output::line(&said(&done)))
}

fn said(done: &ItemDocument) -> String {
    let item = &done.item;
    let counted = if item.satisfied { ", and counts as done" } else { "" };
    let frozen = if item.frozen.is_some() { ", and nothing begins for it until it is released" } else { "" };
    format!("{} is {}{counted}{frozen}", item.key, item.state.replace('_', " "))
}

/// The follow-up: where it is, for it may be in a mission of its own.
fn opened(done: &ItemDocument) -> String {
    let item = &done.item;
    let state = item.state.replace('_', " ");
    format!("{} ({}) is {state}, in mission {}", item.key, item.short_id, item.mission.short())
}

fn show(shown: &ItemShow) {
    let item = &shown.item;
    let state = output::paint(&item.state.replace('_', " "), Tone::of_state(&item.state));
    output::line(&format!("{} {}  {state}", output::paint(&item.short_id, Tone::Strong), item.key));
    output::line(&format!("  {}", output::harmless(&item.title)));
    for (name, value) in [
        ("branch", item.branch.clone()),
        ("commit", item.commit.clone()),
        ("pull", item.pull.as_ref().map(output::pull)),
        ("worktree", item.worktree.as_ref().map(|w| w.display().to_string())),
        ("frozen", item.frozen.clone()),
        ("follows", item.follows.map(|id| id.short())),
        ("after", (!item.depends_on.is_empty()).then(|| item.depends_on.join(", "))),
    ] {
        if let Some(value) = value {
            output::line(&format!("  {name:<9}{value}"));
        }
    }
    for wait in &shown.waits {
        output::line(&format!("  waits    {}: {}", wait.code, output::harmless(&wait.text)));
    }
    if let Some(lesson) = &shown.lesson {
        output::line("  what its next run is told of the last failure:");
        for line in output::harmless(lesson).lines() {
            output::line(&format!("    {line}"));
        }
    }
    if let Some(plan) = &shown.plan {
        output::line("  its plan:");
        for line in output::harmless(plan).lines() {
            output::line(&format!("    {line}"));
        }
    }
    if !shown.runs.is_empty() {
        let mut table = Table::new(&["  run", "agent", "attempt", "purpose", "outcome", "took", "what it said"]);
        for run in &shown.runs {
            let outcome = run.outcome.clone().unwrap_or_else(|| run.state.clone());
            let took = match (run.started_at, run.finished_at) {
                (Some(from), Some(to)) => output::span(to.since(from).as_secs()),
                _ => String::new(),
            };
            table.row(vec![
                (format!("  {}", run.short_id), Tone::Plain),
                (run.agent.clone(), Tone::Plain),
                (run.attempt.to_string(), Tone::Plain),
                (run.purpose.clone(), Tone::Plain),
                (outcome.clone(), Tone::of_state(&outcome)),
                (took, Tone::Plain),
                (output::one_line(last_words(run), 80), Tone::Quiet),
            ]);
        }
        table.print("");
        let made = shown.runs.iter().flat_map(|run| &run.artifacts).map(|name| output::one_line(name, 120));
        made.for_each(|name| output::line(&format!("  made     {name}")));
        output::line(&format!(
            "  `musher logs {}` shows what the last run said",
            shown.runs[shown.runs.len() - 1].short_id
        ));
    }
}

/// What a run ended with; while it goes on, where its agent says that it is.
fn last_words(run: &musher_server::api::Run) -> &str {
    run.message.as_deref().or(run.progress.as_deref()).unwrap_or_default()
}
