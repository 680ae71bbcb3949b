//! Prices of models: what tokens cost where an agent does not tell it itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a model costs, each in millionths of a US dollar for a million tokens: whole numbers, so that sums are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Tokens read from a cache.
    pub cache_read: u64,
    /// Tokens read and put into a cache.
    pub cache_write: u64,
}

/// Tokens by what they are priced as; none of them counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read, and neither from a cache nor into one as far as is known.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read from a cache.
    pub cache_read: u64,
    /// Read and put into a cache.
    pub cache_write: u64,
}

/// Whether a price is that of another model, because the model's own is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimated(pub bool);

/// The prices by the name of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prices(pub BTreeMap<String, Price>);

impl Price {
    /// What these tokens cost, in millionths of a US dollar, rounded up. Give it a sum: every call rounds once.
    pub fn cost_micro_usd(self, tokens: Tokens) -> u64 {
        let parts = [
            (self.input, tokens.input),
            (self.output, tokens.output),
            (self.cache_read, tokens.cache_read),
            (self.cache_write, tokens.cache_write),
        ];
        let cost = parts.iter().map(|(price, tokens)| u128::from(*price) * u128::from(*tokens));
        let cost = cost.fold(0_u128, u128::saturating_add).div_ceil(1_000_000);
        u64::try_from(cost).unwrap_or(u64::MAX)
    }

    /// By what prices are compared: a run reads and writes both.
    const fn dearness(self) -> (u64, u64) {
        (self.input.saturating_add(self.output), self.output)
    }
}

impl Prices {
    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The price of a model. One that is unknown, or not told, costs as much as the dearest known, so that a cap is
    /// reached too early rather than never. Nothing if no price is known at all.
    pub fn of(&self, model: Option<&str>) -> Option<(Price, Estimated)> {
        if let Some(price) = model.and_then(|model| self.0.get(model)) {
            return Some((*price, Estimated(false)));
        }
        let dearest = self.0.values().copied().max_by_key(|price| price.dearness())?;
        Some((dearest, Estimated(true)))
    }

    /// What tokens of a model cost, in millionths of a US dollar; nothing if no price is known at all.
    pub fn cost(&self, model: Option<&str>, tokens: Tokens) -> Option<(u64, Estimated)> {
        let (price, estimated) = self.of(model)?;
        Some((price.cost_micro_usd(tokens), estimated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices() -> Prices {
        let price = |input, output, cache_read, cache_write| Price { input, output, cache_read, cache_write };
        Prices(BTreeMap::from([
            ("cheap".to_owned(), price(250_000, 2_000_000, 25_000, 250_000)),
            ("dear".to_owned(), price(5_000_000, 25_000_000, 500_000, 6_250_000)),
            // Reading is dearest here, and still it is not the dearest.
            ("reader".to_owned(), price(20_000_000, 1_000_000, 0, 0)),
        ]))
    }

    #[test]
    fn a_known_model_costs_its_own_price_and_any_other_the_dearest_as_an_estimate() {
        let tokens = |input, output, cache_read, cache_write| Tokens { input, output, cache_read, cache_write };
        let million = 1_000_000;
        let table = [
            (Some("cheap"), tokens(million, 0, 0, 0), 250_000, false),
            (Some("cheap"), tokens(0, million, 0, 0), 2_000_000, false),
            (Some("cheap"), tokens(0, 0, million, million), 275_000, false),
            (Some("cheap"), tokens(0, 0, 0, 0), 0, false),
            (Some("cheap"), tokens(1, 0, 0, 0), 1, false),
            (Some("cheap"), tokens(4, 0, 0, 0), 1, false),
            (Some("cheap"), tokens(5, 0, 0, 0), 2, false),
            (Some("reader"), tokens(million, million, 9, 9), 21_000_000, false),
            (Some("dear"), tokens(1000, 100, 0, 0), 7500, false),
            (Some("unknown"), tokens(1000, 100, 0, 0), 7500, true),
            (Some("Cheap"), tokens(1000, 100, 0, 0), 7500, true),
            (None, tokens(1000, 100, 0, 0), 7500, true),
            (Some("dear"), tokens(u64::MAX, u64::MAX, u64::MAX, u64::MAX), u64::MAX, false),
        ];
        for (model, tokens, cost, estimated) in table {
            assert_eq!(prices().cost(model, tokens), Some((cost, Estimated(estimated))), "{model:?} {tokens:?}");
        }
    }

    #[test]
    fn without_any_price_nothing_is_priced() {
        let tokens = Tokens { input: 1, ..Tokens::default() };
        assert_eq!((Prices::default().cost(Some("a"), tokens), Prices::default().cost(None, tokens)), (None, None));
    }
}
