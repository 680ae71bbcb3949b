//! How a command reaches musher: the daemon of the repository, or an engine in this process for as long as it takes.

use std::path::PathBuf;

use musher_server::client::{Client, ClientError};
use serde::Serialize;

use crate::daemon::Daemon;
use crate::error::{Failure, Outcome};
use crate::output;
use crate::project::Project;

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where to look for the repository.
    pub(crate) folder: PathBuf,
    /// Whether JSON is asked for.
    pub(crate) json: bool,
}

/// A client, and the engine behind it when it lives in this process.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) local: Option<Daemon>,
}

impl Connection {
    /// Ends the engine of this process, if there is one. Agents go on in their hosts.
    pub(crate) async fn close(self) {
        if let Some(daemon) = self.local {
            daemon.stop().await;
        }
    }
}

impl Context {
    /// The repository and its configuration.
    pub(crate) fn project(&self) -> Result<Project, Failure> {
        Project::find(&self.folder)
    }

    /// The daemon's client; exit 5 when there is none.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        let root = crate::project::root_of(&self.folder)?;
        Ok(Client::connect(&musher_engine::Paths::of(root).socket()).await?)
    }

    /// The daemon if one runs; else an engine in this process, which other commands can reach meanwhile.
    pub(crate) async fn client_or_local(&self) -> Result<Connection, Failure> {
        let project = self.project()?;
        match Client::connect(&project.paths.socket()).await {
            Ok(client) => Ok(Connection { client, local: None }),
            Err(ClientError::NoDaemon { .. }) => {
                let daemon = Daemon::start(project).await?;
                let client = Client::connect(&daemon.paths().socket()).await?;
                Ok(Connection { client, local: Some(daemon) })
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Prints a document as JSON, or what a person wants to read.
    pub(crate) fn say(&self, document: &impl Serialize, people: impl FnOnce()) -> Outcome {
        if self.json {
            output::json(document)?;
        } else {
            people();
        }
        Ok(0)
    }
}
