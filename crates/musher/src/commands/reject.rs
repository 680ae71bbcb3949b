//! `musher reject`.

use musher_server::api::ItemDocument;

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// Say no to an item that waits for a review or an approval; a fix run gets the words
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The item: its id, or MISSION/key
    item: String,
    /// What has to change
    why: String,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let item = cx.client().await?.reject_item(&args.item, &args.why).await?;
    cx.say(&ItemDocument { item: item.clone() }, || {
        output::line(&format!("{} is rejected; its agent gets the words", item.key))
    })
}
