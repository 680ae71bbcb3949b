//! How documents are made: pure functions from rows and state to the types of [`crate::api`].

pub mod agent;
pub mod event;
pub mod item;
pub mod mission;
pub mod node;
pub mod queue;
pub mod quota;
pub mod run;
pub mod schedule;
pub mod status;
pub mod watch;

use std::collections::HashMap;

use musher_core::id::{AgentId, ItemId};
use musher_core::item::Item;
use musher_core::state::State;
use musher_core::wait;

use crate::api;

/// What a row does not say itself: names of what it points to, and why it waits.
pub trait Lookup {
    /// The name of an agent, removed or not.
    fn agent(&self, id: AgentId) -> Option<String>;
    /// An item's id in its plan.
    fn key(&self, id: ItemId) -> Option<String>;
    /// Every reason why an item does not go on.
    fn waits(&self, id: ItemId) -> Vec<api::Wait>;
    /// The pull request of an item.
    fn pull(&self, id: ItemId) -> Option<api::PullRequest>;
}

impl Lookup for State {
    fn agent(&self, id: AgentId) -> Option<String> {
        State::agent(self, id).map(|a| a.spec.name.to_string())
    }

    fn key(&self, id: ItemId) -> Option<String> {
        self.item(id).map(|i| i.key.to_string())
    }

    fn waits(&self, id: ItemId) -> Vec<api::Wait> {
        waits(wait::of_item(self, id))
    }

    fn pull(&self, id: ItemId) -> Option<api::PullRequest> {
        State::pull(self, id).and_then(item::pull_request)
    }
}

/// The names of agents, to take out of the state.
pub type AgentNames = HashMap<AgentId, String>;

/// The names of all agents, removed ones too.
pub fn agent_names(state: &State) -> AgentNames {
    state.agents().map(|a| (a.id, a.spec.name.to_string())).collect()
}

/// The items of an archived mission: nothing of it waits any more.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    agents: AgentNames,
    keys: HashMap<ItemId, String>,
}

impl Archive {
    /// What the rows of one mission say about each other.
    pub fn of(agents: AgentNames, items: &[Item]) -> Self {
        Self { agents, keys: items.iter().map(|i| (i.id, i.key.to_string())).collect() }
    }
}

impl Lookup for Archive {
    fn agent(&self, id: AgentId) -> Option<String> {
        self.agents.get(&id).cloned()
    }

    fn key(&self, id: ItemId) -> Option<String> {
        self.keys.get(&id).cloned()
    }

    fn waits(&self, _: ItemId) -> Vec<api::Wait> {
        Vec::new()
    }

    fn pull(&self, _: ItemId) -> Option<api::PullRequest> {
        None
    }
}

/// Reasons, as documents have them.
pub fn waits(waits: Vec<wait::Wait>) -> Vec<api::Wait> {
    let wait =
        |w: wait::Wait| api::Wait { code: w.code.name().to_owned(), text: w.text, brief: w.brief, until: w.until };
    waits.into_iter().map(wait).collect()
}

/// A reason in a few words.
pub fn brief(wait: wait::Wait) -> api::Brief {
    api::Brief { code: wait.code.name().to_owned(), brief: wait.brief, until: wait.until }
}

/// The word of a type whose word is what it is in JSON.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        // An enum whose variant carries something: its name is the key.
        Ok(serde_json::Value::Object(map)) => map.into_iter().next().map(|(key, _)| key).unwrap_or_default(),
        _ => String::new(),
    }
}
