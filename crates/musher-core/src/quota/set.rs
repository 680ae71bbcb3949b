//! What an operator sets: it holds over the configuration until `default` takes it back.

use serde::{Deserialize, Serialize};

use super::books::{configured, micro_usd};
use super::charge::Desk;
use super::{Cap, Rules, Scope, Unit};
use crate::change::Change;
use crate::command::Refused;
use crate::config::{MOST_SECONDS, seconds};
use crate::event::Happened;
use crate::id::MissionId;
use crate::mission::MissionState;
use crate::nearest::nearest;
use crate::state::State;
use crate::step::Context;

/// What is set for a scope; without a value it is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// A number; 0 = unlimited, also where the configuration has a limit.
    Cap(Cap, Option<u64>),
    /// The only models that an agent may use; an empty list = any.
    Models(Option<Vec<Box<str>>>),
}

/// The key of the models that an agent may use.
pub(super) const ALLOWLIST: &str = "model_allowlist";

impl Setting {
    /// Reads a key and a value as people type them: `daily_tokens 500000`, `daily_usd 12.50`, `max_run_duration 30m`,
    /// `model_allowlist a,b`; `unlimited` and `default` are values of every key.
    ///
    /// # Errors
    /// The scope has no such key, or the value is none of it.
    pub fn parse(scope: &Scope, key: &str, value: &str) -> Result<Self, Refused> {
        let agents = matches!(scope, Scope::Agent(_));
        if key == ALLOWLIST && agents {
            return Ok(Self::Models(match value {
                "default" => None,
                "unlimited" => Some(Vec::new()),
                names => {
                    let names: Vec<&str> = names.split(',').map(str::trim).collect();
                    if names.iter().any(|name| name.is_empty()) {
                        return Err(Refused::Invalid {
                            what: format!("`{value}` is no list of models"),
                            fix: "write their names with a comma between two, `unlimited`, or `default`".to_owned(),
                        });
                    }
                    Some(names.into_iter().map(Into::into).collect())
                }
            }));
        }
        let Some(cap) = scope.caps().iter().copied().find(|cap| cap.name() == key) else {
            let keys = || scope.caps().iter().map(|cap| cap.name()).chain(agents.then_some(ALLOWLIST));
            let all =
                || format!("its keys are {}", keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "));
            return Err(Refused::Invalid {
                what: format!("a quota of sort `{}` has no key `{key}`", scope.sort()),
                fix: nearest(key, keys()).map_or_else(all, |near| format!("did you mean `{near}`?")),
            });
        };
        let number = match (value, cap.unit()) {
            ("default", _) => return Ok(Self::Cap(cap, None)),
            ("unlimited", _) => Some(0),
            (value, Unit::Count) => value.replace('_', "").parse().ok().filter(|n| *n <= MOST),
            (value, Unit::Seconds) => seconds(value).filter(|n| *n <= MOST_SECONDS),
            (value, Unit::MicroUsd) => {
                let dollars: Option<f64> = value.strip_prefix('$').unwrap_or(value).parse().ok();
                dollars.filter(|usd| usd.is_finite() && *usd >= 0.0 && *usd <= MOST_DOLLARS).map(micro_usd)
            }
        };
        let form = match cap.unit() {
            Unit::Count => "a whole number such as 500000",
            Unit::Seconds => "a duration such as 90s, 30m or 4h",
            Unit::MicroUsd => "dollars such as 12.50",
        };
        number.map(|number| Self::Cap(cap, Some(number))).ok_or_else(|| Refused::Invalid {
            what: format!("`{value}` is no value of `{key}`"),
            fix: format!("write {form}, `unlimited`, or `default` for what the configuration says"),
        })
    }

    fn key(&self) -> &'static str {
        match self {
            Self::Cap(cap, _) => cap.name(),
            Self::Models(_) => ALLOWLIST,
        }
    }

    /// The value as it is said in the event: its number in the unit of its key.
    fn value(&self) -> Box<str> {
        match self {
            Self::Cap(_, None) | Self::Models(None) => "default".into(),
            Self::Cap(_, Some(0)) => "unlimited".into(),
            Self::Cap(_, Some(number)) => number.to_string().into(),
            Self::Models(Some(list)) if list.is_empty() => "unlimited".into(),
            Self::Models(Some(list)) => list.join(",").into(),
        }
    }
}

