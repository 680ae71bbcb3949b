//! The commands and what they have in common.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::{
    agent, allow, answer, approve, attach, backup, completions, config, cost, demo, deny, diff, docs, doctor, down,
    events, explain, gc, hub, inbox, init, item, logs, mcp, mission, node, plan, queue, quota, reject, restore, run,
    run_host, schedule, send, service, sink, status, trigger, up, watch,
};

/// Drives a team of coding agents: a mission in, merged work out, nothing lost.
///
/// A mission is a graph of work items. musher hands each to the agent that fits, runs it in a worktree of its own, checks
/// the result itself, merges what passes, and asks a person only when a person is needed.
#[derive(Debug, Parser)]
#[command(name = "musher", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// The repository to work on, instead of the one around the current folder
    #[arg(short = 'C', long = "repository", value_name = "DIR", global = true)]
    pub(crate) repository: Option<PathBuf>,

    /// Print one JSON document (or one a line, for streams) instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Args),
    Demo(demo::Args),
    Up(up::Args),
    Down(down::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    Run(run::Args),
    Plan(plan::Args),
    #[command(subcommand)]
    Mission(mission::Command),
    #[command(subcommand)]
    Item(item::Command),
    Approve(approve::Args),
    Reject(reject::Args),
    #[command(subcommand)]
    Agent(agent::Command),
    #[command(subcommand)]
    Node(node::Command),
    #[command(subcommand)]
    Schedule(schedule::Command),
    #[command(subcommand)]
    Trigger(trigger::Command),
    #[command(subcommand)]
    Watch(watch::Command),
    #[command(subcommand)]
    Service(service::Command),
    Logs(logs::Args),
    Attach(attach::Args),
    Send(send::Args),
    Diff(diff::Args),
    Explain(explain::Args),
    Inbox(inbox::Args),
    Allow(allow::Args),
    Deny(deny::Args),
    Answer(answer::Args),
    Events(events::Args),
    #[command(subcommand)]
    Sink(sink::Command),
    #[command(subcommand)]
    Hub(hub::Command),
    #[command(subcommand)]
    Queue(queue::Command),
    Quota(quota::Args),
    Cost(cost::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Gc(gc::Args),
    #[command(subcommand)]
    Config(config::Command),
    Completions(completions::Args),
    Mcp(mcp::Args),
    #[command(hide = true)]
    RunHost(run_host::Args),
    #[command(hide = true)]
    DocsGenerate(docs::Args),
}
