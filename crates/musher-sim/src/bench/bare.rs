//! The bare writer: the rows of recorded batches, by prepared statements, a transaction a batch. It decides nothing.
//!
//! It writes what musher's store writes: of each row the last one of its batch, in the order of the keys, into the same
//! tables with the same indexes, on a file made the same way. Its rows are encoded before the clock starts.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use musher_core::change::Change;
use musher_core::id::EffectId;
use rusqlite::{Connection, params};
use serde::Serialize;

use super::{BenchError, open};

/// How it went.
#[derive(Debug)]
pub(super) struct Bare {
    /// From the first row to the last commit.
    pub(super) seconds: f64,
    /// Rows written or deleted.
    pub(super) rows: u64,
    /// Bytes of their texts.
    pub(super) bytes: u64,
}

type Key = [u8; 16];

#[derive(Default)]
struct Rows {
    missions: BTreeMap<Key, (&'static str, String)>,
    items: BTreeMap<(Key, Key), (&'static str, String)>,
    runs: BTreeMap<(Key, Key), (bool, String)>,
    texts: Vec<(Key, String)>,
    events: Vec<EventRow>,
    effects: BTreeMap<Key, (&'static str, String)>,
    closed: Vec<Key>,
}

struct EventRow {
    at: i64,
    kind: &'static str,
    actor: String,
    mission: Option<Key>,
    item: Option<Key>,
    agent: Option<Key>,
    run: Option<Key>,
    body: String,
}

/// Writes the recorded batches into a fresh database.
pub(super) fn write(folder: &Path, batches: &[Vec<Change>]) -> Result<Bare, BenchError> {
    // The store makes the file, so that page size and schema are its own.
    drop(open(folder)?);
    let conn = Connection::open(folder.join("musher.db"))?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8192;
         PRAGMA wal_autocheckpoint = 2000; PRAGMA temp_store = MEMORY;",
    )?;
    conn.set_prepared_statement_cache_capacity(32);
    let prepared: Vec<Rows> = batches.iter().map(|batch| rows(batch)).collect();
    let (mut count, mut bytes, mut seq, mut n) = (0, 0, 0, 0);
    for batch in &prepared {
        let (rows, size) = batch.size();
        count += rows;
        bytes += size;
    }
    let started = Instant::now();
    for batch in &prepared {
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        batch.put(&conn, &mut seq, &mut n)?;
        conn.prepare_cached("COMMIT")?.execute([])?;
    }
    Ok(Bare { seconds: started.elapsed().as_secs_f64(), rows: count, bytes })
}

fn json(row: &impl Serialize) -> String {
    serde_json::to_string(row).unwrap_or_default()
}

fn rows(batch: &[Change]) -> Rows {
    let mut rows = Rows::default();
    for change in batch {
        for row in &change.missions {
            rows.missions.insert(*row.id.as_bytes(), (row.state.name(), json(row)));
        }
        for row in &change.items {
            rows.items.insert((*row.mission.as_bytes(), *row.id.as_bytes()), (row.phase().name(), json(row)));
        }
        for row in &change.runs {
            rows.runs.insert((*row.item.as_bytes(), *row.id.as_bytes()), (row.is_live(), json(row)));
        }
        for (key, text) in &change.texts {
            if let musher_core::change::TextKey::Summary(item) = key {
                rows.texts.push((*item.as_bytes(), text.to_string()));
            }
        }
        rows.events.extend(change.events.iter().map(event));
        for row in &change.effects {
            rows.effects.insert(*row.id.as_bytes(), (row.kind.name(), json(row)));
        }
        rows.closed.extend(change.closed.iter().map(EffectId::as_bytes));
    }
    rows.closed.sort_unstable();
    for id in &rows.closed {
        rows.effects.remove(id);
    }
    rows
}

fn event(event: &musher_core::event::Event) -> EventRow {
    let whole = serde_json::to_value(&event.happened).unwrap_or_default();
    EventRow {
        at: event.at.as_micros(),
        kind: event.happened.name(),
        actor: event.actor.to_string(),
        mission: event.mission.map(|id| *id.as_bytes()),
        item: event.item.map(|id| *id.as_bytes()),
        agent: event.agent.map(|id| *id.as_bytes()),
        run: event.run.map(|id| *id.as_bytes()),
        body: whole.get("body").map(ToString::to_string).unwrap_or_default(),
    }
}

impl Rows {
    fn size(&self) -> (u64, u64) {
        let bodies = self
            .missions
            .values()
            .map(|(_, body)| body.len())
            .chain(self.items.values().map(|(_, body)| body.len()))
            .chain(self.runs.values().map(|(_, body)| body.len()))
            .chain(self.texts.iter().map(|(_, body)| body.len()))
            .chain(self.events.iter().map(|e| e.body.len() + e.actor.len()))
            .chain(self.effects.values().map(|(_, body)| body.len()));
        let (count, bytes) = bodies.fold((0, 0), |(count, bytes), len| (count + 1, bytes + len as u64));
        (count + self.closed.len() as u64, bytes)
    }

    fn put(&self, conn: &Connection, seq: &mut i64, n: &mut i64) -> Result<(), rusqlite::Error> {
        let mut put = conn.prepare_cached(
            "INSERT INTO missions (id, state, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, body = excluded.body",
        )?;
        for (id, (state, body)) in &self.missions {
            put.execute(params![id, state, body])?;
        }
        let mut put = conn.prepare_cached(
            "INSERT INTO items (mission, id, phase, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (mission, id) DO UPDATE SET phase = excluded.phase, body = excluded.body",
        )?;
        for ((mission, id), (phase, body)) in &self.items {
            put.execute(params![mission, id, phase, body])?;
        }
        let mut put = conn.prepare_cached(
            "INSERT INTO runs (item, id, live, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (item, id) DO UPDATE SET live = excluded.live, body = excluded.body",
        )?;
        for ((item, id), (live, body)) in &self.runs {
            put.execute(params![item, id, live, body])?;
        }
        let mut put = conn.prepare_cached(
            "INSERT INTO texts (kind, owner, note, body) VALUES ('summary', ?1, x'', ?2)
             ON CONFLICT (kind, owner, note) DO UPDATE SET body = excluded.body",
        )?;
        for (owner, body) in &self.texts {
            put.execute(params![owner, body])?;
        }
        self.put_events(conn, seq)?;
        self.put_effects(conn, n)
    }

    fn put_events(&self, conn: &Connection, seq: &mut i64) -> Result<(), rusqlite::Error> {
        let mut put = conn.prepare_cached(
            "INSERT INTO events (seq, at, kind, actor, mission, item, agent, run, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for e in &self.events {
            *seq += 1;
            put.execute(params![*seq, e.at, e.kind, e.actor, e.mission, e.item, e.agent, e.run, e.body])?;
        }
        Ok(())
    }

    fn put_effects(&self, conn: &Connection, n: &mut i64) -> Result<(), rusqlite::Error> {
        let mut close = conn.prepare_cached("DELETE FROM effects WHERE id = ?1")?;
        for id in &self.closed {
            close.execute(params![id])?;
        }
        let mut put =
            conn.prepare_cached("INSERT OR REPLACE INTO effects (id, n, kind, body) VALUES (?1, ?2, ?3, ?4)")?;
        for (id, (kind, body)) in &self.effects {
            *n += 1;
            put.execute(params![id, *n, kind, body])?;
        }
        Ok(())
    }
}
