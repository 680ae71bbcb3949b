//! Retries and the dead letter: what a counted failure does to its item.

use std::time::Duration;

use crate::change::{Change, TextKey};
use crate::command::{Failure, Refused};
use crate::entropy::Entropy;
use crate::event::Happened;
use crate::id::RunId;
use crate::item::{self, BlockedReason, Fix, Item, ItemEvent, ItemState};
use crate::mission::OnCap;
use crate::quota::Denied;
use crate::run::FailureClass;
use crate::state::State;
use crate::step::Context;

/// The first wait.
pub const FIRST_BACKOFF: Duration = Duration::from_secs(5);
/// The longest wait.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(15 * 60);
/// Empty runs in a row after which musher stops trying.
pub const EMPTY_IN_A_ROW: u32 = 3;
/// Empty runs in all after which musher stops trying.
pub const EMPTY_IN_ALL: u32 = 8;
/// How much of a failure's output the next prompt is told, in bytes.
pub const LESSON_BYTES: usize = 8_000;

/// How long an item waits after its `attempt`-th counted failure; the first is 1.
///
/// 5 s × 2^(attempt − 1), at most 15 min, ± 10 % by chance. Stored with the item, so that a restart changes nothing.
pub fn backoff(attempt: u32, entropy: &mut Entropy) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let plain = FIRST_BACKOFF.saturating_mul(1 << doublings).min(LONGEST_BACKOFF);
    plain.mul_f64(1.0 + 0.1 * entropy.jitter())
}

/// How many counted failures an item may have: its own number, else the policy's; at least 1.
pub fn max_retries(state: &State, item: &Item) -> u32 {
    let policy = state.mission(item.mission).map(|m| m.row.policy.max_retries);
    item.max_retries.or(policy).unwrap_or(3).max(1)
}

/// A failure that counts: the item is ready again after a backoff, or in the dead letter, or blocked when its runs keep
/// changing nothing.
pub fn failed(
    state: &State,
    item: &Item,
    run: Option<RunId>,
    failure: &Failure,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let mut row = item.clone();
    let mut change = Change::default();
    row.attempts += 1;
    row.last_error = Some(failure.message.clone());
    if let Some(run) = run {
        row.fix = Some(if failure.class == FailureClass::Gate { Fix::Gate(run) } else { Fix::Failed(run) });
        change.texts.push((TextKey::Lesson(run), lesson(failure)));
    }
    if failure.class == FailureClass::Empty {
        row.empty_runs = (row.empty_runs.0 + 1, row.empty_runs.1 + 1);
    } else {
        row.empty_runs.0 = 0;
    }
    change.events.push(cx.about(&row, Happened::ItemFailed { class: failure.class, error: failure.message.clone() }));

    let max = max_retries(state, item);
    if row.attempts >= max {
        // Three empty runs in a row are a block even when the retries are used up by them: a person must look.
        if blocks_as_empty(&row) {
            return block(row, BlockedReason::NothingChanges, change, cx);
        }
        let reason: Box<str> = format!("max retries exceeded: {}", failure.message).into();
        item::go(&mut row, ItemEvent::Exhaust, ItemState::Failed(reason.clone()), cx)?;
        change.events.push(cx.about(&row, Happened::ItemDeadLettered { reason }));
    } else if blocks_as_empty(&row) {
        return block(row, BlockedReason::NothingChanges, change, cx);
    } else {
        let not_before = cx.now.after(backoff(row.attempts, cx.entropy));
        item::go(&mut row, ItemEvent::Requeue, ItemState::Ready, cx)?;
        row.not_before = Some(not_before);
        change.events.push(cx.about(
            &row,
            Happened::ItemRetrying {
                class: failure.class,
                error: failure.message.clone(),
                attempts: row.attempts,
                not_before: row.not_before,
            },
        ));
    }
    change.items.push(row);
    Ok(change)
}

