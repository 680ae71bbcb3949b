//! `musher down`.

use musher_server::api::EventQuery;

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// Stop the daemon; agents at work go on, and the next `musher up` takes them over
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(_: &Args, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    // The stream ends with the daemon: that is what is waited for.
    let after = client.status().await?.last_seq;
    let mut events = client.follow_events(&EventQuery { after, ..EventQuery::default() }).await?;
    client.shutdown().await?;
    while let Ok(Some(_)) = events.next().await {}
    crate::connect::until_unlocked(&cx.project_paths()?).await?;
    cx.say(&serde_json::json!({"stopped": true}), || {
        output::line("musher is down; agents at work go on, and `musher up` takes them over");
    })
}
