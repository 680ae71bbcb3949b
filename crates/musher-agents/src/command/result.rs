//! What an agent writes to the file that `MUSHER_RESULT` names. It is a stranger's word: bounded, typed, and refused as a
//! whole if any part of it is wrong.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use musher_core::plan::{ANSWER_LIMIT, holds_plan};
use nix::fcntl::OFlag;
use serde::Deserialize;

/// The largest result that is read, in bytes.
pub const MAX_RESULT_BYTES: u64 = 1 << 20;

/// The longest summary, in characters; the rest is cut off.
pub const SUMMARY_CHARS: usize = 2_000;

/// The most artifacts that a result may name.
pub const MAX_ARTIFACTS: usize = 1_000;

/// The most tokens of a kind that a run may claim. More is a mistake, and would upset every sum.
const MAX_TOKENS: u64 = 1 << 50;

/// The most US dollars that a run may claim.
const MAX_USD: f64 = 1e9;

/// What an agent reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentResult {
    /// Its closing words, whole.
    pub summary: Option<String>,
    /// The plan file that it was asked for.
    pub plan: Option<String>,
    /// What it used.
    pub usage: Used,
    /// Its reason why nothing had to change.
    pub no_change_needed: Option<String>,
    /// Its answer to a review.
    pub review: Option<Review>,
    /// What else it made: paths or addresses, exactly as it wrote them. Never join one to a path unchecked.
    pub artifacts: Vec<String>,
    /// The sort of its failure, if it failed.
    pub class: Option<Class>,
}

/// What an agent says that it used in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens read, from a cache or not.
    pub input_tokens: u64,
    /// What of them came from a cache.
    pub cache_read_tokens: u64,
    /// What of them was put into a cache.
    pub cache_write_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// US dollars, in millionths; none = it does not say.
    pub cost_micro_usd: Option<u64>,
}

/// An agent's answer to a review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Review {
    /// Yes, with what was said.
    Approved(String),
    /// No, with what to mend.
    Rejected(String),
}

/// The sorts of failure that an agent may name. Whether a run was lost is musher's to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Program missing, not logged in, no network.
    Setup,
    /// The agent could not do it.
    Agent,
    /// What it did did not pass its own checks.
    Gate,
    /// There was nothing that it could change.
    Empty,
    /// Silent for too long: something that it waited for.
    Timeout,
    /// A limit was reached.
    Limit,
}

/// A result that is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// It is no plain file.
    #[error("the result is not a plain file")]
    NotAFile,
    /// It is too large.
    #[error("the result is larger than {MAX_RESULT_BYTES} bytes")]
    TooLarge,
    /// It is no JSON of the right form.
    #[error("the result is not what it should be: {0}")]
    Form(#[source] serde_json::Error),
    /// A field holds what it cannot.
    #[error("`{field}` in the result {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It cannot be read.
    #[error("the result cannot be read")]
    Io(#[source] io::Error),
}

impl ResultError {
    /// Says what to do about it.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::NotAFile | Self::Io(_) => "let the agent write an ordinary file to the path in MUSHER_RESULT",
            Self::TooLarge => "let the agent write a short result; long texts belong into its output or its branch",
            Self::Form(_) | Self::Field { .. } => {
                "let the agent write e.g. {\"summary\": \"…\", \"usage\": {\"input_tokens\": 1, \"cost_usd\": 0.01}}"
            }
        }
    }
}

/// Reads a result file; none if the agent wrote none.
///
/// # Errors
/// There is one, and it cannot be taken.
pub fn read_result(path: &Path) -> Result<Option<AgentResult>, ResultError> {
    // The agent may have put anything there: a link to a secret, or a pipe that never ends.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
            return Err(ResultError::NotAFile);
        }
        Err(error) => return Err(ResultError::Io(error)),
    };
    if !file.metadata().map_err(ResultError::Io)?.is_file() {
        return Err(ResultError::NotAFile);
    }
    let mut content = Vec::new();
    file.take(MAX_RESULT_BYTES + 1).read_to_end(&mut content).map_err(ResultError::Io)?;
    if content.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    parse_result(&content).map(Some)
}

