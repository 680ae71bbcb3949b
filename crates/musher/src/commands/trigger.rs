//! `musher trigger`.

use std::path::PathBuf;

use musher_core::config::show_seconds;
use musher_core::time::Timestamp;
use musher_core::trigger::Mode;
use musher_server::api::{Firing, NewTrigger, Predicate, Trial, Trigger};

use super::schedule::{plan, span, word};
use crate::connect::Context;
use crate::error::{Failure, Outcome};
use crate::output::{self, Table, Tone, moment};

/// Triggers: what follows by itself on an event
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the triggers: what each fires on, and how it stands
    List,
    /// Show a trigger with its last firings
    Show {
        /// Its name
        name: String,
    },
    /// Add a trigger, which sees what happens from now on; those of `[[triggers]]` in musher.toml need no adding
    Add(Box<Add>),
    /// Show what a trigger would have done on events of the log; changes nothing
    Test {
        /// Its name
        name: String,
        /// Over the events after this one, by its number in `musher events`
        #[arg(long, value_name = "SEQ")]
        since: u64,
        /// At most so many events
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Let a trigger see events again, those from now on; also one that is used up, or paused after failures
    Enable {
        /// Its name
        name: String,
    },
    /// Let a trigger see no events; what of it waits is cancelled, its missions go on
    Disable {
        /// Its name
        name: String,
    },
    /// Remove a trigger that was added here; its history stays
    Remove {
        /// Its name
        name: String,
    },
    /// List what became of a trigger's firings, newest first
    History {
        /// Its name
        name: String,
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("on").required(true).multiple(true)
    .args(["kind", "of_mission", "of_item", "of_agent", "from_state", "to_state", "label", "text"]))]
#[command(group = clap::ArgGroup::new("action").required(true).args(["prompt", "plan", "plan_file", "note"]))]
pub(crate) struct Add {
    /// Its name: 1 to 64 of [a-z0-9_-]
    name: String,
    /// Fires on events of this name; `*` stands for any part of it. Give it again for further names
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Fires on events about this mission
    #[arg(long, value_name = "ID")]
    of_mission: Option<String>,
    /// Fires on events about this item, by its key or its id
    #[arg(long, value_name = "ITEM")]
    of_item: Option<String>,
    /// Fires on events about this agent
    #[arg(long, value_name = "NAME")]
    of_agent: Option<String>,
    /// Fires when an item or a mission leaves this state
    #[arg(long, value_name = "STATE")]
    from_state: Option<String>,
    /// Fires when an item or a mission comes into this state
    #[arg(long, value_name = "STATE")]
    to_state: Option<String>,
    /// Fires on events about items with this label
    #[arg(long)]
    label: Option<String>,
    /// Fires on events that hold this text, letter by letter
    #[arg(long)]
    text: Option<String>,
    /// What it does: a mission of one item with this prompt
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// The only agent that may take the item of --prompt
    #[arg(long, requires = "prompt")]
    agent: Option<String>,
    /// What it does: a mission of this plan, read now; `-` is standard input
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// What it does: a mission of this file, as it is when the trigger fires
    #[arg(long, value_name = "FILE")]
    plan_file: Option<String>,
    /// What it does: a note on --mission
    #[arg(long, value_name = "TEXT", requires = "mission")]
    note: Option<String>,
    /// The mission of --note
    #[arg(long, value_name = "ID", requires = "note")]
    mission: Option<String>,
    /// How often: once or persistent [default: persistent]
    #[arg(long, value_parser = mode)]
    mode: Option<Mode>,
    /// After how many events it is used up
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    max_fires: Option<u64>,
    /// How long after it has fired it leaves events out, such as 10m
    #[arg(long, value_name = "SPAN", value_parser = span)]
    cooldown: Option<u64>,
    /// From when on it fires on nothing, such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "MOMENT")]
    expires: Option<Timestamp>,
    /// Add it switched off
    #[arg(long)]
    disabled: bool,
}

fn mode(text: &str) -> Result<Mode, String> {
    word(text, &[Mode::Once, Mode::Persistent], Mode::name)
}

