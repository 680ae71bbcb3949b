//! Reading the committed rows.

use musher_core::change::TextKey;
use musher_core::event::Logged;
use musher_core::id::{ItemId, MissionId, RunId, Seq, matches_prefix};
use musher_core::item::Item;
use musher_core::mission::Mission;
use musher_core::run::{Run, Usage};
use musher_core::time::Timestamp;

use super::MemoryDisk;
use crate::StoreError;
use crate::store::{EventFilter, MAX_EVENTS, MAX_FOUND, Reader, Scope};

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

    fn cost_since(&self, since: Timestamp) -> Result<Usage, StoreError> {
        let tables = self.0.tables();
        let counted = tables.runs.values().filter(|r| r.assigned_at.as_millis() >= since.as_millis());
        Ok(counted.fold(Usage::default(), |sum, run| sum.plus(run.usage)))
    }
}
