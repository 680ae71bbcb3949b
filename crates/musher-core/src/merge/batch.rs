//! A batch: members of the merge queue that merge cleanly one on another, tested together and landed together.
//!
//! [`Batch::plan`] is the whole plan, and pure: members and what the gate has said so far in, the next tests, landings
//! and ejections out. It is asked again after every answer, and after a restart, and holds nothing of its own.
//!
//! # How a batch goes
//!
//! The members stand one on another: prefix `k` is the base with the first `k` of them, and prefix 0 is the base itself.
//! The gate only ever speaks of prefixes. The longest green one is *good*, and lands as soon as it is known; the shortest
//! red one beyond it is *bad*. While they are apart the range between them is split; when they touch, the last member of
//! the bad prefix is red on top of a good base, and is the culprit: it is ejected. What comes after it stood on it and
//! has to be made anew, so that the batch ends with its first ejection, and the next one begins with the members that
//! are left, topped up from the queue.
//!
//! # Where a red result is repeated
//!
//! Only there, where it would eject: any other red one merely steers the search. If it was wrong, the search ends at its
//! prefix, where it is repeated and turns out green; so a flaky gate costs tests and never a good member. A tree that is
//! red in two runs counts as red. The base is tested for the same reason, and as seldom: only when its own first member
//! would be ejected from it and nobody has ever seen it green. Were it red, every member would be ejected for the fault
//! of someone else.
//!
//! # Members that are red only together
//!
//! Members interact only by being merged one on another. When two are green alone and red together, the prefixes up to
//! the later one are green and its own is red: the later one is the culprit, for it is the one that can still be mended
//! against what is there. A member that mends an earlier one makes a longer prefix green: both land, in one move of the
//! base, which is therefore never red in between.
//!
//! # The bound
//!
//! With `s` slots, `n` members at most in a batch, `b` ejected members and `f` runs in which the gate was red though the
//! tree was good, the whole queue takes at most, batches of good members apart, which take `s` tests each,
//!
//! > `s + (b + f) · (s · (1 + ⌈log₍ₛ₊₁₎ n⌉) + 1) + 1` tests.
//!
//! Proof. Call a round what happens from the moment at which nothing beyond the good prefix is known until a member is
//! ejected, a red result turns out wrong, or everything is good. It begins with one wave of at most `s` tests, the whole
//! batch among them. If that is green, the round and the batch are over. If not, every further wave is of at most `s`
//! tests inside the open range, and the range left after it is the gap between two neighbours, at most `⌈r / (s + 1)⌉`
//! of `r`: after at most `⌈log₍ₛ₊₁₎ n⌉` waves it is empty. Then one repeat ends the round: red, it ejects (`b` such
//! rounds); green, it has used up one of the `f` wrong runs, as has each round that was cut short by a longer prefix that
//! is green. A round that ends so leaves at most as much to do as it found. The last round costs `s`. The base is tested
//! once, for once green it stays so, and every further test of it is one more of the `f`. With one slot this is
//! `1 + (b + f) · (⌈log₂ n⌉ + 2) + 1`: 32 branches, one of them bad, in batches of 16, take at most 6 tests to find it and
//! two for the batches that are left, and one more if the bad one is the first and its base was never seen green. No
//! choice of prefixes does with fewer than those 8 for every place of the bad one, as long as the order is kept and a
//! culprit is red in two runs; a test goes through all of them. A red result of a longer prefix is no second run: it may
//! be the fault of a member behind the suspect, who would then be ejected by one wrong run.
//!
//! Each good member lands, unless a tree in which it was last was red in both of its runs; no bad one does, unless a gate
//! was green by mistake. A base that was red in both of its runs ejects nobody: the queue waits.

use serde::{Deserialize, Serialize};

use crate::id::ItemId;
use crate::time::Timestamp;

