//! A planner run, from a goal to a plan that a person says yes to.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use musher_core::id::MissionId;
use musher_core::item::{Kind, Wants};
use musher_core::nearest::nearest;
use musher_core::plan::{self, Plan};
use musher_server::api::{MissionShow, StartMission};
use musher_server::client::Client;

use super::Args;
use crate::commands::mission;
use crate::connect::Context;
use crate::error::{Exit, Failure, Outcome};
use crate::forge::ProjectForge;
use crate::live::follow::{self, Audience, End};
use crate::live::{self, Screen};
use crate::output;
use crate::project::Project;

/// The id of the one item of a planning mission.
const KEY: &str = "plan";

/// Where the plan goes.
enum Target {
    /// Into this file, which may be replaced.
    File(PathBuf, bool),
    /// Into a document for scripts.
    Document,
    /// To the person at the terminal, who says whether it starts.
    Person,
    /// To standard output, and everything else to standard error.
    Output,
}

impl Target {
    fn of(args: &Args, cx: &Context) -> Result<Self, Failure> {
        if let Some(file) = &args.output {
            may_be_written(file, args.force)?;
            return Ok(Self::File(file.clone(), args.force));
        }
        Ok(match (cx.json, std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
            (true, _) => Self::Document,
            (false, true) => Self::Person,
            (false, false) => Self::Output,
        })
    }

    /// Who follows the planner's run.
    fn audience(&self, cx: &Context) -> Audience {
        match self {
            _ if cx.json => Audience::Script,
            Self::File(..) | Self::Person => Audience::Person,
            Self::Document | Self::Output => Audience::Aside,
        }
    }
}

/// A plan that an agent has made.
struct Made {
    /// The mission in which it was made.
    mission: MissionId,
    /// What shows it again.
    again: String,
    /// Its file.
    file: String,
    /// The same, read.
    plan: Plan,
}

pub(super) async fn run(args: &Args, goal: &str, cx: &Context) -> Outcome {
    let target = Target::of(args, cx)?;
    let project = cx.project()?;
    let start = wish(&project, goal, args.agent.as_deref())?;
    let connection = cx.client_or_local().await?;
    let alone = connection.local.is_some();
    let made = make(&start, &connection.client, target.audience(cx), alone).await;
    connection.close().await?;
    let made = made?;
    match &target {
        Target::File(path, force) => write(path, *force, &made)?,
        Target::Document | Target::Person | Target::Output => {}
    }
    if cx.json {
        let mut document = serde_json::json!({"plan": made.file, "items": made.plan.items, "mission": made.mission});
        if let Target::File(path, _) = &target {
            document["file"] = path.display().to_string().into();
        }
        output::json(&document)?;
        return Ok(0);
    }
    let mut graph = live::plan_lines(&made.plan, Screen::size().0);
    graph.insert(0, String::new());
    match target {
        Target::File(path, _) => {
            graph.iter().for_each(|line| output::line(line));
            let path = path.display();
            output::line(&format!("wrote {path}; `musher mission start {path}` starts it"));
            Ok(0)
        }
        Target::Document | Target::Output => {
            graph.iter().for_each(|line| eprintln!("{line}"));
            // To the byte: it may become a file.
            std::io::stdout().lock().write_all(made.file.as_bytes())?;
            Ok(0)
        }
        Target::Person => {
            graph.iter().for_each(|line| output::line(line));
            decide(made, &project, alone, cx).await
        }
    }
}

/// Asks whether the plan starts. Whatever is answered, the plan is not lost.
async fn decide(made: Made, project: &Project, alone: bool, cx: &Context) -> Outcome {
    if !asked("Start this mission? [y/N] ").await.map_err(|failure| failure.fix(&made.again))? {
        output::line(&output::harmless(&made.file));
        output::line(&format!("nothing was started; {}", made.again));
        return Ok(0);
    }
    let start = mission::start_of(project, made.plan, None)?;
    if alone { mission::wait(&start, cx).await } else { mission::post(&start, cx).await }
}

/// The mission of one item that is to come to a plan.
fn wish(project: &Project, goal: &str, agent: Option<&str>) -> Result<StartMission, Failure> {
    let mut start = mission::start_of(project, mission::text_plan(goal)?, None)?;
    if project.config.agents.is_empty() {
        return Err(Failure::usage("no agent is configured").fix("name one under `[[agents]]` in musher.toml"));
    }
    start.goal = format!("Plan: {}", start.goal);
    for item in &mut start.items {
        item.key = KEY.to_owned();
        item.title = format!("Plan: {}", item.title);
        item.kind = Kind::Design;
        item.wants = Wants::Plan;
        item.agent = agent.map(str::to_owned);
    }
    Ok(start)
}

