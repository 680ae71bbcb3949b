//! Events as documents.

use musher_core::event::Logged;

use crate::api;

/// An event.
pub fn event(logged: Logged) -> api::Event {
    let event = logged.event;
    let mut happened = serde_json::to_value(&event.happened).unwrap_or_default();
    api::Event {
        seq: logged.seq.0,
        at: event.at,
        kind: event.happened.name().to_owned(),
        mission: event.mission,
        item: event.item,
        agent: event.agent,
        run: event.run,
        from_state: event.moved.as_ref().map(|moved| moved.from.to_string()),
        to_state: event.moved.map(|moved| moved.to.to_string()),
        chain: event.chain.iter().map(ToString::to_string).collect(),
        actor: event.actor.into(),
        body: happened.get_mut("body").map(serde_json::Value::take).unwrap_or_default(),
    }
}