/// The most members of a batch where no `batch_max` is stated.
pub const BATCH_MAX: u32 = 16;
/// Runs in which a tree must have been red before it counts.
const REDS_THAT_COUNT: u8 = 2;

/// A commit of the chain, with its tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The commit.
    pub commit: Box<str>,
    /// Its tree: what the gate speaks of.
    pub tree: Box<str>,
}

/// A member of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The item.
    pub item: ItemId,
    /// What it becomes on top of the members before it; none while the batch is being formed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
}

/// What the gate has said of a prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// In how many runs it was red.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub reds: u8,
    /// Whether it was green, in any run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub green: bool,
    /// The slot in which it is being tested now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// What the last red run said, in a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Box<str>>,
}

/// A batch under way. Durable: a restart goes on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its number; the first is 1.
    pub number: u64,
    /// The ref that it goes into.
    pub target: Box<str>,
    /// The gate that it must pass; none = it needs to pass none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Box<str>>,
    /// When it was begun.
    pub at: Timestamp,
    /// The tip of the target that it stands on; none while it is being formed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Link>,
    /// Its members, in the order in which they stand one on another.
    pub members: Vec<Member>,
    /// What the gate has said of each prefix, from the base alone to all members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
    /// How many members have landed.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub landed: usize,
    /// How many will have landed when the advance of the target that is under way succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landing: Option<usize>,
}

/// Where a member of a batch stands, by what the gate has said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// The batch is being formed: it is not known yet whether it merges cleanly.
    Forming,
    /// It has landed.
    Landed,
    /// It lands when the advance of the target that is under way succeeds.
    Landing,
    /// It is in a prefix that was green.
    Good,
    /// Nothing is known of it: no prefix that it is in was red, and none was green.
    Untested,
    /// The culprit is among those that stand so: the last of them is in a red prefix, and all before them are good.
    Suspect,
    /// It stands on a red prefix, and will be made anew without the culprit.
    After,
}

impl Stand {
    /// The word in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forming => "forming",
            Self::Landed => "landed",
            Self::Landing => "landing",
            Self::Good => "good",
            Self::Untested => "untested",
            Self::Suspect => "suspect",
            Self::After => "after",
        }
    }
}

/// What is to be done next with a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Prefixes to test now.
    pub tests: Vec<usize>,
    /// Prefixes whose test under way nobody wants any more.
    pub unwanted: Vec<usize>,
    /// Advance the target to this prefix.
    pub land: Option<usize>,
    /// How the batch ends.
    pub end: Option<End>,
}

/// How a batch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every member has landed.
    Done,
    /// This member (from 0) is the culprit. All before it have landed; all after it are to be made anew without it.
    Eject(usize),
    /// The base itself is red: nobody can be blamed.
    BaseRed,
}

impl Batch {
    /// A batch that is to be formed of these items.
    pub fn new(number: u64, target: &str, gate: Option<&str>, items: &[ItemId], at: Timestamp) -> Self {
        let members = items.iter().map(|item| Member { item: *item, link: None }).collect();
        Self {
            number,
            target: target.into(),
            gate: gate.map(Into::into),
            at,
            base: None,
            members,
            tried: Vec::new(),
            landed: 0,
            landing: None,
        }
    }

    /// The batch was formed: the first members, as many as there are links, merge cleanly one on another.
    pub fn form(&mut self, base: Link, links: &[Link]) {
        self.base = Some(base);
        self.members.truncate(links.len());
        for (member, link) in self.members.iter_mut().zip(links) {
            member.link = Some(link.clone());
        }
        self.tried = vec![Tried::default(); self.members.len() + 1];
    }

    /// Whether it stands: its commits exist.
    pub fn is_formed(&self) -> bool {
        self.base.is_some()
    }

    /// The tip and the tree of a prefix.
    pub fn link(&self, prefix: usize) -> Option<&Link> {
        match prefix.checked_sub(1) {
            None => self.base.as_ref(),
            Some(last) => self.members.get(last).and_then(|member| member.link.as_ref()),
        }
    }

