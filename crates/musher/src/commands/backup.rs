//! `musher backup`.

use std::path::PathBuf;

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// Write a backup of the state to a file, while the daemon runs
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file; it must not exist
    file: PathBuf,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let file = std::path::absolute(&args.file)?;
    let client = cx.client().await?;
    client.backup(&file).await?;
    cx.say(&serde_json::json!({"backup": file}), || output::line(&format!("wrote {}", file.display())))
}