/// Reads a result. Fields that mean nothing are passed over.
///
/// # Errors
/// Any part of it is wrong.
pub fn parse_result(content: &[u8]) -> Result<AgentResult, ResultError> {
    if content.len() as u64 > MAX_RESULT_BYTES {
        return Err(ResultError::TooLarge);
    }
    let raw: Raw = serde_json::from_slice(content).map_err(ResultError::Form)?;
    let artifacts = raw.artifacts.unwrap_or_default();
    if artifacts.len() > MAX_ARTIFACTS {
        return Err(ResultError::Field { field: "artifacts", problem: "has more than 1,000 entries" });
    }
    Ok(AgentResult {
        summary: raw.summary.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
        plan: raw.plan.filter(|text| !text.trim().is_empty()),
        usage: raw.usage.unwrap_or_default().check()?,
        no_change_needed: raw.no_change_needed.and_then(NoChange::reason),
        review: raw.review.as_deref().map(review).transpose()?,
        artifacts,
        class: raw.class,
    })
}

/// The closing words of a run that was to answer with a plan, whole: what the result says, or else what was said; the
/// first of them that holds a plan.
pub fn answer(result: Option<&AgentResult>, said: &str) -> String {
    let of_result = result.iter().flat_map(|result| [&result.plan, &result.summary]).flatten().map(String::as_str);
    let words = of_result.chain([said]).find(|words| holds_plan(words)).unwrap_or(said);
    // One byte more than is read says that there was more.
    let mut end = words.len().min(ANSWER_LIMIT + 1);
    while !words.is_char_boundary(end) {
        end += 1;
    }
    words[..end].to_owned()
}

/// A run's summary: what the result says, or else the last line of output, at most [`SUMMARY_CHARS`].
pub fn summary(result: Option<&AgentResult>, last_line: Option<&str>) -> String {
    let said = result.and_then(|result| result.summary.as_deref()).or(last_line);
    said.map(|text| cut(text.trim())).unwrap_or_default()
}

#[derive(Deserialize)]
struct Raw {
    summary: Option<String>,
    plan: Option<String>,
    usage: Option<RawUsed>,
    no_change_needed: Option<NoChange>,
    review: Option<String>,
    artifacts: Option<Vec<String>>,
    class: Option<Class>,
}

