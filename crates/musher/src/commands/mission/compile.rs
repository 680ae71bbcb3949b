//! From a plan to a mission that can be started: the repository is looked at first, so that nothing starts half.

use musher_core::mission::{Delivery, MissionItem};
use musher_core::plan::{self, Plan};
use musher_git::{PreflightError, RemoteName, preflight};
use musher_server::api::{NewItem, StartMission};

use crate::error::{Exit, Failure};
use crate::project::Project;

/// A mission as it is asked for: the plan, the configured policy where the plan says nothing, and a base that exists.
pub(crate) fn start_of(project: &Project, plan: Plan, base: Option<&str>) -> Result<StartMission, Failure> {
    if !project.is_set_up() {
        return Err(Failure::usage("there is no `musher.toml` here").fix("`musher init` writes a first one"));
    }
    let base = base.or(project.config.project.base.as_deref());
    let checked = preflight(&project.paths.root, base).map_err(|error| {
        let exit = match &error {
            PreflightError::NoSuchBranch { .. } | PreflightError::Detached { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        let fix = error.fix();
        Failure::caused(exit, &error).fix(fix)
    })?;
    if project.config.project.delivery == Delivery::Pr {
        has_origin(project)?;
    }
    let policy = plan.policy.apply(project.config.policy.clone());
    Ok(StartMission {
        goal: plan.goal,
        policy,
        base: checked.base.as_str().to_owned(),
        ask: false,
        items: plan.items.into_iter().map(MissionItem::from).map(NewItem::from).collect(),
    })
}

/// Pull requests are made from branches that lie at `origin`: without one, items would be finished and go nowhere.
fn has_origin(project: &Project) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::caused(Exit::Failed, error);
    let origin = RemoteName::parse("origin").map_err(|error| failed(&error))?;
    match project.repository.address_of(&origin).map_err(|error| failed(&error))? {
        Some(_) => Ok(()),
        None => Err(Failure::usage("`delivery = \"pr\"` needs a remote `origin`, and there is none")
            .fix("`git remote add origin ADDRESS`, or another `delivery` in musher.toml")),
    }
}

/// A mission of one item.
pub(crate) fn text_plan(text: &str) -> Result<Plan, Failure> {
    plan::parse_text("the text", text)
        .map_err(|problems| Failure::usage("the text cannot be used").why(problems.to_string()))
}
