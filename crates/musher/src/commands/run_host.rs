//! `musher run-host`: the process that owns an agent's. Started by the daemon, never by a person.

use std::path::PathBuf;
use std::process::ExitCode;

/// Own one agent's process tree (started by the daemon)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's folder
    folder: PathBuf,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    ExitCode::from(u8::try_from(musher_agents::host::run_host(&args.folder)).unwrap_or(1))
}
