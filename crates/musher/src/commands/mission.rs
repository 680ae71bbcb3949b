//! `musher mission`.

use std::path::PathBuf;

use musher_core::mission::WEIGHTS;
use musher_core::plan::{self, Compiled, Plan};
use musher_server::api::{
    Mission, MissionDocument, MissionQuery, MissionShow, PauseWish, StartMission, StopWish, WeightWish,
};

use crate::connect::Context;
use crate::error::{Exit, Failure, Outcome};
use crate::forge::{IssueArgs, ProjectForge};
use crate::live::follow::{self, Audience, End};
use crate::live::{self, Screen};
use crate::output::{self, Table, Tone};
use crate::project::Project;

mod compile;

pub(crate) use compile::{start_of, text_plan};

/// Missions: start one, see how it stands, steer it
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Start(Start),
    /// List missions
    List {
        /// Archived ones too
        #[arg(long)]
        all: bool,
    },
    Status(Status),
    /// Show a mission's items as a graph
    Graph {
        /// The mission
        id: String,
    },
    /// Say something to a mission; its first word may steer it (resume, pause, redirect, approve, stop, priority …)
    Note {
        /// The mission
        id: String,
        /// The words
        text: String,
    },
    /// Stop dispatching; running agents finish their items
    Pause {
        /// The mission
        id: String,
        /// Interrupt the running agents too
        #[arg(long)]
        now: bool,
        /// Why
        #[arg(default_value = "")]
        reason: String,
    },
    /// Go on after a pause or a block; open watches that hold the mission up are overridden, as by the note `resume`
    Resume {
        /// The mission
        id: String,
    },
    /// Change a mission's share of what can be dispatched, beside other missions
    Weight {
        /// The mission
        id: String,
        /// 1 to 100; a mission of weight 3 has three runs for each one of a mission of weight 1
        weight: u32,
    },
    /// Give a mission up; its branches are kept
    Stop {
        /// The mission
        id: String,
        /// Kill its agents instead of interrupting them
        #[arg(long)]
        force: bool,
    },
    /// Say yes to the graph of a mission that was started with `--approve`
    Approve {
        /// The mission
        id: String,
    },
}

/// Start a mission from issues, a plan file, a document or a text
#[derive(Debug, clap::Args)]
pub(crate) struct Start {
    /// A plan file (TOML) or a Markdown document; `-` reads standard input
    file: Option<PathBuf>,
    /// A Markdown document: each `##` heading is an item
    #[arg(long, value_name = "PATH", conflicts_with = "file")]
    doc: Option<PathBuf>,
    /// A text: one item
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["file", "doc"])]
    text: Option<String>,
    #[command(flatten)]
    issues: IssueArgs,
    /// The base branch, instead of the configured or checked-out one
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// How many items are worked on at once
    #[arg(long, value_name = "N")]
    max_parallel: Option<u32>,
    /// Its share of what can be dispatched, beside other missions: 1 to 100
    #[arg(long, value_name = "N")]
    weight: Option<u32>,
    /// Merge without reviews
    #[arg(long)]
    no_reviewer: bool,
    /// Ask the forge to merge by itself (pull requests only)
    #[arg(long)]
    auto_merge: bool,
    /// Seconds between two looks of a watch
    #[arg(long, value_name = "S")]
    watch_interval: Option<u64>,
    /// Show the graph and wait for `musher mission approve`
    #[arg(long)]
    approve: bool,
    /// Wait until the mission is at rest; without a daemon the engine runs in this process meanwhile
    #[arg(long)]
    wait: bool,
}

/// Show how a mission stands; the newest one when none is named
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// The mission
    id: Option<String>,
    /// Show its items only
    #[arg(long)]
    work: bool,
    /// Show what the dispatcher remembers of it
    #[arg(long)]
    dispatcher: bool,
    /// Follow it until it is at rest
    #[arg(long)]
    watch: bool,
}

