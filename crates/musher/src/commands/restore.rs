//! `musher restore`.

use std::path::PathBuf;

use musher_store::Overwrite;

use crate::connect::Context;
use crate::error::{Exit, Failure, Outcome};
use crate::output;

/// Bring the state back from a backup; the daemon must be down
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file that `musher backup` made
    file: PathBuf,
    /// Replace the state that is there; it is kept beside the new one
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args, cx: &Context) -> Outcome {
    let root = crate::project::root_of(&cx.folder)?;
    let paths = musher_engine::Paths::of(root);
    std::fs::create_dir_all(&paths.state)?;
    let overwrite = if args.force { Overwrite::PutAside } else { Overwrite::Refuse };
    let now = musher_engine::Clock::now(&musher_engine::SystemClock);
    musher_store::restore(&args.file, &paths.state, overwrite, now).map_err(|error| {
        let fix = error.fix();
        Failure::caused(Exit::Refused, &error).fix(fix)
    })?;
    cx.say(&serde_json::json!({"restored": args.file}), || {
        output::line("the state is back; `musher up` goes on from it")
    })
}
