//! The history checker: what must hold after every batch, after every restart, and when the night is over.

use std::collections::BTreeMap;

use musher_core::command::{Answer, Command};
use musher_core::event::Logged;
use musher_core::id::{CallId, Fence, ItemId, MissionId, RunId, Seq};
use musher_core::item::{ItemState, MergeStage, Phase, Wants, Worktree};
use musher_core::mission::MissionState;
use musher_core::state::State;
use musher_core::wait;
use musher_store::Reader;
use musher_store::store::{EventFilter, Scope};

use crate::coverage::Coverage;
use crate::failure::Broken;
use crate::nodes;
use crate::outside::Outside;
use crate::quotas::Watch;

/// What an operator was told, and where it must be found ever after.
#[derive(Clone, Debug)]
struct Acknowledged {
    what: String,
    event: &'static str,
    mission: Option<MissionId>,
    item: Option<ItemId>,
    after: Seq,
    upto: Seq,
}

/// All that was ever seen from outside.
#[derive(Debug, Default)]
pub struct History {
    log: Vec<Logged>,
    acknowledged: Vec<Acknowledged>,
    fences: BTreeMap<(ItemId, Fence), RunId>,
    highest: BTreeMap<ItemId, Fence>,
    quotas: Watch,
    pub(crate) nodes: nodes::Watch,
}

impl History {
    /// The last place of the log.
    pub fn last(&self) -> Seq {
        self.log.last().map_or(Seq(0), |l| l.seq)
    }

    /// The whole log.
    pub fn log(&self) -> &[Logged] {
        &self.log
    }

    /// The last events of an item, or of all.
    pub fn tail(&self, item: Option<ItemId>, count: usize) -> Vec<Logged> {
        let mut tail: Vec<Logged> =
            self.log.iter().rev().filter(|l| item.is_none() || l.event.item == item).take(count).cloned().collect();
        tail.reverse();
        tail
    }

    /// Reads what a batch added to the log. The numbers must have no gap.
    pub fn read_on(&mut self, reader: &dyn Reader, upto: Seq, coverage: &mut Coverage) -> Result<(), Broken> {
        for logged in events_after(reader, self.last())? {
            let expected = Seq(self.last().0 + 1);
            if logged.seq != expected {
                return Err(Broken::safety(None, format!("event {} follows {}", logged.seq.0, self.last().0)));
            }
            *coverage.events.entry(logged.event.happened.name()).or_default() += 1;
            self.log.push(logged);
        }
        if self.last() != upto {
            return Err(Broken::safety(None, format!("the log ends at {}, the batch said {}", self.last().0, upto.0)));
        }
        Ok(())
    }

    /// Notes that an operator was told yes; the event that says so must be there already.
    pub fn acknowledge(&mut self, command: &Command, answer: &Answer, after: Seq) -> Result<(), Broken> {
        let Some((event, mission, item)) = witness(command, answer) else { return Ok(()) };
        let ack = Acknowledged { what: what(command), event, mission, item, after, upto: self.last() };
        self.holds(&ack)?;
        self.acknowledged.push(ack);
        Ok(())
    }

    fn holds(&self, ack: &Acknowledged) -> Result<(), Broken> {
        let from = usize::try_from(ack.after.0).unwrap_or(0);
        let upto = usize::try_from(ack.upto.0).unwrap_or(0).min(self.log.len());
        let found = self.log.get(from..upto).unwrap_or_default().iter().any(|l| {
            let name = l.event.happened.name();
            (name == ack.event || (ack.event == "note_applied" && name == "command_ignored"))
                && (ack.item.is_none() || l.event.item == ack.item)
                && (ack.mission.is_none() || l.event.mission == ack.mission)
        });
        if found {
            return Ok(());
        }
        Err(Broken::safety(ack.item, format!("acknowledged and lost: {} left no {}", ack.what, ack.event)))
    }

    /// After a restart everything that was ever read must still be there, byte for byte.
    pub fn compare(&self, reader: &dyn Reader) -> Result<(), Broken> {
        let mut on_disk = Vec::with_capacity(self.log.len());
        while let Some(more) = Some(events_after(reader, on_disk.last().map_or(Seq(0), |l: &Logged| l.seq))?)
            && !more.is_empty()
        {
            on_disk.extend(more);
        }
        if on_disk.len() < self.log.len() {
            let lost = &self.log[on_disk.len()];
            let what = format!("acknowledged and lost: event {} ({})", lost.seq.0, lost.event.happened.name());
            return Err(Broken::safety(lost.event.item, what));
        }
        if let Some((was, is)) = self.log.iter().zip(&on_disk).find(|(was, is)| was != is) {
            return Err(Broken::safety(was.event.item, format!("event {} changed: {was:?} became {is:?}", was.seq.0)));
        }
        for ack in &self.acknowledged {
            self.holds(ack)?;
            if let Some(mission) = ack.mission
                && reader.mission(mission).map_err(Broken::simulator)?.is_none()
            {
                return Err(Broken::safety(None, format!("acknowledged and lost: mission {}", mission.short())));
            }
        }
        Ok(())
    }