/// A run was stopped by a quota: its item follows the policy's `on_cap`. It is not at fault, and no attempt is counted;
/// but of a run's own cap the next run would begin with nothing used, and so for ever, unless it counts.
pub fn capped(state: &State, mut row: Item, run: RunId, cap: &Denied, cx: &mut Context) -> Result<Change, Refused> {
    let reason: Box<str> = cap.to_string().into();
    let on_cap = state.mission(row.mission).map(|m| m.row.policy.on_cap).unwrap_or_default();
    let failure = Failure { class: FailureClass::Limit, message: reason.clone(), detail: Box::default() };
    match on_cap {
        OnCap::Requeue if cap.is_of_run() => failed(state, &row, Some(run), &failure, cx),
        OnCap::Requeue => {
            item::go(&mut row, ItemEvent::Requeue, ItemState::Ready, cx)?;
            row.last_error = Some(reason);
            let event = cx.about(&row, Happened::ItemReady { not_before: None });
            Ok(Change { items: vec![row], events: vec![event], ..Change::default() })
        }
        OnCap::Block => {
            row.last_error = Some(reason.clone());
            block(row, BlockedReason::Cap(reason), Change::default(), cx)
        }
        OnCap::Fail => {
            row.last_error = Some(reason.clone());
            let mut change = Change::default();
            let error = reason.clone();
            change.events.push(cx.about(&row, Happened::ItemFailed { class: FailureClass::Limit, error }));
            item::go(&mut row, ItemEvent::Exhaust, ItemState::Failed(reason.clone()), cx)?;
            change.events.push(cx.about(&row, Happened::ItemDeadLettered { reason }));
            change.items.push(row);
            Ok(change)
        }
    }
}

/// Stops trying.
pub fn block(mut row: Item, reason: BlockedReason, mut change: Change, cx: &Context) -> Result<Change, Refused> {
    let text = reason.text();
    item::go(&mut row, ItemEvent::Block, ItemState::Blocked(reason), cx)?;
    change.events.push(cx.about(&row, Happened::ItemBlocked { reason: text.into() }));
    change.items.push(row);
    Ok(change)
}

/// Whether its runs have changed nothing for so often that musher stops trying.
pub fn blocks_as_empty(row: &Item) -> bool {
    row.empty_runs.0 >= EMPTY_IN_A_ROW || row.empty_runs.1 >= EMPTY_IN_ALL
}

/// What the next prompt says of a failure: its line, and the tail of its output.
fn lesson(failure: &Failure) -> Box<str> {
    let tail = tail(&failure.detail, LESSON_BYTES);
    if tail.trim().is_empty() {
        return failure.message.clone();
    }
    format!("{}\n\n{tail}", failure.message).into()
}

/// The last `bytes` bytes of a text, from the next whole character on.
pub fn tail(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_five_seconds_to_a_quarter_of_an_hour() {
        let mut entropy = Entropy::from_seed(1);
        for (attempt, seconds) in [
            (1, 5),
            (2, 10),
            (3, 20),
            (4, 40),
            (5, 80),
            (6, 160),
            (7, 320),
            (8, 640),
            (9, 900),
            (10, 900),
            (u32::MAX, 900),
        ] {
            let wait = backoff(attempt, &mut entropy).as_secs_f64();
            let plain = f64::from(seconds);
            assert!((plain * 0.9..=plain * 1.1).contains(&wait), "attempt {attempt} waits {wait} s");
        }
    }

    #[test]
    fn jitter_spreads_the_waits() {
        let mut entropy = Entropy::from_seed(2);
        let waits: Vec<_> = (0..100).map(|_| backoff(1, &mut entropy)).collect();
        assert!(waits.iter().any(|w| *w < FIRST_BACKOFF) && waits.iter().any(|w| *w > FIRST_BACKOFF));
    }

    #[test]
    fn a_tail_begins_with_a_whole_character() {
        assert_eq!(tail("abcdef", 3), "def");
        assert_eq!(tail("aé", 1), "");
        assert_eq!(tail("ab", 10), "ab");
    }
}
