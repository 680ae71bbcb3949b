//! `musher gc`.

use musher_server::api::GcWish;

use crate::connect::Context;
use crate::error::Outcome;
use crate::output;

/// Clean up what is not needed, and say what stays and why
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Remove the kept worktree of this item, after everything in it was saved under `refs/musher/attic/`
    #[arg(long, value_name = "ITEM")]
    discard: Option<String>,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let wish = GcWish { dry_run: args.dry_run, discard: args.discard.clone() };
    let done = cx.client().await?.gc(&wish).await?;
    cx.say(&done, || {
        let verb = if done.dry_run { "would remove" } else { "removed" };
        for entry in &done.removed {
            output::line(&format!("{verb} {} {}", entry.what, entry.path.display()));
        }
        for kept in &done.kept {
            output::line(&format!("kept {} ({}): {}", kept.path.display(), kept.key, kept.reason));
            output::line(&format!("    musher gc --discard {}", kept.short_id));
        }
        for orphan in &done.orphans {
            let name = output::harmless(&orphan.name);
            if done.dry_run {
                output::line(&format!("would look at the {} {name}, which no item owns", orphan.what));
                continue;
            }
            output::line(&format!("no item owns the {} {name}: {}", orphan.what, output::harmless(&orphan.reason)));
            match &orphan.path {
                Some(path) => output::line(&format!("    rm -r {} && git worktree prune", path.display())),
                None => output::line(&format!("    git branch -D {name}")),
            }
        }
        if done.removed.is_empty() && done.kept.is_empty() && done.orphans.is_empty() {
            output::line("nothing to clean up");
        }
    })
}
