//! Run hosts that live and do not answer. A host is never asked to say that it is there, for that would wake it while its
//! agent only waits: its process is looked at, and only a change is written down.

use std::collections::BTreeMap;

use musher_core::command::Report;
use musher_core::effect::EffectKind;
use musher_core::id::{EffectId, RunId};
use musher_core::run::RunState;
use musher_core::state::State;
use tokio::sync::Mutex;
use tracing::debug;

use crate::driver::Drivers;
use crate::engine::{Engine, EngineError};

/// After how many looks in a row without an answer a host counts as silent: 60 to 90 s with a look every 30 s, and never
/// before 60. Looks are counted,
/// and not seconds, so that a machine that slept has not heard its hosts too seldom.
const UNANSWERED: u32 = 3;

/// How many looks in a row each host has not answered.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    missed: Mutex<BTreeMap<RunId, u32>>,
}

/// A run whose host is looked at.
struct Watched {
    run: RunId,
    effect: EffectId,
    known_silent: bool,
}

impl Hosts {
    /// Looks at the host of every run that is at work, and says which have fallen silent or answer again.
    pub(crate) async fn look(&self, engine: &Engine, drivers: &Drivers) {
        let Ok(watched) = engine.read(watched).await else { return };
        let paths = engine.paths();
        let folders = watched.iter().map(|its| paths.run(&its.run.to_string())).collect();
        let silent: BTreeMap<_, _> = drivers.runs.silent(folders).await.into_iter().collect();
        let mut missed = self.missed.lock().await;
        missed.retain(|run, _| watched.iter().any(|its| its.run == *run));
        for its in watched {
            let report = match silent.get(&paths.run(&its.run.to_string())) {
                Some(pid) => {
                    let count = missed.entry(its.run).or_insert(0);
                    *count = count.saturating_add(1);
                    (!its.known_silent && *count >= UNANSWERED).then_some(Report::HostSilent { pid: *pid })
                }
                None => {
                    missed.remove(&its.run);
                    its.known_silent.then_some(Report::HostAnswers)
                }
            };
            if let Some(report) = report {
                say(engine, its.effect, report).await;
            }
        }
    }
}

/// What cannot be written now is said at the next look.
async fn say(engine: &Engine, effect: EffectId, report: Report) {
    match engine.report(effect, report).await {
        Ok(_) | Err(EngineError::Stopped) => {}
        Err(error) => debug!(%effect, %error, "what is heard of a run host was not taken"),
    }
}

fn watched(state: &State) -> Vec<Watched> {
    let of = |effect: &musher_core::effect::Effect| {
        let EffectKind::StartRun(run) = effect.kind else { return None };
        let row = state.run(run).filter(|row| row.state == RunState::Running)?;
        Some(Watched { run, effect: effect.id, known_silent: row.silent_host.is_some() })
    };
    state.effects().filter_map(of).collect()
}
