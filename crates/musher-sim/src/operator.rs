//! What operators do in a night: everything that they can, at any moment, fitting or not.

use musher_core::agent::AgentSpec;
use musher_core::approval::Ruled;
use musher_core::command::Command;
use musher_core::effect::Stop;
use musher_core::id::{AgentId, ItemId, MissionId};
use musher_core::quota::Quotas;
use musher_core::state::State;

use crate::chance::Chance;
use crate::{checker, quotas};

/// The next wish, if there is anything to wish about.
pub fn wish(chance: &mut Chance, state: &State) -> Option<Command> {
    let missions: Vec<MissionId> = state.missions().map(|m| m.row.id).collect();
    let items: Vec<ItemId> = checker::items(state).map(|i| i.id).collect();
    let stop = if chance.one_in(2) { Stop::Interrupt } else { Stop::Kill };
    if state.settings().quota != Quotas::default() && chance.one_in(8) {
        return quotas::wish(chance, state);
    }
    match chance.below(24) {
        0..=11 => of_item(chance, state, *chance.clone().pick(&items)?, stop),
        12..=19 => of_mission(chance, state, *chance.clone().pick(&missions)?, stop),
        20 => of_agent(chance, state),
        _ => {
            let runs = state.runs();
            let run = chance.pick(&runs)?;
            let asked = run.requests.iter().find(|request| request.is_open());
            let help = run.help.iter().find(|request| request.is_open());
            Some(match (asked, help) {
                (Some(request), _) if chance.one_in(2) => Command::AnswerRequest(request.id, Ruled::Allowed, "".into()),
                (_, Some(request)) => Command::AnswerHelp(request.id, "the first".into()),
                (_, None) => Command::StopRun(run.id, stop),
            })
        }
    }
}

/// Mostly what fits the item's state, so that operators get somewhere; often enough what does not.
fn of_item(chance: &mut Chance, state: &State, id: ItemId, _: Stop) -> Option<Command> {
    use musher_core::item::Phase as P;
    let item = state.item(id)?;
    if chance.one_in(3) {
        return Some(match chance.below(13) {
            0 => Command::RetryItem(id),
            1 => Command::HoldItem(id, "just because".into()),
            2 => Command::ReleaseItem(id),
            3 => Command::SkipItem(id),
            4 => Command::CancelItem(id),
            5 => Command::ApproveItem(id, "fine".into()),
            6 => Command::RejectItem(id, "not like this".into()),
            7 => Command::FreezeItem(id, "wait a moment".into()),
            8 => Command::DemoteItem(id, "later".into()),
            9 => Command::SupersedeItem(id, of_the_same_mission(chance, state, id)?),
            10 => Command::ReopenItem(id, "one more thing".into()),
            11 => Command::TurnDownItem(id, "not at all".into()),
            _ => Command::DiscardWorktree(id),
        });
    }
    if item.frozen.is_some() {
        return Some(Command::ReleaseItem(id));
    }
    Some(match item.phase() {
        P::Waiting if chance.one_in(3) => Command::RejectItem(id, "not like this".into()),
        P::Waiting => Command::ApproveItem(id, "fine".into()),
        P::Failed | P::Blocked if chance.one_in(3) => Command::SkipItem(id),
        P::Failed | P::Blocked => Command::RetryItem(id),
        P::Held => Command::ReleaseItem(id),
        P::Done if chance.one_in(6) => Command::ReopenItem(id, "one more thing".into()),
        P::Done | P::Cancelled => Command::DiscardWorktree(id),
        P::Ready if state.is_parked(item) => Command::FailOverItem(id),
        P::Pending | P::Ready | P::Assigned | P::Running | P::Verifying | P::Merging | P::MergeFailed => {
            Command::HoldItem(id, "wait a moment".into())
        }
    })
}

/// Some item of the same mission, itself perhaps.
fn of_the_same_mission(chance: &mut Chance, state: &State, id: ItemId) -> Option<ItemId> {
    let entry = state.mission(state.item(id)?.mission)?;
    chance.pick(&entry.items).copied()
}

fn of_mission(chance: &mut Chance, state: &State, id: MissionId, stop: Stop) -> Option<Command> {
    use musher_core::mission::MissionState as S;
    let mission = state.mission(id)?;
    let key = chance.pick(&mission.items).and_then(|i| state.item(*i)).map(|i| i.key.to_string())?;
    let note = |text: String| Some(Command::NoteMission(id, text.into()));
    match chance.below(12) {
        0 | 1 => Some(match mission.row.state {
            S::AwaitingApproval => Command::ApproveMission(id),
            S::Paused | S::Blocked => Command::ResumeMission(id),
            S::Running | S::Planning | S::Completed | S::Failed | S::Cancelled => {
                Command::PauseMission(id, chance.one_in(2).then_some(stop), "lunch".into())
            }
        }),
        2 => Some(Command::ResumeMission(id)),
        3 => Some(Command::ApproveMission(id)),
        4 => note("please mind the tests".to_owned()),
        5 => note(format!("priority {key} critical")),
        6 => note(format!("redirect {key} to agent-0 because it knows")),
        7 => note("pause now".to_owned()),
        8 => note("resume".to_owned()),
        9 => note(format!("approve {key} good")),
        10 => note(format!("reject {key} bad")),
        _ if chance.one_in(6) => Some(Command::StopMission(id, stop)),
        _ => note("continue".to_owned()),
    }
}

fn of_agent(chance: &mut Chance, state: &State) -> Option<Command> {
    let agents: Vec<AgentId> = state.agents().map(|a| a.id).collect();
    let id = *chance.pick(&agents)?;
    Some(match chance.below(8) {
        0 => Command::PauseAgent(id),
        1 => Command::DrainAgent(id),
        2 | 3 => Command::AddAgent(Box::new(helper())),
        4 => Command::RemoveAgent(id),
        5 => Command::RestartAgent(id),
        _ => Command::ResumeAgent(id),
    })
}

/// The agent that operators add and remove.
pub fn helper() -> AgentSpec {
    AgentSpec { name: "helper".into(), driver: "command".into(), max_load: 1, ..AgentSpec::default() }
}
