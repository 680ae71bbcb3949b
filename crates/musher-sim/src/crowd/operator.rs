//! What befalls a crowd from outside: wishes of operators, machines that vanish, clocks that jump, and droughts, in which
//! for more than a day nothing can be dispatched.

use std::time::Duration;

use musher_core::command::Command;
use musher_core::id::{ItemId, MissionId};
use musher_core::item::Priority;
use musher_core::quota::{Cap, Scope, Setting};
use musher_core::time::Timestamp;

use super::stage::capped;
use super::{Crowd, Flaw, HOUR, Happening, MINUTE, SECOND, Said, micros_after};
use crate::failure::Broken;

/// How often nodes send heartbeats: one may be lost.
const BEAT: i64 = 25 * SECOND;

/// How long a drought lasts.
const DROUGHT: i64 = 25 * HOUR + 30 * MINUTE;

/// When the accounts are free again that are used up in the first hour of a drought.
const LONG_REST: i64 = 26 * HOUR;

/// Who has waited so long in a drought has waited for a day.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What is wished.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// The mission of this number.
    Start(usize),
    /// Whatever comes to an operator's mind, and again later.
    Anything,
    /// This.
    Quota(Scope, Cap, Option<u64>),
    /// Another weight for the mission of this number.
    Weight(usize, u32),
    /// A blocked item goes on.
    Retry(ItemId),
    /// A drought begins.
    Dry(Want),
    /// It ends.
    Rain,
}

/// What is wanting in a drought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Capacity,
    Quota,
    Account,
}

/// The droughts, each with after how many hundredths of the items it comes.
const DROUGHTS: [(Want, usize); 3] = [(Want::Capacity, 15), (Want::Quota, 40), (Want::Account, 65)];

/// From then on operators wish nothing any more, and what they set is taken back: everything must come to its end.
const DAWN: usize = 88;

/// A drought that is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drought {
    want: Want,
    since: Timestamp,
}

impl Crowd {
    /// Everything that is planned from the start.
    pub(super) fn evening(&mut self) {
        for n in 0..self.stage.missions.len() {
            let at = self.stage.missions[n].at;
            self.push(at, Happening::Wish(Wish::Start(n)));
        }
        self.push(0, Happening::Beats);
        self.push(20 * MINUTE, Happening::Vanish);
        self.push(2 * HOUR, Happening::Jump);
        self.push(10 * MINUTE, Happening::Wish(Wish::Anything));
    }

    /// What comes by how far everything is.
    pub(super) fn go_on(&mut self, items: usize) {
        let hundredths = self.judge.at_their_end() * 100 / items.max(1);
        if self.drought.is_some() || self.dawn {
            return;
        }
        if let Some((want, _)) = DROUGHTS.get(self.droughts).filter(|(_, from)| hundredths >= *from) {
            self.droughts += 1;
            self.drought = Some(Drought { want: *want, since: self.wall() });
            self.push(0, Happening::Wish(Wish::Dry(*want)));
            self.push(DROUGHT, Happening::Wish(Wish::Rain));
        } else if hundredths >= DAWN {
            self.dawn = true;
            for (scope, cap) in self.judge.books.settings().cloned().collect::<Vec<_>>() {
                self.push(0, Happening::Wish(Wish::Quota(scope, cap, None)));
            }
        }
    }

    pub(super) fn beats(&mut self, said: &mut Vec<Said>) {
        let nobody = self.drought.is_some_and(|drought| drought.want == Want::Capacity);
        for node in self.stage.nodes.clone() {
            let away = nobody || self.away.get(&node).is_some_and(|until| *until > self.now);
            let is_true = !away && !self.chance.one_in(20);
            if is_true || self.flaw == Flaw::HearsTheVanished {
                said.push(Said::Beat { node, is_true });
            }
        }
        self.push(BEAT, Happening::Beats);
    }

