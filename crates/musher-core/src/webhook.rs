//! Webhooks of the forge: each is taken once, and says where to look.
//!
//! A webhook is a hint and no more: what is so is read from the forge by whoever watches it. One that comes again, at once,
//! a day later or after a restart, is known by its id and makes nobody look.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::command::Answer;
use crate::forge::Hint;
use crate::pull;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

/// How many webhooks are remembered, the newest. An older one that is sent again is taken as new, and costs a look.
pub const REMEMBERED: usize = 10_000;

/// How long after the last webhook they still count as coming. GitHub has many reasons to send one to a repository that is
/// worked on; for one that is quiet for so long nobody knows whether the way to musher is still open.
pub const COMING: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long it is from one look to the next while webhooks come: some are lost.
pub const FALLBACK: Duration = Duration::from_secs(3600);

/// How often one that moves nothing is remembered all the same, for it shows that webhooks come.
const SIGN_OF_LIFE: Duration = Duration::from_secs(3600);

/// A webhook that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// The forge's id of it, the same when it is sent again.
    pub delivery: Box<str>,
    /// When it came.
    pub heard_at: Timestamp,
}

/// What became of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Somebody looks.
    Taken,
    /// It was taken before.
    Known,
    /// It is about nothing that is watched.
    Unwatched,
}

impl Heard {
    /// The word in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Known => "known",
            Self::Unwatched => "unwatched",
        }
    }
}

/// The webhooks that are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webhooks {
    known: BTreeSet<Box<str>>,
    /// Oldest first.
    order: VecDeque<Webhook>,
}

impl Webhooks {
    /// Whether this one was taken.
    pub fn contains(&self, delivery: &str) -> bool {
        self.known.contains(delivery)
    }

    /// When the last one came.
    pub fn last_heard(&self) -> Option<Timestamp> {
        self.order.back().map(|last| last.heard_at)
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(crate) fn remember(&mut self, webhook: Webhook) {
        if !self.known.insert(webhook.delivery.clone()) {
            return;
        }
        self.order.push_back(webhook);
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest.delivery);
            }
        }
    }

    /// Whether both lists hold the same.
    pub(crate) fn agrees(&self) -> bool {
        self.known.len() == self.order.len() && self.order.iter().all(|webhook| self.known.contains(&webhook.delivery))
    }
}

/// A webhook came, and was found to be the forge's own. It is remembered in the same transaction in which somebody is told to
/// look: a crash loses both or none, and what nobody has acknowledged is sent again.
pub(crate) fn take(state: &State, delivery: &str, hints: &[Hint], cx: &Context) -> Change {
    if state.webhooks().contains(delivery) {
        return Change { answer: Answer::Webhook(Heard::Known), ..Change::default() };
    }
    let mut change = Change::default();
    let mut watched = false;
    for hint in hints {
        let (looks, met) = pull::hinted(state, hint, cx);
        change.extend(looks);
        watched |= met;
    }
    let last = state.webhooks().last_heard();
    if watched || last.is_none_or(|last| cx.now.since(last) >= SIGN_OF_LIFE) {
        change.webhooks.push(Webhook { delivery: delivery.into(), heard_at: cx.now });
    }
    change.answer = Answer::Webhook(if watched { Heard::Taken } else { Heard::Unwatched });
    change
}

/// Whether webhooks of the project's repository are expected and come: what they speak of need not be asked for.
pub(crate) fn are_coming(state: &State, now: Timestamp) -> bool {
    state.settings().webhooks && state.webhooks().last_heard().is_some_and(|last| now.since(last) < COMING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_when_there_are_too_many() {
        let mut webhooks = Webhooks::default();
        for n in 0..=REMEMBERED {
            let webhook = Webhook { delivery: n.to_string().into(), heard_at: Timestamp::from_micros(n as i64) };
            webhooks.remember(webhook.clone());
            webhooks.remember(webhook);
        }
        assert!(!webhooks.contains("0") && webhooks.contains("1"));
        assert!(webhooks.len() == REMEMBERED && webhooks.agrees());
        assert_eq!(webhooks.last_heard(), Some(Timestamp::from_micros(REMEMBERED as i64)));
    }
}
