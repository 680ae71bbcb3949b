//! `musher run-host`: the process that owns an agent's. Started by the daemon, never by a person.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Own one agent's process tree (started by the daemon)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's folder
    pub(crate) folder: PathBuf,
}

pub(crate) fn run(folder: &Path) -> ExitCode {
    ExitCode::from(u8::try_from(musher_agents::host::run_host(folder)).unwrap_or(1))
}

/// The folder of a command line that is, word for word, what a daemon starts a host with; all others are read as any
/// command is.
pub(crate) fn asked(mut words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let (_program, name, folder) = (words.next()?, words.next()?, words.next()?);
    (name == "run-host" && !folder.as_encoded_bytes().starts_with(b"-") && words.next().is_none())
        .then(|| folder.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemons_own_words_go_past_the_command_line() {
        let asked = |words: &str| asked(words.split(' ').map(OsString::from));
        assert_eq!(asked("musher run-host /r/one"), Some(PathBuf::from("/r/one")));
        for other in
            ["musher", "musher run-host", "musher run-host --help", "musher run-host /r --json", "musher up /r"]
        {
            assert_eq!(asked(other), None, "{other}");
        }
    }
}
