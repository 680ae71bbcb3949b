//! A batch becomes rows: table by table, in the order of the keys, one statement each.

use std::collections::BTreeMap;

use musher_core::change::TextKey;
use musher_core::id::Seq;
use musher_core::quota::Scope;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Statement};

use super::batch::{Batch, Row, Span};
use super::hub;
use crate::StoreError;

/// Runs the statements of a batch in the open transaction. `next_effect` is the order of the next effect.
pub(super) fn all(conn: &Connection, batch: &mut Batch, next_effect: &mut i64) -> Result<(), StoreError> {
    sort(batch);
    settings(conn, batch)?;
    queue(conn, batch)?;
    missions(conn, batch)?;
    items(conn, batch)?;
    runs(conn, batch)?;
    agents(conn, batch)?;
    pulls(conn, batch)?;
    watches(conn, batch)?;
    quotas(conn, batch)?;
    texts(conn, batch)?;
    gates(conn, batch)?;
    events(conn, batch)?;
    effects(conn, batch, next_effect)?;
    archive(conn, batch)?;
    schedules(conn, batch)?;
    triggers(conn, batch)?;
    firings(conn, batch)?;
    nodes(conn, batch)?;
    sinks(conn, batch)?;
    cursors(conn, batch)?;
    webhooks(conn, batch)?;
    hub::put(conn, &batch.hub)
}

/// The sorts are stable: of the rows of one key the last one given stays last.
fn sort(batch: &mut Batch) {
    batch.missions.sort_by_key(|row| row.key);
    batch.items.sort_by_key(|row| row.key);
    batch.runs.sort_by_key(|row| row.key);
    batch.agents.sort_by_key(|row| row.key);
    batch.pulls.sort_by_key(|row| row.key);
    batch.watches.sort_by_key(|row| row.key);
    batch.schedules.sort_by_key(|row| row.key);
    batch.triggers.sort_by_key(|row| row.key);
    batch.firings.sort_by_key(|row| row.key);
    batch.closed.sort_unstable();
}

/// The last row of each key.
fn newest<K: PartialEq, C>(rows: &[Row<K, C>]) -> impl Iterator<Item = &Row<K, C>> {
    rows.iter()
        .enumerate()
        .filter(|(i, row)| rows.get(i + 1).is_none_or(|next| next.key != row.key))
        .map(|(_, row)| row)
}

/// Text that is known to be UTF-8, bound without looking at it again.
struct Utf8<'a>(&'a [u8]);

impl ToSql for Utf8<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// A statement whose parameters are bound one by one, in order.
struct Bind<'s, 'conn>(&'s mut Statement<'conn>, usize);

impl<'s, 'conn> Bind<'s, 'conn> {
    fn to(statement: &'s mut CachedStatement<'conn>) -> Self {
        Self(statement, 0)
    }

    fn with(mut self, value: impl ToSql) -> Result<Self, StoreError> {
        self.1 += 1;
        self.0.raw_bind_parameter(self.1, value)?;
        Ok(self)
    }

    fn run(self) -> Result<usize, StoreError> {
        Ok(self.0.raw_execute()?)
    }
}

/// A place in the log as SQLite counts: it has no unsigned numbers.
pub(super) fn signed(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

impl Batch {
    fn utf8(&self, span: Span) -> Utf8<'_> {
        Utf8(self.bytes_of(span))
    }
}

fn settings(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if let Some(body) = batch.settings {
        let mut put = conn.prepare_cached("INSERT OR REPLACE INTO settings (one, body) VALUES (1, ?1)")?;
        Bind::to(&mut put).with(batch.utf8(body))?.run()?;
    }
    Ok(())
}

fn queue(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if let Some(body) = batch.queue {
        let mut put = conn.prepare_cached("INSERT OR REPLACE INTO merge_queue (one, body) VALUES (1, ?1)")?;
        Bind::to(&mut put).with(batch.utf8(body))?.run()?;
    }
    Ok(())
}

fn missions(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.missions.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached(
        "INSERT INTO missions (id, state, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, body = excluded.body",
    )?;
    for row in newest(&batch.missions) {
        Bind::to(&mut put).with(row.key.as_bytes())?.with(row.column)?.with(batch.utf8(row.body))?.run()?;
    }
    Ok(())
}

fn items(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.items.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached(
        "INSERT INTO items (mission, id, phase, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (mission, id) DO UPDATE SET phase = excluded.phase, body = excluded.body",
    )?;
    for row in newest(&batch.items) {
        let (mission, id) = row.key;
        Bind::to(&mut put)
            .with(mission.as_bytes())?
            .with(id.as_bytes())?
            .with(row.column)?
            .with(batch.utf8(row.body))?
            .run()?;
    }
    Ok(())
}

