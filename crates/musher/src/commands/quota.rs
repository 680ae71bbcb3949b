//! `musher quota`.

use musher_core::quota::{show_seconds, show_usd};
use musher_server::api::{Amount, Quota, QuotaWish, Quotas};

use crate::connect::Context;
use crate::error::Outcome;
use crate::output::{self, Table, Tone};

/// Quotas: what agents, models, missions and the workspace may use, and what is left
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what is limited or used; without a word after `quota` the same
    Show(Show),
    Set(Set),
}

#[derive(Debug, Default, clap::Args)]
struct Show {
    /// Those without a limit of which nothing is used too
    #[arg(long)]
    all: bool,
}

/// Set a quota at once and for good, or take back what was set
///
/// What is set here holds over `musher.toml`, also after a restart and when the file changes, until it is set to
/// `default`. What is at work under a limit of tokens or dollars that is lowered below what is used is stopped.
#[derive(Debug, clap::Args)]
struct Set {
    /// Whose: workspace, repo, agent:NAME, model:NAME or mission:ID
    scope: String,
    /// What is limited: daily_tokens, daily_jobs, concurrent_jobs, max_run_duration, model_allowlist, hourly_requests,
    /// daily_usd, daily_prs, cooldown_after_failure, usd or tokens
    key: String,
    /// The limit, such as 500000, 12.50, 30m or a,b; `unlimited`; or `default` for what the configuration says
    value: String,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    let client = cx.client().await?;
    match &args.command {
        None => show(&client.quotas().await?, false, cx),
        Some(Command::Show(wish)) => show(&client.quotas().await?, wish.all, cx),
        Some(Command::Set(set)) => {
            let wish = QuotaWish { key: set.key.clone(), value: set.value.clone() };
            show(&client.set_quota(&set.scope, &wish).await?, true, cx)
        }
    }
}

fn show(quotas: &Quotas, all: bool, cx: &Context) -> Outcome {
    cx.say(quotas, || {
        let mut table = Table::new(&["scope", "quota", "limit", "used", "remaining", "until", "by"]);
        let is_shown = |quota: &&Quota| all || is_nonzero(quota.limit) || is_nonzero(quota.used);
        for quota in quotas.quotas.iter().filter(is_shown) {
            let left = quota.remaining;
            let tone = if is_nonzero(left) { Tone::Plain } else { Tone::Bad };
            table.row(vec![
                (output::one_line(&quota.scope, 60), Tone::Strong),
                (quota.key.clone(), Tone::Plain),
                (
                    if is_nonzero(quota.limit) { words(quota.limit, &quota.unit) } else { UNLIMITED.to_owned() },
                    Tone::Plain,
                ),
                (words(quota.used, &quota.unit), Tone::Plain),
                (words(left, &quota.unit), tone),
                (quota.ends_at.map(|at| whole_seconds(&at.to_string())).unwrap_or_default(), Tone::Quiet),
                (if quota.origin == "none" { String::new() } else { quota.origin.clone() }, Tone::Quiet),
            ]);
        }
        table.print("no quota is set and nothing is used; `[quota]` in musher.toml, or `musher quota set`");
        for list in &quotas.model_allowlists {
            output::line(&output::one_line(&format!("{} may use only {}", list.scope, list.models.join(", ")), 200));
        }
    })
}

/// A moment without the fraction of its second.
fn whole_seconds(moment: &str) -> String {
    moment.split_once('.').map_or_else(|| moment.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

const UNLIMITED: &str = "unlimited";

fn is_nonzero(amount: Amount) -> bool {
    match amount {
        Amount::Whole(number) => number != 0,
        Amount::Usd(dollars) => dollars != 0.0,
    }
}

/// A number of its unit in words; what is left of no limit is `unlimited`.
fn words(amount: Amount, unit: &str) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number out of range is clamped")]
    match amount {
        Amount::Whole(-1) => UNLIMITED.to_owned(),
        Amount::Whole(seconds) if unit == "seconds" => show_seconds(seconds.unsigned_abs()),
        Amount::Whole(number) if unit == "usd" => show_usd(number.unsigned_abs().saturating_mul(1_000_000)),
        Amount::Whole(number) => number.to_string(),
        Amount::Usd(dollars) => show_usd((dollars * 1e6).round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_shown_in_its_unit_and_no_limit_in_words() {
        for (amount, unit, text) in [
            (Amount::Whole(-1), "count", "unlimited"),
            (Amount::Whole(-1), "usd", "unlimited"),
            (Amount::Whole(500_000), "count", "500000"),
            (Amount::Whole(5_400), "seconds", "90m"),
            (Amount::Usd(12.5), "usd", "$12.50"),
            (Amount::Usd(0.000_001), "usd", "$0.000001"),
            (Amount::Whole(3), "usd", "$3.00"),
        ] {
            assert_eq!(words(amount, unit), text);
        }
    }
}
