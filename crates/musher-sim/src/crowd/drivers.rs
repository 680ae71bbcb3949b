//! The drivers of a crowd and the processes of its agents: quick, honest, and older than any daemon.

use musher_core::command::{Inspection, Report};
use musher_core::effect::{Effect, EffectKind};
use musher_core::id::{EffectId, ItemId, RunId};
use musher_core::run::{FailureClass, Outcome, Usage};
use musher_core::time::Timestamp;

use super::{Crowd, HOUR, Happening, MINUTE, MS, SECOND, Said, micros_after};
use crate::failure::Broken;

/// An agent's process; it outlives the daemon.
#[derive(Clone, Debug)]
pub(super) struct Process {
    effect: EffectId,
    item: ItemId,
    /// What it has used.
    pub(super) used: Usage,
    /// What of that was said to the daemon that hears it.
    said: Usage,
    /// What of that is on disk.
    told: Usage,
    /// How it ended.
    ended: Option<Outcome>,
    /// The life of the daemon that hears it.
    heard_by: u32,
}

impl Process {
    /// What was said is on disk.
    pub(super) fn told_all(&mut self) {
        self.told = self.said;
    }

    /// What is to be said.
    fn unsaid(&mut self) -> Usage {
        let unsaid = self.used.since(self.said);
        self.said = self.used;
        unsaid
    }
}

/// How often a process says in between what it has used.
const WORDS: i64 = 2;

impl Crowd {
    /// A driver is handed an effect.
    pub(super) fn begin(&mut self, effect: Effect) {
        let (low, high) = match &effect.kind {
            EffectKind::CreateWorktree => (20 * MS, 2 * SECOND),
            EffectKind::StopRun(..) => (MS, 5 * SECOND),
            _ => (5 * MS, 300 * MS),
        };
        let takes = self.chance.between(low, high);
        self.push(takes, Happening::Act { effect, life: self.life });
    }

    /// It has done its work.
    pub(super) fn act(&mut self, effect: &Effect, said: &mut Vec<Said>) -> Result<(), Broken> {
        let report = match &effect.kind {
            EffectKind::CreateWorktree => Report::WorktreeReady { base_commit: "root".into() },
            EffectKind::StartRun(run) => {
                self.start(effect, *run, said);
                return Ok(());
            }
            EffectKind::StopRun(run, _) => {
                self.end(*run, Outcome::Cancelled, said);
                return Ok(());
            }
            EffectKind::Inspect => Report::Inspected(Inspection::Empty),
            EffectKind::RemoveWorktree { .. } => Report::WorktreeRemoved,
            EffectKind::TellRun { .. }
            | EffectKind::AnswerRun { .. }
            | EffectKind::Gate { .. }
            | EffectKind::PrepareMerge { .. }
            | EffectKind::Rebase
            | EffectKind::Land { .. }
            | EffectKind::PushBranch { .. }
            | EffectKind::Forge(_)
            | EffectKind::RunCheck { .. }
            | EffectKind::FetchUrl { .. } => {
                let what = format!("nobody asked for an effect of sort {}", effect.kind.name());
                return Err(Broken::safety(effect.item, what));
            }
        };
        said.push(Said::Report { effect: effect.id, report, run: None });
        Ok(())
    }

    /// Starts a process, or attaches to it, or reads how it ended.
    fn start(&mut self, effect: &Effect, run: RunId, said: &mut Vec<Said>) {
        let life = self.life;
        let known = self.processes.get_mut(&run).map(|process| {
            // What the last one was told and did not bring to disk, nobody knows.
            (process.heard_by, process.said) = (life, process.told);
            process.ended.clone()
        });
        match known {
            Some(Some(outcome)) => return self.tell_end(run, outcome, said),
            Some(None) => {}
            None => {
                let process = Process {
                    effect: effect.id,
                    item: effect.item,
                    used: Usage::default(),
                    said: Usage::default(),
                    told: Usage::default(),
                    ended: None,
                    heard_by: life,
                };
                self.processes.insert(run, process);
                let takes = self.chance.between(MINUTE, 40 * MINUTE);
                for word in 1..=WORDS {
                    self.push(takes * word / (WORDS + 1), Happening::Uses(run));
                }
                self.push(takes, Happening::Exit(run));
            }
        }
        said.push(Said::Report { effect: effect.id, report: Report::RunStarted, run: None });
    }

    fn use_more(&mut self, run: RunId) {
        let tokens = self.chance.between(25, 250).unsigned_abs();
        let more = Usage {
            input_tokens: tokens,
            output_tokens: tokens,
            cost_micro_usd: self.chance.between(10, 200).unsigned_abs(),
            ..Usage::default()
        };
        if let Some(process) = self.processes.get_mut(&run) {
            process.used = process.used.plus(more);
        }
    }

    /// A process has used something, and says so to the daemon that hears it.
    pub(super) fn uses(&mut self, run: RunId, said: &mut Vec<Said>) {
        if self.processes.get(&run).is_none_or(|process| process.ended.is_some()) {
            return;
        }
        self.use_more(run);
        let life = self.life;
        if let Some(process) = self.processes.get_mut(&run).filter(|process| process.heard_by == life) {
            let report = Report::RunProgress { usage: process.unsaid() };
            said.push(Said::Report { effect: process.effect, report, run: Some(run) });
        }
    }

    /// A process ends by itself: mostly well.
    pub(super) fn exit(&mut self, run: RunId, said: &mut Vec<Said>) {
        let Some(item) = self.processes.get(&run).map(|process| process.item) else { return };
        let outcome = self.draw_end(item);
        self.end(run, outcome, said);
    }

    fn draw_end(&mut self, item: ItemId) -> Outcome {
        if let Some(resets_at) = self.flood() {
            return limited(Some(resets_at));
        }
        let failed = |class, message: &str| Outcome::Failed { class, message: message.into(), detail: Box::default() };
        match self.chance.below(100) {
            0..=3 => failed(FailureClass::Agent, "it gave up"),
            4..=6 => failed(FailureClass::Timeout, "it was silent for too long"),
            7 | 8 => Outcome::Lost { while_down: false },
            9 => limited(None),
            10 => {
                let most = if self.chance.one_in(10) { 30 * HOUR } else { 2 * HOUR };
                let rest = self.chance.between(MINUTE, most);
                limited(Some(micros_after(self.wall(), rest)))
            }
            _ if self.cursed.contains(&item) => failed(FailureClass::Agent, "it cannot be done"),
            _ => Outcome::Finished { summary: "done".into(), no_change_needed: None, verdict: None },
        }
    }

    fn end(&mut self, run: RunId, outcome: Outcome, said: &mut Vec<Said>) {
        if self.processes.get(&run).is_none_or(|process| process.ended.is_some()) {
            return;
        }
        self.use_more(run);
        let Some(process) = self.processes.get_mut(&run) else { return };
        process.ended = Some(outcome.clone());
        if process.heard_by == self.life {
            self.tell_end(run, outcome, said);
        }
    }

    fn tell_end(&mut self, run: RunId, outcome: Outcome, said: &mut Vec<Said>) {
        if let Some(process) = self.processes.get_mut(&run) {
            let report = Report::RunFinished { outcome, usage: process.unsaid() };
            said.push(Said::Report { effect: process.effect, report, run: Some(run) });
        }
    }
}

fn limited(resets_at: Option<Timestamp>) -> Outcome {
    Outcome::RateLimited { resets_at, message: "the account is used up".into() }
}
