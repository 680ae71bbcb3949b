//! How missions share what can be dispatched: by weight, in rounds and turns.

/// The least and the greatest weight of a mission.
pub const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=100;

/// How far apart two turns of a mission of weight 1 are; of another weight, this divided by it.
///
/// The least common multiple of 1 to 22, so that a share by such weights is exact; by a greater weight it is off by less
/// than one run in two million. A turn has room for 79,000 million runs of missions that follow one another without a gap.
const LAP: u64 = 232_792_560;

/// Where a mission stands among those that have a ready item of one priority: the least is first; of equals, the one with
/// the older item.
///
/// **Round.** A mission that has as many items with an agent (assigned or running; one that is verified has none any more)
/// as its weight has filled round 0, one with twice as many round 1. Whoever is in a lower round comes first. So what runs
/// for long is paid for as long as it runs, and as many agents as the weights add up to are shared exactly by weight.
///
/// **Turn.** Within a round a mission of weight 3 has three turns for each one of a mission of weight 1, however few agents
/// there are: each dispatch notes in its item when its turn was, and the next one of its mission is `LAP / weight` later.
/// A mission that had nothing to dispatch has saved up nothing: its turn is never before the last one that anyone had.
/// What is at work could not do that alone: with one agent, nobody has anything at work when it comes free, and the heavier
/// mission would take it again and again.
///
/// # What holds
///
/// Let `m` have a ready item that some free agent may take, and fewer items with an agent than its weight, which is `w`. Before
/// its next dispatch every other mission `j` that has items of that priority, of weight `v`, takes at most `⌊v / w⌋ + 1` of
/// the agents that `m` could use. An item with `n` ready items of its mission before it waits for at most `n + 1` times
/// their sum. It does not matter when runs end, or whose. Proof: `m` is in round 0, so `j` must be too, and have its turn
/// at `F(j) ≤ F(m) = S(m) + LAP/w`, where `S(m)` was the last turn of `m`. Of the dispatches of `j`, the first notes a turn
/// `≥ S(m)`, since none is before the last that anyone had, and each further one is `LAP/v` later than the one before. The
/// `k`-th needs `(k - 1) · LAP/v ≤ LAP/w`. If `m` never had a turn, `F(m)` is 0, and `j` too can have had none: once.
///
/// A mission with at least its weight at work is in a later round, and may wait for its own runs: it has its share. Whoever
/// is in an earlier one comes first as often as it is. Whoever is in a later one never does, and of those in the same the
/// proof holds as it stands: it needs turns, which go on through all rounds. And more missions are more others: who starts a
/// thousand has a thousand shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    /// How often its items with an agent make up its weight.
    round: u32,
    /// When its next turn is; 0 when it had none yet.
    turn: u64,
}

impl Share {
    /// The share of a mission of this weight, so many items of which have an agent, and whose last turn was `last`; 0 = never.
    pub fn of(weight: u32, leases: u32, last: u64) -> Self {
        let weight = weight.max(1);
        let turn = if last == 0 { 0 } else { last.saturating_add(LAP / u64::from(weight)) };
        Self { round: leases / weight, turn }
    }

    /// The turn that a dispatch notes in its item, when the last one that anyone had was `last`.
    pub fn taken(self, last: u64) -> u64 {
        self.turn.max(last).max(1)
    }
}
