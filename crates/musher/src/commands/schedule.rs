//! `musher schedule`.

use std::io::Read;
use std::path::PathBuf;

use musher_core::config::{seconds, show_seconds};
use musher_core::schedule::{Misfire, Notify, Overlap, RunOn};
use musher_core::time::Timestamp;
use musher_server::api::{Firing, NewSchedule, Schedule};

use crate::connect::Context;
use crate::error::{Failure, Outcome};
use crate::output::{self, Table, Tone, moment};

/// Schedules: what happens by itself at planned moments
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the schedules: when each is due next, and how it stands
    List,
    /// Show a schedule with its last firings
    Show {
        /// Its name
        name: String,
    },
    /// Add a schedule; those of `[[schedules]]` in musher.toml need no adding
    Add(Box<Add>),
    /// Fire a schedule now, whatever is planned
    Run {
        /// Its name
        name: String,
    },
    /// Let a schedule fire again, also one that is paused after failures
    Enable {
        /// Its name
        name: String,
    },
    /// Let a schedule fire no more; what is at work goes on
    Disable {
        /// Its name
        name: String,
    },
    /// Remove a schedule that was added here; its history stays
    Remove {
        /// Its name
        name: String,
    },
    /// List what became of a schedule's moments, newest first
    History {
        /// Its name
        name: String,
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("when").required(true).args(["cron", "every", "at"]))]
#[command(group = clap::ArgGroup::new("action").required(true).args(["prompt", "plan", "plan_file", "note"]))]
pub(crate) struct Add {
    /// Its name: 1 to 64 of [a-z0-9_-]
    name: String,
    /// When it is due: a cron expression of 5 fields, or 6 with seconds first
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// The zone of --cron, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "cron")]
    tz: Option<String>,
    /// When it is due: again and again, this long apart, such as 15m
    #[arg(long, value_name = "SPAN", value_parser = span)]
    every: Option<u64>,
    /// When it is due: once, such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "MOMENT")]
    at: Option<Timestamp>,
    /// A program that is asked first; give its arguments as further --check
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    check: Vec<String>,
    /// After which end of the check the action follows [default: failure]
    #[arg(long, requires = "check", value_parser = run_on)]
    run_on: Option<RunOn>,
    /// How long the check may take [default: 30s]
    #[arg(long, value_name = "SPAN", requires = "check", value_parser = span)]
    check_timeout: Option<u64>,
    /// What it does: a mission of one item with this prompt
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// The only agent that may take the item of --prompt
    #[arg(long, requires = "prompt")]
    agent: Option<String>,
    /// What it does: a mission of this plan, read now; `-` is standard input
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// What it does: a mission of this file, as it is when the schedule fires
    #[arg(long, value_name = "FILE")]
    plan_file: Option<String>,
    /// What it does: a note on --mission
    #[arg(long, value_name = "TEXT", requires = "mission")]
    note: Option<String>,
    /// The mission of --note
    #[arg(long, value_name = "ID", requires = "note")]
    mission: Option<String>,
    /// When it is due and its last firing is not over: skip, queue or replace [default: skip]
    #[arg(long, value_parser = overlap)]
    overlap: Option<Overlap>,
    /// What becomes of missed moments: once, all or none [default: once]
    #[arg(long, value_parser = misfire)]
    misfire: Option<Misfire>,
    /// How long a firing may take [default: 30m]
    #[arg(long, value_name = "SPAN", value_parser = span)]
    timeout: Option<u64>,
    /// Which firings people are told of: all, completions, failures or none [default: failures]
    #[arg(long, value_parser = notify)]
    notify: Option<Notify>,
    /// Add it switched off
    #[arg(long)]
    disabled: bool,
}

pub(super) fn span(text: &str) -> Result<u64, String> {
    seconds(text)
        .filter(|span| *span > 0)
        .ok_or_else(|| "write a span of at least 1s, such as 90s, 15m or 4h".to_owned())
}

fn word<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    let words: Vec<&str> = all.iter().map(|value| name(*value)).collect();
    all.iter().copied().find(|value| name(*value) == text).ok_or_else(|| format!("one of {}", words.join(", ")))
}

fn run_on(text: &str) -> Result<RunOn, String> {
    word(text, &[RunOn::Failure, RunOn::Success, RunOn::Any], RunOn::name)
}

fn overlap(text: &str) -> Result<Overlap, String> {
    word(text, &[Overlap::Skip, Overlap::Queue, Overlap::Replace], Overlap::name)
}

fn misfire(text: &str) -> Result<Misfire, String> {
    word(text, &[Misfire::Once, Misfire::All, Misfire::None], Misfire::name)
}

fn notify(text: &str) -> Result<Notify, String> {
    word(text, &[Notify::All, Notify::Completions, Notify::Failures, Notify::None], Notify::name)
}

