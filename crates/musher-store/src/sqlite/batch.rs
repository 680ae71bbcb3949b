//! A batch in memory: every row encoded, none written. All that can fail for a change's own sake fails here.

use musher_core::change::{Change, GateRecord, TextKey};
use musher_core::event::{Event, Happened};
use musher_core::firing::FiringOf;
use musher_core::hub::Row as HubRow;
use musher_core::id::{AgentId, EffectId, FiringId, ItemId, MissionId, RunId, ScheduleId, Seq, TriggerId, WatchId};
use musher_core::time::Timestamp;
use musher_core::webhook::Webhook;
use serde::Serialize;

use crate::StoreError;
use crate::store::MAX_ROW_BYTES;

/// A part of the batch's text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: usize,
    end: usize,
}

/// A row that is found by its key, with the one column that is queried besides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<K, C> {
    pub(super) key: K,
    pub(super) column: C,
    pub(super) body: Span,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct TextRow {
    pub(super) key: TextKey,
    pub(super) body: Span,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct GateRow {
    pub(super) tree: Span,
    pub(super) gate: Span,
    pub(super) green: bool,
    pub(super) tail: Span,
    pub(super) at: Timestamp,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct EventRow {
    pub(super) at: Timestamp,
    pub(super) kind: &'static str,
    pub(super) actor: Span,
    pub(super) mission: Option<MissionId>,
    pub(super) item: Option<ItemId>,
    pub(super) agent: Option<AgentId>,
    pub(super) run: Option<RunId>,
    pub(super) body: Span,
    /// The states before and after.
    pub(super) moved: Option<(Span, Span)>,
    pub(super) chain: Option<Span>,
}

/// Rows in the order in which they were given; of one key the last counts.
#[derive(Debug, Default)]
pub(super) struct Batch {
    text: Vec<u8>,
    pub(super) settings: Option<Span>,
    pub(super) queue: Option<Span>,
    pub(super) missions: Vec<Row<MissionId, &'static str>>,
    pub(super) items: Vec<Row<(MissionId, ItemId), &'static str>>,
    pub(super) runs: Vec<Row<(ItemId, RunId), bool>>,
    pub(super) agents: Vec<Row<AgentId, Span>>,
    /// With the mission and the number.
    pub(super) pulls: Vec<Row<ItemId, (MissionId, Option<u64>)>>,
    /// With the mission, the kind and the status.
    pub(super) watches: Vec<Row<WatchId, (MissionId, &'static str, &'static str)>>,
    /// By the text of the scope.
    pub(super) quotas: Vec<(Span, Span)>,
    pub(super) texts: Vec<TextRow>,
    pub(super) gates: Vec<GateRow>,
    pub(super) events: Vec<EventRow>,
    pub(super) effects: Vec<Row<EffectId, &'static str>>,
    pub(super) closed: Vec<EffectId>,
    pub(super) archived: Vec<MissionId>,
    /// With the name.
    pub(super) schedules: Vec<Row<ScheduleId, Span>>,
    /// With the name.
    pub(super) triggers: Vec<Row<TriggerId, Span>>,
    /// With what has fired, and whether it is live.
    pub(super) firings: Vec<Row<FiringId, (FiringOf, bool)>>,
    pub(super) nodes: Vec<(Span, Span)>,
    pub(super) sinks: Vec<(Span, Span)>,
    pub(super) cursors: Vec<(Box<str>, Seq)>,
    pub(super) webhooks: Vec<Webhook>,
    /// What a hub keeps, in order.
    pub(super) hub: Vec<HubRow>,
    /// The place of the last event before those in `events`.
    before: Seq,
}

/// How much of each list was there before a change.
struct Mark {
    text: usize,
    settings: Option<Span>,
    queue: Option<Span>,
    missions: usize,
    items: usize,
    runs: usize,
    agents: usize,
    pulls: usize,
    watches: usize,
    quotas: usize,
    texts: usize,
    gates: usize,
    events: usize,
    effects: usize,
    schedules: usize,
    triggers: usize,
    firings: usize,
    nodes: usize,
    sinks: usize,
}

impl Batch {
    /// Adds all of a change, or, when it cannot be encoded, nothing of it.
    pub(super) fn add(&mut self, change: &Change) -> Result<(), StoreError> {
        let mark = self.mark();
        self.encode(change).inspect_err(|_| self.back_to(mark))?;
        // What cannot fail comes after what can.
        self.closed.extend_from_slice(&change.closed);
        self.archived.extend_from_slice(&change.archived);
        self.cursors.extend_from_slice(&change.cursors);
        self.webhooks.extend_from_slice(&change.webhooks);
        self.hub.extend_from_slice(&change.hub);
        Ok(())
    }

    /// The bytes of a span.
    pub(super) fn bytes_of(&self, span: Span) -> &[u8] {
        &self.text[span.start..span.end]
    }

    /// The length of everything encoded.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The place of the last event.
    pub(super) fn last_seq(&self) -> Seq {
        Seq(self.before.0 + self.events.len() as u64)
    }

    /// The place of the last event before those that are in memory.
    pub(super) fn seq_before(&self) -> Seq {
        self.before
    }

    pub(super) fn is_empty(&self) -> bool {
        self.settings.is_none()
            && self.queue.is_none()
            && self.missions.is_empty()
            && self.items.is_empty()
            && self.runs.is_empty()
            && self.agents.is_empty()
            && self.pulls.is_empty()
            && self.watches.is_empty()
            && self.quotas.is_empty()
            && self.texts.is_empty()
            && self.gates.is_empty()
            && self.events.is_empty()
            && self.effects.is_empty()
            && self.closed.is_empty()
            && self.archived.is_empty()
            && self.schedules.is_empty()
            && self.triggers.is_empty()
            && self.firings.is_empty()
            && self.nodes.is_empty()
            && self.sinks.is_empty()
            && self.cursors.is_empty()
            && self.webhooks.is_empty()
            && self.hub.is_empty()
    }

    /// Forgets the rows, keeps the memory (unless it has become too much), and goes on counting events.
    pub(super) fn clear(&mut self) {
        self.before = self.last_seq();
        self.text.clear();
        self.text.shrink_to(KEPT_BYTES);
        self.settings = None;
        self.queue = None;
        self.missions.clear();
        empty(&mut self.items);
        empty(&mut self.runs);
        self.agents.clear();
        self.pulls.clear();
        self.watches.clear();
        self.quotas.clear();
        empty(&mut self.texts);
        self.gates.clear();
        empty(&mut self.events);
        empty(&mut self.effects);
        empty(&mut self.closed);
        self.archived.clear();
        self.schedules.clear();
        self.triggers.clear();
        self.firings.clear();
        self.nodes.clear();
        self.sinks.clear();
        self.cursors.clear();
        self.webhooks.clear();
        empty(&mut self.hub);
    }

    /// Says which event was the last one.
    pub(super) fn continue_from(&mut self, seq: Seq) {
        self.before = seq;
    }

    fn encode(&mut self, change: &Change) -> Result<(), StoreError> {
        if let Some(settings) = &change.settings {
            self.settings = Some(self.json("the settings", settings)?);
        }
        if let Some(queue) = &change.queue {
            self.queue = Some(self.json("the merge queue", queue)?);
        }
        for row in &change.missions {
            let body = self.json("a mission", row)?;
            self.missions.push(Row { key: row.id, column: row.state.name(), body });
        }
        for row in &change.items {
            let body = self.json("an item", row)?;
            self.items.push(Row { key: (row.mission, row.id), column: row.phase().name(), body });
        }
        for row in &change.runs {
            let body = self.json("a run", row)?;
            self.runs.push(Row { key: (row.item, row.id), column: row.is_live(), body });
        }
        for row in &change.agents {
            let (column, body) = (self.plain("an agent", &row.spec.name)?, self.json("an agent", row)?);
            self.agents.push(Row { key: row.id, column, body });
        }
        for row in &change.pulls {
            let body = self.json("a pull request", row)?;
            self.pulls.push(Row { key: row.item, column: (row.mission, row.number), body });
        }
        for row in &change.watches {
            let body = self.json("a watch", row)?;
            self.watches.push(Row { key: row.id, column: (row.mission, row.kind.name(), row.status.name()), body });
        }
        for row in &change.quotas {
            let scope = self.plain("a quota", &row.scope.to_string())?;
            let body = self.json("a quota", row)?;
            self.quotas.push((scope, body));
        }
        for (key, text) in &change.texts {
            let body = self.plain("a text", text)?;
            self.texts.push(TextRow { key: *key, body });
        }
        for record in &change.gates {
            self.add_gate(record)?;
        }
        for event in &change.events {
            self.add_event(event)?;
        }
        for row in &change.effects {
            let body = self.json("an effect", row)?;
            self.effects.push(Row { key: row.id, column: row.kind.name(), body });
        }
        for row in &change.schedules {
            let (column, body) = (self.plain("a schedule", &row.spec.name)?, self.json("a schedule", row)?);
            self.schedules.push(Row { key: row.id, column, body });
        }
        for row in &change.triggers {
            let (column, body) = (self.plain("a trigger", &row.spec.name)?, self.json("a trigger", row)?);
            self.triggers.push(Row { key: row.id, column, body });
        }
        for row in &change.firings {
            let body = self.json("a firing", row)?;
            self.firings.push(Row { key: row.id, column: (row.of, row.state.is_live()), body });
        }
        for row in &change.nodes {
            let (name, body) = (self.plain("a node", &row.name)?, self.json("a node", row)?);
            self.nodes.push((name, body));
        }
        for row in &change.sinks {
            let (name, body) = (self.plain("a sink", &row.name)?, self.json("a sink", row)?);
            self.sinks.push((name, body));
        }
        Ok(())
    }

    fn add_gate(&mut self, record: &GateRecord) -> Result<(), StoreError> {
        let row = GateRow {
            tree: self.plain("a gate record", &record.tree)?,
            gate: self.plain("a gate record", &record.gate)?,
            green: record.green,
            tail: self.plain("a gate record", &record.tail)?,
            at: record.at,
        };
        self.gates.push(row);
        Ok(())
    }

    fn add_event(&mut self, event: &Event) -> Result<(), StoreError> {
        let actor = self.plain("an event", &event.actor)?;
        let body = self.happened(&event.happened)?;
        let moved = match &event.moved {
            Some(moved) => Some((self.plain("an event", &moved.from)?, self.plain("an event", &moved.to)?)),
            None => None,
        };
        let chain = if event.chain.is_empty() { None } else { Some(self.json("an event", &event.chain)?) };
        self.events.push(EventRow {
            at: event.at,
            kind: event.happened.name(),
            actor,
            mission: event.mission,
            item: event.item,
            agent: event.agent,
            run: event.run,
            body,
            moved,
            chain,
        });
        Ok(())
    }

    /// What happened without its name, which has a column of its own.
    fn happened(&mut self, happened: &Happened) -> Result<Span, StoreError> {
        let whole = self.json("an event", happened)?;
        let body = self
            .bytes_of(whole)
            .strip_prefix(br#"{"kind":""#)
            .and_then(|rest| rest.strip_prefix(happened.name().as_bytes()))
            .and_then(|rest| rest.strip_prefix(br#"","body":"#))
            .and_then(|rest| rest.strip_suffix(b"}"));
        match body {
            Some(body) => {
                let end = whole.end - 1;
                Ok(Span { start: end - body.len(), end })
            }
            None => Err(StoreError::encode("an event", "its name and its body are not where they belong")),
        }
    }

    fn json(&mut self, what: &'static str, row: &impl Serialize) -> Result<Span, StoreError> {
        let start = self.text.len();
        serde_json::to_writer(&mut self.text, row).map_err(|e| StoreError::encode(what, e))?;
        self.checked(what, start)
    }

    fn plain(&mut self, what: &'static str, text: &str) -> Result<Span, StoreError> {
        if text.len() > MAX_ROW_BYTES {
            return Err(StoreError::TooLarge { what, bytes: text.len() });
        }
        let start = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        Ok(Span { start, end: self.text.len() })
    }

    fn checked(&self, what: &'static str, start: usize) -> Result<Span, StoreError> {
        let end = self.text.len();
        if end - start > MAX_ROW_BYTES {
            return Err(StoreError::TooLarge { what, bytes: end - start });
        }
        Ok(Span { start, end })
    }

    fn mark(&self) -> Mark {
        Mark {
            text: self.text.len(),
            settings: self.settings,
            queue: self.queue,
            missions: self.missions.len(),
            items: self.items.len(),
            runs: self.runs.len(),
            agents: self.agents.len(),
            pulls: self.pulls.len(),
            watches: self.watches.len(),
            quotas: self.quotas.len(),
            texts: self.texts.len(),
            gates: self.gates.len(),
            events: self.events.len(),
            effects: self.effects.len(),
            schedules: self.schedules.len(),
            triggers: self.triggers.len(),
            firings: self.firings.len(),
            nodes: self.nodes.len(),
            sinks: self.sinks.len(),
        }
    }

    fn back_to(&mut self, mark: Mark) {
        self.text.truncate(mark.text);
        self.settings = mark.settings;
        self.queue = mark.queue;
        self.missions.truncate(mark.missions);
        self.items.truncate(mark.items);
        self.runs.truncate(mark.runs);
        self.agents.truncate(mark.agents);
        self.pulls.truncate(mark.pulls);
        self.watches.truncate(mark.watches);
        self.quotas.truncate(mark.quotas);
        self.texts.truncate(mark.texts);
        self.gates.truncate(mark.gates);
        self.events.truncate(mark.events);
        self.effects.truncate(mark.effects);
        self.schedules.truncate(mark.schedules);
        self.triggers.truncate(mark.triggers);
        self.firings.truncate(mark.firings);
        self.nodes.truncate(mark.nodes);
        self.sinks.truncate(mark.sinks);
    }
}

/// The memory that an empty batch keeps for the next one.
const KEPT_BYTES: usize = 1 << 20;

/// The rows of a kind that an empty batch keeps room for: four for each change of a full batch.
const KEPT_ROWS: usize = 4_096;

fn empty<T>(rows: &mut Vec<T>) {
    rows.clear();
    rows.shrink_to(KEPT_ROWS);
}