/// Lets the agent plan, and waits for it.
async fn make(start: &StartMission, client: &Client, audience: Audience, alone: bool) -> Result<Made, Failure> {
    for item in &start.items {
        if let Some(agent) = &item.agent {
            is_known(agent, client).await?;
        }
    }
    let mission = client.start_mission(start).await?.id;
    let end = follow::mission(client, mission, audience).await?;
    let show = end.document();
    let up = if alone { "`musher up --detach`, then " } else { "" };
    let again = format!("{up}`musher item show {}/{KEY}` shows the plan again", show.mission.short_id);
    if end.exit() != 0 {
        return Err(no_plan(&end, up));
    }
    let file = match show.items.iter().find(|item| item.key == KEY) {
        Some(item) => client.item(&item.id.to_string()).await?.plan,
        None => None,
    };
    let file = file.ok_or_else(|| Failure::failed("a defect of musher: a plan was accepted and is not there"))?;
    let plan = plan::parse_toml(KEY, file.as_bytes()).map_err(|problems| {
        Failure::failed("the daemon accepts a plan that this version does not").why(problems.to_string())
    })?;
    Ok(Made { mission, again, file, plan })
}

fn no_plan(end: &End, up: &str) -> Failure {
    let MissionShow { mission, items, .. } = end.document();
    let id = &mission.short_id;
    match end {
        End::Interrupted(_) => Failure::new(Exit::Interrupted, "the planning was interrupted")
            .fix(format!("{up}`musher mission resume {id}` goes on, `musher item show {id}/{KEY}` then has the plan")),
        End::AtRest(_) => {
            let reason = items.first().and_then(|item| item.reason.clone()).or_else(|| mission.blocked_reason.clone());
            Failure::new(Exit::Ended, "no plan came of it")
                .why(output::harmless(&reason.unwrap_or_else(|| format!("its mission is {}", mission.state))))
                .fix(format!("{up}`musher item show {id}/{KEY}` says more, `musher item retry {id}/{KEY}` tries again"))
        }
    }
}

/// An agent that does not exist would be waited for.
async fn is_known(agent: &str, client: &Client) -> Result<(), Failure> {
    let agents = client.agents().await?.agents;
    if agents.iter().any(|known| known.name == agent) {
        return Ok(());
    }
    let failure = Failure::new(Exit::NotFound, format!("no agent `{agent}`"));
    Err(match nearest(agent, agents.iter().map(|known| known.name.as_str())) {
        Some(near) => failure.fix(format!("did you mean `{near}`?")),
        None => failure.fix("`musher agent list` names those there are"),
    })
}

/// Refuses, before an agent is paid for it, a file that could not be written.
fn may_be_written(file: &Path, force: bool) -> Result<(), Failure> {
    let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    if file.is_dir() || file.file_name().is_none() {
        return Err(Failure::usage(format!("`{}` is a folder", file.display())).fix("name a file"));
    }
    if !folder.is_dir() {
        return Err(Failure::usage(format!("there is no folder `{}`", folder.display())).fix("make it first"));
    }
    if file.symlink_metadata().is_ok() && !force {
        return Err(there_already(file));
    }
    Ok(())
}

fn there_already(file: &Path) -> Failure {
    Failure::new(Exit::Refused, format!("there is a `{}` already", file.display()))
        .fix("`--force` replaces it; or name another file")
}

/// Compiles issues and writes the plan: to a file, or to standard output as it would stand there.
pub(super) async fn of_issues(args: &Args, cx: &Context) -> Outcome {
    if args.goal.is_some() || args.agent.is_some() {
        return Err(Failure::usage("issues need no agent that plans").fix("leave the goal and `--agent` out"));
    }
    if let Some(file) = &args.output {
        may_be_written(file, args.force)?;
    }
    let project = cx.project()?;
    let compiled = ProjectForge::find(&project.config.forge, &project.paths.root).await?.compile(&args.issues).await?;
    let file = plan::to_toml(&compiled.plan);
    if let Some(path) = &args.output {
        save(path, args.force, &file)?;
    }
    if cx.json {
        output::json(&serde_json::json!({
            "plan": file, "items": compiled.plan.items, "remarks": compiled.remarks,
            "file": args.output.as_ref().map(|path| path.display().to_string()),
        }))?;
        return Ok(0);
    }
    mission::show(&compiled);
    match &args.output {
        Some(path) => {
            let path = path.display();
            output::line(&format!("wrote {path}; `musher mission start {path}` starts it"));
        }
        // To the byte: it may become a file.
        None => std::io::stdout().lock().write_all(file.as_bytes())?,
    }
    Ok(0)
}

fn write(file: &Path, force: bool, made: &Made) -> Result<(), Failure> {
    save(file, force, &made.file).map_err(|failure| failure.fix(&made.again))
}

fn save(file: &Path, force: bool, text: &str) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => there_already(file),
        _ => Failure::failed(format!("`{}` cannot be written", file.display())).why(error.to_string()),
    })
}

/// Asks a person at the terminal; anything but a yes is a no.
async fn asked(question: &str) -> Result<bool, Failure> {
    // Who followed a run has taken this signal over. It is listened to before the question stands there, or a quick no
    // would be heard by nobody.
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    print!("{question}");
    std::io::stdout().flush()?;
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    tokio::select! {
        answer = answer => {
            let answer = answer.map_err(|error| Failure::failed(error.to_string()))??;
            Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
        }
        _ = interrupt.recv() => {
            println!();
            Err(Failure::new(Exit::Interrupted, "interrupted; nothing was started"))
        }
    }
}
