//! `musher node`.

use std::time::Duration;

use musher_core::config::{seconds, show_seconds};
use musher_core::node::TTL;
use musher_server::api::AgentNode;
use musher_server::client::{Client, ClientError};

use crate::connect::Context;
use crate::error::{Failure, Outcome};
use crate::output::{self, Table, Tone, moment};

/// Nodes: the machines that agents' programs work on, when those are others than this
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the nodes that agents name: which of them are heard, and their agents
    List,
    /// Say that a node is there, so that its agents take work for a minute
    Heartbeat {
        /// Its name
        name: String,
        /// Say it again and again until this is stopped, also while no daemon runs; 20s suits
        #[arg(long, value_name = "SPAN", value_parser = span)]
        every: Option<Duration>,
    },
}

/// How often heartbeats may be sent: so often that one may be lost.
fn span(text: &str) -> Result<Duration, String> {
    let most = TTL.as_secs() / 2;
    match seconds(text) {
        Some(span) if (1..=most).contains(&span) => Ok(Duration::from_secs(span)),
        _ => Err(format!("write 1s to {}: a heartbeat counts for {}", show_seconds(most), show_seconds(TTL.as_secs()))),
    }
}

pub(crate) async fn run(command: &Command, cx: &Context) -> Outcome {
    match command {
        Command::List => {
            let list = cx.client().await?.nodes().await?;
            cx.say(&list, || {
                let mut table = Table::new(&["name", "status", "last heard", "agents"]);
                list.nodes.iter().for_each(|node| table.row(row(node)));
                table
                    .print("no nodes; an agent whose program works on another machine names it: `node` in musher.toml");
            })
        }
        Command::Heartbeat { name, every: None } => {
            let heard = cx.client().await?.heartbeat(name).await?;
            cx.say(&heard, || say(&heard))
        }
        Command::Heartbeat { name, every: Some(every) } => {
            let client = Client::new(cx.project_paths()?.socket());
            go_on(&client, name, *every, cx).await
        }
    }
}

/// Sends heartbeats until the process is ended. A daemon that is away is waited for; a name that it does not know ends it,
/// unless it knew the name before: then the configuration is being changed.
async fn go_on(client: &Client, name: &str, every: Duration, cx: &Context) -> Outcome {
    let (mut known, mut told) = (false, None);
    loop {
        let now_told = match client.heartbeat(name).await {
            Ok(heard) => {
                known = true;
                if cx.json || told != Some(true) {
                    cx.say(&heard, || say(&heard))?;
                }
                Some(true)
            }
            Err(error @ ClientError::Problem(_)) if !known => return Err(error.into()),
            Err(error) => {
                if told != Some(false) {
                    Failure::from(error).report(cx.json);
                }
                Some(false)
            }
        };
        told = now_told;
        tokio::time::sleep(every).await;
    }
}

fn say(node: &AgentNode) {
    let agents = if node.agents.is_empty() { "no agent".to_owned() } else { node.agents.join(", ") };
    output::line(&format!("{} is {}: {agents}", node.name, node.status));
}

fn row(node: &AgentNode) -> Vec<(String, Tone)> {
    vec![
        (node.name.clone(), Tone::Strong),
        (node.status.clone(), Tone::of_state(&node.status)),
        (node.heartbeat.map_or_else(|| "never".to_owned(), moment), Tone::Plain),
        (node.agents.join(", "), Tone::Plain),
    ]
}