    /// Fences only grow, and none has two holders.
    fn fences(&mut self, state: &State) -> Result<(), Broken> {
        for run in state.runs() {
            let holder = *self.fences.entry((run.item, run.fence)).or_insert(run.id);
            if holder != run.id {
                return Err(Broken::safety(
                    run.item,
                    format!("two runs under fence {} of item {}", run.fence.0, run.item.short()),
                ));
            }
        }
        for item in items(state) {
            let highest = self.highest.entry(item.id).or_default();
            if item.fence < *highest {
                return Err(Broken::safety(item.id, format!("the fence of item {} went back", item.key)));
            }
            *highest = item.fence;
        }
        Ok(())
    }

    /// What must hold after every batch.
    pub fn after_batch(&mut self, state: &State, outside: &Outside) -> Result<(), Broken> {
        state.check().map_err(|v| Broken::safety(None, v.0))?;
        self.fences(state)?;
        self.quotas.look(state)?;
        self.nodes.look(state)?;
        for (run, process) in outside.live() {
            if state.run(*run).is_none() {
                let what = format!("run {} is at work and musher believes it over", run.short());
                return Err(Broken::safety(process.item, what));
            }
        }
        for mission in state.missions() {
            let at_work = mission.count(Phase::Assigned) + mission.count(Phase::Running);
            let limit = outside.parallel_limit(state, mission.row.id);
            if at_work > limit {
                let what =
                    format!("mission {} has {at_work} items at work and may have {limit}", mission.row.id.short());
                return Err(Broken::safety(None, what));
            }
        }
        merged_as_believed(state, outside)
    }
}

/// What is in a target branch is what musher believes to be there, and the other way round.
fn merged_as_believed(state: &State, outside: &Outside) -> Result<(), Broken> {
    for (id, commit) in outside.targets.values().flat_map(|t| t.landed.iter()) {
        let Some(item) = state.item(*id) else { continue };
        let known = match &item.state {
            ItemState::Done => item.merged.as_deref() == Some(commit),
            ItemState::Merging(MergeStage::Landing(prepared)) => &*prepared.commit == commit,
            // An earlier try's "could not" comes after a later one has landed it: it waits, and the next preparation finds
            // it landed. That it does is held at the end, when nothing may be left in the queue.
            ItemState::Merging(MergeStage::Held { .. } | MergeStage::Queued | MergeStage::Preparing) => {
                item.merge_tries > 0
            }
            _ => false,
        };
        if !known {
            let what = format!("item {} is merged as {commit} and yet {}", item.key, item.phase().name());
            return Err(Broken::safety(*id, what));
        }
    }
    for item in items(state).filter(|i| i.wants == Wants::Plan) {
        if outside.landed(item.id).next().is_some() {
            let what = format!("item {} wants a plan and is merged", item.key);
            return Err(Broken::safety(item.id, what));
        }
    }
    for item in items(state).filter(|i| i.phase() == Phase::Done) {
        if let Some(commit) = &item.merged
            && !outside.landed(item.id).any(|landed| landed == &**commit)
        {
            let what = format!("item {} is done as {commit}, which is in no target branch", item.key);
            return Err(Broken::safety(item.id, what));
        }
    }
    Ok(())
}

/// Every item that an agent was told it has added is on disk.
pub fn added(reader: &dyn Reader, added: &BTreeMap<CallId, ItemId>) -> Result<(), Broken> {
    for id in added.values() {
        if reader.item(*id).map_err(Broken::simulator)?.is_none() {
            return Err(Broken::safety(*id, "an item that its agent was told of is not there"));
        }
    }
    Ok(())
}

