//! The choice: the best agent for what an item asks, or why there is none. It looks at the trades of agents, and at few
//! agents of each.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Role, fit};
use crate::agent::Agent;
use crate::id::AgentId;
use crate::item::{Item, Kind, Priority};
use crate::quota::{self, Denied};
use crate::state::{Class, Place, Squad, Standing, State, Trade};
use crate::time::Timestamp;

/// The role that resolves conflicts before an item's own agent does.
const RESOLVER: &str = "resolver";

/// How many agents each condition removed from a choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many there were.
    pub of: u32,
    /// The conditions, each with how many it removed first.
    pub by: BTreeMap<Condition, u32>,
    /// The quotas that refused, each with when it does no more, if it does by itself.
    pub denied: BTreeMap<Denied, Option<Timestamp>>,
}

/// What makes an agent unfit for an item now, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// The item names another agent.
    Pin,
    /// It lacks a capability.
    Capability,
    /// Its roles do not fit.
    Role,
    /// It wrote what it would review.
    Author,
    /// Its driver cannot start.
    Error,
    /// Nothing is heard of its node, or of the hosts of its runs.
    Offline,
    /// Its driver is paused, or tried by another run.
    Suspended,
    /// A person paused it.
    Paused,
    /// It finishes what it has.
    Draining,
    /// Its account is used up for now.
    RateLimited,
    /// It has as much as it may have.
    Busy,
    /// A quota refuses it.
    Quota,
}

impl Condition {
    /// The condition in words, after a number of agents.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Pin => "not the agent it names",
            Self::Capability => "without a capability it needs",
            Self::Role => "of a role that does not fit",
            Self::Author => "its author",
            Self::Error => "unable to start",
            Self::Offline => "offline",
            Self::Suspended => "of a driver that is paused",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::RateLimited => "rate limited",
            Self::Busy => "busy",
            Self::Quota => "out of quota",
        }
    }
}

impl Removed {
    fn count(&mut self, condition: Condition, agents: u32) {
        if agents > 0 {
            *self.by.entry(condition).or_default() += agents;
        }
    }

    fn refuse(&mut self, denied: Denied, until: Option<Timestamp>, agents: u32) {
        if agents > 0 {
            self.count(Condition::Quota, agents);
            let soonest = self.denied.entry(denied).or_insert(until);
            *soonest = [*soonest, until].into_iter().flatten().min();
        }
    }

    /// Counts the agents of a trade, each under the first condition that keeps it from the wish.
    fn look(&mut self, state: &State, wish: &Wish, trade: &Trade, squad: &Squad) {
        if let Some(condition) = wish.unfit(&trade.capabilities, &trade.roles) {
            self.count(condition, squad.len());
            return;
        }
        let author = wish.author.and_then(|id| state.roster().find(id)).filter(|(its, _)| *its == trade);
        let but_author = |standing: &Standing| u32::from(author.is_some_and(|(_, its)| its == standing));
        self.count(Condition::Author, u32::from(author.is_some()));
        for (condition, agents) in &squad.out {
            self.count(*condition, agents - but_author(&Standing::Out(*condition)));
        }
        for ((denied, until), agents) in &squad.refused {
            let but = but_author(&Standing::Refused(denied.clone(), *until));
            self.refuse(denied.clone(), *until, agents - but);
        }
        let free = u32::try_from(squad.free.len()).unwrap_or(u32::MAX);
        let free = free - u32::from(author.is_some_and(|(_, its)| matches!(its, Standing::Free(_))));
        let member = squad.free.first().and_then(|place| state.agent(place.agent));
        if let (Err(denied), Some(member)) = (quota::of_all(state, &trade.model, state.looked_at()), member) {
            let until = denied.until(state, member);
            self.refuse(denied, until, free);
        }
    }

    /// The choice in words: "3 agents: 2 busy, 1 paused".
    pub fn text(&self) -> String {
        if self.of == 0 {
            return "no agent is configured".to_owned();
        }
        let part = |(condition, n): (&Condition, &u32)| match condition {
            Condition::Quota => {
                let reasons: Vec<String> = self.denied.keys().map(ToString::to_string).collect();
                format!("{n} {} ({})", condition.text(), reasons.join("; "))
            }
            Condition::Pin
            | Condition::Capability
            | Condition::Role
            | Condition::Author
            | Condition::Error
            | Condition::Offline
            | Condition::Suspended
            | Condition::Paused
            | Condition::Draining
            | Condition::RateLimited
            | Condition::Busy => format!("{n} {}", condition.text()),
        };
        let parts: Vec<String> = self.by.iter().map(part).collect();
        format!("{} agent(s): {}", self.of, parts.join(", "))
    }
}

/// What is asked of an agent.
pub(super) struct Wish {
    class: Class,
    /// A verdict on an item is a reviewer's, though the tables let others review when no reviewer is free.
    verdict: bool,
    /// Who wrote what is to be judged.
    author: Option<AgentId>,
}

impl Wish {
    /// Work on items of a class.
    pub(super) fn work(class: Class) -> Self {
        Self { class, verdict: false, author: None }
    }

    /// The review of an item.
    pub(super) fn review(item: &Item) -> Self {
        Self { author: item.agent, ..Self::any_review(item.priority) }
    }