pub(crate) async fn run(command: Command, cx: &Context) -> Outcome {
    match command {
        Command::Start(args) => start(args, cx).await,
        Command::List { all } => list(all, cx).await,
        Command::Status(args) => status(&args, cx).await,
        Command::Graph { id } => graph(&id, cx).await,
        Command::Note { id, text } => {
            let done = cx.client().await?.note_mission(&id, &text).await?;
            cx.say(&done, || output::line(&output::harmless(&done.effect)))
        }
        Command::Pause { id, now, reason } => {
            let wish = PauseWish { now, reason };
            let done = cx.client().await?.pause_mission(&id, &wish).await?;
            changed(done, cx)
        }
        Command::Resume { id } => {
            let done = cx.client().await?.resume_mission(&id).await?;
            let effect = done.effect.as_deref().map(|effect| format!(": {effect}")).unwrap_or_default();
            let state = done.mission.state.replace('_', " ");
            cx.say(&done, || output::line(&format!("mission {} is {state}{effect}", done.mission.short_id)))
        }
        Command::Weight { id, weight } => {
            let mission = cx.client().await?.weigh_mission(&id, WeightWish { weight }).await?;
            let done = MissionDocument { mission, effect: None };
            cx.say(&done, || output::line(&format!("mission {} weighs {weight}", done.mission.short_id)))
        }
        Command::Stop { id, force } => {
            let done = cx.client().await?.stop_mission(&id, StopWish { force }).await?;
            changed(done, cx)
        }
        Command::Approve { id } => {
            let done = cx.client().await?.approve_mission(&id).await?;
            changed(done, cx)
        }
    }
}

fn changed(mission: Mission, cx: &Context) -> Outcome {
    let done = MissionDocument { mission, effect: None };
    let mission = &done.mission;
    cx.say(&done, || output::line(&format!("mission {} is {}", mission.short_id, mission.state.replace('_', " "))))
}

async fn start(args: Start, cx: &Context) -> Outcome {
    let project = cx.project()?;
    let plan = plan_of(&args, &project, cx).await?;
    let mut start = start_of(&project, plan, args.base.as_deref())?;
    if let Some(n) = args.max_parallel {
        if n == 0 {
            return Err(Failure::usage("`--max-parallel 0` would never start anything").fix("say 1 or more"));
        }
        start.policy.max_parallel_items = n;
    }
    if let Some(n) = args.weight {
        if !WEIGHTS.contains(&n) {
            return Err(Failure::usage(format!("`--weight {n}` is no weight of a mission")).fix(format!(
                "say {} to {}",
                WEIGHTS.start(),
                WEIGHTS.end()
            )));
        }
        start.policy.weight = n;
    }
    if args.no_reviewer {
        start.policy.reviewer_required = false;
    }
    start.policy.auto_merge |= args.auto_merge;
    if let Some(seconds) = args.watch_interval {
        start.policy.watch_interval_secs = seconds.max(1);
    }
    start.ask = args.approve;
    if args.wait { wait(&start, cx).await } else { post(&start, cx).await }
}

async fn plan_of(args: &Start, project: &Project, cx: &Context) -> Result<Plan, Failure> {
    if !args.issues.issues.is_empty() {
        if args.file.is_some() || args.doc.is_some() || args.text.is_some() {
            return Err(Failure::usage("issues and something else to do").fix("start a mission for each"));
        }
        let compiled =
            ProjectForge::find(&project.config.forge, &project.paths.root).await?.compile(&args.issues).await?;
        if !cx.json {
            show(&compiled);
        }
        return Ok(compiled.plan);
    }
    match (&args.file, &args.doc, &args.text) {
        (Some(file), None, None) => super::plan::read(file),
        (None, Some(path), None) => {
            let bytes = std::fs::read(path).map_err(|error| {
                Failure::usage(format!("the document `{}` cannot be read", path.display())).why(error.to_string())
            })?;
            plan::parse_markdown(&path.display().to_string(), &bytes).map_err(|problems| {
                Failure::usage(format!("the document `{}` cannot be used", path.display())).why(problems.to_string())
            })
        }
        (None, None, Some(text)) => text_plan(text),
        _ => Err(Failure::usage("a mission needs something to do")
            .fix("name a plan file, `--issue N`, `--doc PATH` or `--text TEXT`; `musher plan schema` says what a plan file holds")),
    }
}

/// Shows what issues were compiled into, before anything starts; to where it is in the way of nothing.
pub(crate) fn show(compiled: &Compiled) {
    for remark in &compiled.remarks {
        eprintln!("{}", output::harmless(remark));
    }
    live::plan_lines(&compiled.plan, Screen::size().0).iter().for_each(|line| eprintln!("{line}"));
}

/// Starts a mission with the daemon and comes back at once.
pub(crate) async fn post(start: &StartMission, cx: &Context) -> Outcome {
    let done = MissionDocument { mission: cx.client().await?.start_mission(start).await?, effect: None };
    cx.say(&done, || {
        let id = &done.mission.short_id;
        let state = done.mission.state.replace('_', " ");
        output::line(&format!("mission {id} is {state}: {}", output::one_line(&done.mission.goal, 80)));
        if done.mission.state == "awaiting_approval" {
            output::line(&format!("`musher mission graph {id}` shows it, `musher mission approve {id}` starts it"));
        } else {
            output::line(&format!("`musher mission status {id} --watch` follows it"));
        }
    })
}

