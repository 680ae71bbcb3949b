//! The files and messages between daemon, host and agent: what is read is written again and read as the same; a result
//! stays within its limits.

use musher_agents::command::{self, MAX_ARTIFACTS, SUMMARY_CHARS};
use musher_agents::host::{Answer, ExitRecord, HostRecord, HostSpec, OutputRecord, Request, Stop};
use musher_core::plan::ANSWER_LIMIT;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Read, must};
use crate::chance::Chance;

/// More tokens of a sort than a run may claim, and more millionths of a dollar.
const TOO_MUCH: u64 = (1 << 50) + 1;

/// Checks the result file of a run.
pub(super) fn result(_: &str, input: &[u8], _: &mut Chance) -> Result<Read, String> {
    let read = command::parse_result(input);
    let Ok(result) = &read else { return Ok(Read::Refused) };
    let review = result.review.as_ref().map(|review| match review {
        command::Review::Approved(words) | command::Review::Rejected(words) => words.as_str(),
    });
    // The summary itself is kept whole, for it may be a plan; what a run ends with is made of it.
    let summary = command::summary(Some(result), None);
    for words in [Some(summary.as_str()), result.no_change_needed.as_deref(), review].into_iter().flatten() {
        must!(words.chars().count() <= SUMMARY_CHARS, "{} characters of a text are kept", words.chars().count());
    }
    let answer = command::answer(Some(result), "");
    must!(answer.len() < ANSWER_LIMIT + 4, "an answer of {} bytes is kept", answer.len());
    let used = result.usage;
    let most = used.input_tokens.max(used.output_tokens).max(used.cost_micro_usd.unwrap_or_default());
    must!(most < TOO_MUCH, "an impossible use is believed: {used:?}");
    must!(result.artifacts.len() <= MAX_ARTIFACTS, "{} artifacts are kept", result.artifacts.len());
    must!(result.summary.as_ref().is_none_or(|words| !words.trim().is_empty()), "a summary says nothing");
    must!(command::parse_result(input).ok().as_ref() == Some(result), "a result is read in two ways");
    Ok(Read::of(&read))
}

/// Checks each line as a record or a message of every sort.
pub(super) fn holds(_: &str, input: &[u8], _: &mut Chance) -> Result<Read, String> {
    let mut known = 0;
    for line in input.split(|b| *b == b'\n') {
        known += usize::from(same::<OutputRecord>(line)?);
        known += usize::from(same::<ExitRecord>(line)?);
        known += usize::from(same::<HostRecord>(line)?);
        known += usize::from(same::<HostSpec>(line)?);
        known += usize::from(same::<Request>(line)?);
        known += usize::from(same::<Answer>(line)?);
        known += usize::from(same::<Stop>(line)?);
    }
    Ok(if known > 0 { Read::Understood } else { Read::Refused })
}

/// Whether it is such a thing, which then is read as the same once it is written, on one line.
fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(line: &[u8]) -> Result<bool, String> {
    let Ok(value) = serde_json::from_slice::<T>(line) else { return Ok(false) };
    let written = serde_json::to_vec(&value).map_err(|error| format!("{value:?} cannot be written: {error}"))?;
    must!(!written.contains(&b'\n'), "{value:?} is written in several lines");
    let again =
        serde_json::from_slice::<T>(&written).map_err(|error| format!("{value:?} is not read again: {error}"))?;
    must!(again == value, "{value:?} is read as {again:?}");
    Ok(true)
}
