//! `musher config`.

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// The configuration: what it says, whether it can be used, what it may say
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print the configuration as it is in force
    Show,
    /// Check the configuration and name every problem
    Check,
    /// Print the JSON Schema of `musher.toml`
    Schema,
}

pub(crate) fn run(command: &Command, cx: &Context) -> Outcome {
    match command {
        Command::Show => {
            let config = cx.project()?.config;
            cx.say(&config, || output::line(config.to_toml().trim_end()))
        }
        Command::Check => {
            let project = cx.project()?;
            let (agents, sinks) = (project.config.agents.len(), project.config.sinks.len());
            cx.say(&serde_json::json!({"ok": true, "agents": agents, "sinks": sinks}), || {
                output::line(&format!("the configuration can be used: {agents} agent(s), {sinks} sink(s)"));
            })
        }
        Command::Schema => {
            output::line(musher_core::config::schema().trim_end());
            Ok(0)
        }
    }
}
