//! What a run begins with, kept in its folder: its spool is understood by that, whatever the configuration says by now.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::host::{Durable, read_json, write_json};
use crate::protocol::Brief;

/// The file of a run's folder.
const FILE: &str = "brief.json";

/// What a run begins with that is spoken to, or listened to, in a protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// The driver, by the name that [`protocol::of`](crate::protocol::of) takes.
    pub driver: String,
    /// What it was told of the run. It holds the whole prompt: not for everybody.
    pub brief: Brief,
}

impl Beginning {
    /// The beginning of the run in this folder; none where its agent speaks no protocol, or has not been started yet.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not one of ours.
    pub fn of(folder: &Path) -> io::Result<Option<Self>> {
        read_json(&folder.join(FILE))
    }

    pub(super) fn keep(&self, folder: &Path) -> io::Result<()> {
        write_json(&folder.join(FILE), self, Durable::Yes)
    }
}
