//! `musher mcp`: musher's tools for an agent, on standard input and output. Started by the programs of agents that musher
//! runs, once for each, and so without the runtime that the rest has.

use std::ffi::OsString;
use std::path::PathBuf;

use musher_engine::pass;

use crate::error::Failure;

/// Serve musher's tools to an agent (MCP on standard input and output; started by agents that musher runs)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Whether a command line is, word for word, what a daemon hands to agents; all others are read as any command is.
pub(crate) fn asked(mut words: impl Iterator<Item = OsString>) -> bool {
    let _program = words.next();
    words.next().is_some_and(|word| word == "mcp") && words.next().is_none()
}

pub(crate) fn run() -> Result<(), Failure> {
    let (Some(socket), Ok(pass)) = (std::env::var_os(pass::SOCKET), std::env::var(pass::PASS)) else {
        return Err(Failure::usage("`musher mcp` serves an agent that musher runs, and this is none")
            .why(format!("{} and {} say which run it is, and they are not set", pass::SOCKET, pass::PASS))
            .fix("nothing has to be started by hand: musher hands its tools to each agent by itself"));
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // One of these stays beside every agent, and mostly waits.
    let rests = musher_agents::host::forget_the_start;
    let relayed = runtime.block_on(musher_server::relay(
        PathBuf::from(socket),
        pass,
        tokio::io::stdin(),
        tokio::io::stdout(),
        rests,
    ));
    // A read of standard input cannot be called off; nothing of it is wanted any more.
    runtime.shutdown_background();
    relayed.map_err(|error| Failure::caused(crate::error::Exit::Failed, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemons_own_words_go_past_the_command_line() {
        let asked = |words: &str| asked(words.split(' ').map(OsString::from));
        assert!(asked("musher mcp"));
        for other in ["musher", "musher mcp --help", "musher mcp --json", "musher up", "musher --json mcp"] {
            assert!(!asked(other), "{other}");
        }
    }
}
