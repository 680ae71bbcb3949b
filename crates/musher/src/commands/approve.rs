//! `musher approve`.

use musher_server::api::ItemDocument;

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// Say yes to an item that waits for a review or an approval
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The item: its id, or MISSION/key
    item: String,
    /// What to say about it
    #[arg(default_value = "")]
    text: String,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let item = cx.client().await?.approve_item(&args.item, &args.text).await?;
    cx.say(&ItemDocument { item: item.clone() }, || output::line(&format!("{} is approved", item.key)))
}
