//! How musher's tools are handed to an agent: as an MCP server of musher's own, which runs beside it and speaks for it.

use std::path::PathBuf;

use musher_core::id::RunId;
use musher_engine::pass::{PASS, SOCKET};
use musher_engine::{Passes, Paths};

use crate::protocol::McpServer;

/// The name under which agents know the tools.
const NAME: &str = "musher";

/// What the tools need.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Musher itself.
    program: PathBuf,
    /// The folder of the socket.
    folder: PathBuf,
    socket: PathBuf,
    passes: Passes,
}

impl Tools {
    /// The tools of a repository; `program` is musher itself.
    pub fn new(program: PathBuf, paths: &Paths, passes: Passes) -> Self {
        Self { program, folder: paths.tools(), socket: paths.tools_socket(), passes }
    }

    /// The server for a run.
    pub(super) fn server(&self, run: RunId) -> McpServer {
        McpServer {
            name: NAME.to_owned(),
            command: vec![self.program.to_string_lossy().into_owned(), "mcp".to_owned()],
            env: vec![
                (SOCKET.to_owned(), self.socket.to_string_lossy().into_owned()),
                (PASS.to_owned(), self.pass(run)),
            ],
        }
    }

    /// What shows that a caller speaks for a run; no transcript may hold it.
    pub(super) fn pass(&self, run: RunId) -> String {
        self.passes.of(run)
    }

    /// What a sandbox must show, and no more.
    pub(super) fn shown(&self) -> [&std::path::Path; 2] {
        [&self.folder, &self.program]
    }
}
