//! `musher reject`.

use musher_server::api::ItemDocument;

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// Say no to an item that waits for a review or an approval: a fix run gets the words, or it is given up
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The item: its id, or MISSION/key
    item: String,
    /// What has to change
    why: String,
    /// Give the item up instead of having it mended; its branch is kept
    #[arg(long)]
    for_good: bool,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    let (item, then) = if args.for_good {
        (client.turn_down_item(&args.item, &args.why).await?, "given up; its branch is kept")
    } else {
        (client.reject_item(&args.item, &args.why).await?, "its agent gets the words")
    };
    cx.say(&ItemDocument { item: item.clone() }, || output::line(&format!("{} is rejected; {then}", item.key)))
}
