//! Random openings, answers, clocks, restarts and settings: at no instant are more pull requests opened on a local day than may
//! be, but for those that were when the limit was lowered, and none waits that need not.

use std::collections::BTreeMap;
use std::time::Duration;

use musher_core::agent::AgentSpec;
use musher_core::command::{Command, Report};
use musher_core::config::ProjectSettings;
use musher_core::effect::EffectKind;
use musher_core::forge::{ForgeAnswer, ForgeFailure, ForgeWork, Hint, PullSeen, PullState};
use musher_core::id::{EffectId, ItemId};
use musher_core::item::Phase;
use musher_core::mission::{Delivery, Policy};
use musher_core::quota::period::{day_name, zone};
use musher_core::quota::{Cap, Quotas, Rules, Scope, Setting};
use musher_core::time::Timestamp;
use musher_core::wait::WaitCode;
use proptest::prelude::*;

use crate::world::{World, agent, item, policy, settings};

/// What happens next, chosen by numbers, so that it shrinks.
type Choice = (u8, u8, u8);

const ZONE: &str = "Europe/Berlin";
const ITEMS: usize = 7;

fn project(limit: u64) -> ProjectSettings {
    let repo = Rules { caps: [(Cap::DailyPrs, limit)].into(), model_allowlist: None };
    let quota = Quotas { timezone: ZONE.into(), repo, ..Quotas::default() };
    ProjectSettings { delivery: Delivery::Pr, quota, ..settings() }
}

fn key(n: usize) -> String {
    format!("i{n}")
}

fn some_world(limit: u64) -> World {
    let mut w = World::with_settings(project(limit));
    // Some hours before the clocks go back.
    w.now = "2026-10-24T18:00:00Z".parse().unwrap();
    w.agent(AgentSpec { max_load: 0, ..agent("a") });
    let items = (0..ITEMS).map(|n| item(&key(n), &[])).collect();
    w.mission_with(Policy { max_parallel_items: 9, max_retries: 100, ..policy() }, items);
    w
}

fn day(now: Timestamp) -> String {
    day_name(now, &zone(ZONE).unwrap())
}

/// The openings as they are seen from outside: of each day the items, each with how many of its pull requests were closed.
#[derive(Default)]
struct Reading {
    opened: BTreeMap<String, Vec<(ItemId, u32)>>,
    seen: BTreeMap<EffectId, (String, (ItemId, u32))>,
    closed: BTreeMap<ItemId, u32>,
}

impl Reading {
    /// How many openings of this instant are new ones of their day.
    fn look(&mut self, w: &World) -> usize {
        let mut new = 0;
        for effect in w.state.effects().filter(|e| matches!(e.kind, EffectKind::Forge(ForgeWork::OpenPull { .. }))) {
            if self.seen.contains_key(&effect.id) {
                continue;
            }
            let which = (effect.item, self.closed.get(&effect.item).copied().unwrap_or(0));
            self.seen.insert(effect.id, (day(w.now), which));
            let of_day = self.opened.entry(day(w.now)).or_default();
            if !of_day.contains(&which) {
                of_day.push(which);
                new += 1;
            }
        }
        new
    }

    /// Nothing was opened by this effect, and it was said on this day.
    fn not_opened(&mut self, effect: EffectId, now: Timestamp) {
        let (of, which) = self.seen[&effect].clone();
        if of == day(now) {
            self.opened.entry(of).or_default().retain(|opened| *opened != which);
        }
    }

    fn today(&self, now: Timestamp) -> u64 {
        self.opened.get(&day(now)).map_or(0, Vec::len) as u64
    }
}

/// What the forge answers to an opening, and whether that says that musher has opened nothing.
fn some_answer(how: u8, now: Timestamp) -> (Report, bool) {
    let opened = |adopted| Report::Forge(ForgeAnswer::PullOpened { number: 7, url: "u".into(), draft: false, adopted });
    match how % 8 {
        0 => (Report::ForgeFailed(ForgeFailure::Unavailable("502".into())), false),
        1 => (Report::ForgeFailed(ForgeFailure::Refused("no".into())), true),
        2 => (Report::ForgeFailed(ForgeFailure::Limited { until: now.after(Duration::from_secs(900)) }), true),
        3 => (opened(true), true),
        _ => (opened(false), false),
    }
}

fn seen(w: &World, item: ItemId, number: u64, how: u8) -> PullSeen {
    let state = match how % 3 {
        0 => PullState::Closed,
        1 => PullState::Merged { commit: "m".into() },
        _ => PullState::Open,
    };
    let head = w.state.item(item).and_then(|item| item.head.clone()).unwrap_or_default();
    PullSeen { number, head, state, ..PullSeen::default() }
}

