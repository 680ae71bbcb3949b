//! What is said of agents: in a few words, why none of them takes an item, and why one of them takes nothing.

use super::{Wait, WaitCode, many, wait};
use crate::agent::Agent;
use crate::dispatch::{self, Condition, Removed};
use crate::host;
use crate::state::{Standing, State};

/// How many sorts of ready items are looked at for one that an idle agent could take.
const SORTS_LOOKED_AT: usize = 16;

/// Why an item finds no agent, in a few words: what is said is the condition that would free it soonest.
pub(super) fn brief(code: WaitCode, removed: &Removed) -> String {
    let counted = |conditions: &[Condition]| {
        let found = conditions.iter().find_map(|condition| Some((condition, removed.by.get(condition)?)));
        found.map(|(condition, n)| format!("{} {}", many(*n, "agent"), condition.text()))
    };
    let words = match code {
        WaitCode::AgentsBusy => counted(&[Condition::Busy]),
        WaitCode::RateLimited => counted(&[Condition::RateLimited]),
        WaitCode::Quota => removed.denied.keys().next().map(|denied| format!("quota: {denied}")),
        WaitCode::AgentPaused => counted(&[Condition::Paused, Condition::Draining]),
        WaitCode::AgentOffline => counted(&[Condition::Error, Condition::Offline, Condition::Suspended]),
        WaitCode::NoAgent
        | WaitCode::Dependency
        | WaitCode::NotBefore
        | WaitCode::ParallelLimit
        | WaitCode::TouchesOverlap
        | WaitCode::Review
        | WaitCode::Approval
        | WaitCode::Watch
        | WaitCode::MergeQueue
        | WaitCode::BaseDirty
        | WaitCode::Held
        | WaitCode::Paused
        | WaitCode::Blocked
        | WaitCode::Disk
        | WaitCode::Lease => None,
    };
    let none = if removed.of == 0 { "no agent is configured" } else { "no agent that fits" };
    words.unwrap_or_else(|| none.to_owned())
}

/// Why an agent that was not removed takes nothing, or nothing more; none when it may take something now.
pub fn of_agent(state: &State, agent: &Agent) -> Option<Wait> {
    let name = &agent.spec.name;
    let resume = format!("`musher agent resume {name}` lets it take work again");
    match Standing::of(state, agent) {
        Standing::Out(condition) => match condition {
            Condition::Error => {
                let why = agent.error.as_deref().unwrap_or("its driver cannot start");
                Some(wait(WaitCode::AgentOffline, why, format!("{why}; mend that, then `musher agent resume {name}`")))
            }
            Condition::Offline => {
                let why = host::why_offline(state, agent).unwrap_or_else(|| "nothing is heard of it".to_owned());
                Some(wait(WaitCode::AgentOffline, "offline", why))
            }
            Condition::Suspended => {
                let suspended = agent.suspended.as_deref();
                let why = suspended.map(|suspended| format!(": {}", suspended.why)).unwrap_or_default();
                let text = format!("its driver {} is paused{why}; {resume}", agent.spec.setup_name());
                let until = suspended.and_then(|suspended| suspended.until);
                Some(Wait { until, ..wait(WaitCode::AgentOffline, "its driver is paused", text) })
            }
            Condition::Paused => Some(wait(WaitCode::AgentPaused, "paused", format!("a person paused it; {resume}"))),
            Condition::Draining => {
                let text = format!("it finishes what it has and takes nothing new; {resume}");
                Some(wait(WaitCode::AgentPaused, "draining", text))
            }
            Condition::RateLimited => {
                let text = "its account is rate limited; it goes on when that is free again";
                Some(Wait { until: agent.limited_until, ..wait(WaitCode::RateLimited, "its account rests", text) })
            }
            Condition::Busy => {
                let (load, max) = (state.load(agent.id), agent.spec.max_load);
                let text = format!("it has {load} of {max}; a higher `max_load` gives it more");
                Some(wait(WaitCode::AgentsBusy, format!("{load} of {max} at work"), text))
            }
            // These are about an item, and not about the agent alone.
            Condition::Pin | Condition::Capability | Condition::Role | Condition::Author | Condition::Quota => None,
        },
        Standing::Refused(denied, until) => {
            let text = format!("{denied}; `musher quota` shows what is used, and `musher quota set` allows more");
            Some(Wait { until, ..wait(WaitCode::Quota, format!("quota: {denied}"), text) })
        }
        Standing::Free(place) if place.load == 0 => idle(state, agent),
        Standing::Free(_) => None,
    }
}

/// Why a free agent takes nothing: there is nothing, or nothing for it.
fn idle(state: &State, agent: &Agent) -> Option<Wait> {
    let mut sorts = state.ready().order().take(SORTS_LOOKED_AT).map(|(_, class)| class).peekable();
    if sorts.peek().is_none() {
        let text = "no item of a mission that goes on is ready";
        return Some(wait(WaitCode::Dependency, "nothing is ready", text));
    }
    if sorts.any(|class| dispatch::could_take(state, class, agent)) {
        return None;
    }
    let text = "what is ready asks for other roles or capabilities; `musher agent list` shows its own";
    Some(wait(WaitCode::NoAgent, "nothing that is ready fits it", text))
}