    /// The place of an item among the members, from 0.
    pub fn place_of(&self, item: ItemId) -> Option<usize> {
        self.members.iter().position(|member| member.item == item)
    }

    /// The prefix whose tip is this commit.
    pub fn prefix_of(&self, commit: &str) -> Option<usize> {
        (0..=self.members.len()).find(|prefix| self.link(*prefix).is_some_and(|link| &*link.commit == commit))
    }

    /// The longest prefix that is known to be good.
    pub fn good(&self) -> usize {
        if self.gate.is_none() {
            return self.members.len();
        }
        let green = self.tried.iter().rposition(|tried| tried.green).unwrap_or(0);
        green.max(self.landed)
    }

    /// The shortest prefix beyond the good one that was red.
    pub fn bad(&self) -> Option<usize> {
        (self.good() + 1..self.tried.len()).find(|prefix| self.tried[*prefix].reds > 0)
    }

    /// Where a member stands, by its place from 0.
    pub fn stand(&self, at: usize) -> Stand {
        match self.bad() {
            _ if !self.is_formed() => Stand::Forming,
            _ if at < self.landed => Stand::Landed,
            _ if self.landing.is_some_and(|upto| at < upto) => Stand::Landing,
            _ if at < self.good() => Stand::Good,
            Some(bad) if at < bad => Stand::Suspect,
            Some(_) => Stand::After,
            None => Stand::Untested,
        }
    }

    /// What is to be done next: at most `slots` tests at once, counting those under way.
    ///
    /// Nothing before the batch is formed. The module's head says how and why.
    pub fn plan(&self, slots: usize) -> Plan {
        let mut plan = Plan::default();
        if !self.is_formed() {
            return plan;
        }
        let (all, good, bad) = (self.members.len(), self.good(), self.bad());
        let is_good = |prefix: usize| self.tried.get(prefix).is_some_and(|tried| tried.green);
        let counts = |prefix: usize| self.tried.get(prefix).is_some_and(|tried| tried.reds >= REDS_THAT_COUNT);
        let base_asked = good == 0 && bad == Some(1) && !is_good(0);
        let wanted = |prefix: usize| (prefix > good && prefix <= bad.unwrap_or(all)) || (prefix == 0 && base_asked);
        let running = || (0..self.tried.len()).filter(|prefix| self.tried[*prefix].slot.is_some());
        plan.unwanted = running().filter(|prefix| !wanted(*prefix)).collect();
        plan.land = (self.landing.is_none() && good > self.landed).then_some(good);
        let at_rest = self.landing.is_none() && good == self.landed;
        let next = match bad {
            None if good == all => {
                plan.end = at_rest.then_some(End::Done);
                Vec::new()
            }
            None => std::iter::once(all).chain(splits(good, all, slots.saturating_sub(1))).collect(),
            Some(bad) if bad > good + 1 => splits(good, bad, slots.max(1)),
            // A base that is known to be red explains the first red result: it need not be repeated.
            Some(_) if base_asked && counts(0) => {
                plan.end = Some(End::BaseRed);
                Vec::new()
            }
            Some(bad) if !counts(bad) => vec![bad],
            Some(_) if base_asked => vec![0],
            Some(bad) => {
                plan.end = at_rest.then_some(End::Eject(bad - 1));
                Vec::new()
            }
        };
        // In waves: what is under way may make the next split needless.
        if !running().any(wanted) {
            plan.tests = next;
        }
        plan
    }
}

/// At most `count` prefixes strictly between two, evenly.
fn splits(low: usize, high: usize, count: usize) -> Vec<usize> {
    let mut at: Vec<usize> = (1..=count).map(|n| low + (high - low) * n / (count + 1)).collect();
    at.retain(|prefix| *prefix > low);
    at.dedup();
    at
}

#[cfg(test)]
mod tests;
