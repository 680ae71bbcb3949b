//! Chance as an argument: a small generator that the caller seeds, so that the same seed decides the same.

/// A deterministic stream of 64-bit numbers (SplitMix64). Good for ids and jitter, not for secrets.
#[derive(Clone, Debug)]
pub struct Entropy {
    stream: u64,
    /// The last millisecond that an id was made in, and how many were made in it before.
    moment: (u64, u32),
}

impl Entropy {
    /// Starts the stream of this seed.
    pub fn from_seed(seed: u64) -> Self {
        Self { stream: seed, moment: (0, 0) }
    }

    /// Draws the next number.
    pub fn next_u64(&mut self) -> u64 {
        self.stream = self.stream.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.stream;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Counts the ids of a millisecond, from 0.
    pub(crate) fn next_in(&mut self, millis: u64) -> u32 {
        let count = if self.moment.0 == millis { self.moment.1.wrapping_add(1) } else { 0 };
        self.moment = (millis, count);
        count
    }

    /// Draws a number below `bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        self.next_u64() % bound
    }

    /// Draws from −1.0 ..= 1.0, for jitter.
    pub fn jitter(&mut self) -> f64 {
        let unit = (self.next_u64() >> 11) as f64 / ((1u64 << 53) - 1) as f64;
        unit * 2.0 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_numbers() {
        let draw = |seed| {
            let mut e = Entropy::from_seed(seed);
            (0..8).map(|_| e.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(42), draw(42));
        assert_ne!(draw(42), draw(43));
    }

    #[test]
    fn jitter_stays_within_one() {
        let mut e = Entropy::from_seed(7);
        for _ in 0..10_000 {
            let j = e.jitter();
            assert!((-1.0..=1.0).contains(&j));
        }
    }
}
