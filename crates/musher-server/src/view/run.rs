//! Runs as documents.

use musher_agents::driver::Beginning;
use musher_agents::protocol::Brief;
use musher_core::agent::AgentSpec;
use musher_core::approval::Approvals;
use musher_core::config::drivers::{self, Speech};
use musher_core::run::{Outcome, Run, Usage, Verdict};

use super::{Lookup, word};
use crate::api;

/// A run.
pub fn run(row: &Run, lookup: &impl Lookup) -> api::Run {
    api::Run {
        id: row.id,
        short_id: row.id.short(),
        mission: row.mission,
        item: row.item,
        // An agent's row outlives its removal, so that only a damaged store has no name.
        agent: lookup.agent(row.agent).unwrap_or_else(|| row.agent.short()),
        purpose: word(&row.purpose),
        state: row.state.name().to_owned(),
        outcome: row.outcome.as_ref().map(|o| o.name().to_owned()),
        class: row.outcome.as_ref().and_then(Outcome::class).map(|c| c.name().to_owned()),
        message: row.outcome.as_ref().and_then(message),
        attempt: row.attempt,
        assigned_at: row.assigned_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        last_activity_at: row.last_activity_at,
        usage: usage(row.usage),
        progress: row.progress.as_deref().map(str::to_owned),
        artifacts: row.submitted.iter().flat_map(|s| s.artifacts.iter().map(|name| name.to_string())).collect(),
    }
}

/// How the agent of a run is spoken to that began so. The prompt and the rest of it stay here.
pub fn speech(begun: &Beginning) -> api::Speech {
    let Brief { session, model, asks, prompt: _, worktree: _, mcp: _ } = begun.brief.clone();
    api::Speech { driver: begun.driver.clone(), session, model, asks }
}

/// The same of a run that has not begun.
pub fn speech_to_be(row: &Run, spec: &AgentSpec) -> Option<api::Speech> {
    let driver = drivers::named(&spec.driver).filter(|driver| driver.speech != Speech::Command)?;
    Some(api::Speech {
        driver: driver.by.to_owned(),
        session: row.resumes.as_deref().map(str::to_owned),
        model: spec.model.as_deref().map(str::to_owned),
        asks: spec.approvals != Approvals::Allow,
    })
}

/// What was used.
pub fn usage(usage: Usage) -> api::Usage {
    let cost_usd = usage.cost_usd();
    let Usage { input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, .. } = usage;
    api::Usage { input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, cost_usd }
}

fn message(outcome: &Outcome) -> Option<String> {
    let text = match outcome {
        Outcome::Finished { verdict: Some(Verdict::Approved(text)), .. } => format!("approved: {text}"),
        Outcome::Finished { verdict: Some(Verdict::Rejected(text)), .. } => format!("rejected: {text}"),
        Outcome::Finished { no_change_needed: Some(why), .. } => format!("no change needed: {why}"),
        Outcome::Finished { summary, .. } => summary.to_string(),
        Outcome::Failed { message, .. } => message.to_string(),
        Outcome::RateLimited { message, .. } | Outcome::SessionLost { message } => message.to_string(),
        Outcome::Cancelled => String::new(),
        Outcome::Lost { while_down: true } => "its process vanished while musher was down".to_owned(),
        Outcome::Lost { while_down: false } => "its process vanished".to_owned(),
    };
    (!text.is_empty()).then_some(text)
}
