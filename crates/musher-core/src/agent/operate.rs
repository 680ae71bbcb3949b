//! What config and operators do to agents.

use super::{Agent, AgentSpec, Source};
use crate::approval::Approvals;
use crate::change::Change;
use crate::command::{Answer, Refused};
use crate::config::drivers::{self, Speech};
use crate::config::{PLACEHOLDERS, expand};
use crate::effect::Stop;
use crate::event::{Event, Happened};
use crate::id::AgentId;
use crate::item::{self, Worktree};
use crate::nearest::nearest;
use crate::node;
use crate::quota::{self, Scope};
use crate::run::Run;
use crate::state::State;
use crate::step::Context;

fn find(state: &State, id: AgentId) -> Result<&Agent, Refused> {
    state.agent(id).filter(|a| !a.removed).ok_or_else(|| Refused::NotFound { noun: "agent", name: id.short() })
}

/// A new agent. One that was removed and is still at work is the same again: its runs count as its own, or it would take
/// more than it may. An account that rests for others rests for a new agent, too.
fn defined(state: &State, spec: &AgentSpec, source: Source, cx: &mut Context) -> Agent {
    let at_work = |agent: &&Agent| agent.removed && agent.spec.name == spec.name && state.load(agent.id) > 0;
    let before = state.agents().filter(at_work).last();
    let rests = state.agents().filter(|agent| agent.spec.shares_account(spec)).filter_map(|agent| agent.limited_until);
    Agent {
        id: before.map_or_else(|| AgentId::new(cx.now, cx.entropy), |agent| agent.id),
        spec: spec.clone(),
        source,
        paused: false,
        draining: false,
        removed: false,
        error: None,
        limited_until: rests.filter(|until| *until > cx.now).max(),
        limited_times: 0,
        suspended: None,
        setup_failures: Vec::new(),
        created_at: cx.now,
        updated_at: cx.now,
    }
}

/// What is said of a definition: that it is there, and whether its node keeps it from work now that did not, or the
/// other way round.
fn of_definition(state: &State, known: Option<&Agent>, row: &Agent, cx: &Context) -> Vec<Event> {
    let mut events = vec![cx.about_agent(row.id, Happened::AgentDefined { name: row.spec.name.clone() })];
    let was_offline = known.is_some_and(|known| state.is_offline(known));
    if was_offline != state.is_offline(row) && !row.is_held() {
        events.push(cx.about_agent(row.id, node::now_takes_work(state, row)));
    }
    events
}

/// Makes the config's agents those of the config: new ones are added, changed ones changed, missing ones removed.
pub fn sync(state: &State, specs: &[AgentSpec], cx: &mut Context) -> Change {
    let mut change = Change::default();
    for spec in specs {
        match state.agent_named(&spec.name) {
            Some(known) if known.spec == *spec && known.source == Source::Config => {}
            Some(known) => {
                let row = Agent {
                    spec: spec.clone(),
                    source: Source::Config,
                    // What was wrong with another definition need not be wrong with this one.
                    error: known.error.clone().filter(|_| known.spec == *spec),
                    updated_at: cx.now,
                    ..known.clone()
                };
                change.events.extend(of_definition(state, Some(known), &row, cx));
                change.agents.push(row);
            }
            None => {
                let row = defined(state, spec, Source::Config, cx);
                change.events.extend(of_definition(state, None, &row, cx));
                change.agents.push(row);
            }
        }
    }
    let known = specs.iter().filter_map(|spec| Some((spec, state.agent_named(&spec.name)?)));
    let rules = known.map(|(spec, known)| (Scope::Agent(spec.name.clone()), &known.spec.quota, &spec.quota));
    quota::reconfigured(state, rules, &mut change, cx);
    for gone in state
        .agents()
        .filter(|a| !a.removed && a.source == Source::Config && !specs.iter().any(|s| s.name == a.spec.name))
    {
        let why = "its entry in the config is gone".into();
        change.events.push(cx.about_agent(gone.id, Happened::AgentOffline { name: gone.spec.name.clone(), why }));
        change.agents.push(Agent { removed: true, updated_at: cx.now, ..gone.clone() });
    }
    change
}

/// Refuses a definition that no driver could work with. The configuration's own are checked where they are read.
fn check(spec: &AgentSpec) -> Result<(), Refused> {
    let Some(driver) = drivers::named(&spec.driver) else {
        let near = nearest(&spec.driver, drivers::DRIVERS.iter().map(|known| known.name));
        let all = || drivers::DRIVERS.iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
        return Err(Refused::Invalid {
            what: format!("unknown driver `{}`", spec.driver),
            fix: near.map_or_else(|| format!("one of {}", all()), |near| format!("did you mean `{near}`?")),
        });
    };
    if spec.command.is_empty() && driver.command.is_empty() {
        return Err(Refused::Invalid {
            what: format!("an agent of the driver `{}` needs a command", driver.name),
            fix: "name the program and its arguments".to_owned(),
        });
    }
    let known = |name: &str| PLACEHOLDERS.contains(&name).then(String::new);
    if let Some(error) = spec.command.iter().find_map(|argument| expand(argument, known).err()) {
        return Err(Refused::Invalid { what: error.to_string(), fix: error.fix() });
    }
    let blank = |word: &str| word.trim().is_empty() || word.chars().any(char::is_control);
    if let Some(word) = spec.roles.iter().chain(&spec.capabilities).find(|word| blank(word)) {
        return Err(Refused::Invalid {
            what: format!("{word:?} is no role or capability"),
            fix: "write a word, or leave it out".to_owned(),
        });
    }
    if spec.max_load > MOST_LOAD {
        return Err(Refused::Invalid {
            what: format!("a `max_load` of {}; {MOST_LOAD} is the most, and 0 is unlimited", spec.max_load),
            fix: "write fewer".to_owned(),
        });
    }
    if let Some(name) = spec.node.as_deref().filter(|name| !node::is_name(name)) {
        return Err(Refused::Invalid {
            what: format!("`{name}` is no name of a node"),
            fix: format!("1 to {} letters, digits, `-`, `_` and `.`", node::LONGEST_NAME),
        });
    }
    if driver.speech != Speech::TwoWay && spec.approvals != Approvals::Allow {
        return Err(Refused::Invalid {
            what: format!("an agent of the driver `{}` is not asked, so its approvals would not hold", driver.name),
            fix: "take `claude`, `codex` or `acp`, or approvals `allow`".to_owned(),
        });
    }
    Ok(())
}

