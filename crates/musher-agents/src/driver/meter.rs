//! What a run has used and done so far, as a fold over what its agent said.

use std::collections::HashSet;

use musher_core::agent::Limits;
use musher_core::run::{LOOPS, Limit, Usage};

use crate::protocol::Observation;

/// Counts what is limited.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// All that was used.
    pub(super) used: Usage,
    /// Turns that used a tool: calls that are made side by side are of one turn.
    turns: u32,
    /// Calls that are under way.
    open: HashSet<String>,
    /// The last call, and how often in a row it was made.
    last: (String, String),
    repeats: u32,
}

impl Meter {
    /// Takes an observation into account.
    pub(super) fn count(&mut self, observation: &Observation) {
        match observation {
            Observation::Usage { used, .. } => self.used = self.used.plus(*used),
            Observation::ToolStarted { id, name, arguments } => {
                if self.open.is_empty() {
                    self.turns = self.turns.saturating_add(1);
                }
                self.open.insert(id.clone());
                if self.last.0 == *name && self.last.1 == *arguments {
                    self.repeats += 1;
                } else {
                    self.last = (name.clone(), arguments.clone());
                    self.repeats = 1;
                }
            }
            Observation::ToolFinished { id, .. } => {
                self.open.remove(id);
            }
            Observation::SessionStarted { .. }
            | Observation::Text(_)
            | Observation::Thought(_)
            | Observation::Plan(_)
            | Observation::PermissionAsked(_)
            | Observation::PermissionGone(_)
            | Observation::RateLimited { .. }
            | Observation::Retrying(_)
            | Observation::Warning(_) => {}
        }
    }

    /// The limit that is reached, with its words.
    pub(super) fn limit(&self, limits: &Limits) -> Option<(Limit, String)> {
        // A call without arguments says too little to be the same as another.
        if self.repeats >= LOOPS && !self.last.1.is_empty() {
            let text = format!("looping: it made the same call of `{}` {} times in a row", self.last.0, self.repeats);
            return Some((Limit::Looping, text));
        }
        (limits.turns > 0 && self.turns > limits.turns)
            .then(|| (Limit::Turns, format!("it used more than {} turns with a tool, its limit", limits.turns)))
    }
}

/// What lies between two sums. Sums only grow; should one not, nothing lies between them.
pub(super) fn difference(now: Usage, before: Usage) -> Usage {
    Usage {
        input_tokens: now.input_tokens.saturating_sub(before.input_tokens),
        output_tokens: now.output_tokens.saturating_sub(before.output_tokens),
        cost_micro_usd: now.cost_micro_usd.saturating_sub(before.cost_micro_usd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(meter: &mut Meter, id: &str, arguments: &str) {
        let (id, name, arguments) = (id.to_owned(), "shell".to_owned(), arguments.to_owned());
        meter.count(&Observation::ToolStarted { id, name, arguments });
    }

    fn done(meter: &mut Meter, id: &str) {
        meter.count(&Observation::ToolFinished { id: id.to_owned(), ok: true });
    }

    #[test]
    fn calls_side_by_side_are_one_turn_and_the_turn_beyond_the_limit_is_too_many() {
        let limits = Limits { turns: 2, ..Limits::default() };
        let mut meter = Meter::default();
        for turn in 0..2 {
            call(&mut meter, "a", &format!("{turn}"));
            call(&mut meter, "b", &format!("other {turn}"));
            done(&mut meter, "a");
            done(&mut meter, "b");
        }
        assert_eq!(meter.limit(&limits), None);
        call(&mut meter, "c", "3");
        assert_eq!(meter.limit(&limits).unwrap().0, Limit::Turns);
    }

    #[test]
    fn the_tenth_equal_call_in_a_row_is_a_loop_and_another_call_breaks_it() {
        let mut meter = Meter::default();
        for n in 1..=20 {
            call(&mut meter, &n.to_string(), if n == 10 { "other" } else { "same" });
            done(&mut meter, &n.to_string());
            assert_eq!(meter.limit(&Limits::default()).is_some(), n == 20, "{n}");
        }
    }
}
