//! The run host: the process that owns one agent, from its start until nothing of it is left.
//!
//! A host lives in the folder of its run and speaks through the files there:
//!
//! | file | written by | holds |
//! |---|---|---|
//! | `spec.json` | the daemon | what to run, [`HostSpec`] |
//! | `secret.json` | the daemon | its environment and the values to mask; gone once the run has begun |
//! | `stdin` | the daemon | what the agent reads first |
//! | `host.json` | the host | who host and agent are, [`HostRecord`]; from then on the folder is used |
//! | `out.ndjson` | the host | every line of output, [`OutputRecord`] |
//! | `host.sock` | the host | takes input and stops, tells of growth |
//! | `exit.json` | the host | how it ended, [`ExitRecord`]; written when nothing of the agent lives any more |
//! | `stop.json` | the daemon | the wish for an end, where the socket does not answer; SIGTERM follows |
//! | `host.lock` | the host | held for as long as the host lives |
//!
//! It is one thread around one `poll`, and wakes for nothing but output, input, a dead process or a limit that is due.

mod agent;
mod control;
mod ending;
mod file;
mod line;
mod mask;
mod record;
mod run;
mod spec;
mod spool;
mod start;

pub use control::{Answer, Request};
pub use line::{Line, Lines};
pub use mask::{KeyBlock, Masks};
pub use record::{ExitRecord, HostRecord, OutputRecord, Reason, StartFailure, Stop, Stream};
pub use spec::{HostSpec, InvalidSpec};
pub use start::{HostError, NO_ROOM, USED, run_host};

pub(crate) use file::{Durable, is_no_room, read_json, write_atomically, write_json};
pub(crate) use record::stamp;
pub(crate) use spec::Secret;
pub(crate) use start::{open_lock, take};

/// The names of the files in a run folder.
pub mod names {
    /// What to run.
    pub const SPEC: &str = "spec.json";
    /// Environment and values to mask.
    pub const SECRET: &str = "secret.json";
    /// What the agent reads first.
    pub const STDIN: &str = "stdin";
    /// Who host and agent are.
    pub const HOST: &str = "host.json";
    /// Every line of output.
    pub const OUTPUT: &str = "out.ndjson";
    /// The host's socket.
    pub const SOCKET: &str = "host.sock";
    /// How the run ended.
    pub const EXIT: &str = "exit.json";
    /// Held by the host for life.
    pub const LOCK: &str = "host.lock";
    /// How the end was asked for, where the socket did not answer.
    pub const STOP: &str = "stop.json";
    /// What the host itself had to complain of.
    pub const LOG: &str = "host.log";
}

/// The variable by which every process of a run is known.
pub const MARKER: &str = "MUSHER_RUN";

/// Says something to the host's log. A log on a full disk must not end the host, as a failing `eprintln!` would.
fn complain(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Unmaps the program's own instructions and constants that were needed so far; what is used again comes back from the page
/// cache, unchanged. For processes that stay and mostly wait. Does nothing on systems where that cannot be told.
pub fn forget_the_start() {
    crate::sys::forget_the_start();
}
