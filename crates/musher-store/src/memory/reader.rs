//! Reading the committed rows.

use std::collections::BTreeMap;

use musher_core::change::TextKey;
use musher_core::event::{Happened, Logged};
use musher_core::firing::{Firing, FiringOf};
use musher_core::hub::{HubEvent, ItemCard, MissionCard};
use musher_core::id::{ItemId, MissionId, ProjectId, RunId, Seq, matches_prefix};
use musher_core::item::Item;
use musher_core::mission::Mission;
use musher_core::run::{Run, Usage};
use musher_core::time::Timestamp;

use super::MemoryDisk;
use crate::StoreError;
use crate::store::{
    By, EventFilter, HubCounts, HubFilter, MAX_EVENTS, MAX_FOUND, QUARTER_MICROS, Reader, Scope, Spent, SpentOn,
};

#[derive(Debug)]
pub(super) struct MemoryReader(pub(super) MemoryDisk);

impl Reader for MemoryReader {
    fn text(&self, key: TextKey) -> Result<Option<String>, StoreError> {
        Ok(self.0.tables().texts.get(&key).map(|text| text.to_string()))
    }

    fn notes(&self, mission: MissionId) -> Result<Vec<String>, StoreError> {
        let tables = self.0.tables();
        let of_mission = tables.notes.iter().filter(|(of, _)| *of == mission);
        let texts = of_mission.filter_map(|(of, note)| tables.texts.get(&TextKey::Note(*of, *note)));
        Ok(texts.map(|text| text.to_string()).collect())
    }

    fn events(&self, filter: &EventFilter) -> Result<Vec<Logged>, StoreError> {
        let wanted = |logged: &&Logged| {
            let event = &logged.event;
            logged.seq > filter.after
                && filter.mission.is_none_or(|mission| event.mission == Some(mission))
                && filter.item.is_none_or(|item| event.item == Some(item))
                && (filter.kinds.is_empty() || filter.kinds.iter().any(|kind| **kind == *event.happened.name()))
        };
        let limit = filter.limit.min(MAX_EVENTS) as usize;
        Ok(self.0.tables().events.iter().filter(wanted).take(limit).cloned().collect())
    }

    fn last_seq(&self) -> Result<Seq, StoreError> {
        Ok(self.0.tables().last_seq())
    }

    fn cursor(&self, name: &str) -> Result<Option<Seq>, StoreError> {
        Ok(self.0.tables().cursors.get(name).copied())
    }

    fn missions(&self, scope: Scope) -> Result<Vec<Mission>, StoreError> {
        let tables = self.0.tables();
        let wanted = |mission: &&Mission| match scope {
            Scope::Active => tables.is_active(mission.id),
            Scope::All => true,
        };
        Ok(tables.missions.values().filter(wanted).cloned().collect())
    }

    fn mission(&self, id: MissionId) -> Result<Option<Mission>, StoreError> {
        Ok(self.0.tables().missions.get(&id).cloned())
    }

    fn items_of(&self, mission: MissionId) -> Result<Vec<Item>, StoreError> {
        Ok(self.0.tables().items_of(mission))
    }

    fn item(&self, id: ItemId) -> Result<Option<Item>, StoreError> {
        Ok(self.0.tables().items.get(&id).cloned())
    }

    fn runs_of(&self, item: ItemId) -> Result<Vec<Run>, StoreError> {
        let tables = self.0.tables();
        let mut runs: Vec<Run> = tables.runs.values().filter(|r| r.item == item).cloned().collect();
        runs.sort_by_key(|run| (run.assigned_at, run.id));
        Ok(runs)
    }

    fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        Ok(self.0.tables().runs.get(&id).cloned())
    }

    fn firings_of(&self, of: FiringOf, limit: u32) -> Result<Vec<Firing>, StoreError> {
        let tables = self.0.tables();
        let of_it = tables.firings.values().rev().filter(|firing| firing.of == of);
        Ok(of_it.take(limit as usize).cloned().collect())
    }

    fn find_missions(&self, typed: &str) -> Result<Vec<MissionId>, StoreError> {
        let tables = self.0.tables();
        let named = |id: &&MissionId| matches_prefix(&id.to_string(), &id.short(), typed);
        Ok(tables.missions.keys().filter(named).take(MAX_FOUND).copied().collect())
    }

    fn find_items(&self, typed: &str) -> Result<Vec<ItemId>, StoreError> {
        let tables = self.0.tables();
        let named = |id: &&ItemId| matches_prefix(&id.to_string(), &id.short(), typed);
        Ok(tables.items.keys().filter(named).take(MAX_FOUND).copied().collect())
    }

    fn find_runs(&self, typed: &str) -> Result<Vec<RunId>, StoreError> {
        let tables = self.0.tables();
        let named = |id: &&RunId| matches_prefix(&id.to_string(), &id.short(), typed);
        Ok(tables.runs.keys().filter(named).take(MAX_FOUND).copied().collect())
    }

    fn hub_missions(&self, project: ProjectId) -> Result<Vec<MissionCard>, StoreError> {
        let tables = self.0.tables();
        Ok(tables.told.get(&project).map(|told| told.missions.values().cloned().collect()).unwrap_or_default())
    }

    fn hub_items(&self, project: ProjectId, mission: MissionId) -> Result<Vec<ItemCard>, StoreError> {
        let tables = self.0.tables();
        let Some(told) = tables.told.get(&project) else { return Ok(Vec::new()) };
        let mut items: Vec<ItemCard> = told.items.values().filter(|item| item.mission == mission).cloned().collect();
        items.sort_by_key(|item| (item.number, item.id));
        Ok(items)
    }

    fn hub_events(&self, filter: &HubFilter) -> Result<Vec<HubEvent>, StoreError> {
        let tables = self.0.tables();
        let wanted = |event: &&HubEvent| {
            event.place > filter.after && filter.project.is_none_or(|project| event.project == project)
        };
        let mut events: Vec<HubEvent> =
            tables.told.values().flat_map(|told| &told.events).filter(wanted).cloned().collect();
        events.sort_by_key(|event| event.place);
        events.truncate(filter.limit.min(MAX_EVENTS) as usize);
        Ok(events)
    }

    fn hub_counts(&self) -> Result<BTreeMap<ProjectId, HubCounts>, StoreError> {
        let tables = self.0.tables();
        let mut counts: BTreeMap<ProjectId, HubCounts> = BTreeMap::new();
        for (id, told) in &tables.told {
            for card in told.missions.values() {
                *counts.entry(*id).or_default().missions.entry(card.state.to_string()).or_default() += 1;
            }
            for card in told.items.values() {
                *counts.entry(*id).or_default().items.entry(card.state.to_string()).or_default() += 1;
            }
        }
        Ok(counts)
    }

    fn spent(&self, by: By) -> Result<Vec<Spent>, StoreError> {
        let tables = self.0.tables();
        let mut sums: BTreeMap<SpentOn, Usage> = BTreeMap::new();
        for Logged { event, .. } in &tables.events {
            let Happened::UsageRecorded { usage, model } = &event.happened else { continue };
            let on = match by {
                By::Mission => event.mission.map(SpentOn::Mission),
                By::Item => event.item.map(SpentOn::Item),
                By::Agent => event.agent.map(SpentOn::Agent),
                By::Model => model.as_deref().map(|model| SpentOn::Model(model.to_owned())),
                By::Quarter => {
                    let at = event.at.as_micros();
                    Some(SpentOn::Quarter(Timestamp::from_micros(at - at.rem_euclid(QUARTER_MICROS))))
                }
            };
            let sum = sums.entry(on.unwrap_or(SpentOn::Unknown)).or_default();
            *sum = sum.plus(*usage);
        }
        Ok(sums.into_iter().map(|(on, usage)| Spent { on, usage }).collect())
    }
}
