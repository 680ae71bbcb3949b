//! `musher agent`.

use musher_core::agent::AgentSpec;
use musher_core::approval::Approvals;
use musher_server::api::{AgentDocument, NewAgent};

use super::doctor;
use crate::connect::Context;
use crate::error::{Exit, Failure, Outcome};
use crate::output::{self, Table, Tone};
use crate::project::Project;

/// Agents: who works here, and whether they take work
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the agents
    List,
    Add(Box<Add>),
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
    /// Interrupt an agent's runs and let it take work again, whatever kept it from that
    Restart {
        /// Its name
        name: String,
    },
    /// Look at an agent without giving it work: its program, version, protocol, account and sandbox
    Probe {
        /// Its name
        name: String,
    },
    /// Remove an agent that was added here
    Remove {
        /// Its name
        name: String,
    },
}

/// Add an agent
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
    /// How it is driven: command, acp, claude, codex, opencode, gemini, qwen, or a preset
    #[arg(long, value_name = "DRIVER", default_value = "command")]
    driver: String,
    /// The model it uses
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Who says yes to what it wants to do; by its driver without it
    #[arg(long, value_name = "WHO", value_parser = ["allow", "deny", "ask", "rules"])]
    approvals: Option<String>,
    /// The folder of its program's own configuration and account
    #[arg(long, value_name = "FOLDER")]
    home: Option<String>,
    /// The machine that its program works on, if not this one; it takes work while that sends heartbeats
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// The program and its arguments, after `--`; {prompt_file}, {worktree}, {root} … are filled in
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Looks at an agent. One of `musher.toml` needs no daemon; one that was added by hand is known to the daemon alone.
async fn probe(name: &str, cx: &Context) -> Outcome {
    let project = cx.project()?;
    let configured = project.config.agents.iter().find(|agent| agent.name == name);
    let spec = match configured {
        Some(agent) => agent.spec(),
        None => added(name, &project, cx).await?,
    };
    let checks = doctor::of_agent(&spec, &project.paths.root).await;
    doctor::show(doctor::Report { checks }, cx)
}

/// The definition of an agent that was added by hand.
async fn added(name: &str, project: &Project, cx: &Context) -> Result<AgentSpec, Failure> {
    let found = match cx.client().await {
        Ok(client) => Some(client.agent_definition(name).await),
        Err(_) => None,
    };
    if let Some(Ok(Some(definition))) = found {
        return Ok(definition.into());
    }
    let known = project.config.agents.iter().map(|agent| agent.name.as_str());
    let near = musher_core::nearest::nearest(name, known).map(|near| format!("did you mean `{near}`?"));
    let all = if found.is_some() {
        "`musher agent list` shows those that there are"
    } else {
        "one that was added by hand is known while the daemon runs: `musher up --detach` starts it"
    };
    let fix = near.unwrap_or_else(|| all.to_owned());
    Err(Failure::new(Exit::NotFound, format!("there is no agent `{name}`")).fix(fix))
}

pub(crate) async fn run(command: &Command, cx: &Context) -> Outcome {
    if let Command::Probe { name } = command {
        return probe(name, cx).await;
    }
    let client = cx.client().await?;
    let done = match command {
        Command::List => {
            let list = client.agents().await?;
            return cx.say(&list, || {
                let mut table = Table::new(&["name", "status", "load", "roles", "driver", "node", "why"]);
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
                        (agent.node.clone().unwrap_or_default(), Tone::Plain),
                        (output::one_line(agent.error.as_deref().unwrap_or_default(), 100), Tone::Bad),
                    ]);
                }
                table.print("no agents; `[[agents]]` in musher.toml, or `musher agent add`");
            });
        }
        Command::Add(add) => {
            let wish = NewAgent {
                name: add.name.clone(),
                driver: add.driver.clone(),
                command: add.command.clone(),
                roles: add.roles.clone(),
                capabilities: add.capabilities.clone(),
                model: add.model.clone(),
                max_load: add.max_load,
                env: add.env.clone(),
                nickname: None,
                node: add.node.clone(),
                limits: musher_server::api::Limits::default(),
                approvals: add.approvals.as_deref().and_then(Approvals::named),
                home: add.home.clone(),
            };
            client.add_agent(&wish).await?
        }
        Command::Pause { name } => client.pause_agent(name).await?,
        Command::Resume { name } => client.resume_agent(name).await?,
        Command::Drain { name } => client.drain_agent(name).await?,
        Command::Restart { name } => client.restart_agent(name).await?,
        Command::Remove { name } => client.remove_agent(name).await?,
        Command::Probe { name } => return probe(name, cx).await,
    };
    let done = AgentDocument { agent: done, definition: None };
    cx.say(&done, || output::line(&format!("{} is {}", done.agent.name, done.agent.status)))
}
