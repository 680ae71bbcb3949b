//! What a trigger would have done: its rules over events of the log, changing nothing.

use super::fire::{count, is_over, rests, stopped};
use super::matches::{Subject, matches};
use super::{Over, Trigger};
use crate::event::Event;
use crate::id::TriggerId;
use crate::item::Item;

/// A trigger as if it had been armed before the first event that it is shown.
#[derive(Debug)]
pub struct Rehearsal(Trigger);

/// What it would have done on an event that its conditions hold for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Would {
    /// It would have fired.
    Fire,
    /// It would have left the event out, for this reason.
    Not(String),
}

impl Rehearsal {
    /// Of a trigger, whether it is on or not. The moment of an event counts as the present.
    pub fn of(row: &Trigger) -> Self {
        Self(Trigger { fires: 0, fired_at: None, over: None, ..row.clone() })
    }

    /// Whose rehearsal it is.
    pub fn trigger(&self) -> TriggerId {
        self.0.id
    }

    /// What it would have done on this event; nothing when it is not for it.
    pub fn see(&mut self, event: &Event, item: Option<&Item>, agent: Option<&str>) -> Option<Would> {
        let row = &mut self.0;
        if !matches(&row.spec.on, &Subject::new(event, item, agent)) {
            return None;
        }
        Some(if row.over == Some(Over::UsedUp) {
            Would::Not("it is used up".to_owned())
        } else if is_over(row, event.at) {
            Would::Not("it has expired".to_owned())
        } else if rests(row, event.at) {
            Would::Not("it has just fired: its cooldown is not over".to_owned())
        } else if let Some(why) = stopped(row, &event.chain) {
            Would::Not(why)
        } else {
            count(row, event.at);
            Would::Fire
        })
    }
}