/// Starts a mission and follows it until it is at rest.
pub(crate) async fn wait(start: &StartMission, cx: &Context) -> Outcome {
    let connection = cx.client_or_local().await?;
    let ended = start_and_follow(start, &connection.client, cx).await;
    let alone = connection.local.is_some();
    connection.close().await?;
    let end = ended?;
    if cx.json {
        output::json(end.document())?;
    } else if let End::AtRest(show) = &end
        && end.exit() != 0
    {
        let up = if alone { "`musher up --detach`, then " } else { "" };
        output::line(&format!("next: {up}`musher explain {}` says why and what would help", show.mission.short_id));
    }
    Ok(end.exit())
}

async fn start_and_follow(
    start: &StartMission,
    client: &musher_server::client::Client,
    cx: &Context,
) -> Result<End, Failure> {
    let started = client.start_mission(start).await?;
    let audience = if cx.json { Audience::Script } else { Audience::Person };
    follow::mission(client, started.id, audience).await
}

async fn list(all: bool, cx: &Context) -> Outcome {
    let list = cx.client().await?.missions(MissionQuery { all }).await?;
    cx.say(&list, || {
        let mut table = Table::new(&["id", "state", "done", "goal"]);
        for mission in &list.missions {
            let total: u32 = mission.counts.values().sum();
            let done = mission.counts.get("done").copied().unwrap_or(0);
            table.row(vec![
                (mission.short_id.clone(), Tone::Strong),
                (mission.state.replace('_', " "), Tone::of_state(&mission.state)),
                (format!("{done}/{total}"), Tone::Plain),
                (output::one_line(&mission.goal, 80), Tone::Plain),
            ]);
        }
        table.print("no missions; `musher mission start PLAN` starts one");
    })
}

async fn status(args: &Status, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => {
            let missions = client.missions(MissionQuery::default()).await?.missions;
            let newest = missions.last().ok_or_else(|| {
                Failure::new(Exit::NotFound, "there is no mission").fix("`musher mission start PLAN` starts one")
            })?;
            newest.id.to_string()
        }
    };
    if args.watch {
        let show = client.mission(&id).await?;
        let audience = if cx.json { Audience::Script } else { Audience::Person };
        let end = follow::mission(&client, show.mission.id, audience).await?;
        if cx.json {
            output::json(end.document())?;
        }
        return Ok(end.exit());
    }
    let show = client.mission(&id).await?;
    cx.say(&show, || people(&show, args))
}

fn people(show: &MissionShow, args: &Status) {
    let now = musher_engine::Clock::now(&musher_engine::SystemClock);
    let (width, _) = Screen::size();
    let lines = live::lines(show, now, (width, usize::MAX));
    for line in lines.iter().skip(usize::from(args.work)) {
        output::line(line);
    }
    if args.dispatcher {
        let known = &show.dispatcher;
        let moment = |at: &Option<musher_core::time::Timestamp>| at.map_or("never".to_owned(), |at| at.to_string());
        output::line(&format!("  last judged    {}", moment(&known.last_tick_at)));
        output::line(&format!("  last progress  {}", moment(&known.last_progress_at)));
        output::line(&format!("  last help      {}", moment(&known.last_help_at)));
        if let Some(reason) = &known.last_help_reason {
            let times = known.help_attempts;
            output::line(&format!(
                "  asked for      {} ({times} in a row)",
                output::one_line(reason, width.saturating_sub(32))
            ));
        }
        if let Some(lease) = &known.lease {
            let until = lease.until.map_or("as long as it runs".to_owned(), |at| format!("until {at}"));
            output::line(&format!(
                "  lease          process {} on {}, fence {}, {until}",
                lease.pid,
                output::one_line(&lease.node, 40),
                lease.fence
            ));
        }
        for note in &known.notes {
            output::line(&format!("  note  {}", output::one_line(note, width.saturating_sub(8))));
        }
    }
}

async fn graph(id: &str, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    let graph = client.mission_graph(id).await?;
    if cx.json {
        output::json(&graph)?;
        return Ok(0);
    }
    let show = client.mission(id).await?;
    let now = musher_engine::Clock::now(&musher_engine::SystemClock);
    for line in live::lines(&show, now, (Screen::size().0, usize::MAX)) {
        output::line(&line);
    }
    for item in show.items.iter().filter(|i| !i.depends_on.is_empty()) {
        output::line(&format!("  {} after {}", item.key, item.depends_on.join(", ")));
    }
    Ok(0)
}