fn runs(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.runs.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached(
        "INSERT INTO runs (item, id, live, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (item, id) DO UPDATE SET live = excluded.live, body = excluded.body",
    )?;
    for row in newest(&batch.runs) {
        let (item, id) = row.key;
        Bind::to(&mut put)
            .with(item.as_bytes())?
            .with(id.as_bytes())?
            .with(row.column)?
            .with(batch.utf8(row.body))?
            .run()?;
    }
    Ok(())
}

fn agents(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.agents.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached(
        "INSERT INTO agents (id, name, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body",
    )?;
    for row in newest(&batch.agents) {
        Bind::to(&mut put).with(row.key.as_bytes())?.with(batch.utf8(row.column))?.with(batch.utf8(row.body))?.run()?;
    }
    Ok(())
}

fn pulls(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.pulls.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached(
        "INSERT INTO pulls (item, mission, number, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (item) DO UPDATE SET number = excluded.number, body = excluded.body",
    )?;
    for row in newest(&batch.pulls) {
        let (mission, number) = row.column;
        // SQLite has no unsigned numbers; no forge counts that far.
        let number = number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        Bind::to(&mut put)
            .with(row.key.as_bytes())?
            .with(mission.as_bytes())?
            .with(number)?
            .with(batch.utf8(row.body))?
            .run()?;
    }
    Ok(())
}

fn watches(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.watches.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached(
        "INSERT INTO watches (id, mission, kind, status, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, body = excluded.body",
    )?;
    for row in newest(&batch.watches) {
        let (mission, kind, status) = row.column;
        Bind::to(&mut put)
            .with(row.key.as_bytes())?
            .with(mission.as_bytes())?
            .with(kind)?
            .with(status)?
            .with(batch.utf8(row.body))?
            .run()?;
    }
    Ok(())
}

fn quotas(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.quotas.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached(
        "INSERT INTO quotas (scope, body) VALUES (?1, ?2) ON CONFLICT (scope) DO UPDATE SET body = excluded.body",
    )?;
    // Every report changes the same few accounts: of a batch only the last row of each is written.
    let last: BTreeMap<&[u8], Span> =
        batch.quotas.iter().map(|(scope, body)| (batch.bytes_of(*scope), *body)).collect();
    for (scope, body) in last {
        Bind::to(&mut put).with(Utf8(scope))?.with(batch.utf8(body))?.run()?;
    }
    Ok(())
}

/// The columns that a text is found by: its sort, whose it is, and which note it is.
pub(super) fn columns(key: &TextKey) -> (&'static str, &[u8; 16], &[u8]) {
    match key {
        TextKey::Body(item) => ("body", item.as_bytes(), &[]),
        TextKey::Lesson(run) => ("lesson", run.as_bytes(), &[]),
        TextKey::Summary(item) => ("summary", item.as_bytes(), &[]),
        TextKey::Plan(item) => ("plan", item.as_bytes(), &[]),
        TextKey::Note(mission, note) => (NOTE, mission.as_bytes(), note.as_bytes()),
    }
}

/// The sort of text that a note is.
pub(super) const NOTE: &str = "note";

fn texts(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.texts.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached(
        "INSERT INTO texts (kind, owner, note, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (kind, owner, note) DO UPDATE SET body = excluded.body",
    )?;
    for row in &batch.texts {
        let (kind, owner, note) = columns(&row.key);
        Bind::to(&mut put).with(kind)?.with(owner)?.with(note)?.with(batch.utf8(row.body))?.run()?;
    }
    Ok(())
}

fn gates(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.gates.is_empty() {
        return Ok(());
    }
    // Replaced rather than updated: what was said again is the newest.
    let mut put =
        conn.prepare_cached("INSERT OR REPLACE INTO gates (tree, gate, green, at, tail) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for row in &batch.gates {
        Bind::to(&mut put)
            .with(batch.utf8(row.tree))?
            .with(batch.utf8(row.gate))?
            .with(row.green)?
            .with(row.at.as_micros())?
            .with(batch.utf8(row.tail))?
            .run()?;
    }
    Ok(())
}

