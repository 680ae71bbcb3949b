//! `musher hub`.

use std::collections::BTreeMap;

use musher_server::api::{EventQuery, HubEvent, HubEventQuery, HubItem, HubMission, HubProject};
use musher_server::client::Client;

use crate::connect::Context;
use crate::error::{Failure, Outcome};
use crate::live::Screen;
use crate::output::{self, Table, Tone, moment, one_line, paint};

/// A hub: what many projects tell of themselves (`musher up --hub`)
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show how all projects stand, or the missions of one, or the items of a mission
    Status(Status),
    /// List the projects that have told this hub something
    Projects,
    /// Show what happened in all projects, in the order in which it came
    Events(Events),
    /// Forget a project and all that it told; if it still relays, it tells everything again
    Forget {
        /// Its name, its id, or the last digits of that
        project: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Only this project: its name, its id, or the last digits of that
    project: Option<String>,
    /// Only this mission of it
    mission: Option<String>,
    /// Show it again whenever a project tells something
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Events {
    /// Go on with what comes from now on
    #[arg(short, long)]
    follow: bool,
    /// Only what came after this place
    #[arg(long, value_name = "PLACE", default_value_t = 0)]
    after: u64,
    /// Only those of this project
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
}

pub(crate) async fn run(command: &Command, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    match command {
        Command::Status(args) => status(args, &client, cx).await,
        Command::Projects => {
            let list = client.hub_projects().await?;
            cx.say(&list, || {
                let mut table = Table::new(&["project", "id", "missions", "items", "events", "last told"]);
                list.projects.iter().for_each(|project| table.row(project_row(project)));
                table.print(NONE);
            })
        }
        Command::Events(args) => events(args, &client, cx).await,
        Command::Forget { project } => {
            let forgotten = client.forget_project(project).await?;
            cx.say(&forgotten, || {
                output::line(&format!("{} is forgotten, with {} event(s)", forgotten.shown, forgotten.events));
            })
        }
    }
}

/// What is said at a hub that nobody has told anything.
const NONE: &str = "no project has told this hub anything yet; `[relay]` in a project's musher.toml makes it do so";

async fn status(args: &Status, client: &Client, cx: &Context) -> Outcome {
    if !args.watch {
        return show(args, client, cx, None).await;
    }
    let after = client.status().await?.last_seq;
    let kind = Some("relay_received,project_forgotten".to_owned());
    let mut told = client.follow_events(&EventQuery { after, kind, ..EventQuery::default() }).await?;
    let mut screen = if cx.json { None } else { Screen::open() };
    loop {
        show(args, client, cx, screen.as_mut()).await?;
        if told.next().await?.is_none() {
            return Ok(0);
        }
    }
}

async fn show(args: &Status, client: &Client, cx: &Context, screen: Option<&mut Screen>) -> Outcome {
    let (document, lines) = look(args, client).await?;
    if let Some(screen) = screen {
        screen.draw(&lines);
        return Ok(0);
    }
    cx.say(&document, || lines.iter().for_each(|line| output::line(line)))
}

/// What is asked for, as a document and as lines.
async fn look(args: &Status, client: &Client) -> Result<(serde_json::Value, Vec<String>), Failure> {
    let width = Screen::size().0;
    let (document, lines) = match (&args.project, &args.mission) {
        (None, _) => {
            let list = client.hub_projects().await?;
            let lines = match list.projects.is_empty() {
                true => vec![NONE.to_owned()],
                false => list.projects.iter().flat_map(|project| project_lines(project, width)).collect(),
            };
            (serde_json::to_value(&list), lines)
        }
        (Some(project), None) => {
            let shown = client.hub_project(project).await?;
            let mut lines = project_lines(&shown.project, width);
            lines.extend(shown.missions.iter().map(|mission| mission_line(mission, width)));
            (serde_json::to_value(&shown), lines)
        }
        (Some(project), Some(mission)) => {
            let shown = client.hub_mission(project, mission).await?;
            let mut lines = vec![one_line(&shown.project.shown, width), mission_line(&shown.mission, width)];
            lines.extend(shown.items.iter().map(|item| item_line(item, width)));
            (serde_json::to_value(&shown), lines)
        }
    };
    Ok((document.map_err(|error| Failure::failed(error.to_string()))?, lines))
}

fn project_lines(project: &HubProject, width: usize) -> Vec<String> {
    let head = format!("{}  told {} event(s), the last at {}", project.shown, project.events, moment(project.heard_at));
    let counted = format!("  missions: {}; items: {}", counts(&project.missions), counts(&project.items));
    vec![paint(&one_line(&head, width), Tone::Strong), one_line(&counted, width)]
}

fn mission_line(mission: &HubMission, width: usize) -> String {
    let why = mission.blocked_reason.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    let text = format!("  {}  {:<10} {}{why}", mission.id.short(), mission.state, mission.goal);
    paint(&one_line(&text, width), Tone::of_state(&mission.state))
}

fn item_line(item: &HubItem, width: usize) -> String {
    let agent = item.agent.as_deref().map(|agent| format!(" [{agent}]")).unwrap_or_default();
    let why = item.reason.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    let text = format!("    {:<12} {:<12} {}{agent}{why}", item.state, item.key, item.title);
    paint(&one_line(&text, width), Tone::of_state(&item.state))
}

fn project_row(project: &HubProject) -> Vec<(String, Tone)> {
    vec![
        (one_line(&project.name, 40), Tone::Strong),
        (project.short_id.clone(), Tone::Plain),
        (counts(&project.missions), Tone::Plain),
        (counts(&project.items), Tone::Plain),
        (project.events.to_string(), Tone::Plain),
        (moment(project.heard_at), Tone::Plain),
    ]
}

fn counts(of: &BTreeMap<String, u64>) -> String {
    let parts: Vec<String> = of.iter().map(|(state, count)| format!("{count} {state}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

async fn events(args: &Events, client: &Client, cx: &Context) -> Outcome {
    let mut query = HubEventQuery { after: args.after, limit: None, project: args.project.clone() };
    let mut told = match args.follow {
        true => {
            let after = client.status().await?.last_seq;
            let kind = Some("relay_received".to_owned());
            Some(client.follow_events(&EventQuery { after, kind, ..EventQuery::default() }).await?)
        }
        false => None,
    };
    loop {
        loop {
            let page = client.hub_events(&query).await?;
            let Some(last) = page.last() else { break };
            query.after = last.place;
            let projects = client.hub_projects().await?.projects;
            page.iter().try_for_each(|event| print(event, &projects, cx))?;
        }
        let Some(told) = &mut told else { return Ok(0) };
        if told.next().await?.is_none() {
            return Ok(0);
        }
    }
}

fn print(event: &HubEvent, projects: &[HubProject], cx: &Context) -> Result<(), Failure> {
    if cx.json {
        return output::json(event);
    }
    let project = projects.iter().find(|project| project.id == event.project);
    let project = project.map_or_else(|| event.project.short(), |project| project.shown.clone());
    let told = &event.event;
    let item = told.item.map(|id| id.short()).unwrap_or_default();
    let body = if told.body.as_object().is_some_and(|b| b.is_empty()) { String::new() } else { told.body.to_string() };
    output::line(&format!(
        "{:>6} {} {:<16} {:>6} {item:<8} {:<24} {}",
        event.place,
        paint(&moment(told.at), Tone::Quiet),
        one_line(&project, 30),
        told.seq,
        one_line(&told.kind, 40),
        paint(&one_line(&body, 160), Tone::Quiet)
    ));
    Ok(())
}