/// More is no limit but a slip.
const MOST: u64 = 1_000_000_000_000_000;

/// The most dollars that a limit may have.
const MOST_DOLLARS: f64 = 1e9;

/// The configuration has other limits than before. What is at work under one that is reached by that is stopped, as if an
/// operator had set it; what an operator has set holds on.
pub(crate) fn reconfigured<'a>(
    state: &State,
    rules: impl IntoIterator<Item = (Scope, &'a Rules, &'a Rules)>,
    change: &mut Change,
    cx: &mut Context,
) {
    let mut desk = Desk::new(state, cx);
    for (scope, before, after) in rules {
        for cap in scope.caps() {
            let limit = after.caps.get(cap).copied();
            let account = desk.account(scope.clone());
            if before.caps.get(cap).copied() == limit || account.set.caps.contains_key(cap) {
                continue;
            }
            account.warned.remove(cap);
            account.exceeded.remove(cap);
            if limit.is_some_and(|limit| limit > 0 && desk.look_against(scope.clone(), *cap, limit)) {
                desk.reach(&scope, *cap);
            }
        }
    }
    desk.stop(change, cx);
    desk.into_change(change);
}

/// Sets a limit, or takes one back. What is at work under a limit of tokens or dollars that is reached by that is stopped;
/// the others let runs begin or not, and hold for those that begin from now on.
///
/// # Errors
/// No such agent or mission, or the scope has no such key.
pub fn set(state: &State, scope: &Scope, setting: &Setting, cx: &mut Context) -> Result<Change, Refused> {
    match scope {
        Scope::Agent(name) if state.agent_named(name).is_none() => {
            return Err(Refused::NotFound { noun: "agent", name: name.to_string() });
        }
        Scope::Mission(id) if state.mission(*id).is_none() => {
            return Err(Refused::NotFound { noun: "mission", name: id.short() });
        }
        Scope::Mission(id) => refuse_if_over(state, *id)?,
        Scope::Workspace | Scope::Repo | Scope::Model(_) | Scope::Agent(_) => {}
    }
    let known = match setting {
        Setting::Cap(cap, _) => scope.caps().contains(cap),
        Setting::Models(_) => matches!(scope, Scope::Agent(_)),
    };
    if !known {
        return Err(Refused::Invalid {
            what: format!("a quota of sort `{}` has no key `{}`", scope.sort(), setting.key()),
            fix: String::new(),
        });
    }
    let mut desk = Desk::new(state, cx);
    let account = desk.account(scope.clone());
    let before = account.set.clone();
    match setting {
        Setting::Cap(cap, Some(value)) => {
            account.set.caps.insert(*cap, *value);
        }
        Setting::Cap(cap, None) => {
            account.set.caps.remove(cap);
        }
        Setting::Models(models) => account.set.model_allowlist.clone_from(models),
    }
    if account.set == before {
        return Ok(Change::default());
    }
    desk.say(
        scope,
        Happened::QuotaSet { scope: scope.to_string().into(), key: setting.key().into(), value: setting.value() },
    );
    if let Setting::Cap(cap, value) = setting {
        let account = desk.account(scope.clone());
        account.warned.remove(cap);
        account.exceeded.remove(cap);
        let limit = value.or_else(|| configured(state, scope, *cap)).filter(|limit| *limit > 0);
        if limit.is_some_and(|limit| desk.look_against(scope.clone(), *cap, limit)) {
            desk.reach(scope, *cap);
        }
    }
    let mut change = Change::default();
    desk.stop(&mut change, cx);
    desk.into_change(&mut change);
    Ok(change)
}

