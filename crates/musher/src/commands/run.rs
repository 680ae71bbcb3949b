//! `musher run`: one item, or the end of a run.

use musher_server::api::RunDocument;

use crate::connect::Context;
use crate::error::{Failure, Outcome};
use crate::output;

/// Do one thing: a mission of one item, waited for; or `run interrupt RUN`, `run kill RUN`
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    control: Option<Control>,
    /// What is to be done
    prompt: Option<String>,
    /// The agent that does it
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// The gate, instead of the project's
    #[arg(long, value_name = "CMD")]
    gate: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Control {
    /// Ask a run to end, then end its whole process tree; its item is ready again
    Interrupt {
        /// The run
        run: String,
    },
    /// End a run's whole process tree at once; its item is ready again
    Kill {
        /// The run
        run: String,
    },
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    match (&args.control, &args.prompt) {
        (Some(control), _) => end(control, cx).await,
        (None, Some(prompt)) => one_item(args, prompt, cx).await,
        (None, None) => Err(Failure::usage("there is nothing to do").fix("musher run \"WHAT IS TO BE DONE\"")),
    }
}

async fn end(control: &Control, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    let done = match control {
        Control::Interrupt { run } => client.interrupt_run(run).await?,
        Control::Kill { run } => client.kill_run(run).await?,
    };
    let done = RunDocument { run: done, speech: None };
    cx.say(&done, || output::line(&format!("run {} is being ended; its item will be ready again", done.run.short_id)))
}

async fn one_item(args: &Args, prompt: &str, cx: &Context) -> Outcome {
    let project = cx.project()?;
    let mut start = super::mission::start_of(&project, super::mission::text_plan(prompt)?, None)?;
    if project.config.agents.is_empty() {
        return Err(Failure::usage("no agent is configured").fix("name one under `[[agents]]` in musher.toml"));
    }
    // The person who waits for it is the reviewer.
    start.policy.reviewer_required = false;
    for item in &mut start.items {
        item.agent.clone_from(&args.agent);
        item.gate.clone_from(&args.gate);
    }
    super::mission::wait(&start, cx).await
}