/// The most items at once that a definition may name, as in the configuration.
const MOST_LOAD: u32 = 100_000;

/// Adds an agent.
pub fn add(state: &State, spec: &AgentSpec, cx: &mut Context) -> Result<Change, Refused> {
    if state.agent_named(&spec.name).is_some() {
        return Err(Refused::Invalid {
            what: format!("there is an agent `{}` already", spec.name),
            fix: format!("choose another name, or `musher agent remove {}` first", spec.name),
        });
    }
    check(spec)?;
    let row = defined(state, spec, Source::Operator, cx);
    let events = of_definition(state, None, &row, cx);
    Ok(Change { answer: Answer::Agent(row.id), agents: vec![row], events, ..Change::default() })
}

fn offline(row: Agent, why: &str, cx: &Context) -> Change {
    let happened = Happened::AgentOffline { name: row.spec.name.clone(), why: why.into() };
    let events = vec![cx.about_agent(row.id, happened)];
    Change { agents: vec![row], events, ..Change::default() }
}

/// The agent takes nothing new until resumed.
pub fn pause(state: &State, id: AgentId, cx: &mut Context) -> Result<Change, Refused> {
    let agent = find(state, id)?;
    if agent.paused {
        return Ok(Change::default());
    }
    Ok(offline(Agent { paused: true, updated_at: cx.now, ..agent.clone() }, "paused", cx))
}

/// The agent takes work again; what was wrong with its program is forgotten, and found again if it still is.
pub fn resume(state: &State, id: AgentId, cx: &mut Context) -> Result<Change, Refused> {
    let agent = find(state, id)?;
    let held = agent.paused || agent.draining || agent.error.is_some() || agent.suspended.is_some();
    if !held && agent.limited_until.is_none() {
        return Ok(Change::default());
    }
    let row = Agent {
        paused: false,
        draining: false,
        error: None,
        limited_until: None,
        suspended: None,
        updated_at: cx.now,
        ..agent.clone()
    };
    let events = vec![cx.about_agent(id, node::now_takes_work(state, &row))];
    Ok(Change { agents: vec![row], events, ..Change::default() })
}

/// The agent's runs are interrupted, and it takes work again, whatever kept it from that. Their items go on where they
/// were, and nothing is counted.
pub fn restart(state: &State, id: AgentId, cx: &mut Context) -> Result<Change, Refused> {
    let mut change = resume(state, id, cx)?;
    let runs: Vec<&Run> = state.runs().into_iter().filter(|run| run.agent == id).collect();
    for run in &runs {
        // One whose worktree is still being made has no process yet: it begins with what is set up by then.
        if let Some(item) = state.item(run.item).filter(|item| item.worktree == Worktree::Ready) {
            change.extend(item::stop_effect(state, item, run.id, Stop::Interrupt, cx));
        }
    }
    let runs = u32::try_from(runs.len()).unwrap_or(u32::MAX);
    change.events.push(cx.about_agent(id, Happened::AgentRestarted { runs }));
    Ok(change)
}

/// The agent finishes what it has.
pub fn drain(state: &State, id: AgentId, cx: &mut Context) -> Result<Change, Refused> {
    let agent = find(state, id)?;
    if agent.draining {
        return Ok(Change::default());
    }
    Ok(offline(Agent { draining: true, updated_at: cx.now, ..agent.clone() }, "draining", cx))
}

/// The agent takes nothing any more. Its live runs go on to their end.
pub fn remove(state: &State, id: AgentId, cx: &mut Context) -> Result<Change, Refused> {
    let agent = find(state, id)?;
    if agent.source == Source::Config {
        return Err(Refused::Invalid {
            what: format!("agent `{}` comes from the config", agent.spec.name),
            fix: "take its entry out of `musher.toml`, or `musher agent pause` it".to_owned(),
        });
    }
    Ok(offline(Agent { removed: true, updated_at: cx.now, ..agent.clone() }, "removed", cx))
}

/// What a look at the agent's program found.
pub fn setup_checked(state: &State, id: AgentId, problem: Option<&str>, cx: &mut Context) -> Result<Change, Refused> {
    let agent = find(state, id)?;
    if agent.error.as_deref() == problem {
        return Ok(Change::default());
    }
    let row = Agent { error: problem.map(Into::into), updated_at: cx.now, ..agent.clone() };
    match problem {
        Some(why) => Ok(offline(row, why, cx)),
        None => {
            let events = vec![cx.about_agent(id, node::now_takes_work(state, &row))];
            Ok(Change { agents: vec![row], events, ..Change::default() })
        }
    }
}
