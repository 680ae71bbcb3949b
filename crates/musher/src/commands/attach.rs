//! `musher attach`.

use super::logs;
use crate::connect::Context;
use crate::error::Outcome;

/// Follow a run live, until it is over
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run; or an item (its id, or MISSION/key), whose last run is meant
    run: String,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    logs::run(&logs::Args { run: args.run.clone(), follow: true, raw: false }, cx).await
}
