//! `musher demo`.

use std::path::Path;

use musher_core::plan;
use musher_git::{BranchName, Repository};

use crate::connect::Context;
use crate::daemon::Daemon;
use crate::demo;
use crate::error::{Exit, Failure, Outcome};
use crate::live::follow::{self, Audience};
use crate::output::{self, Tone, paint};
use crate::project::Project;

/// Show what musher does: a scratch repository, five items, two scripted agents, no keys, no network
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keep the scratch repository, to look around in it
    #[arg(long)]
    keep: bool,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let scratch = tempfile::Builder::new().prefix("musher-demo-").tempdir()?;
    let folder = scratch.path().canonicalize()?;
    demo::lay_out(&folder)?;
    if !cx.json {
        introduce(&folder);
    }
    let code = play(&folder, cx).await?;
    if args.keep {
        let kept = scratch.keep();
        if !cx.json {
            output::line(&format!("kept: {}", kept.display()));
        }
    }
    if !cx.json {
        output::line(&format!("\nnext: in a repository of yours, {}", paint("musher init", Tone::Strong)));
    }
    Ok(code)
}

fn introduce(folder: &Path) {
    output::line(&format!("a scratch repository: {}", folder.display()));
    output::line(
        "five items for two scripted agents. One item's first try is wrong and the gate sees it, one agent dies,",
    );
    output::line("two items change the same line. Nothing here is acted: this is the engine that does your work.\n");
}

async fn play(folder: &Path, cx: &Context) -> Outcome {
    let project = Project::find(folder)?;
    let plan = plan::parse_toml("the demo's plan", demo::PLAN.as_bytes())
        .map_err(|problems| Failure::failed(problems.to_string()))?;
    let start = super::mission::start_of(&project, plan, None)?;
    let first = project.repository.tip(&main_branch()?).map_err(|e| Failure::caused(Exit::Failed, &e))?;
    let daemon = Daemon::start(project).await?;
    let client = daemon.client();
    let started = client.start_mission(&start).await?;
    let audience = if cx.json { Audience::Script } else { Audience::Person };
    let end = follow::mission(&client, started.id, audience).await;
    let inbox = client.inbox().await;
    daemon.stop().await?;
    let end = end?;
    if cx.json {
        output::json(end.document())?;
        return Ok(end.exit());
    }
    if let Ok(inbox) = inbox {
        for entry in &inbox.inbox {
            output::line(&paint(&entry.text, Tone::Bad));
        }
    }
    output::line("\nwhat is on main now:");
    let repository = Repository::open(folder).map_err(|e| Failure::caused(Exit::Failed, &e))?;
    let merged =
        repository.log_merged(&main_branch()?, first.as_ref()).map_err(|e| Failure::caused(Exit::Failed, &e))?;
    for entry in merged {
        let short: String = entry.commit.as_str().chars().take(8).collect();
        output::line(&format!("  {} {}", paint(&short, Tone::Busy), entry.subject));
    }
    Ok(end.exit())
}

fn main_branch() -> Result<BranchName, Failure> {
    BranchName::parse(demo::BRANCH).map_err(|e| Failure::caused(Exit::Failed, &e))
}
