//! `musher agent`.

use musher_server::api::{AgentDocument, NewAgent};

use crate::connect::Context;
use crate::error::Outcome;
use crate::output::{self, Table, Tone};

/// Agents: who works here, and whether they take work
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the agents
    List,
    Add(Add),
    /// Let an agent take nothing new until it is resumed
    Pause {
        /// Its name
        name: String,
    },
    /// Let a paused, draining or broken agent take work again
    Resume {
        /// Its name
        name: String,
    },
    /// Let an agent finish what it has, and take nothing new
    Drain {
        /// Its name
        name: String,
    },
    /// Remove an agent that was added here
    Remove {
        /// Its name
        name: String,
    },
}

/// Add an agent of the command driver
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// Its name
    name: String,
    /// A role it has; may be given again
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// What it can do; may be given again
    #[arg(long = "capability", value_name = "LABEL")]
    capabilities: Vec<String>,
    /// How many items it takes at once; 0 = as many as there are
    #[arg(long, value_name = "N", default_value_t = 1)]
    max_load: u32,
    /// An environment variable that is passed to it; may be given again
    #[arg(long = "env", value_name = "NAME")]
    env: Vec<String>,
    /// The command and its arguments, after `--`; {prompt_file}, {worktree}, {root} … are filled in
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn run(command: &Command, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    let done = match command {
        Command::List => {
            let list = client.agents().await?;
            return cx.say(&list, || {
                let mut table = Table::new(&["name", "status", "load", "roles", "driver", "why"]);
                for agent in &list.agents {
                    let most = if agent.max_load == 0 { "∞".to_owned() } else { agent.max_load.to_string() };
                    table.row(vec![
                        (agent.name.clone(), Tone::Strong),
                        (agent.status.clone(), Tone::of_state(&agent.status)),
                        (format!("{}/{most}", agent.load), Tone::Plain),
                        (
                            if agent.roles.is_empty() { "generalist".to_owned() } else { agent.roles.join(", ") },
                            Tone::Plain,
                        ),
                        (agent.driver.clone(), Tone::Plain),
                        (output::one_line(agent.error.as_deref().unwrap_or_default(), 100), Tone::Bad),
                    ]);
                }
                table.print("no agents; `[[agents]]` in musher.toml, or `musher agent add`");
            });
        }
        Command::Add(add) => {
            let wish = NewAgent {
                name: add.name.clone(),
                driver: "command".to_owned(),
                command: add.command.clone(),
                roles: add.roles.clone(),
                capabilities: add.capabilities.clone(),
                model: None,
                max_load: add.max_load,
                env: add.env.clone(),
                nickname: None,
                limits: musher_server::api::Limits::default(),
            };
            client.add_agent(&wish).await?
        }
        Command::Pause { name } => client.pause_agent(name).await?,
        Command::Resume { name } => client.resume_agent(name).await?,
        Command::Drain { name } => client.drain_agent(name).await?,
        Command::Remove { name } => client.remove_agent(name).await?,
    };
    let done = AgentDocument { agent: done };
    cx.say(&done, || output::line(&format!("{} is {}", done.agent.name, done.agent.status)))
}