pub(crate) async fn run(command: &Command, cx: &Context) -> Outcome {
    match command {
        Command::List => {
            let list = cx.client().await?.triggers().await?;
            cx.say(&list, || {
                let mut table = Table::new(&["name", "status", "fires on", "does", "fired", "source"]);
                list.triggers.iter().for_each(|trigger| table.row(row(trigger)));
                table.print("no triggers; `[[triggers]]` in musher.toml, or `musher trigger add`");
            })
        }
        Command::Show { name } => {
            let client = cx.client().await?;
            let (document, history) = (client.trigger(name).await?, client.firings_of_trigger(name, 5).await?);
            let both = serde_json::json!({"trigger": document.trigger, "firings": history.firings});
            cx.say(&both, || {
                show(&document.trigger);
                print_firings(&history.firings);
            })
        }
        Command::Add(add) => {
            let wish = wish(add, cx)?;
            let done = cx.client().await?.add_trigger(&wish).await?;
            cx.say(&done, || show(&done.trigger))
        }
        Command::Test { name, since, limit } => {
            let trial = cx.client().await?.test_trigger(name, *since, *limit).await?;
            cx.say(&trial, || print_trial(name, &trial))
        }
        Command::Enable { name } => {
            let done = cx.client().await?.tell_trigger(name, "enable").await?;
            cx.say(&done, || show(&done.trigger))
        }
        Command::Disable { name } => {
            let done = cx.client().await?.tell_trigger(name, "disable").await?;
            cx.say(&done, || show(&done.trigger))
        }
        Command::Remove { name } => {
            let done = cx.client().await?.remove_trigger(name).await?;
            cx.say(&done, || output::line(&format!("{name} is removed")))
        }
        Command::History { name, limit } => {
            let history = cx.client().await?.firings_of_trigger(name, *limit).await?;
            cx.say(&history, || print_firings(&history.firings))
        }
    }
}

fn wish(add: &Add, cx: &Context) -> Result<NewTrigger, Failure> {
    let project = cx.project()?;
    Ok(NewTrigger {
        name: add.name.clone(),
        on: Predicate {
            kinds: add.kind.clone(),
            mission: add.of_mission.clone(),
            item: add.of_item.clone(),
            agent: add.of_agent.clone(),
            from_state: add.from_state.clone(),
            to_state: add.to_state.clone(),
            label: add.label.clone(),
            text: add.text.clone(),
        },
        prompt: add.prompt.clone(),
        agent: add.agent.clone(),
        plan: plan(add.plan.as_deref())?,
        plan_file: add.plan_file.clone(),
        note: add.note.clone(),
        mission: add.mission.clone(),
        mode: add.mode,
        max_fires: add.max_fires,
        cooldown_secs: add.cooldown,
        expires: add.expires,
        enabled: Some(!add.disabled),
        policy: Some(project.config.policy),
    })
}

fn row(trigger: &Trigger) -> Vec<(String, Tone)> {
    vec![
        (trigger.name.clone(), Tone::Strong),
        (trigger.status.clone(), Tone::of_state(&trigger.status)),
        (trigger.on.clone(), Tone::Plain),
        (trigger.action.clone(), Tone::Plain),
        (trigger.fires.to_string(), Tone::Plain),
        (trigger.source.clone(), Tone::Plain),
    ]
}

fn show(trigger: &Trigger) {
    output::line(&format!("{} is {}: {}", trigger.name, trigger.status.replace('_', " "), trigger.on));
    if let Some(at) = trigger.fired_at {
        output::line(&format!("fired {} time(s), last {}", trigger.fires, moment(at)));
    }
    if let Some(why) = &trigger.paused {
        output::line(&format!("paused: {why}; `musher trigger enable {}` lets it go on", trigger.name));
    } else if trigger.failures > 0 {
        let until = trigger.not_before.map(|until| format!(", rests until {}", moment(until))).unwrap_or_default();
        output::line(&format!("{} failure(s) in a row{until}", trigger.failures));
    }
    if trigger.waiting > 0 {
        output::line(&format!("{} firing(s) wait for their action", trigger.waiting));
    }
}

fn print_firings(firings: &[Firing]) {
    let mut table = Table::new(&["event", "kind", "at", "outcome", "took", "mission", "what came of it"]);
    for firing in firings {
        let took = firing.finished_at.map(|end| show_seconds(end.since(firing.fired_at).as_secs()));
        let mission = firing.mission.as_deref().and_then(|id| id.get(id.len().saturating_sub(8)..)).unwrap_or_default();
        let text = firing.text.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        table.row(vec![
            (firing.event.map(|seq| seq.to_string()).unwrap_or_default(), Tone::Plain),
            (firing.event_kind.clone().unwrap_or_default(), Tone::Plain),
            (moment(firing.due), Tone::Plain),
            (firing.outcome.clone(), Tone::of_state(&firing.outcome)),
            (took.unwrap_or_default(), Tone::Plain),
            (mission.to_owned(), Tone::Plain),
            (text.to_owned(), Tone::Plain),
        ]);
    }
    table.print("it has not fired yet");
}

fn print_trial(name: &str, trial: &Trial) {
    let mut table = Table::new(&["event", "kind", "at", "would"]);
    for tried in &trial.tried {
        let would = tried.not.as_ref().map_or_else(|| "fire".to_owned(), |why| format!("not fire: {why}"));
        let tone = if tried.not.is_none() { Tone::Strong } else { Tone::Plain };
        table.row(vec![
            (tried.event.seq.to_string(), Tone::Plain),
            (tried.event.kind.clone(), Tone::Plain),
            (moment(tried.event.at), Tone::Plain),
            (would, tone),
        ]);
    }
    table.print("its conditions hold for none of these events");
    output::line(&format!("it would have fired {} time(s) up to event {}", trial.fires, trial.until));
    if trial.more {
        output::line(&format!("there are more events: `musher trigger test {name} --since {}`", trial.until));
    }
}