/// A mission that is over uses nothing more. One that failed may be taken up again, and with a higher limit.
fn refuse_if_over(state: &State, id: MissionId) -> Result<(), Refused> {
    let over = state.mission(id).map(|entry| entry.row.state).filter(|its| match its {
        MissionState::Completed | MissionState::Cancelled => true,
        MissionState::AwaitingApproval
        | MissionState::Planning
        | MissionState::Running
        | MissionState::Paused
        | MissionState::Blocked
        | MissionState::Failed => false,
    });
    over.map_or(Ok(()), |its| {
        Err(Refused::State {
            verb: "set a quota of",
            noun: "mission",
            name: id.short(),
            state: its.name(),
            fix: "it uses nothing more; `musher mission list` shows those that go on",
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_in_the_unit_of_its_key() {
        let (agent, model) = (Scope::Agent("a".into()), Scope::Model("m".into()));
        let cap = |cap, value| Ok(Setting::Cap(cap, value));
        let table = [
            (&agent, "daily_tokens", "500_000", cap(Cap::DailyTokens, Some(500_000))),
            (&agent, "daily_jobs", "0", cap(Cap::DailyJobs, Some(0))),
            (&agent, "concurrent_jobs", "unlimited", cap(Cap::ConcurrentJobs, Some(0))),
            (&agent, "max_run_duration", "1h30m", cap(Cap::MaxRunDuration, Some(5_400))),
            (&agent, "max_run_duration", "default", cap(Cap::MaxRunDuration, None)),
            (&agent, "model_allowlist", "a, b", Ok(Setting::Models(Some(vec!["a".into(), "b".into()])))),
            (&agent, "model_allowlist", "default", Ok(Setting::Models(None))),
            (&agent, "model_allowlist", "unlimited", Ok(Setting::Models(Some(Vec::new())))),
            (&model, "daily_usd", "12.5", cap(Cap::DailyUsd, Some(12_500_000))),
            (&model, "daily_usd", "$0.000001", cap(Cap::DailyUsd, Some(1))),
            // Less than can be counted is not without a limit.
            (&model, "daily_usd", "0.0000001", cap(Cap::DailyUsd, Some(1))),
            (&model, "daily_usd", "0", cap(Cap::DailyUsd, Some(0))),
            (&Scope::Repo, "daily_prs", "8", cap(Cap::DailyPrs, Some(8))),
            (&Scope::Repo, "daily_prs", "unlimited", cap(Cap::DailyPrs, Some(0))),
            (&Scope::Repo, "cooldown_after_failure", "90", cap(Cap::CooldownAfterFailure, Some(90))),
        ];
        for (scope, key, value, wanted) in table {
            assert_eq!(Setting::parse(scope, key, value), wanted, "{scope} {key} {value}");
        }
    }

    #[test]
    fn what_is_no_key_or_no_value_is_refused_with_what_would_be() {
        let agent = Scope::Agent("a".into());
        let table = [
            (
                &agent,
                "daily_token",
                "1",
                "a quota of sort `agent` has no key `daily_token`",
                "did you mean `daily_tokens`?",
            ),
            (&agent, "daily_usd_x", "1", "a quota of sort `agent` has no key `daily_usd_x`", ""),
            (
                &Scope::Workspace,
                "model_allowlist",
                "a",
                "a quota of sort `workspace` has no key `model_allowlist`",
                "its keys are `daily_usd`",
            ),
            (&Scope::Repo, "daily_issues", "1", "a quota of sort `repo` has no key `daily_issues`", ""),
            (
                &agent,
                "daily_tokens",
                "-1",
                "`-1` is no value of `daily_tokens`",
                "write a whole number such as 500000, `unlimited`, or `default` for what the configuration says",
            ),
            (
                &agent,
                "max_run_duration",
                "soon",
                "`soon` is no value of `max_run_duration`",
                "write a duration such as 90s, 30m or 4h, `unlimited`, or `default` for what the configuration says",
            ),
            (&agent, "model_allowlist", ",", "`,` is no list of models", ""),
            (&agent, "model_allowlist", "", "`` is no list of models", ""),
            (
                &Scope::Repo,
                "cooldown_after_failure",
                "999999999999999",
                "`999999999999999` is no value of `cooldown_after_failure`",
                "",
            ),
            (
                &Scope::Workspace,
                "daily_usd",
                "NaN",
                "`NaN` is no value of `daily_usd`",
                "write dollars such as 12.50, `unlimited`, or `default` for what the configuration says",
            ),
        ];
        for (scope, key, value, wanted, fix) in table {
            let refused = Setting::parse(scope, key, value).expect_err(key);
            assert_eq!(refused.to_string(), wanted);
            if !fix.is_empty() {
                assert_eq!(refused.fix().as_deref(), Some(fix), "{key}");
            }
        }
    }
}