    pub(super) fn vanish(&mut self) {
        if let Some(node) = self.chance.pick(&self.stage.nodes).cloned() {
            let until = self.now + self.chance.between(MINUTE, 90 * MINUTE);
            self.away.insert(node, until);
        }
        let next = self.chance.between(10 * MINUTE, 3 * HOUR);
        self.push(next, Happening::Vanish);
    }

    /// Just before, just after, or hours after midnight; in a drought days pass at their own pace.
    pub(super) fn jump(&mut self) {
        let wall = self.wall();
        let next = self.chance.between(6 * HOUR, 20 * HOUR);
        self.push(next, Happening::Jump);
        let beyond = match self.chance.below(3) {
            0 => 0,
            1 => self.chance.between(-SECOND, SECOND),
            _ => self.chance.between(0, 4 * HOUR),
        };
        if let Some(midnight) = self.judge.books.midnight(wall).filter(|_| self.drought.is_none()) {
            self.skew += (midnight.as_micros() - wall.as_micros() + beyond).max(0);
            self.judge.figures.jumps += u64::from(beyond >= 0);
        }
    }

    /// Until when an account rests that is used up now, in the drought of accounts.
    pub(super) fn flood(&self) -> Option<Timestamp> {
        let drought = self.drought.filter(|drought| drought.want == Want::Account)?;
        let resets_at = micros_after(drought.since, LONG_REST);
        (self.wall() < micros_after(drought.since, HOUR)).then_some(resets_at)
    }

    pub(super) fn wish(&mut self, wish: Wish, said: &mut Vec<Said>) -> Result<(), Broken> {
        let wish = match wish {
            Wish::Anything => {
                if self.dawn {
                    return Ok(());
                }
                let next = self.chance.between(3 * MINUTE, 40 * MINUTE);
                self.push(next, Happening::Wish(Wish::Anything));
                match self.anything() {
                    Some(wish) => wish,
                    None => return Ok(()),
                }
            }
            // The least that there is: everything that is used is too much.
            Wish::Dry(Want::Quota) => Wish::Quota(Scope::Workspace, Cap::DailyUsd, Some(1)),
            Wish::Dry(Want::Capacity | Want::Account) => return Ok(()),
            Wish::Rain => match self.rain() {
                Some(wish) => wish,
                None => return Ok(()),
            },
            other @ (Wish::Start(_) | Wish::Quota(..) | Wish::Weight(..) | Wish::Retry(_)) => other,
        };
        if let Some(command) = self.command(&wish) {
            said.push(Said::Operator(wish, command));
        }
        Ok(())
    }

    /// The drought is over: who waited all through it, for a day, waited for that alone.
    fn rain(&mut self) -> Option<Wish> {
        let want = self.drought.take()?.want;
        let (all, parked) = self.judge.waiting_for(DAY, self.wall());
        let figures = &mut self.judge.figures;
        match want {
            Want::Capacity => figures.waited_for_capacity += all,
            Want::Quota => figures.waited_for_quota += all,
            Want::Account => figures.waited_for_limit += parked,
        }
        (want == Want::Quota).then_some(Wish::Quota(Scope::Workspace, Cap::DailyUsd, None))
    }

    fn anything(&mut self) -> Option<Wish> {
        if self.chance.one_in(5) {
            let n = usize::try_from(self.chance.below(self.stage.missions.len() as u64)).unwrap_or(0);
            let weight = u32::try_from(self.chance.between(1, 6)).unwrap_or(1);
            return Some(Wish::Weight(n, weight));
        }
        if self.chance.one_in(4) {
            let open: Vec<MissionId> = self.started.values().copied().filter(|id| self.judge.is_open(*id)).collect();
            return self.chance.pick(&open).copied().map(|mission| self.budget(mission));
        }
        let agents = self.stage.agents.iter().map(|agent| Scope::Agent(agent.name.clone()));
        let models = self.stage.settings.quota.models.keys().map(|model| Scope::Model(model.as_str().into()));
        let scopes: Vec<Scope> = agents.chain(models).chain([Scope::Repo]).collect();
        let scope = self.chance.pick(&scopes)?.clone();
        let cap = *self.chance.pick(capped(&scope))?;
        let value = match self.chance.below(6) {
            0 => None,
            1 => Some(0),
            // Now and then so little that it is used up already.
            2 | 3 => Some(self.stage.limit(&mut self.chance, &scope, cap).div_ceil(8)),
            _ => Some(self.stage.limit(&mut self.chance, &scope, cap)),
        };
        Some(Wish::Quota(scope, cap, value))
    }

