//! `musher logs`.

use musher_server::api::{LogQuery, RunDocument};

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;
use crate::transcript::Transcript;

/// Show what a run's agent said
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run; or an item (its id, or MISSION/key), whose last run is meant
    pub(crate) run: String,
    /// Go on until the run is over
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Show the lines of its protocol, and what it was told, as they are
    #[arg(long)]
    pub(crate) raw: bool,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    let RunDocument { run, speech } = match client.run(&args.run).await {
        Ok(document) => document,
        // Not a run: perhaps an item, whose last run is then meant.
        Err(error) => match client.item(&args.run).await.ok().and_then(|shown| shown.runs.last().map(|run| run.id)) {
            Some(last) => client.run(&last.to_string()).await?,
            None => return Err(error.into()),
        },
    };
    let mut transcript = Transcript::new(speech.filter(|_| !args.raw));
    let run = run.id.to_string();
    let mut lines = client.log(&run, LogQuery { offset: 0, follow: args.follow }).await?;
    let mut all = Vec::new();
    while let Some(line) = lines.next().await? {
        if cx.json && !args.follow {
            all.push(line);
        } else if cx.json {
            output::json(&line)?;
        } else {
            for (text, tone) in transcript.read(&line) {
                output::line(&output::paint(&output::harmless(&text), tone));
            }
        }
    }
    for (text, tone) in transcript.rest() {
        output::line(&output::paint(&output::harmless(&text), tone));
    }
    if cx.json && !args.follow {
        output::json(&serde_json::json!({"run": run, "lines": all}))?;
    }
    Ok(0)
}