/// The limit that holds now; none = unlimited.
fn limit(w: &World) -> Option<u64> {
    let set = w.state.books().repo().and_then(|account| account.set.caps.get(&Cap::DailyPrs).copied());
    set.or(w.state.settings().quota.repo.caps.get(&Cap::DailyPrs).copied()).filter(|limit| *limit > 0)
}

fn answer(w: &mut World, reading: &mut Reading, which: u8, how: u8) {
    let effects: Vec<_> = w.state.effects().cloned().collect();
    if effects.is_empty() {
        return;
    }
    let effect = effects[usize::from(which) % effects.len()].clone();
    let report = match &effect.kind {
        EffectKind::Forge(ForgeWork::OpenPull { .. }) => {
            let (report, not_opened) = some_answer(how, w.now);
            let follows = w.state.item(effect.item).is_some_and(|item| item.phase() == Phase::Waiting);
            if not_opened && follows {
                reading.not_opened(effect.id, w.now);
            }
            report
        }
        EffectKind::Forge(ForgeWork::LookAtPull { number }) => {
            let seen = seen(w, effect.item, *number, how);
            let follows = w.state.item(effect.item).is_some_and(|item| item.phase() == Phase::Waiting);
            if seen.state == PullState::Closed && follows {
                *reading.closed.entry(effect.item).or_default() += 1;
            }
            Report::Forge(ForgeAnswer::PullLooked(Box::new(seen)))
        }
        _ => w.happy(&effect),
    };
    w.ok(Command::Report(effect.id, report));
}

/// An operator takes an item out, puts it back, or gives it a fresh start.
fn operate(w: &mut World, which: u8) {
    let key = key(usize::from(which) % ITEMS);
    let id = w.id(&key);
    match w.phase(&key) {
        Phase::Held => {
            w.ok(Command::ReleaseItem(id));
        }
        Phase::Blocked | Phase::Failed => {
            w.ok(Command::RetryItem(id));
        }
        Phase::Waiting => {
            w.ok(Command::HoldItem(id, "let me look".into()));
        }
        _ => {}
    }
}

fn hold(w: &World, reading: &Reading, new: usize) -> Result<(), TestCaseError> {
    let opened = reading.today(w.now);
    let used = w.state.books().repo().map_or(0, |account| account.used(Cap::DailyPrs, w.now));
    prop_assert_eq!(used, opened, "what is counted is not what was opened");
    if new > 0
        && let Some(limit) = limit(w)
    {
        prop_assert!(opened <= limit, "{} were opened on {} and {} may be", opened, day(w.now), limit);
    }
    for n in 0..ITEMS {
        let key = key(n);
        let Some(item) = w.state.item(w.id(&key)) else { continue };
        let Some(pull) = w.state.pull(item.id).filter(|_| item.phase() == Phase::Waiting) else { continue };
        let is_due = pull.looks.due.is_some_and(|due| due <= w.now);
        let waits = w.waits(&key);
        prop_assert_eq!(is_due, waits.contains(&WaitCode::Quota), "{} is due and waits for {:?}", key, waits);
        if is_due {
            prop_assert!(limit(w).is_some_and(|limit| opened >= limit), "{} waits though it might be opened", key);
            let next = w.state.next_due_by_rows();
            prop_assert!(
                next.is_some_and(|at| at > w.now && day(at) <= day(w.now.after(DAY))),
                "{} waits for ever",
                key
            );
        }
    }
    Ok(())
}

const DAY: Duration = Duration::from_secs(25 * 3_600);

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn no_more_pull_requests_are_opened_on_a_local_day_than_may_be(
        choices in prop::collection::vec(any::<Choice>(), 40..140),
        first in 0_u64..4,
    ) {
        let mut w = some_world(first);
        let mut reading = Reading::default();
        // Each has an agent, and is on its way.
        let new = reading.look(&w);
        hold(&w, &reading, new)?;
        for (what, which, how) in choices {
            match what % 16 {
                0 => w.pass(Duration::from_secs(u64::from(how) * 120)),
                1 => { w.until_due(); }
                2 => {
                    let limit = [None, Some(0), Some(1), Some(2), Some(5)][usize::from(how) % 5];
                    w.ok(Command::SetQuota(Scope::Repo, Setting::Cap(Cap::DailyPrs, limit)));
                }
                3 => {
                    w.ok(Command::Configure(Box::new(project(u64::from(how) % 4))));
                }
                4 => w.restart_and_compare(),
                5 => operate(&mut w, which),
                6 => {
                    let head = w.item(&key(usize::from(which) % ITEMS)).head.clone().unwrap_or_default();
                    w.ok(Command::HintForge(Hint::Commit(head)));
                }
                _ => answer(&mut w, &mut reading, which, how),
            }
            let new = reading.look(&w);
            hold(&w, &reading, new)?;
        }
    }
}
