//! What is said of an item that waits for an account, though agents of others may be free.

use super::{Wait, WaitCode};
use crate::item::{Item, Limited};
use crate::state::State;
use crate::time::Timestamp;

/// Whose account is waited for, and until when.
pub(crate) fn resting<'a>(state: &'a State, limited: &Limited) -> (&'a str, Option<Timestamp>) {
    let agent = state.agent(limited.agent);
    (agent.map(|agent| &*agent.spec.name).unwrap_or_default(), agent.and_then(|agent| agent.limited_until))
}

/// A ready item waits for the account of its own agent.
pub(super) fn of_work(state: &State, item: &Item, limited: &Limited) -> Wait {
    let id = item.id.short();
    told(state, limited, |name, rests| {
        format!(
            "the account of {name} rests{rests}, and it goes on in its session then; `musher item failover {id}` gives it \
             to another account now"
        )
    })
}

/// An item that is to be reviewed waits for the account of its reviewer.
pub(super) fn of_review(state: &State, item: &Item, limited: &Limited) -> Wait {
    let id = item.id.short();
    told(state, limited, |name, rests| {
        format!(
            "the account of {name}, its reviewer, rests{rests}, and it is reviewed anew then; `musher item failover {id}` \
             lets another account review it now, and a person may decide first: `musher approve {id}` or \
             `musher reject {id} \"WHY\"`"
        )
    })
}

fn told(state: &State, limited: &Limited, text: impl FnOnce(&str, &str) -> String) -> Wait {
    let (name, until) = resting(state, limited);
    let rests = until.map(|until| format!(" until {until}")).unwrap_or_default();
    Wait { code: WaitCode::RateLimited, text: text(name, &rests), brief: format!("the account of {name} rests"), until }
}
