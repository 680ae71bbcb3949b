//! What is asked of schedules and triggers alike: what they do.

use musher_core::action::{Action, PlanFrom};
use musher_core::plan;

use crate::api::Problem;
use crate::view::action::ActionWish;

pub(super) fn invalid(what: impl Into<String>, fix: &str) -> Problem {
    Problem::new(422, "invalid", what.into()).fix(fix)
}

/// The one of these that is said; `of` names what says it.
pub(super) fn one_of<T>(said: Vec<(&str, Option<T>)>, of: &str, what: &str) -> Result<T, Problem> {
    let names: Vec<&str> = said.iter().map(|(name, _)| *name).collect();
    let fix = format!("say one of {}", names.join(", "));
    let mut there = said.into_iter().filter_map(|(name, value)| Some((name, value?)));
    match (there.next(), there.next()) {
        (Some((_, one)), None) => Ok(one),
        (None, _) => Err(invalid(format!("{of} does not say {what}"), &fix)),
        (Some((first, _)), Some((second, _))) => {
            Err(invalid(format!("{of} says {what} twice: by `{first}` and by `{second}`"), &fix))
        }
    }
}

/// What follows, checked as far as it needs no state; `of` names in messages what it is of.
pub(super) fn action_of(of: &str, wish: ActionWish) -> Result<Action, Problem> {
    if wish.agent.is_some() && wish.prompt.is_none() {
        return Err(invalid("`agent` belongs to `prompt`, and there is none", "leave it out"));
    }
    if wish.mission.is_some() != wish.note.is_some() {
        return Err(invalid("`note` and `mission` belong together", "say both, or none"));
    }
    let agent = wish.agent.map(Into::into);
    let mission: Box<str> = wish.mission.unwrap_or_default().into();
    let said = vec![
        ("prompt", wish.prompt.map(|text| Action::Prompt { text: text.into(), agent })),
        ("plan", wish.plan.map(|text| Action::Mission(PlanFrom::Text(text.into())))),
        ("plan_file", wish.plan_file.map(|path| Action::Mission(PlanFrom::File(path.into())))),
        ("note", wish.note.map(|text| Action::Note { mission, text: text.into() })),
    ];
    let action = one_of(said, of, "what it does")?;
    let problems = match &action {
        Action::Prompt { text, .. } => plan::parse_text("the prompt", text).err(),
        Action::Mission(PlanFrom::Text(text)) => plan::parse("plan.toml", text.as_bytes()).err(),
        Action::Mission(PlanFrom::File(_)) | Action::Note { .. } => None,
    };
    match problems {
        Some(problems) => Err(invalid(problems.to_string(), "`musher plan check FILE` lists every problem of a plan")),
        None => Ok(action),
    }
}
