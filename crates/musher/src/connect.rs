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
    pub(crate) async fn close(self) -> Result<(), Failure> {
        match self.local {
            Some(daemon) => daemon.stop().await,
            None => Ok(()),
        }
    }
}

/// Waits until the process that held the state has let it go.
pub(crate) async fn until_unlocked(paths: &musher_engine::Paths) -> Result<(), Failure> {
    let lock = paths.state.join("musher.lock");
    let waited = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
        // The lock is the process's own proof of life; taking it waits for its end.
        std::fs::File::open(lock)?.lock()
    });
    waited.await.map_err(|error| Failure::failed(error.to_string()))??;
    Ok(())
}

/// Whether a daemon is there and answers.
pub(crate) async fn answers(client: &Client) -> Result<bool, Failure> {
    match client.status().await {
        Ok(_) => Ok(true),
        // Who holds the state while it does not answer is seen by its lease.
        Err(ClientError::NoDaemon { .. } | ClientError::Stopped { .. } | ClientError::Silent { .. }) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

/// The daemon's client, when one answers.
pub(crate) async fn reach(paths: &musher_engine::Paths) -> Result<Client, Failure> {
    let client = Client::new(paths.socket());
    match client.status().await {
        Err(error @ (ClientError::NoDaemon { .. } | ClientError::Stopped { .. } | ClientError::Silent { .. })) => {
            Err(error.into())
        }
        // Whatever else is the matter, the command itself will say it.
        _ => Ok(client),
    }
}

impl Context {
    /// The repository and its configuration.
    pub(crate) fn project(&self) -> Result<Project, Failure> {
        Project::find(&self.folder)
    }

    /// Where the repository and its state are.
    pub(crate) fn project_paths(&self) -> Result<musher_engine::Paths, Failure> {
        Ok(musher_engine::Paths::of(crate::project::root_of(&self.folder)?))
    }

    /// The daemon's client; exit 5 when there is none.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        reach(&self.project_paths()?).await
    }

    /// The daemon if one runs; else an engine in this process, which other commands can reach meanwhile.
    pub(crate) async fn client_or_local(&self) -> Result<Connection, Failure> {
        let project = self.project()?;
        let client = Client::new(project.paths.socket());
        if answers(&client).await? {
            return Ok(Connection { client, local: None });
        }
        let daemon = Daemon::start(project).await?;
        Ok(Connection { client: daemon.client(), local: Some(daemon) })
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
