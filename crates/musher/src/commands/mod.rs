//! The commands: one file each.

pub(crate) mod agent;
pub(crate) mod allow;
pub(crate) mod answer;
pub(crate) mod approve;
pub(crate) mod attach;
pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod cost;
pub(crate) mod demo;
pub(crate) mod deny;
pub(crate) mod diff;
pub(crate) mod docs;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod gc;
pub(crate) mod hub;
pub(crate) mod inbox;
pub(crate) mod init;
pub(crate) mod item;
pub(crate) mod logs;
pub(crate) mod mcp;
pub(crate) mod mission;
pub(crate) mod node;
pub(crate) mod plan;
pub(crate) mod queue;
pub(crate) mod quota;
pub(crate) mod reject;
pub(crate) mod restore;
pub(crate) mod run;
pub(crate) mod run_host;
pub(crate) mod schedule;
pub(crate) mod send;
pub(crate) mod service;
pub(crate) mod sink;
pub(crate) mod status;
pub(crate) mod trigger;
pub(crate) mod up;
pub(crate) mod watch;

use crate::cli::{Cli, Command};
use crate::connect::Context;
use crate::error::Outcome;

/// Runs a command to its exit code.
pub(crate) async fn run(cli: Cli) -> Outcome {
    let folder = cli.repository.unwrap_or_else(|| ".".into());
    let cx = Context { folder, json: cli.json };
    match cli.command {
        Command::Init(args) => init::run(&args, &cx),
        Command::Demo(args) => demo::run(&args, &cx).await,
        Command::Up(args) => up::run(&args, &cx).await,
        Command::Down(args) => down::run(&args, &cx).await,
        Command::Status(args) => status::run(&args, &cx).await,
        Command::Doctor(args) => doctor::run(&args, &cx).await,
        Command::Run(args) => run::run(&args, &cx).await,
        Command::Plan(args) => plan::run(&args, &cx).await,
        Command::Mission(command) => mission::run(command, &cx).await,
        Command::Item(command) => item::run(&command, &cx).await,
        Command::Allow(args) => allow::run(&args, &cx).await,
        Command::Deny(args) => deny::run(&args, &cx).await,
        Command::Answer(args) => answer::run(&args, &cx).await,
        Command::Send(args) => send::run(&args, &cx).await,
        Command::Attach(args) => attach::run(&args, &cx).await,
        Command::Approve(args) => approve::run(&args, &cx).await,
        Command::Reject(args) => reject::run(&args, &cx).await,
        Command::Agent(command) => agent::run(&command, &cx).await,
        Command::Node(command) => node::run(&command, &cx).await,
        Command::Schedule(command) => schedule::run(&command, &cx).await,
        Command::Trigger(command) => trigger::run(&command, &cx).await,
        Command::Watch(command) => watch::run(&command, &cx).await,
        Command::Service(command) => service::run(&command, &cx).await,
        Command::Logs(args) => logs::run(&args, &cx).await,
        Command::Diff(args) => diff::run(&args, &cx).await,
        Command::Explain(args) => explain::run(&args, &cx).await,
        Command::Inbox(args) => inbox::run(&args, &cx).await,
        Command::Events(args) => events::run(&args, &cx).await,
        Command::Sink(command) => sink::run(&command, &cx).await,
        Command::Hub(command) => hub::run(&command, &cx).await,
        Command::Queue(command) => queue::run(&command, &cx).await,
        Command::Quota(args) => quota::run(&args, &cx).await,
        Command::Cost(args) => cost::run(&args, &cx).await,
        Command::Backup(args) => backup::run(&args, &cx).await,
        Command::Restore(args) => restore::run(&args, &cx),
        Command::Gc(args) => gc::run(&args, &cx).await,
        Command::Config(command) => config::run(&command, &cx),
        Command::Completions(args) => completions::run(&args),
        Command::Mcp(_) | Command::RunHost(_) => Ok(1),
        Command::DocsGenerate(args) => docs::run(&args),
    }
}
