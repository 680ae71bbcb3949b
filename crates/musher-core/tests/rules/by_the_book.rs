//! The rules of dispatch as `docs/src/concepts.md` tells them, read without any index: every pair of item and agent is
//! looked at. The world compares it with each choice of the agenda, and with its rest. The tables are typed once more, files
//! are named to see whether globs overlap, and quotas are counted anew: of the rules themselves nothing is asked.

use std::cmp::Ordering;

use musher_core::agent::Agent;
use musher_core::id::{AgentId, ItemId};
use musher_core::item::{Fix, Item, ItemState, Kind, Priority, Waiting, Worktree};
use musher_core::mission::OnRateLimit;
use musher_core::state::State;

mod fit;
mod globs;
mod ledger;

use fit::{fit, is_reviewer};
pub(crate) use globs::overlap;
pub(crate) use ledger::Ledger;

/// What lies between two turns of a mission of weight 1.
const LAP: u64 = 232_792_560;

/// One look at everything.
pub(crate) struct Book<'a> {
    state: &'a State,
    ledger: &'a Ledger,
}

impl<'a> Book<'a> {
    pub(crate) fn of(state: &'a State, ledger: &'a Ledger) -> Self {
        Self { state, ledger }
    }

    /// The item that is next, with its agent.
    pub(crate) fn next(&self) -> Option<(&'a Item, &'a Agent)> {
        let mut all: Vec<&Item> =
            self.items().filter(|item| self.may_begin(item) && self.backoff_is_over(item)).collect();
        all.sort_by_cached_key(|item| self.place(item));
        all.into_iter().find_map(|item| self.agent_for(item).map(|agent| (item, agent)))
    }

    /// Panics unless this agent takes this item by the rules.
    pub(crate) fn hold_assignment(&self, item: ItemId, agent: AgentId) {
        let item = self.state.item(item).expect("the item");
        assert!(self.may_begin(item), "{} may not begin", item.key);
        let best = self.agent_for(item).expect("an agent that may take it");
        let chosen = self.state.agent(agent).expect("the agent");
        assert_eq!(chosen.spec.name, best.spec.name, "the agent of {}", item.key);
        if let Some((first, _)) = self.next() {
            assert!(self.place(item) <= self.place(first), "{} is taken before {}", item.key, first.key);
        }
    }

    /// Panics unless this agent reviews this item by the rules.
    pub(crate) fn hold_review(&self, item: ItemId, agent: AgentId) {
        let item = self.state.item(item).expect("the item");
        assert!(self.may_be_reviewed(item), "{} may not be reviewed", item.key);
        let best = self.reviewer_for(item).expect("a reviewer that may take it");
        let chosen = self.state.agent(agent).expect("the agent");
        assert_eq!(chosen.spec.name, best.spec.name, "the reviewer of {}", item.key);
    }

    /// Panics if something could begin now.
    pub(crate) fn hold_rest(&self) {
        if let Some((item, agent)) = self.next() {
            panic!("{} rests, and {} could take it", item.key, agent.spec.name);
        }
        for item in self.items().filter(|item| self.may_be_reviewed(item)) {
            if let Some(agent) = self.reviewer_for(item) {
                panic!("{} rests, and {} could review it", item.key, agent.spec.name);
            }
        }
    }