    /// A review, whoever the author is.
    pub(super) fn any_review(priority: Priority) -> Self {
        let class = Class {
            kind: Kind::Review,
            role: Some(Role::Reviewer.name().into()),
            labels: Box::default(),
            pin: None,
            critical: priority == Priority::Critical,
            conflict_of: None,
            resumes: None,
        };
        Self { class, verdict: true, author: None }
    }

    /// Why no agent of these capabilities and roles ever takes it, if so.
    fn unfit(&self, capabilities: &[Box<str>], roles: &[Box<str>]) -> Option<Condition> {
        if !self.class.labels.iter().all(|label| capabilities.contains(label)) {
            return Some(Condition::Capability);
        }
        let fits = self.fit(roles) > 0 && (!self.verdict || are_reviewers(roles));
        (!fits).then_some(Condition::Role)
    }

    fn fit(&self, roles: &[Box<str>]) -> u32 {
        fit(self.class.kind, self.class.role.as_deref(), roles)
    }

    /// How well a free agent suits, the greatest is chosen: whether it is the one to resolve a conflict,
    /// or has the session that is gone on in; how well it
    /// fits less its load; its fit alone; its free share; its name, the first of them.
    fn score<'a>(&self, trade: &Trade, place: &'a Place) -> (u8, i64, i64, u64, Reverse<&'a str>) {
        let wanted = match self.class.conflict_of {
            Some(_) if trade.roles.iter().any(|role| role.eq_ignore_ascii_case(RESOLVER)) => 2,
            Some(author) if author == place.agent => 1,
            Some(_) | None => u8::from(self.class.resumes == Some(place.agent)),
        };
        let (load, fit) = (i64::from(place.load), i64::from(self.fit(&trade.roles)));
        let (Reverse(share), name) = (place.share, Reverse(&*place.name));
        if self.class.critical { (wanted, -load, fit, share, name) } else { (wanted, fit - 30 * load, 0, share, name) }
    }
}

/// Whether agents of these roles are reviewers.
pub(super) fn are_reviewers(roles: &[Box<str>]) -> bool {
    roles.iter().any(|role| Role::named(role) == Some(Role::Reviewer))
}

/// Why this agent may not take an item of this class now, if so; quotas apart.
pub(super) fn unfit(state: &State, class: &Class, agent: &Agent) -> Option<Condition> {
    if class.pin.as_deref().is_some_and(|pin| pin != &*agent.spec.name) {
        return Some(Condition::Pin);
    }
    let wish = Wish::work(class.clone());
    wish.unfit(&agent.spec.capabilities, &agent.spec.roles).or_else(|| match Standing::of(state, agent) {
        Standing::Out(condition) => Some(condition),
        Standing::Free(_) | Standing::Refused(..) => None,
    })
}

/// Whether an agent could ever take an item by what it is, whatever keeps it from work now.
pub(super) fn suits(class: &Class, agent: &Agent) -> bool {
    let named = class.pin.as_deref().is_none_or(|pin| pin == &*agent.spec.name);
    named && !agent.removed && Wish::work(class.clone()).unfit(&agent.spec.capabilities, &agent.spec.roles).is_none()
}

/// The best agent for a wish, or how many each condition removed.
pub(super) fn choose(state: &State, wish: &Wish) -> Result<AgentId, Removed> {
    best(state, wish).ok_or_else(|| removed(state, wish))
}

/// The best agent for a wish, if one may take it. Of each trade the first agent is the best, whatever the wish: only
/// whom it names is looked at besides.
pub(super) fn best(state: &State, wish: &Wish) -> Option<AgentId> {
    let roster = state.roster();
    let allows = |trade: &Trade| quota::of_all(state, &trade.model, state.looked_at()).is_ok();
    let suits = |trade: &Trade| wish.unfit(&trade.capabilities, &trade.roles).is_none() && allows(trade);
    let free = |agent: AgentId| match roster.find(agent)? {
        (trade, Standing::Free(place)) if wish.author != Some(agent) && suits(trade) => Some((trade, place)),
        (_, Standing::Free(_) | Standing::Out(_) | Standing::Refused(..)) => None,
    };
    if let Some(pin) = &wish.class.pin {
        return free(state.agent_named(pin)?.id).map(|(_, place)| place.agent);
    }
    let firsts = roster.squads().filter(|(trade, _)| suits(trade)).filter_map(|(trade, squad)| {
        let first = squad.free.iter().find(|place| Some(place.agent) != wish.author);
        first.map(|place| (trade, place))
    });
    let named = [wish.class.conflict_of, wish.class.resumes].into_iter().flatten().filter_map(free);
    firsts.chain(named).max_by_key(|(trade, place)| wish.score(trade, place)).map(|(_, place)| place.agent)
}

/// How many agents each condition keeps from a wish.
fn removed(state: &State, wish: &Wish) -> Removed {
    let roster = state.roster();
    let mut removed = Removed { of: roster.len(), ..Removed::default() };
    let pinned = match &wish.class.pin {
        None => None,
        Some(pin) => {
            let named = state.agent_named(pin).and_then(|agent| roster.find(agent.id));
            removed.count(Condition::Pin, removed.of - u32::from(named.is_some()));
            let Some((trade, standing)) = named else { return removed };
            let mut alone = Squad::default();
            alone.add(standing.clone());
            Some((trade, alone))
        }
    };
    match &pinned {
        Some((trade, alone)) => removed.look(state, wish, trade, alone),
        None => roster.squads().for_each(|(trade, squad)| removed.look(state, wish, trade, squad)),
    }
    removed
}