    /// Another budget for a mission: mostly some more than it has used, and now and then less.
    fn budget(&mut self, mission: MissionId) -> Wish {
        let scope = Scope::Mission(mission);
        // One that may use no more is helped.
        let spent = self.judge.books.is_spent(mission);
        let cap = if self.chance.one_in(2) { Cap::Usd } else { Cap::Tokens };
        let used = self.judge.books.used(&scope, cap);
        // For a good part of its items, however many it has.
        let items = self.stage.missions.iter().map(|scheduled| scheduled.mission.items.len()).max().unwrap_or(0);
        let more = self.stage.limit(&mut self.chance, &scope, cap) / 2 * (items as u64 / 30).max(1);
        let value = match self.chance.below(6) {
            0 => None,
            1 => Some(0),
            2 if !spent => Some((used / 2).max(1)),
            _ => Some(used + more),
        };
        // The other one of its two may be what it has used up.
        let cap = match (cap, spent) {
            (Cap::Usd, true) if self.judge.books.limit(&scope, Cap::Usd).is_none() => Cap::Tokens,
            (Cap::Tokens, true) if self.judge.books.limit(&scope, Cap::Tokens).is_none() => Cap::Usd,
            (cap, _) => cap,
        };
        let value = if spent && value.is_some_and(|value| value > 0) {
            Some(self.judge.books.used(&scope, cap) + more)
        } else {
            value
        };
        Wish::Quota(scope, cap, value)
    }

    fn command(&self, wish: &Wish) -> Option<Command> {
        match wish {
            Wish::Start(n) => {
                let mut mission = self.stage.missions.get(*n)?.mission.clone();
                if self.flaw == Flaw::DropsWeights {
                    mission.policy.weight = 1;
                }
                if self.flaw == Flaw::DropsPriorities {
                    mission.items.iter_mut().for_each(|item| item.priority = Priority::default());
                }
                if self.flaw == Flaw::GivesUpEarly {
                    mission.policy.max_retries = mission.policy.max_retries.saturating_sub(1).max(1);
                }
                Some(Command::StartMission(Box::new(mission)))
            }
            Wish::Quota(Scope::Mission(id), ..) if !self.judge.is_open(*id) => None,
            Wish::Retry(item) => Some(Command::RetryItem(*item)),
            Wish::Quota(scope, cap, value) => Some(Command::SetQuota(scope.clone(), Setting::Cap(*cap, *value))),
            Wish::Weight(n, weight) => {
                let mission = self.started.get(n).filter(|id| self.judge.is_open(**id))?;
                Some(Command::WeighMission(*mission, *weight))
            }
            Wish::Anything | Wish::Dry(_) | Wish::Rain => None,
        }
    }

    /// Whether a machine of this flaw hears a wish.
    pub(super) fn hears(&self, wish: &Wish) -> bool {
        match (self.flaw, wish) {
            (Flaw::DropsWeights, Wish::Weight(..)) => false,
            (Flaw::DropsLowered | Flaw::DropsRaised, Wish::Quota(scope, cap, value)) => {
                let open = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
                let books = &self.judge.books;
                let (before, after) = (open(books.limit(scope, *cap)), open(books.limit_with(scope, *cap, *value)));
                if self.flaw == Flaw::DropsLowered { after >= before } else { after <= before }
            }
            _ => true,
        }
    }
}
