//! `musher events`.

use musher_server::api::EventQuery;

use crate::connect::Context;
use crate::error::Outcome;
use crate::output::{self, Tone};

/// Show what happened, in order
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Go on with what happens from now on
    #[arg(short, long)]
    follow: bool,
    /// Only what came after this event
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    /// Only events of this name; may be given again
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Only those of this mission
    #[arg(long, value_name = "ID")]
    mission: Option<String>,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    let mut query = EventQuery {
        after: args.after,
        limit: None,
        mission: args.mission.clone(),
        item: None,
        kind: (!args.kinds.is_empty()).then(|| args.kinds.join(",")),
    };
    let print = |event: &musher_server::api::Event| -> Result<(), crate::error::Failure> {
        if cx.json {
            return output::json(event);
        }
        let item = event.item.map(|id| id.short()).unwrap_or_default();
        let time = event.at.to_string();
        let time = time.get(..19).unwrap_or(&time).replace('T', " ");
        let body =
            if event.body.as_object().is_some_and(|b| b.is_empty()) { String::new() } else { event.body.to_string() };
        output::line(&format!(
            "{:>6} {} {item:<8} {:<24} {}",
            event.seq,
            output::paint(&time, Tone::Quiet),
            event.kind,
            output::paint(&output::one_line(&body, 160), Tone::Quiet)
        ));
        Ok(())
    };
    if args.follow {
        let mut events = client.follow_events(&query).await?;
        while let Some(event) = events.next().await? {
            print(&event)?;
        }
        return Ok(0);
    }
    loop {
        let page = client.events(&query).await?;
        let Some(last) = page.last() else { return Ok(0) };
        query.after = last.seq;
        page.iter().try_for_each(&print)?;
    }
}
