//! What the firing of a schedule or a trigger asks of the world: its check, its plan, and the base branch.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use musher_core::action::{Action, PlanFrom};
use musher_core::command::Report;
use musher_core::firing::{self, Prepared};
use musher_core::id::{EffectId, FiringId};
use musher_core::mission::{MissionItem, Policy, StartMission};
use musher_core::plan::{self, Plan};
use musher_core::schedule::RunOn;
use musher_core::state::State;

use crate::driver::Drivers;
use crate::job::{self, Script, ScriptEnd};
use crate::paths::Paths;

/// What one firing asks.
#[derive(Clone, Debug)]
pub struct FiringJob {
    /// The repository.
    pub root: PathBuf,
    /// What is asked first.
    pub check: Option<AskCheck>,
    /// What may follow.
    pub action: Action,
    /// The configured base branch.
    pub base: Option<String>,
    /// The policy of its mission, where the plan says nothing.
    pub policy: Policy,
}

/// A check that is to be asked.
#[derive(Clone, Debug)]
pub struct AskCheck {
    /// It, as a script.
    pub script: Script,
    /// Its program.
    pub program: String,
    /// After which end the action follows.
    pub run_on: RunOn,
}

/// The job of a firing; nothing when it is over.
pub(crate) fn job(state: &State, firing: FiringId, effect: EffectId, paths: &Paths) -> Option<FiringJob> {
    let wish = firing::wish(state, firing)?;
    let check = wish.check.map(|check| AskCheck {
        script: job::check_script(paths, effect, &check.argv, check.timeout_secs),
        program: check.argv.first().map(ToString::to_string).unwrap_or_default(),
        run_on: check.run_on,
    });
    Some(FiringJob {
        root: paths.root.clone(),
        check,
        action: wish.action.clone(),
        base: state.settings().base.clone(),
        policy: wish.policy.clone(),
    })
}

/// Asks the check, and, when the action is to follow, makes what it needs.
pub(crate) async fn carry_out(job: FiringJob, drivers: &Drivers) -> Report {
    Report::FiringPrepared(prepare(job, drivers).await.unwrap_or_else(|error| Prepared::Failed { error: error.into() }))
}

async fn prepare(job: FiringJob, drivers: &Drivers) -> Result<Prepared, String> {
    let mut text = String::new();
    if let Some(check) = job.check {
        let ok;
        (ok, text) = ask(check.script, &check.program, &job.root, drivers).await?;
        if !check.run_on.wants(ok) {
            return Ok(Prepared::Unneeded { text: text.into() });
        }
    }
    let plan = match job.action {
        Action::Note { .. } => return Ok(Prepared::Go { start: None, text: text.into() }),
        Action::Prompt { text, agent } => {
            let mut plan = plan::parse_text("the prompt", &text).map_err(|problems| problems.to_string())?;
            plan.items.iter_mut().for_each(|item| item.agent = agent.as_deref().map(str::to_owned));
            plan
        }
        Action::Mission(PlanFrom::Text(text)) => {
            plan::parse("plan.toml", text.as_bytes()).map_err(|problems| problems.to_string())?
        }
        Action::Mission(PlanFrom::File(path)) => read(job.root.join(&*path)).await?,
    };
    let base = drivers.git.base(job.root, job.base).await?;
    let start = StartMission {
        goal: plan.goal.into(),
        policy: plan.policy.apply(job.policy),
        base: base.into(),
        ask: false,
        items: plan.items.into_iter().map(MissionItem::from).collect(),
    };
    Ok(Prepared::Go { start: Some(Box::new(start)), text: text.into() })
}

/// Runs a check to its end, and says whether it exited 0. A check that takes too long has not: what hangs is not well. One
/// that cannot be run has said nothing.
async fn ask(script: Script, program: &str, root: &Path, drivers: &Drivers) -> Result<(bool, String), String> {
    // Asked before, for what a shell says of it looks like any other exit.
    if !script.folder.exists() {
        startable(program, root)?;
    }
    let secs = script.timeout_secs;
    match drivers.runs.script(script).await {
        ScriptEnd::Exited { ok, exit, tail } => Ok((ok, with_tail(&exit, &tail))),
        ScriptEnd::TimedOut { tail } => {
            let said = format!("it took longer than {}, and was ended", musher_core::config::show_seconds(secs));
            Ok((false, with_tail(&said, &tail)))
        }
        ScriptEnd::Lost | ScriptEnd::Died => Err("the check's process vanished".to_owned()),
        ScriptEnd::Failed(error) => Err(format!("the check could not be started: {error}")),
    }
}

/// How much of what a check printed is kept, in characters.
const KEPT: usize = 1_000;

fn with_tail(exit: &str, tail: &str) -> String {
    let tail = tail.trim();
    let from = tail.char_indices().rev().nth(KEPT - 1).map_or(0, |(at, _)| at);
    if tail.is_empty() { format!("the check: {exit}") } else { format!("the check: {exit}: {}", &tail[from..]) }
}

/// Whether there is such a program, and it may be run.
fn startable(program: &str, root: &Path) -> Result<(), String> {
    let runs = |path: &Path| path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    if program.contains('/') {
        let path = root.join(program);
        return match path.metadata() {
            Err(error) => Err(format!("the check `{program}` cannot be run: {error}")),
            Ok(_) if runs(&path) => Ok(()),
            Ok(_) => Err(format!("the check `{program}` is no program that may be run; `chmod +x` makes a script one")),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&folders).any(|folder| runs(&folder.join(program))) {
        return Ok(());
    }
    Err(format!("the check's program `{program}` is in no folder of PATH; write its path, such as ./{program}"))
}

/// The largest plan file that a firing reads.
const LARGEST_PLAN: u64 = 64 << 20;

async fn read(path: PathBuf) -> Result<Plan, String> {
    let reading = tokio::task::spawn_blocking(move || {
        let name = path.display().to_string();
        let wrong = |why: String| format!("the plan `{name}` cannot be read: {why}");
        let file = path.metadata().map_err(|error| wrong(error.to_string()))?;
        // A pipe would be waited for, for ever.
        if !file.is_file() {
            return Err(wrong("it is no file".to_owned()));
        }
        if file.len() > LARGEST_PLAN {
            return Err(wrong(format!("it has {} bytes; {LARGEST_PLAN} are the most", file.len())));
        }
        let bytes = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
        plan::parse(&name, &bytes).map_err(|problems| problems.to_string())
    });
    reading.await.map_err(|error| format!("the reader stopped: {error}"))?
}
