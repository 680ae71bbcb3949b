//! What a run has used and done so far, as a fold over what its agent said.

use std::collections::HashSet;

use musher_core::agent::Limits;
use musher_core::price::{Estimated, Price};
use musher_core::run::{LOOPS, Limit, Usage};

use crate::protocol::Observation;

/// Counts what is limited.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// What tokens cost whose cost the agent does not tell.
    price: Option<(Price, Estimated)>,
    /// What was used at a cost that the agent told.
    priced: Usage,
    /// What was used besides.
    unpriced: Usage,
    /// Turns that used a tool: calls that are made side by side are of one turn.
    turns: u32,
    /// Calls that are under way.
    open: HashSet<String>,
    /// The last call, and how often in a row it was made.
    last: (String, String),
    repeats: u32,
}

impl Meter {
    /// Nothing was counted yet.
    pub(super) fn new(price: Option<(Price, Estimated)>) -> Self {
        Self { price, ..Self::default() }
    }

    /// All that was used. What the agent did not price is priced as a sum: pieces would each be rounded.
    pub(super) fn used(&self) -> Usage {
        self.priced.plus(self.unpriced).plus(self.estimate())
    }

    /// The cost of what the agent did not price. What it does not say of caches counts as input: where those are cheaper,
    /// this is the most that it can have cost.
    fn estimate(&self) -> Usage {
        let Some((price, Estimated(estimated))) = self.price else { return Usage::default() };
        let cost_micro_usd = price.cost_micro_usd(self.unpriced.priced_as());
        Usage { cost_micro_usd, estimated_micro_usd: if estimated { cost_micro_usd } else { 0 }, ..Usage::default() }
    }

    /// Takes an observation into account.
    pub(super) fn count(&mut self, observation: &Observation) {
        match observation {
            // A cost that is there was told, whatever else is said of it.
            Observation::Usage { used, priced } if *priced || used.cost_micro_usd > 0 => {
                self.priced = self.priced.plus(*used);
            }
            Observation::Usage { used, .. } => self.unpriced = self.unpriced.plus(*used),
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

/// What lies between two sums.
pub(super) const fn difference(now: Usage, before: Usage) -> Usage {
    now.since(before)
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

    fn use_up(meter: &mut Meter, input_tokens: u64, output_tokens: u64, cost: Option<u64>) {
        let used = Usage { input_tokens, output_tokens, cost_micro_usd: cost.unwrap_or(0), ..Usage::default() };
        meter.count(&Observation::Usage { used, priced: cost.is_some() });
    }

    /// 0.25 and 2 dollars for a million tokens.
    fn price() -> Price {
        Price { input: 250_000, output: 2_000_000, cache_read: 25_000, cache_write: 0 }
    }

    #[test]
    fn what_the_agent_prices_costs_that_and_what_it_does_not_costs_the_price() {
        let mut meter = Meter::new(Some((price(), Estimated(false))));
        use_up(&mut meter, 1_000_000, 1_000_000, Some(7));
        assert_eq!(meter.used().cost_micro_usd, 7);
        use_up(&mut meter, 1_000_000, 1_000_000, Some(0));
        assert_eq!(meter.used().cost_micro_usd, 7, "told to be free");
        use_up(&mut meter, 1000, 100, None);
        let used = Usage {
            input_tokens: 2_001_000,
            output_tokens: 2_000_100,
            cost_micro_usd: 7 + 250 + 200,
            ..Usage::default()
        };
        assert_eq!(meter.used(), used);
        // By another model's price it is an estimate; what the agent tells is none.
        let mut meter = Meter::new(Some((price(), Estimated(true))));
        use_up(&mut meter, 1_000_000, 0, Some(7));
        use_up(&mut meter, 1000, 100, None);
        assert_eq!((meter.used().cost_micro_usd, meter.used().estimated_micro_usd), (457, 450));
        let mut meter = Meter::new(None);
        use_up(&mut meter, 1000, 100, None);
        assert_eq!(
            meter.used(),
            Usage { input_tokens: 1000, output_tokens: 100, cost_micro_usd: 0, ..Usage::default() },
            "no price known"
        );
    }

    #[test]
    fn what_came_from_a_cache_costs_the_price_of_that_and_counts_once() {
        // 1, 10, 0.1 and 1.25 dollars for a million tokens.
        let price = Price { input: 1_000_000, output: 10_000_000, cache_read: 100_000, cache_write: 1_250_000 };
        let used = |input_tokens, cache_read_tokens, cache_write_tokens, output_tokens| Usage {
            input_tokens,
            cache_read_tokens,
            cache_write_tokens,
            output_tokens,
            ..Usage::default()
        };
        let table = [
            (used(1000, 0, 0, 0), 1000),
            (used(1000, 900, 0, 0), 100 + 90),
            (used(1000, 0, 400, 0), 600 + 500),
            (used(1000, 500, 400, 7), 100 + 50 + 500 + 70),
            (used(1000, 1000, 0, 0), 100),
            // More than was read cannot have come from a cache.
            (used(1000, 5000, 5000, 0), 100),
            (used(1000, 900, 5000, 0), 90 + 125),
        ];
        for (used, cost_micro_usd) in table {
            let mut meter = Meter::new(Some((price, Estimated(false))));
            meter.count(&Observation::Usage { used, priced: false });
            assert_eq!(meter.used(), Usage { cost_micro_usd, ..used });
            assert_eq!(meter.used().tokens(), used.input_tokens + used.output_tokens, "quotas count as they did");
        }
    }

    #[test]
    fn many_small_pieces_cost_what_their_sum_costs() {
        let (mut meter, mut reported) = (Meter::new(Some((price(), Estimated(false)))), Usage::default());
        for _ in 0..1000 {
            // A quarter of a millionth of a dollar each.
            use_up(&mut meter, 1, 0, None);
            reported = reported.plus(difference(meter.used(), reported));
        }
        assert_eq!(reported, Usage { input_tokens: 1000, output_tokens: 0, cost_micro_usd: 250, ..Usage::default() });
    }
}
