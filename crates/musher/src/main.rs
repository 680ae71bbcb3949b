//! The binary: command line and terminal view of musher.
//!
//! One command is one file below `commands`; its argument struct's doc comment is its help. What a command says to a
//! person goes through [`output`]; what went wrong through [`error`], which alone knows exit codes.

mod cli;
mod commands;
mod connect;
mod daemon;
mod demo;
mod error;
mod forge;
mod live;
mod notify;
mod output;
mod project;
mod service;
mod transcript;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // The run host is started for every agent and stays as long: it does without the command line's grammar, the runtime
    // and everything else, and the memory that these would touch.
    if let Some(folder) = commands::run_host::asked(std::env::args_os()) {
        return commands::run_host::run(&folder);
    }
    if commands::mcp::asked(std::env::args_os()) {
        return exit(commands::mcp::run(), false);
    }
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let json = std::env::args_os().any(|argument| argument == "--json");
            return error::usage(&error, json);
        }
    };
    if let cli::Command::RunHost(args) = &cli.command {
        return commands::run_host::run(&args.folder);
    }
    let json = cli.json;
    if let cli::Command::Mcp(_) = &cli.command {
        return exit(commands::mcp::run(), json);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            eprintln!("error: the runtime cannot be started\n  why: {cause}");
            return ExitCode::from(1);
        }
    };
    let code = match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(failure) => failure.report(json),
    };
    // Blocking work that is still going on (a git call) must not hold the prompt back.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    ExitCode::from(code)
}

fn exit(done: Result<(), error::Failure>, json: bool) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(failure.report(json)),
    }
}
