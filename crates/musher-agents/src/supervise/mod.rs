//! The daemon's side of a run host: prepare a folder, launch a host in it, read along, stop it, clean up after it.
//!
//! Everything here may be done again: a folder that is prepared stays, a host that lives is not started twice, output is
//! read from any offset. So a daemon that was killed at any point does the same calls once more.

mod attach;
mod end;
mod folder;
mod launch;
mod settle;
mod stop;
mod talk;

pub use attach::{AttachError, Attachment, Observation, attach};
pub use end::{EndError, end_tree};
pub use folder::{FolderError, HostStatus, RunFolder, inspect, stopped_host};
pub use launch::{LaunchError, launch};
pub use settle::settled;
pub use stop::end;
pub use talk::{TalkError, end_input, say, send_input, stop};