#[derive(Default, Deserialize)]
struct RawUsed {
    input_tokens: Option<u64>,
    cache_read_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cost_usd: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NoChange {
    Said(bool),
    Because(String),
}

impl NoChange {
    fn reason(self) -> Option<String> {
        match self {
            Self::Said(false) => None,
            Self::Said(true) => Some("the agent gave no reason".to_owned()),
            Self::Because(reason) => Some(cut(reason.trim())).filter(|reason| !reason.is_empty()),
        }
    }
}

impl RawUsed {
    fn check(self) -> Result<Used, ResultError> {
        let tokens = |count: Option<u64>, field| match count.unwrap_or(0) {
            count if count > MAX_TOKENS => Err(ResultError::Field { field, problem: "is impossibly large" }),
            count => Ok(count),
        };
        if self.cost_usd.is_some_and(|cost| !(0.0..=MAX_USD).contains(&cost)) {
            return Err(ResultError::Field { field: "cost_usd", problem: "is negative or impossibly large" });
        }
        Ok(Used {
            input_tokens: tokens(self.input_tokens, "input_tokens")?,
            cache_read_tokens: tokens(self.cache_read_tokens, "cache_read_tokens")?,
            cache_write_tokens: tokens(self.cache_write_tokens, "cache_write_tokens")?,
            output_tokens: tokens(self.output_tokens, "output_tokens")?,
            // In range, as just checked.
            cost_micro_usd: self.cost_usd.map(|cost| (cost * 1e6).round() as u64),
        })
    }
}

fn review(text: &str) -> Result<Review, ResultError> {
    let text = text.trim();
    let (word, rest) = text.split_once(':').unwrap_or((text, ""));
    let said = cut(rest.trim());
    match word.trim().to_ascii_lowercase().as_str() {
        "approved" => Ok(Review::Approved(said)),
        "rejected" => Ok(Review::Rejected(said)),
        _ => {
            Err(ResultError::Field { field: "review", problem: "begins neither with `approved:` nor with `rejected:`" })
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(SUMMARY_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_result_is_read() {
        let text = r#"{"summary":" did it ","usage":{"input_tokens":5,"cache_read_tokens":3,"output_tokens":7,"cost_usd":0.012345},
            "no_change_needed":"it was there","review":"Rejected: no tests","artifacts":["a.log"],"class":"setup","more":{}}"#;
        let expected = AgentResult {
            summary: Some("did it".into()),
            plan: None,
            usage: Used {
                input_tokens: 5,
                cache_read_tokens: 3,
                output_tokens: 7,
                cost_micro_usd: Some(12_345),
                ..Used::default()
            },
            no_change_needed: Some("it was there".into()),
            review: Some(Review::Rejected("no tests".into())),
            artifacts: vec!["a.log".into()],
            class: Some(Class::Setup),
        };
        assert_eq!(parse_result(text.as_bytes()).unwrap(), expected);
        assert_eq!(parse_result(b"{}").unwrap(), AgentResult::default());
    }

    #[test]
    fn a_hostile_result_is_refused() {
        let cases = [
            r#"{"usage":{"input_tokens":-1}}"#,
            r#"{"usage":{"input_tokens":1.5}}"#,
            r#"{"usage":{"cache_read_tokens":-1}}"#,
            r#"{"usage":{"cache_write_tokens":18446744073709551615}}"#,
            r#"{"usage":{"output_tokens":18446744073709551615}}"#,
            r#"{"usage":{"cost_usd":-0.01}}"#,
            r#"{"usage":{"cost_usd":1e300}}"#,
            r#"{"usage":{"cost_usd":1e999}}"#,
            r#"{"usage":{"cost_usd":NaN}}"#,
            r#"{"usage":{"cost_usd":"free"}}"#,
            r#"{"summary":["a"]}"#,
            r#"{"review":"perhaps"}"#,
            r#"{"class":"lost"}"#,
            r#"{"no_change_needed":7}"#,
            "[]",
            "{",
        ];
        for text in cases {
            assert!(parse_result(text.as_bytes()).is_err(), "{text}");
        }
        assert!(matches!(parse_result(&vec![b' '; (1 << 20) + 1]), Err(ResultError::TooLarge)));
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        assert!(parse_result(deep.as_bytes()).is_err());
    }

    #[test]
    fn no_change_needed_is_a_reason_or_a_yes() {
        for (text, reason) in
            [("true", Some("the agent gave no reason")), ("false", None), ("null", None), ("\" \"", None)]
        {
            let result = parse_result(format!("{{\"no_change_needed\":{text}}}").as_bytes()).unwrap();
            assert_eq!(result.no_change_needed.as_deref(), reason, "{text}");
        }
    }

    #[test]
    fn only_a_plain_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert_eq!(read_result(&path("none")).unwrap(), None);
        std::fs::write(path("empty"), "\n").unwrap();
        assert_eq!(read_result(&path("empty")).unwrap(), None);
        std::fs::write(path("good"), r#"{"summary":"x"}"#).unwrap();
        assert_eq!(read_result(&path("good")).unwrap().unwrap().summary.as_deref(), Some("x"));
        std::os::unix::fs::symlink(path("good"), path("link")).unwrap();
        assert!(matches!(read_result(&path("link")), Err(ResultError::NotAFile)));
        assert!(matches!(read_result(folder.path()), Err(ResultError::NotAFile)));
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(read_result(&path("pipe")), Err(ResultError::NotAFile)));
    }

    #[test]
    fn the_last_line_is_the_summary_when_the_result_has_none() {
        let result = AgentResult { summary: Some("said".into()), ..AgentResult::default() };
        assert_eq!(summary(Some(&result), Some("line")), "said");
        assert_eq!(summary(Some(&AgentResult::default()), Some(" line ")), "line");
        assert_eq!(summary(None, Some(&"é".repeat(3_000))).chars().count(), 2_000);
        assert_eq!(summary(None, None), "");
        let long = AgentResult { summary: Some("é".repeat(3_000)), ..AgentResult::default() };
        assert_eq!(summary(Some(&long), None).chars().count(), 2_000);
    }

    #[test]
    fn an_answer_is_the_first_that_holds_a_plan_and_is_not_cut_unseen() {
        let block = |goal: &str| format!("Here:\n```toml\ngoal = \"{goal}\"\n```\n");
        let result = |plan: Option<&str>, summary: Option<&str>| AgentResult {
            plan: plan.map(str::to_owned),
            summary: summary.map(str::to_owned),
            ..AgentResult::default()
        };
        let (file, summed, said) = ("goal = \"file\"\n", block("summed"), block("said"));
        let cases = [
            ("all three", Some(result(Some(file), Some(&summed))), said.as_str(), file),
            ("no file", Some(result(None, Some(&summed))), &said, &summed),
            ("a summary of other words", Some(result(None, Some("it is planned"))), &said, &said),
            ("no result", None, &said, &said),
            ("no plan at all", Some(result(None, Some("it is planned"))), "sorry", "sorry"),
        ];
        for (name, result, said, expected) in cases {
            assert_eq!(answer(result.as_ref(), said), expected, "{name}");
        }
        let long = format!("goal = \"{}\"", "é".repeat(ANSWER_LIMIT));
        let kept = answer(None, &long).len();
        assert!(kept > ANSWER_LIMIT && kept < ANSWER_LIMIT + 4, "{kept}");
    }
}
