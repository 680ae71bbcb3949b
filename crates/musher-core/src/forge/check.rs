//! The checks of a commit: the words of their conclusions, and what they come to.

use serde::{Deserialize, Serialize};

/// A check run or a commit status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The forge's number for it.
    pub id: u64,
    /// Its name.
    pub name: Box<str>,
    /// How it ended, or where it is.
    pub conclusion: Conclusion,
    /// The workflow run that it belongs to; one that has none cannot be run again by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// The job that has its log; none where the forge keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<u64>,
    /// Its page.
    #[serde(default, skip_serializing_if = "<str>::is_empty")]
    pub url: Box<str>,
}

/// The word that a forge has for how a check ended or where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Box<str>", into = "Box<str>")]
pub enum Conclusion {
    /// It passed.
    Success,
    /// It has no opinion.
    Neutral,
    /// It was not needed.
    Skipped,
    /// It failed.
    Failure,
    /// It failed.
    Failed,
    /// It took too long.
    TimedOut,
    /// A person must do something first.
    ActionRequired,
    /// Somebody ended it.
    Cancelled,
    /// It did not start.
    StartupFailure,
    /// It has not begun.
    Queued,
    /// It is not over.
    Pending,
    /// It is at work.
    InProgress,
    /// It has to come, and nobody has heard of it.
    Expected,
    /// It waits for a rule.
    Waiting,
    /// It was asked for.
    Requested,
    /// A word that musher does not know, or none.
    Unknown(Box<str>),
    /// No word at all.
    #[default]
    None,
}

/// What a check, or all checks of a commit together, come to. The worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checks {
    /// At least one failed.
    Failure,
    /// None failed, and not all are over.
    Pending,
    /// Nothing can be said: a word that nobody knows, or no check at all.
    Unknown,
    /// All of them, and at least one, succeeded.
    Success,
}

impl Conclusion {
    /// Reads a forge's word, in any case.
    pub fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "success" => Self::Success,
            "neutral" => Self::Neutral,
            "skipped" => Self::Skipped,
            "failure" => Self::Failure,
            "failed" => Self::Failed,
            "timed_out" => Self::TimedOut,
            "action_required" => Self::ActionRequired,
            "cancelled" => Self::Cancelled,
            "startup_failure" => Self::StartupFailure,
            "queued" => Self::Queued,
            "pending" => Self::Pending,
            "in_progress" => Self::InProgress,
            "expected" => Self::Expected,
            "waiting" => Self::Waiting,
            "requested" => Self::Requested,
            "" => Self::None,
            _ => Self::Unknown(word.chars().take(LONGEST_WORD).collect::<String>().into()),
        }
    }

    /// The word.
    pub fn word(&self) -> &str {
        match self {
            Self::Success => "success",
            Self::Neutral => "neutral",
            Self::Skipped => "skipped",
            Self::Failure => "failure",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::ActionRequired => "action_required",
            Self::Cancelled => "cancelled",
            Self::StartupFailure => "startup_failure",
            Self::Queued => "queued",
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Expected => "expected",
            Self::Waiting => "waiting",
            Self::Requested => "requested",
            Self::Unknown(word) => word,
            Self::None => "",
        }
    }

    /// What it comes to.
    pub const fn means(&self) -> Checks {
        match self {
            Self::Success | Self::Neutral | Self::Skipped => Checks::Success,
            Self::Failure
            | Self::Failed
            | Self::TimedOut
            | Self::ActionRequired
            | Self::Cancelled
            | Self::StartupFailure => Checks::Failure,
            Self::Queued | Self::Pending | Self::InProgress | Self::Expected | Self::Waiting | Self::Requested => {
                Checks::Pending
            }
            Self::Unknown(_) | Self::None => Checks::Unknown,
        }
    }
}

/// The most of an unknown word that is kept, in characters.
const LONGEST_WORD: usize = 64;

impl From<Box<str>> for Conclusion {
    fn from(word: Box<str>) -> Self {
        Self::parse(&word)
    }
}

impl From<Conclusion> for Box<str> {
    fn from(conclusion: Conclusion) -> Self {
        conclusion.word().into()
    }
}

impl Checks {
    /// What all checks of a commit come to: the worst of them, and unknown when there are none.
    pub fn of(checks: &[Check]) -> Self {
        checks.iter().map(|check| check.conclusion.means()).min().unwrap_or(Self::Unknown)
    }

    /// The word in the API and in events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
            Self::Success => "success",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_conclusion_means_what_the_table_says() {
        for (words, means) in [
            ("success neutral skipped", Checks::Success),
            ("failure failed timed_out action_required cancelled startup_failure", Checks::Failure),
            ("queued pending in_progress expected waiting requested", Checks::Pending),
            ("stale completed nonsense erfolg", Checks::Unknown),
        ] {
            for word in words.split_whitespace() {
                let read = Conclusion::parse(word);
                assert_eq!((read.means(), read.word()), (means, word));
                assert_eq!(Conclusion::parse(&word.to_uppercase()).means(), means, "in any case");
            }
        }
        assert_eq!(Conclusion::parse("").means(), Checks::Unknown);
    }

    #[test]
    fn the_worst_check_decides_and_none_is_never_a_success() {
        for (words, means) in [
            ("", Checks::Unknown),
            ("success", Checks::Success),
            ("success neutral skipped", Checks::Success),
            ("success stale", Checks::Unknown),
            ("success pending stale", Checks::Pending),
            ("success pending failure stale", Checks::Failure),
            ("failure success", Checks::Failure),
        ] {
            let checks: Vec<Check> = words
                .split_whitespace()
                .map(|word| Check { conclusion: Conclusion::parse(word), ..Check::default() })
                .collect();
            assert_eq!(Checks::of(&checks), means, "{words}");
        }
    }
}
