//! Everything random of a night, drawn from its seed.

use musher_core::entropy::Entropy;

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Chance(Entropy);

impl Chance {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds shall not be neighbouring streams.
        let mut first = Entropy::from_seed(seed ^ 0x6d75_7368_6572);
        Self(Entropy::from_seed(first.next_u64()))
    }

    /// A number.
    pub fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high.saturating_sub(low)).unwrap_or(0).saturating_add(1);
        low.saturating_add(i64::try_from(self.0.below(span)).unwrap_or(0))
    }

    /// True once in `n` draws; never when `n` is 0.
    pub fn one_in(&mut self, n: u32) -> bool {
        n > 0 && self.0.below(u64::from(n)) == 0
    }

    /// One of these, or none when there are none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(usize::try_from(self.0.below(of.len() as u64)).unwrap_or(0))
    }
}
