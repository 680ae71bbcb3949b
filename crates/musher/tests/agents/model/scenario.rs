//! Scenarios: what the model does, whoever asks.

/// A script of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    /// One call of the client's shell that writes the file of the prompt, then closing words.
    Ok,
    /// Words alone.
    Text,
    /// A look around with the client's shell, then a plan: one with an unknown key until the prompt tells of that.
    Plan,
    /// The shell sleeps for 300 s.
    Sleep,
    /// As `Ok`, but each answer stands still after its first word until the test opens the gate.
    Slow,
    /// As `Ok`, then musher's own tools: a question to the operator, whose answer is in the result that is submitted.
    Tools,
    /// The same call over and over.
    Loop,
    /// A stream that breaks off after its first word, always.
    Cut,
    /// Status 500 for a client's first two requests, then `Ok`.
    Flaky,
    /// Status 429 with a `retry-after` of 2 s for a client's first request, then `Ok`.
    LimitedOnce,
    /// This status, always.
    Status(u16),
    /// Status 429 with a `retry-after` of 1 s, always.
    Limited,
    /// For a client's second request, in the middle of its work, status 429 and the moment of the account's reset in the
    /// vendor's own manner; else `Ok`.
    ResetOnce,
}

/// In how many seconds a used-up account is good again: more than musher's shortest rest.
const RESET_SECS: u64 = 12;

/// A refusal with a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// When to come back, in seconds from now.
    pub(crate) retry_after: Option<u64>,
    /// In how many seconds the account is good again, where the account itself is used up.
    pub(crate) reset: Option<u64>,
}

impl Scenario {
    /// Every scenario with its name in URLs.
    pub(crate) const ALL: [(&'static str, Self); 19] = [
        ("ok", Self::Ok),
        ("text", Self::Text),
        ("plan", Self::Plan),
        ("sleep", Self::Sleep),
        ("slow", Self::Slow),
        ("tools", Self::Tools),
        ("loop", Self::Loop),
        ("cut", Self::Cut),
        ("flaky", Self::Flaky),
        ("limited-once", Self::LimitedOnce),
        ("e400", Self::Status(400)),
        ("e401", Self::Status(401)),
        ("e403", Self::Status(403)),
        ("e429", Self::Status(429)),
        ("e500", Self::Status(500)),
        ("e503", Self::Status(503)),
        ("e529", Self::Status(529)),
        ("e429ra", Self::Limited),
        ("reset-once", Self::ResetOnce),
    ];

    /// The name in URLs.
    #[track_caller]
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, s)| *s == self).map(|(name, _)| *name).expect("a status that has a name")
    }

    /// The scenario of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(n, _)| *n == name).map(|(_, scenario)| *scenario)
    }

    /// What a client's `nth` request of this scenario is refused with; the first is 1.
    pub(crate) fn refusal(self, nth: u64) -> Option<Refusal> {
        let with = |status, retry_after| Some(Refusal { status, retry_after, reset: None });
        match self {
            Self::Ok | Self::Text | Self::Tools | Self::Plan | Self::Sleep | Self::Slow | Self::Loop | Self::Cut => {
                None
            }
            Self::Flaky => with(500, None).filter(|_| nth <= 2),
            Self::LimitedOnce => with(429, Some(2)).filter(|_| nth <= 1),
            Self::Status(status) => with(status, None),
            Self::Limited => with(429, Some(1)),
            Self::ResetOnce => {
                let reset = Some(RESET_SECS);
                (nth == 2).then_some(Refusal { status: 429, retry_after: reset, reset })
            }
        }
    }
}

impl Refusal {
    /// The text for people, the same in every wire format.
    pub(crate) fn message(self) -> String {
        format!("scripted refusal with status {}", self.status)
    }
}
