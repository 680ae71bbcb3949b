//! `[quota]`, and the `quota` of an agent: what may be used.

use std::collections::BTreeMap;

use super::reader::{Fields, clipped};
use crate::plan::plain;
use crate::problem::Report;
use crate::quota::period::{zone, zones};
use crate::quota::{Cap, Quotas, Rules, Unit};

pub(super) fn read(fields: &Fields, report: &mut Report) -> Quotas {
    Quotas {
        timezone: read_timezone(fields, report),
        workspace: fields.table("workspace", report).map(|t| caps(&t, &WORKSPACE, report)).unwrap_or_default(),
        repo: fields.table("repo", report).map(|t| caps(&t, &REPO, report)).unwrap_or_default(),
        models: read_models(fields, report),
    }
}

/// The `quota` table of an agent.
pub(super) fn read_of_agent(fields: &Fields, report: &mut Report) -> Rules {
    let rules = caps(fields, &AGENT, report);
    Rules {
        model_allowlist: fields
            .texts("model_allowlist", report)
            .map(|t| plain(t).into_iter().map(Into::into).collect()),
        ..rules
    }
}

const WORKSPACE: [Cap; 1] = [Cap::DailyUsd];
const REPO: [Cap; 2] = [Cap::DailyPrs, Cap::CooldownAfterFailure];
const MODEL: [Cap; 3] = [Cap::DailyTokens, Cap::HourlyRequests, Cap::DailyUsd];
const AGENT: [Cap; 4] = [Cap::DailyTokens, Cap::DailyJobs, Cap::ConcurrentJobs, Cap::MaxRunDuration];

fn caps(fields: &Fields, caps: &[Cap], report: &mut Report) -> Rules {
    let number = |cap: &Cap, report: &mut Report| match cap.unit() {
        Unit::Count => fields.whole(cap.name(), report),
        Unit::Seconds => fields.duration_secs(cap.name(), report),
        Unit::MicroUsd => fields.money(cap.name(), report).map(crate::quota::micro_usd),
    };
    let caps = caps.iter().filter_map(|cap| number(cap, report).map(|number| (*cap, number))).collect();
    Rules { caps, model_allowlist: None }
}

fn read_models(fields: &Fields, report: &mut Report) -> BTreeMap<String, Rules> {
    let mut models = BTreeMap::new();
    for (model, table) in fields.named("model", report) {
        if model.trim().is_empty() {
            report.add_with_fix(table.at(), "a quota has no model", "write the model's name: [quota.model.\"NAME\"]");
        }
        let rules = caps(&table, &MODEL, report);
        models.insert(model.to_owned(), rules);
    }
    models
}

fn read_timezone(fields: &Fields, report: &mut Report) -> String {
    let Some(name) = fields.text("timezone", report) else { return String::new() };
    if zone(name).is_none() {
        let names = zones();
        let what = format!("there is no time zone `{}`", clipped(name));
        let all = || "write an IANA name such as \"Europe/Berlin\", or \"UTC\"".to_owned();
        report.add_unknown(fields.place("timezone"), what, name, names.iter().map(String::as_str), all);
    }
    // The default, under its own name.
    if name == "UTC" { String::new() } else { name.to_owned() }
}
