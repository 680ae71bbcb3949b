//! An account that is used up for now: its agents take no work until it is not.

use std::time::Duration;

use super::Agent;
use crate::change::Change;
use crate::command::Refused;
use crate::event::Happened;
use crate::id::AgentId;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

/// How many minutes an account rests when nothing says how long, by how often in a row that was so. The last repeats.
const RESTS: [u64; 5] = [1, 2, 5, 15, 30];

/// The shortest rest, however soon the reset is told to be.
const SHORTEST: Duration = Duration::from_secs(10);
/// The longest rest that is believed: limits of a week exist, longer ones do not.
const LONGEST: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// The account of an agent is used up: every agent of that account rests until `resets_at`, or by the table. The later
/// of two moments counts.
pub fn rate_limited(state: &State, id: AgentId, resets_at: Option<Timestamp>, cx: &Context) -> Change {
    let Some(limited) = state.agent(id) else { return Change::default() };
    let rest = RESTS[(limited.limited_times as usize).min(RESTS.len() - 1)];
    // A moment that has passed says nothing, and one in the far future is a mistake of whoever told it.
    let told = resets_at.filter(|at| *at > cx.now && *at <= cx.now.after(LONGEST));
    let told = told.map(|at| at.max(cx.now.after(SHORTEST)));
    let until = told.unwrap_or_else(|| cx.now.after(Duration::from_secs(60 * rest)));
    let until = limited.limited_until.map_or(until, |known| known.max(until));
    let mut change = Change::default();
    for agent in state.agents().filter(|agent| !agent.removed && agent.spec.shares_account(&limited.spec)) {
        let row = Agent {
            limited_until: Some(agent.limited_until.map_or(until, |known| known.max(until))),
            limited_times: if told.is_some() { 0 } else { agent.limited_times.saturating_add(1) },
            updated_at: cx.now,
            ..agent.clone()
        };
        change.events.push(cx.about_agent(agent.id, Happened::AgentRateLimited { until }));
        change.agents.push(row);
    }
    change
}

/// The account of an agent may be used again. Whether a person paused it meanwhile is another matter.
pub fn lift(state: &State, id: AgentId, cx: &Context) -> Result<Change, Refused> {
    let agent = state.agent(id).ok_or_else(|| Refused::NotFound { noun: "agent", name: id.short() })?;
    if agent.limited_until.is_none_or(|until| until > cx.now) {
        return Err(Refused::Stale { what: "its account is not free yet" });
    }
    let row = Agent { limited_until: None, updated_at: cx.now, ..agent.clone() };
    let events = vec![cx.about_agent(id, Happened::AgentRateLimitLifted {})];
    Ok(Change { agents: vec![row], events, ..Change::default() })
}
