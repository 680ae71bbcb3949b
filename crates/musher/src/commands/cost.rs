//! `musher cost`.

use musher_core::quota::show_usd;
use musher_server::api::CostEntry;

use crate::connect::Context;
use crate::error::Outcome;
use crate::output::{self, Table, Tone};

/// What everything has cost, added up from all that was ever recorded
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// By what it is added up; days are those of `quota.timezone`
    #[arg(long, value_name = "WHAT", default_value = "mission", value_parser = ["mission", "item", "agent", "model", "day"])]
    by: String,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let cost = cx.client().await?.cost(&args.by).await?;
    cx.say(&cost, || {
        let mut table = Table::new(&[&cost.by, "cost", "tokens in", "tokens out", ""]);
        let row = |entry: &CostEntry, tone| {
            vec![
                (output::one_line(&entry.name, 80), tone),
                (show_usd(entry.cost_micro_usd), Tone::Plain),
                (entry.input_tokens.to_string(), Tone::Plain),
                (entry.output_tokens.to_string(), Tone::Plain),
                (estimate(entry), Tone::Quiet),
            ]
        };
        for entry in &cost.entries {
            table.row(row(entry, Tone::Plain));
        }
        if !cost.entries.is_empty() {
            table.row(row(&cost.total, Tone::Strong));
        }
        table.print("nothing was used yet");
    })
}

/// What of a cost is an estimate, in words.
fn estimate(entry: &CostEntry) -> String {
    match entry.estimated_micro_usd {
        0 => String::new(),
        all if all == entry.cost_micro_usd => "estimated: the price is not known".to_owned(),
        some => format!("{} of it estimated", show_usd(some)),
    }
}
