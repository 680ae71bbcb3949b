//! Actions of schedules and triggers as documents.

use musher_core::action::{Action, PlanFrom};

/// An action in the keys that say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionWish {
    /// A mission of one item with this prompt.
    pub prompt: Option<String>,
    /// The only agent that may take it.
    pub agent: Option<String>,
    /// A mission of this plan.
    pub plan: Option<String>,
    /// A mission of this file.
    pub plan_file: Option<String>,
    /// A note on `mission`.
    pub note: Option<String>,
    /// The mission of `note`.
    pub mission: Option<String>,
}

/// An action as it is asked for.
pub fn wish(action: &Action) -> ActionWish {
    let text = |text: &str| Some(text.to_owned());
    match action {
        Action::Mission(PlanFrom::Text(plan)) => ActionWish { plan: text(plan), ..ActionWish::default() },
        Action::Mission(PlanFrom::File(path)) => ActionWish { plan_file: text(path), ..ActionWish::default() },
        Action::Prompt { text: prompt, agent } => {
            let agent = agent.as_deref().map(str::to_owned);
            ActionWish { prompt: text(prompt), agent, ..ActionWish::default() }
        }
        Action::Note { mission, text: note } => {
            ActionWish { note: text(note), mission: text(mission), ..ActionWish::default() }
        }
    }
}
