//! What a look at a pull request means for each of its watches: the table.

use super::{Seen, Watch, WatchKind, WatchStatus};
use crate::forge::{Check, Checks, PullSeen, Review, ReviewVerdict};

/// What all checks of the head come to. A project that needs none counts none as a success.
pub fn checks_of(seen: &PullSeen, require_checks: bool) -> Checks {
    if seen.checks.is_empty() && !require_checks { Checks::Success } else { Checks::of(&seen.checks) }
}

/// The checks that failed.
pub fn failed_checks(seen: &PullSeen) -> impl Iterator<Item = &Check> {
    seen.checks.iter().filter(|check| check.conclusion.means() == Checks::Failure)
}

/// The reviews by trusted people that ask for changes of the present head: of each author the last word counts.
pub fn changes_requested(seen: &PullSeen) -> impl Iterator<Item = &Review> {
    let says = |review: &&Review| match review.verdict {
        ReviewVerdict::Approved | ReviewVerdict::ChangesRequested | ReviewVerdict::Dismissed => review.trusted,
        ReviewVerdict::Commented | ReviewVerdict::Unknown => false,
    };
    let is_last = move |(at, review): &(usize, &Review)| {
        !seen.reviews[at + 1..].iter().filter(says).any(|later| later.author == review.author)
    };
    let words = seen.reviews.iter().enumerate().filter(move |(_, review)| says(review)).filter(is_last);
    words.map(|(_, review)| review).filter(|review| review.verdict == ReviewVerdict::ChangesRequested)
}

/// What a look says for one watch of a pull request, and in words.
pub fn seen_of(kind: &WatchKind, seen: &PullSeen, require_checks: bool) -> (Seen, String) {
    let checks = checks_of(seen, require_checks);
    let unless_red = |open: usize, what: &str| match (open, checks) {
        (0, Checks::Success) => (Seen::Done, format!("no {what}, and the checks have succeeded")),
        (0, Checks::Failure | Checks::Pending | Checks::Unknown) => {
            (Seen::Pending, format!("no {what}; checks: {}", checks.name()))
        }
        (open, _) => (Seen::Triggered, format!("{open} {what}")),
    };
    match kind {
        WatchKind::PrChecks => match checks {
            Checks::Success => (Seen::Done, format!("{} check(s) have succeeded", seen.checks.len())),
            Checks::Failure => {
                let names: Vec<&str> = failed_checks(seen).map(|check| &*check.name).take(NAMED).collect();
                let more = failed_checks(seen).count().saturating_sub(NAMED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                (Seen::Triggered, format!("failed: {}{more}", names.join(", ")))
            }
            Checks::Pending => (Seen::Pending, "checks are not over".to_owned()),
            Checks::Unknown if seen.checks.is_empty() => (Seen::Pending, "there is no check yet".to_owned()),
            Checks::Unknown => (Seen::Pending, "a check has a conclusion that musher does not know".to_owned()),
        },
        WatchKind::BotComments => {
            let open = seen.findings.iter().filter(|finding| finding.bot && !finding.resolved).count();
            unless_red(open, "unresolved finding(s) of bots")
        }
        WatchKind::ReviewComments => {
            let open = changes_requested(seen).filter(|review| review.commit == seen.head).count();
            match changes_requested(seen).count() {
                older if open == 0 && older > 0 => {
                    (Seen::Pending, format!("{older} review(s) of an older commit ask for changes; look again"))
                }
                _ => unless_red(open, "review(s) that ask for changes"),
            }
        }
        WatchKind::Mergeability => match (seen.mergeable, checks) {
            (Some(true), Checks::Success) => (Seen::Done, "it can be merged, and the checks have succeeded".to_owned()),
            (Some(true), _) => (Seen::Pending, format!("it can be merged; checks: {}", checks.name())),
            (Some(false), _) => (Seen::Pending, format!("it conflicts with {}", seen.base)),
            (None, _) => (Seen::Pending, "the forge finds out whether it can be merged".to_owned()),
        },
        WatchKind::IssueClosed(_) | WatchKind::Command(_) | WatchKind::Url(_) => {
            (Seen::Nothing, "it is not about the pull request".to_owned())
        }
    }
}

/// The forge's names of what triggers a watch of a pull request.
pub(crate) fn found_of(kind: &WatchKind, seen: &PullSeen) -> Vec<Box<str>> {
    match kind {
        WatchKind::PrChecks => failed_checks(seen).map(|check| check.name.clone()).collect(),
        WatchKind::BotComments => {
            let open = seen.findings.iter().filter(|finding| finding.bot && !finding.resolved);
            open.map(|finding| finding.id.clone()).collect()
        }
        WatchKind::ReviewComments => changes_requested(seen).map(|review| review.id.to_string().into()).collect(),
        WatchKind::Mergeability | WatchKind::IssueClosed(_) | WatchKind::Command(_) | WatchKind::Url(_) => Vec::new(),
    }
}

/// Whether a watch of a pull request that was done is open again: a later look at the same head says something else. What an
/// operator has decided stays, unless something has triggered that was not there then; and that the forge finds out anew
/// whether there is a conflict takes nothing back.
pub fn opens_again(watch: &Watch, now: Seen, found: &[Box<str>], seen: &PullSeen) -> bool {
    let is_new = || found.iter().any(|id| !watch.found.contains(id));
    match (&watch.status, now) {
        (WatchStatus::Done, Seen::Triggered) => true,
        (WatchStatus::Done, Seen::Pending) => watch.kind != WatchKind::Mergeability || seen.mergeable.is_some(),
        (WatchStatus::Overridden(_), Seen::Triggered) => is_new(),
        (WatchStatus::Overridden(_), Seen::Pending)
        | (WatchStatus::Done | WatchStatus::Overridden(_), Seen::Done | Seen::Nothing)
        | (WatchStatus::Active | WatchStatus::Snoozed(_), _) => false,
    }
}

/// How many checks a text names before it counts the rest.
const NAMED: usize = 5;