    fn items(&self) -> impl Iterator<Item = &'a Item> {
        self.state.missions().flat_map(|entry| &entry.items).filter_map(|id| self.state.item(*id))
    }

    /// Priority; then the mission with the fewest agents for its weight, in whole rounds; then the one whose turn it is;
    /// then age.
    fn place(&self, item: &Item) -> impl Ord + use<> {
        let weight = self.state.mission(item.mission).map_or(1, |mission| mission.row.policy.weight);
        let of_its_mission = || self.items().filter(|other| other.mission == item.mission);
        let has_agent = |other: &&Item| matches!(other.state, ItemState::Assigned | ItemState::Running);
        let round = of_its_mission().filter(has_agent).count() / weight as usize;
        let turn = match of_its_mission().map(|other| other.turn).max() {
            None | Some(0) => 0,
            Some(last) => last + LAP / u64::from(weight),
        };
        (item.priority, round, turn, item.created_at, item.number, item.id)
    }

    fn may_begin(&self, item: &Item) -> bool {
        let Some(mission) = self.state.mission(item.mission) else { return false };
        let at_work = self.items().filter(|other| other.mission == item.mission && takes_a_slot(other)).count();
        item.state == ItemState::Ready
            && item.frozen.is_none()
            && !self.waits_for_its_account(item)
            && mission.row.state.dispatches()
            && at_work < mission.row.policy.max_parallel_items as usize
            && !self.ledger.is_spent(self.state, item)
            && !self.state.runs().iter().any(|run| run.item == item.id)
            && item.worktree != Worktree::Removing
            && !self.items().any(|other| takes_a_slot(other) && meet(item, other))
    }

    /// A rate limited item goes on with the account that it was worked on with, or reviewed, unless it may be handed over.
    fn waits_for_its_account(&self, item: &Item) -> bool {
        let Some(limited) = &item.limited else { return false };
        let rests = |agent: &Agent| !agent.removed && agent.limited_until.is_some();
        limited.then != OnRateLimit::Failover && self.state.agent(limited.agent).is_some_and(rests)
    }

    fn backoff_is_over(&self, item: &Item) -> bool {
        item.not_before.is_none_or(|at| at <= self.state.looked_at())
    }

    fn may_be_reviewed(&self, item: &Item) -> bool {
        item.state == ItemState::Waiting(Waiting::Review)
            && item.review_run.is_none()
            && item.frozen.is_none()
            && !self.waits_for_its_account(item)
            && self.state.mission(item.mission).is_some_and(|mission| mission.row.state.dispatches())
            && !self.ledger.is_spent(self.state, item)
            && !self.state.runs().iter().any(|run| run.item == item.id)
    }

    /// The best of those that may take it.
    fn agent_for(&self, item: &Item) -> Option<&'a Agent> {
        let fits = |agent: &Agent| fit(item.kind, item.role.as_deref(), &agent.spec.roles);
        let conflict = matches!(item.fix, Some(Fix::Conflict(_)));
        let wanted = |agent: &Agent| match conflict {
            true if agent.spec.roles.iter().any(|role| role.eq_ignore_ascii_case("resolver")) => 2,
            true if item.agent == Some(agent.id) => 1,
            false if item.limited.as_ref().is_some_and(|limited| limited.agent == agent.id) => 1,
            _ => 0,
        };
        let may = self.state.agents().filter(|agent| {
            let pinned = item.pin.as_ref().is_none_or(|pin| *pin == agent.spec.name);
            let can = item.labels.iter().all(|label| agent.spec.capabilities.contains(label));
            pinned && can && fits(agent) > 0 && self.may_work(agent)
        });
        may.min_by(|a, b| {
            wanted(b).cmp(&wanted(a)).then_with(|| self.compare(item.priority == Priority::Critical, &fits, a, b))
        })
    }

    fn reviewer_for(&self, item: &Item) -> Option<&'a Agent> {
        let fits = |agent: &Agent| fit(Kind::Review, Some("reviewer"), &agent.spec.roles);
        let may = self
            .state
            .agents()
            .filter(|agent| is_reviewer(&agent.spec.roles) && item.agent != Some(agent.id) && self.may_work(agent));
        may.min_by(|a, b| self.compare(item.priority == Priority::Critical, &fits, a, b))
    }

    /// The better one is less.
    fn compare(&self, critical: bool, fits: &dyn Fn(&Agent) -> i64, a: &Agent, b: &Agent) -> Ordering {
        let (load_a, load_b) = (self.load(a), self.load(b));
        let first = match critical {
            true => load_a.cmp(&load_b).then(fits(b).cmp(&fits(a))),
            false => (fits(b) - 30 * load_b).cmp(&(fits(a) - 30 * load_a)),
        };
        // The free share as a fraction: 1 − load/max, and 1 without a maximum.
        let share = |agent: &Agent, load: i64| match i64::from(agent.spec.max_load) {
            0 => (1, 1),
            max => (max - load, max),
        };
        let ((free_a, of_a), (free_b, of_b)) = (share(a, load_a), share(b, load_b));
        first.then((free_b * of_a).cmp(&(free_a * of_b))).then_with(|| a.spec.name.cmp(&b.spec.name))
    }

    fn load(&self, agent: &Agent) -> i64 {
        self.state.runs().iter().filter(|run| run.agent == agent.id).count() as i64
    }

    fn may_work(&self, agent: &Agent) -> bool {
        let has_room = agent.spec.max_load == 0 || self.load(agent) < i64::from(agent.spec.max_load);
        let stands =
            agent.removed || agent.paused || agent.draining || agent.error.is_some() || agent.limited_until.is_some();
        let is_heard = agent.spec.node.as_ref().is_none_or(|name| {
            let heard = self.state.nodes().find(|(node, _)| *node == &**name).and_then(|(_, row)| row);
            heard.is_some_and(|row| !row.silent)
        });
        let is_tried = agent.suspended.as_ref().is_some_and(|s| s.until.is_some() || s.canary.is_some());
        has_room && !stands && is_heard && !is_tried && self.ledger.allows(self.state, agent)
    }
}

fn takes_a_slot(item: &Item) -> bool {
    matches!(item.state, ItemState::Assigned | ItemState::Running | ItemState::Verifying)
}

/// By what their plans say, and by what their merges have shown.
fn meet(one: &Item, other: &Item) -> bool {
    let of = |item: &Item| item.touches.iter().chain(&item.clashes).cloned().collect::<Vec<Box<str>>>();
    overlap(&of(one), &of(other))
}