pub(crate) async fn run(command: &Command, cx: &Context) -> Outcome {
    match command {
        Command::List => {
            let list = cx.client().await?.schedules().await?;
            cx.say(&list, || {
                let mut table = Table::new(&["name", "status", "next", "when", "does", "source"]);
                list.schedules.iter().for_each(|schedule| table.row(row(schedule)));
                table.print("no schedules; `[[schedules]]` in musher.toml, or `musher schedule add`");
            })
        }
        Command::Show { name } => {
            let client = cx.client().await?;
            let (document, history) = (client.schedule(name).await?, client.firings(name, 5).await?);
            let both = serde_json::json!({"schedule": document.schedule, "firings": history.firings});
            cx.say(&both, || {
                show(&document.schedule);
                print_firings(&history.firings);
            })
        }
        Command::Add(add) => {
            let wish = wish(add, cx)?;
            let done = cx.client().await?.add_schedule(&wish).await?;
            cx.say(&done, || show(&done.schedule))
        }
        Command::Run { name } => {
            let done = cx.client().await?.tell_schedule(name, "run").await?;
            cx.say(&done, || {
                output::line(&format!("{name} has fired; `musher schedule history {name}` tells what came of it"))
            })
        }
        Command::Enable { name } => {
            let done = cx.client().await?.tell_schedule(name, "enable").await?;
            cx.say(&done, || show(&done.schedule))
        }
        Command::Disable { name } => {
            let done = cx.client().await?.tell_schedule(name, "disable").await?;
            cx.say(&done, || show(&done.schedule))
        }
        Command::Remove { name } => {
            let done = cx.client().await?.remove_schedule(name).await?;
            cx.say(&done, || output::line(&format!("{name} is removed")))
        }
        Command::History { name, limit } => {
            let history = cx.client().await?.firings(name, *limit).await?;
            cx.say(&history, || print_firings(&history.firings))
        }
    }
}

fn wish(add: &Add, cx: &Context) -> Result<NewSchedule, Failure> {
    let project = cx.project()?;
    let plan = match &add.plan {
        None => None,
        Some(path) if path.as_os_str() == "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            Some(text)
        }
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("the plan `{}` cannot be read", path.display())).why(error.to_string())
        })?),
    };
    Ok(NewSchedule {
        name: add.name.clone(),
        cron: add.cron.clone(),
        tz: add.tz.clone(),
        every_secs: add.every,
        at: add.at,
        check: (!add.check.is_empty()).then(|| add.check.clone()),
        run_on: add.run_on,
        check_timeout_secs: add.check_timeout,
        prompt: add.prompt.clone(),
        agent: add.agent.clone(),
        plan,
        plan_file: add.plan_file.clone(),
        note: add.note.clone(),
        mission: add.mission.clone(),
        overlap: add.overlap,
        misfire: add.misfire,
        timeout_secs: add.timeout,
        notify: add.notify,
        enabled: Some(!add.disabled),
        policy: Some(project.config.policy),
    })
}

fn row(schedule: &Schedule) -> Vec<(String, Tone)> {
    vec![
        (schedule.name.clone(), Tone::Strong),
        (schedule.status.clone(), Tone::of_state(&schedule.status)),
        (schedule.due.map(moment).unwrap_or_default(), Tone::Plain),
        (schedule.when.clone(), Tone::Plain),
        (schedule.action.clone(), Tone::Plain),
        (schedule.source.clone(), Tone::Plain),
    ]
}

fn show(schedule: &Schedule) {
    output::line(&format!("{} is {}: {}", schedule.name, schedule.status, schedule.when));
    if let Some(due) = schedule.due {
        output::line(&format!("next: {}", moment(due)));
    }
    if let Some(why) = &schedule.paused {
        output::line(&format!("paused: {why}; `musher schedule enable {}` lets it fire again", schedule.name));
    } else if schedule.failures > 0 {
        let until = schedule.not_before.map(|until| format!(", rests until {}", moment(until))).unwrap_or_default();
        output::line(&format!("{} failure(s) in a row{until}", schedule.failures));
    }
    if schedule.queued > 0 {
        output::line(&format!("{} moment(s) wait for the end of a firing", schedule.queued));
    }
}

fn print_firings(firings: &[Firing]) {
    let mut table = Table::new(&["due", "outcome", "took", "mission", "what came of it"]);
    for firing in firings {
        let took = firing.finished_at.map(|end| show_seconds(end.since(firing.fired_at).as_secs()));
        let missed = if firing.missed > 0 { format!(" (for {} missed, too)", firing.missed) } else { String::new() };
        let mission = firing.mission.as_deref().and_then(|id| id.get(id.len().saturating_sub(8)..)).unwrap_or_default();
        let text = firing.text.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        table.row(vec![
            (format!("{}{missed}", moment(firing.due)), Tone::Plain),
            (firing.outcome.clone(), Tone::of_state(&firing.outcome)),
            (took.unwrap_or_default(), Tone::Plain),
            (mission.to_owned(), Tone::Plain),
            (text.to_owned(), Tone::Plain),
        ]);
    }
    table.print("it has not fired yet");
}