fn events(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.events.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached(
        "INSERT INTO events (seq, at, kind, actor, mission, item, agent, run, body, from_state, to_state, chain)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    for (seq, row) in (signed(batch.seq_before()) + 1..).zip(&batch.events) {
        Bind::to(&mut put)
            .with(seq)?
            .with(row.at.as_micros())?
            .with(row.kind)?
            .with(batch.utf8(row.actor))?
            .with(row.mission.as_ref().map(|id| id.as_bytes()))?
            .with(row.item.as_ref().map(|id| id.as_bytes()))?
            .with(row.agent.as_ref().map(|id| id.as_bytes()))?
            .with(row.run.as_ref().map(|id| id.as_bytes()))?
            .with(batch.utf8(row.body))?
            .with(row.moved.map(|(from, _)| batch.utf8(from)))?
            .with(row.moved.map(|(_, to)| batch.utf8(to)))?
            .with(row.chain.map(|chain| batch.utf8(chain)))?
            .run()?;
    }
    Ok(())
}

/// An effect that was closed in the batch that opened it never reaches the disk.
fn effects(conn: &Connection, batch: &Batch, next: &mut i64) -> Result<(), StoreError> {
    if !batch.closed.is_empty() {
        let mut close = conn.prepare_cached("DELETE FROM effects WHERE id = ?1")?;
        for id in &batch.closed {
            Bind::to(&mut close).with(id.as_bytes())?.run()?;
        }
    }
    if batch.effects.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached("INSERT OR REPLACE INTO effects (id, n, kind, body) VALUES (?1, ?2, ?3, ?4)")?;
    for row in &batch.effects {
        if batch.closed.binary_search(&row.key).is_ok() {
            continue;
        }
        Bind::to(&mut put)
            .with(row.key.as_bytes())?
            .with(*next)?
            .with(row.column)?
            .with(batch.utf8(row.body))?
            .run()?;
        *next += 1;
    }
    Ok(())
}

fn archive(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.archived.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached("UPDATE missions SET archived = 1 WHERE id = ?1")?;
    let mut forget = conn.prepare_cached("DELETE FROM quotas WHERE scope = ?1")?;
    for id in &batch.archived {
        Bind::to(&mut forget).with(Scope::Mission(*id).to_string())?.run()?;
        Bind::to(&mut put).with(id.as_bytes())?.run()?;
    }
    Ok(())
}

fn schedules(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.schedules.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached(
        "INSERT INTO schedules (id, name, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body",
    )?;
    for row in newest(&batch.schedules) {
        Bind::to(&mut put).with(row.key.as_bytes())?.with(batch.utf8(row.column))?.with(batch.utf8(row.body))?.run()?;
    }
    Ok(())
}

fn triggers(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.triggers.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached(
        "INSERT INTO triggers (id, name, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, body = excluded.body",
    )?;
    for row in newest(&batch.triggers) {
        Bind::to(&mut put).with(row.key.as_bytes())?.with(batch.utf8(row.column))?.with(batch.utf8(row.body))?.run()?;
    }
    Ok(())
}

fn firings(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.firings.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached(
        "INSERT INTO firings (id, owner, live, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET live = excluded.live, body = excluded.body",
    )?;
    for row in newest(&batch.firings) {
        let (owner, live) = row.column;
        Bind::to(&mut put)
            .with(row.key.as_bytes())?
            .with(owner.as_bytes())?
            .with(live)?
            .with(batch.utf8(row.body))?
            .run()?;
    }
    Ok(())
}

fn nodes(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.nodes.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached("INSERT OR REPLACE INTO nodes (name, body) VALUES (?1, ?2)")?;
    for (name, body) in &batch.nodes {
        Bind::to(&mut put).with(batch.utf8(*name))?.with(batch.utf8(*body))?.run()?;
    }
    Ok(())
}

fn sinks(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.sinks.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached("INSERT OR REPLACE INTO sinks (name, body) VALUES (?1, ?2)")?;
    for (name, body) in &batch.sinks {
        Bind::to(&mut put).with(batch.utf8(*name))?.with(batch.utf8(*body))?.run()?;
    }
    Ok(())
}

fn webhooks(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.webhooks.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached("INSERT OR IGNORE INTO webhooks (delivery, heard_at) VALUES (?1, ?2)")?;
    for webhook in &batch.webhooks {
        Bind::to(&mut put).with(&*webhook.delivery)?.with(webhook.heard_at.as_micros())?.run()?;
    }
    Ok(())
}

fn cursors(conn: &Connection, batch: &Batch) -> Result<(), StoreError> {
    if batch.cursors.is_empty() {
        return Ok(());
    }
    let mut put = conn.prepare_cached("INSERT OR REPLACE INTO cursors (name, seq) VALUES (?1, ?2)")?;
    for (name, seq) in &batch.cursors {
        Bind::to(&mut put).with(&**name)?.with(signed(*seq))?.run()?;
    }
    Ok(())
}
