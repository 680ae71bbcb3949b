//! `musher logs`.

use musher_server::api::LogQuery;

use crate::connect::Context;
use crate::error::Outcome;
use crate::output::{self, Tone};

/// Show what a run's agent said
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run; or an item (its id, or MISSION/key), whose last run is meant
    run: String,
    /// Go on until the run is over
    #[arg(short, long)]
    follow: bool,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    let run = match client.run(&args.run).await {
        Ok(run) => run.id.to_string(),
        // Not a run: perhaps an item, whose last run is then meant.
        Err(error) => match client.item(&args.run).await {
            Ok(shown) if !shown.runs.is_empty() => shown.runs[shown.runs.len() - 1].id.to_string(),
            _ => return Err(error.into()),
        },
    };
    let mut lines = client.log(&run, LogQuery { offset: 0, follow: args.follow }).await?;
    let mut all = Vec::new();
    while let Some(line) = lines.next().await? {
        if cx.json && !args.follow {
            all.push(line);
        } else if cx.json {
            output::json(&line)?;
        } else {
            let tone = if line.stream == "stderr" { Tone::Bad } else { Tone::Plain };
            let cut = if line.cut { " …" } else { "" };
            output::line(&format!("{}{cut}", output::paint(&output::harmless(&line.text), tone)));
        }
    }
    if cx.json && !args.follow {
        output::json(&serde_json::json!({"run": run, "lines": all}))?;
    }
    Ok(0)
}
