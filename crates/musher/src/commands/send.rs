//! `musher send`.

use musher_server::api::{Message, RunDocument};

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// Give a running agent a message
///
/// It reads it after its present tool call where its program can, and otherwise at its next turn. An agent that is only
/// listened to cannot be told anything; the events then say so.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    run: String,
    /// The words
    message: String,
    /// Interrupt its present turn for it
    #[arg(long)]
    now: bool,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let message = Message { text: args.message.clone(), now: args.now };
    let run = cx.client().await?.send_message(&args.run, &message).await?;
    let done = RunDocument { run, speech: None };
    cx.say(&done, || output::line(&format!("run {} is told", done.run.short_id)))
}
