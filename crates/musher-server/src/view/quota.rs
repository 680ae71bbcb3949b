//! Quotas and costs as documents.

use musher_core::quota::{Line, Scope, Unit, allowed_models, sheet};
use musher_core::run::Usage;
use musher_core::state::State;
use musher_core::time::Timestamp;

use crate::api::{self, Amount};

/// All quotas, or those of one scope.
pub fn quotas(state: &State, only: Option<&Scope>, now: Timestamp) -> api::Quotas {
    let timezone = match &*state.settings().quota.timezone {
        "" => "UTC".to_owned(),
        name => name.to_owned(),
    };
    let wanted = |scope: &Scope| only.is_none_or(|only| only == scope);
    let lines = sheet(state, now).into_iter().filter(|line| wanted(&line.scope));
    let agents = state.agents().filter(|agent| !agent.removed).map(|agent| &agent.spec.name);
    let lists = agents.filter(|name| wanted(&Scope::Agent((*name).clone()))).filter_map(|name| {
        let models = allowed_models(state, name)?.iter().map(ToString::to_string).collect();
        Some(api::AllowedModels { scope: format!("agent:{name}"), models })
    });
    api::Quotas { timezone, quotas: lines.map(|line| quota(&line)).collect(), model_allowlists: lists.collect() }
}

fn quota(line: &Line) -> api::Quota {
    let amount = |number: i64| match line.cap.unit() {
        #[expect(clippy::cast_precision_loss, reason = "dollars for people; the limit itself is whole")]
        Unit::MicroUsd if number >= 0 => Amount::Usd(number as f64 / 1e6),
        Unit::Count | Unit::Seconds | Unit::MicroUsd => Amount::Whole(number),
    };
    let whole = |number: u64| amount(i64::try_from(number).unwrap_or(i64::MAX));
    let unit = match line.cap.unit() {
        Unit::Count => "count",
        Unit::Seconds => "seconds",
        Unit::MicroUsd => "usd",
    };
    api::Quota {
        scope: line.scope.to_string(),
        key: line.cap.name().to_owned(),
        unit: unit.to_owned(),
        limit: whole(line.limit),
        used: whole(line.used),
        remaining: amount(line.remaining),
        ends_at: line.ends,
        origin: line.origin.name().to_owned(),
    }
}

/// What was used of one.
pub fn entry(id: String, name: String, usage: Usage) -> api::CostEntry {
    let Usage {
        input_tokens,
        cache_read_tokens,
        cache_write_tokens,
        output_tokens,
        cost_micro_usd,
        estimated_micro_usd,
    } = usage;
    api::CostEntry {
        id,
        name,
        input_tokens,
        cache_read_tokens,
        cache_write_tokens,
        output_tokens,
        cost_usd: usage.cost_usd(),
        cost_micro_usd,
        estimated_micro_usd,
    }
}
