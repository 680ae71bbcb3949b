//! What a pull request waits for that only a person gives: decided after each look, in one place. As long as there is any of
//! it musher merges nothing, the mission may be at rest, and the inbox says what is to be done.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Pull;
use super::refusal::{self, Lack};
use crate::forge::{Checks, Finding, PullSeen, Review};
use crate::item::Item;
use crate::mission::MissionState;
use crate::state::{State, follows_pull};
use crate::time::Timestamp;
use crate::verify;
use crate::watch::{self, Seen, Watch, WatchKind};

/// Something that only a person gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// The author of a review of an older commit, which asks for changes, looks again.
    Again(Box<str>),
    /// This author asks for changes of the present head, and was answered without a new commit.
    Answered(Box<str>),
    /// This bot, whose words reach no run, has found something that nobody has resolved.
    Untrusted(Box<str>),
    /// What this bot has found is not resolved, and makes no further run.
    Unresolved(Box<str>),
    /// The forge has refused to merge it, in these words, and nothing has changed since.
    Refused(Box<str>),
    /// A check of it begins, or the project is told that none has to.
    Check,
    /// It is merged.
    Merge,
}

/// How long a head commit may be without a check before a person is told: the forge takes a while to begin one.
const WITHOUT_A_CHECK: Duration = Duration::from_secs(10 * 60);

/// What the pull request waits for, as a look has seen it; nothing while something else goes on by itself.
pub(super) fn after(state: &State, item: &Item, pull: &Pull, seen: &PullSeen, now: Timestamp) -> Vec<Wish> {
    let green = watch::checks_of(seen, state.settings().require_checks) == Checks::Success;
    // While the forge finds out anew whether there is a conflict, what was true of that stays true.
    let fits = seen.mergeable.unwrap_or(!pull.wishes.is_empty());
    if item.frozen.is_none() && seen.mergeable != Some(false) && lacks_a_check(state, item, seen, now) {
        return vec![Wish::Check];
    }
    if item.frozen.is_some() || !green || !fits || seen.draft || seen.queued {
        return Vec::new();
    }
    let reviews = watch::changes_requested(seen).map(|review| of_review(review, &seen.head));
    let auto_merge = state.mission(item.mission).is_some_and(|m| m.row.policy.auto_merge);
    let findings = seen.findings.iter().filter_map(|finding| of_finding(finding, pull, auto_merge));
    let mut wishes: Vec<Wish> = Vec::new();
    for wish in reviews.chain(findings) {
        if !wishes.contains(&wish) {
            wishes.push(wish);
        }
    }
    // What nobody has tested only a person merges.
    let tested = !seen.checks.is_empty() || verify::gate_of(state, item).is_some();
    if wishes.is_empty() && !(auto_merge && tested) {
        wishes.push(Wish::Merge);
    }
    if wishes.is_empty() {
        wishes.extend(refusal::holds(pull, seen, now).map(|why| Wish::Refused(why.into())));
    }
    wishes
}

/// Whether a check is required, and none of this head has been there since it was first looked at, long ago.
fn lacks_a_check(state: &State, item: &Item, seen: &PullSeen, now: Timestamp) -> bool {
    let of_head = |watch: &&Watch| watch.kind == WatchKind::PrChecks && watch.head.as_ref() == Some(&seen.head);
    let since = state.watches_of(item.id).find(of_head).filter(|watch| watch.seen == Seen::Pending);
    state.settings().require_checks
        && seen.checks.is_empty()
        && since.is_some_and(|watch| watch.status.is_open() && now.since(watch.changed_at) >= WITHOUT_A_CHECK)
}

fn of_review(review: &Review, head: &str) -> Wish {
    let author = review.author.clone();
    if &*review.commit == head { Wish::Answered(author) } else { Wish::Again(author) }
}

/// What bots have found; what a run was told of holds no merge of musher's own up.
fn of_finding(finding: &Finding, pull: &Pull, auto_merge: bool) -> Option<Wish> {
    if !finding.bot || finding.resolved {
        return None;
    }
    let author = finding.author.clone();
    let told = pull.told.contains(&finding.id);
    match finding.trusted {
        _ if told && auto_merge => None,
        false => Some(Wish::Untrusted(author)),
        true => Some(Wish::Unresolved(author)),
    }
}

/// What an item's pull request waits for now that only a person gives; nothing while it goes on by itself.
pub fn awaited<'a>(state: &'a State, item: &Item) -> &'a [Wish] {
    let pull = state.pull(item.id).filter(|pull| follows_pull(item) && pull.number.is_some());
    pull.map(|pull| &*pull.wishes).unwrap_or_default()
}

impl Wish {
    /// In a few words.
    pub(crate) fn brief(&self, number: u64) -> String {
        match self {
            Self::Again(author) | Self::Answered(author) => format!("review of #{number} by {author}"),
            Self::Untrusted(author) | Self::Unresolved(author) => format!("finding of {author} on #{number}"),
            Self::Refused(_) | Self::Merge => format!("merge of #{number}"),
            Self::Check => format!("checks of #{number}, of which there are none"),
        }
    }

    /// What is the matter, and after a semicolon what a person does about it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Again(author) => format!(
                "{author} asks for changes in a review of an older commit; {author} has to review again, or somebody \
                 dismisses that review"
            ),
            Self::Answered(author) => format!(
                "{author} asks for changes, and no further commit comes of it; {author} has to review again, or somebody \
                 dismisses that review"
            ),
            Self::Untrusted(author) => format!(
                "{author}, who is not trusted, has found something; somebody has to resolve the thread, or to add \
                 \"{author}\" to `trust` in `[forge]`"
            ),
            Self::Unresolved(author) => format!(
                "what {author} has found is not resolved, and no further run is made for it; somebody has to resolve the \
                 thread"
            ),
            Self::Refused(why) => format!("the forge does not merge it ({why}); {}", Lack::of(why).help()),
            Self::Check => "no check has come, and the project requires them; if the repository has no CI, write \
                            `require_checks = false` under `[project]` in musher.toml, and it goes on"
                .to_owned(),
            Self::Merge => "it is ready, and somebody must merge it".to_owned(),
        }
    }
}

/// All of it in words.
pub(super) fn in_words(wishes: &[Wish]) -> String {
    let said: Vec<String> = wishes.iter().map(Wish::text).collect();
    said.join(". ")
}

/// The same with its pull request, and the commands that help, for an item whose pull request waits for a person.
pub(crate) fn request(state: &State, item: &Item) -> Option<(String, Vec<String>)> {
    let wishes = awaited(state, item);
    let pull = state.pull(item.id).filter(|_| !wishes.is_empty())?;
    let mut text = format!("{} of {} ({}): {}", pull.name(), item.key, pull.url, in_words(wishes));
    let mut replies = vec![format!("musher explain {}", item.id.short())];
    if wishes != [Wish::Merge] {
        text.push_str(". Or merge it, or close it");
        let mission = state.mission(item.mission);
        if mission.is_some_and(|m| matches!(m.row.state, MissionState::Blocked | MissionState::Paused)) {
            text.push_str("; a resume takes it as it is");
            replies.push(format!("musher mission note {} \"resume\"", item.mission.short()));
        }
    }
    Some((text, replies))
}