/// What must hold when the night is over and nothing more will happen by itself.
pub fn at_rest(state: &State, outside: &Outside, reader: &dyn Reader) -> Result<(), Broken> {
    if let Some(effect) = state.effects().next() {
        let what = format!("effect {} ({}) is open and nobody carries it out", effect.id.short(), effect.kind.name());
        return Err(Broken::liveness(effect.item, what));
    }
    if let Some((run, process)) = outside.live().next() {
        return Err(Broken::liveness(process.item, format!("run {} never ends", run.short())));
    }
    for item in items(state) {
        if !matches!(item.phase(), Phase::Done | Phase::Failed | Phase::Cancelled)
            && wait::of_item(state, item.id).is_empty()
        {
            let what = format!("item {} is {} for ever and nothing explains it", item.key, item.phase().name());
            return Err(Broken::liveness(item.id, what));
        }
        let over = matches!(item.phase(), Phase::Done | Phase::Cancelled);
        if over && outside.worktrees.contains_key(&item.id) && !matches!(item.worktree, Worktree::Kept(_)) {
            let what = format!("item {} is {} and its worktree was left behind", item.key, item.phase().name());
            return Err(Broken::liveness(item.id, what));
        }
        if !outside.worktrees.contains_key(&item.id) && item.worktree == Worktree::Ready && over {
            return Err(Broken::liveness(item.id, format!("item {} counts on a worktree that is gone", item.key)));
        }
    }
    for mission in state.missions() {
        if mission.row.state == MissionState::Running && wait::of_mission(state, mission.row.id).is_empty() {
            let what = format!("mission {} runs for ever and nothing explains it", mission.row.id.short());
            return Err(Broken::liveness(None, what));
        }
    }
    archived_missions_ended(state, reader)
}

fn archived_missions_ended(state: &State, reader: &dyn Reader) -> Result<(), Broken> {
    for mission in reader.missions(Scope::All).map_err(Broken::simulator)? {
        if state.mission(mission.id).is_some() {
            continue;
        }
        for item in reader.items_of(mission.id).map_err(Broken::simulator)? {
            if !item.is_terminal() {
                let what = format!("item {} of an archived mission is {}", item.key, item.phase().name());
                return Err(Broken::safety(item.id, what));
            }
        }
    }
    Ok(())
}

/// Every item in memory.
pub fn items(state: &State) -> impl Iterator<Item = &musher_core::item::Item> {
    state.missions().flat_map(|m| m.items.iter()).filter_map(|id| state.item(*id))
}

fn events_after(reader: &dyn Reader, after: Seq) -> Result<Vec<Logged>, Broken> {
    reader.events(&EventFilter { after, ..EventFilter::default() }).map_err(Broken::simulator)
}

/// The event that an accepted command must have left, and whom it must name.
fn witness(command: &Command, answer: &Answer) -> Option<(&'static str, Option<MissionId>, Option<ItemId>)> {
    Some(match command {
        Command::StartMission(_) => match answer {
            Answer::Mission(id) => ("mission_started", Some(*id), None),
            Answer::Done
            | Answer::Agent(_)
            | Answer::Note(_)
            | Answer::Help(_)
            | Answer::Item(_)
            | Answer::Schedule(_)
            | Answer::Trigger(_)
            | Answer::Watch(_)
            | Answer::Messages(_)
            | Answer::Webhook(_)
            | Answer::Relayed(_) => return None,
        },
        Command::ApproveMission(id) => ("mission_approved", Some(*id), None),
        Command::PauseMission(id, ..) => ("mission_paused", Some(*id), None),
        Command::ResumeMission(id) => ("mission_resumed", Some(*id), None),
        Command::StopMission(id, _) => ("mission_cancelled", Some(*id), None),
        Command::NoteMission(id, _) => ("note_applied", Some(*id), None),
        Command::RetryItem(id) => ("item_retried", None, Some(*id)),
        Command::FailOverItem(id) => ("item_failover_allowed", None, Some(*id)),
        Command::RestartAgent(_) => ("agent_restarted", None, None),
        Command::HoldItem(id, _) => ("item_held", None, Some(*id)),
        Command::FreezeItem(id, _) => ("item_frozen", None, Some(*id)),
        Command::DemoteItem(id, _) => ("item_demoted", None, Some(*id)),
        Command::SupersedeItem(id, _) => ("item_superseded", None, Some(*id)),
        Command::ReopenItem(id, _) => ("item_reopened", None, Some(*id)),
        Command::TurnDownItem(id, _) => ("item_cancelled", None, Some(*id)),
        Command::ReleaseItem(id) => ("item_released", None, Some(*id)),
        Command::SkipItem(id) => ("item_skipped", None, Some(*id)),
        Command::CancelItem(id) => ("item_cancelled", None, Some(*id)),
        Command::ApproveItem(id, _) => ("review_approved", None, Some(*id)),
        Command::RejectItem(id, _) => ("review_rejected", None, Some(*id)),
        // The rest may rightly change nothing, or is said by musher itself.
        _ => return None,
    })
}

fn what(command: &Command) -> String {
    let text = format!("{command:?}");
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}
