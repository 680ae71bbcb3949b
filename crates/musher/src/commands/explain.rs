//! `musher explain`.

use crate::connect::Context;
use crate::error::Outcome;
use crate::output::{self, Tone};

/// Say why an item or a mission is where it is: every reason, exactly
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The item or the mission
    id: String,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let explanation = cx.client().await?.explain(&args.id).await?;
    cx.say(&explanation, || {
        let state = &explanation.state;
        output::line(&format!("{} is {}", args.id, output::paint(&state.replace('_', " "), Tone::of_state(state))));
        if let Some(pull) = &explanation.pull {
            output::line(&format!("  pull request {}", output::pull(pull)));
        }
        for wait in &explanation.waits {
            let until = wait.until.map(|at| at.to_string()).filter(|at| !wait.text.contains(at.as_str()));
            let until = until.map(|at| format!("; until {at}")).unwrap_or_default();
            output::line(&format!("  {}: {}{until}", wait.code, output::harmless(&wait.text).replace('\n', "\n    ")));
        }
        if explanation.waits.is_empty() {
            let over = matches!(state.as_str(), "done" | "completed" | "failed" | "cancelled");
            output::line(if over { "  it has ended; nothing more comes" } else { "  nothing holds it" });
        }
    })
}
