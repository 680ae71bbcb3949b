//! A forge that has refused to merge: what it lacks, and until when the same is not asked again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Pull;
use crate::forge::PullSeen;
use crate::time::Timestamp;

/// How long a refusal holds when nothing changes that a look sees: rules of a forge change unseen.
const HOLDS: Duration = Duration::from_secs(3600);

/// The most characters of a forge's words that are kept.
const WORDS: usize = 300;

/// A request to the forge to merge, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// What the look before it had seen: head, checks, reviews and threads, in one number.
    pub seen: Box<str>,
    /// Why the forge has refused, in its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Box<str>>,
    /// Why it has refused the time before, for the same head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<str>>,
}

/// What a forge lacks that refuses to merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Nothing: its base moved in that moment, and the next time will do.
    Moment,
    /// The branch has to have all of its base.
    Base,
    /// A check that it requires.
    Check,
    /// Threads that somebody has to resolve.
    Threads,
    /// An approval.
    Approval,
    /// The token may not.
    Right,
    /// Something else.
    Other,
}

/// Words of GitHub's refusals, without upper case; the first that is there decides.
const TABLE: [(&str, Lack); 18] = [
    ("base branch was modified", Lack::Moment),
    ("out of date", Lack::Base),
    ("out-of-date", Lack::Base),
    ("not up to date", Lack::Base),
    ("behind the base", Lack::Base),
    ("merge conflict", Lack::Base),
    ("status check", Lack::Check),
    ("required check", Lack::Check),
    ("conversation", Lack::Threads),
    ("approving review", Lack::Approval),
    ("approval", Lack::Approval),
    ("code owner", Lack::Approval),
    ("review is required", Lack::Approval),
    ("review required", Lack::Approval),
    ("changes requested", Lack::Approval),
    ("not accessible", Lack::Right),
    ("not authorized", Lack::Right),
    ("permission", Lack::Right),
];

impl Lack {
    /// What the words of a refusal say.
    pub fn of(words: &str) -> Self {
        let words = words.to_lowercase();
        TABLE.iter().find(|(part, _)| words.contains(part)).map_or(Self::Other, |(_, lack)| *lack)
    }

    /// What a person does about it.
    pub(super) const fn help(self) -> &'static str {
        match self {
            Self::Moment | Self::Other => "somebody has to see on its page what is missing",
            Self::Base => "somebody has to bring the branch up to its base, for a rebase here changes nothing",
            Self::Check => "somebody has to see that the check runs and succeeds, or that it is not required",
            Self::Threads => "somebody has to resolve the conversations",
            Self::Approval => "somebody who may has to approve it",
            Self::Right => "give the token of `[forge]` the right to merge",
        }
    }
}

impl Asked {
    /// A request that is made now, after this look and the request before.
    pub(super) fn now(seen: &PullSeen, last: Option<Self>, now: Timestamp) -> Self {
        let before = last.and_then(|last| last.refused.or(last.before));
        Self { at: now, seen: print(seen), refused: None, before }
    }
}

/// A forge's words, in one line and not too many.
pub(super) fn line(words: &str) -> Box<str> {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(WORDS).collect::<String>().into()
}

/// Why the forge would refuse now as it did before: nothing has changed since, and it is not long ago.
pub(super) fn holds<'a>(pull: &'a Pull, seen: &PullSeen, now: Timestamp) -> Option<&'a str> {
    let asked = pull.asked.as_ref()?;
    (now < asked.at.after(HOLDS) && asked.seen == print(seen)).then_some(asked.refused.as_deref()).flatten()
}

/// What a refusal may depend on, as FNV-1a. The order in which a forge lists things says nothing.
fn print(seen: &PullSeen) -> Box<str> {
    let checks = seen.checks.iter().map(|check| format!("check {} {:?} {}", check.name, check.conclusion, check.id));
    let reviews =
        seen.reviews.iter().map(|review| format!("review {} {:?} {}", review.id, review.verdict, review.commit));
    let threads = seen.findings.iter().map(|finding| format!("thread {} {}", finding.id, finding.resolved));
    let mut lines: Vec<String> = checks.chain(reviews).chain(threads).collect();
    lines.sort_unstable();
    lines.push(format!("head {} {}", seen.head, seen.base));
    let bytes = lines.iter().flat_map(|line| line.bytes().chain([b'\n']));
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}").into()
}
