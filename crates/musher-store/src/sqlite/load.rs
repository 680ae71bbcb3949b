//! The rows that decisions are made on, read at start.

use musher_core::change::GateRecord;
use musher_core::id::{MissionId, Seq};
use musher_core::item::Item;
use musher_core::mission::Mission;
use musher_core::state::World;
use musher_core::time::Timestamp;
use musher_core::webhook::Webhook;
use rusqlite::{Connection, Row};
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::store::{GATES_KEPT, WEBHOOKS_KEPT};

/// Reads the active world in one transaction.
pub(super) fn world(conn: &Connection) -> Result<World, StoreError> {
    let snapshot = conn.unchecked_transaction()?;
    let missions = missions(&snapshot)?;
    let mut world = World {
        settings: all(&snapshot, "settings", "SELECT body FROM settings", ())?.pop(),
        runs: all(&snapshot, "run", "SELECT body FROM runs WHERE live = 1 ORDER BY id", ())?,
        pulls: all(&snapshot, "pull request", &of_active("pulls", "item"), ())?,
        watches: all(&snapshot, "watch", &of_active("watches", "id"), ())?,
        agents: all(&snapshot, "agent", "SELECT body FROM agents ORDER BY id", ())?,
        effects: all(&snapshot, "effect", "SELECT body FROM effects ORDER BY n", ())?,
        quotas: all(&snapshot, "quota", "SELECT body FROM quotas ORDER BY scope", ())?,
        gates: gates(&snapshot)?,
        schedules: all(&snapshot, "schedule", "SELECT body FROM schedules ORDER BY id", ())?,
        triggers: all(&snapshot, "trigger", "SELECT body FROM triggers ORDER BY id", ())?,
        firings: all(&snapshot, "firing", "SELECT body FROM firings WHERE live = 1 ORDER BY id", ())?,
        nodes: all(&snapshot, "node", "SELECT body FROM nodes ORDER BY name", ())?,
        queue: all(&snapshot, "the merge queue", "SELECT body FROM merge_queue", ())?.pop(),
        sinks: all(&snapshot, "sink", "SELECT body FROM sinks ORDER BY name", ())?,
        cursors: cursors(&snapshot)?,
        webhooks: webhooks(&snapshot)?,
        last_seq: last_seq(&snapshot)?,
        projects: all(&snapshot, "project", "SELECT body FROM hub_projects ORDER BY id", ())?,
        ..World::default()
    };
    for (id, row) in missions {
        world.missions.push(row);
        add_items(&snapshot, id, &mut world.items)?;
    }
    // Both lists are in the order of their ids: the active missions are found by halving.
    let active = |id| world.missions.binary_search_by_key(&id, |m| m.id).is_ok();
    world.runs.retain(|run: &musher_core::run::Run| active(run.mission));
    Ok(world)
}

/// The rows of a table that belong to active missions, found by its index, in the order of their ids.
fn of_active(table: &str, id: &str) -> String {
    format!("SELECT r.body FROM missions m JOIN {table} r ON r.mission = m.id WHERE m.archived = 0 ORDER BY r.{id}")
}

fn missions(conn: &Connection) -> Result<Vec<(MissionId, Mission)>, StoreError> {
    let mut select = conn.prepare_cached("SELECT id, body FROM missions WHERE archived = 0 ORDER BY id")?;
    let mut rows = select.query(())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((MissionId::from_bytes(row.get(0)?), body(row, 1, "mission")?));
    }
    Ok(found)
}

/// The items of a mission in the order of the plan.
pub(super) fn items_of(conn: &Connection, mission: MissionId) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::new();
    add_items(conn, mission, &mut items)?;
    Ok(items)
}

/// Adds the items of a mission to those of others, so that a start holds one list of them and not two.
fn add_items(conn: &Connection, mission: MissionId, items: &mut Vec<Item>) -> Result<(), StoreError> {
    let from = items.len();
    let mut select = conn.prepare_cached("SELECT body FROM items WHERE mission = ?1 ORDER BY id")?;
    let mut rows = select.query((mission.as_bytes(),))?;
    while let Some(row) = rows.next()? {
        items.push(body(row, 0, "item")?);
    }
    items[from..].sort_unstable_by_key(|item| (item.number, item.id));
    Ok(())
}

/// The last event's place; 0 when there is none.
pub(super) fn last_seq(conn: &Connection) -> Result<Seq, StoreError> {
    let seq: Option<i64> = conn.prepare_cached("SELECT max(seq) FROM events")?.query_row((), |row| row.get(0))?;
    Ok(place(seq.unwrap_or(0)))
}

/// A place in the log, as SQLite counts it, as ours.
pub(super) fn place(seq: i64) -> Seq {
    Seq(u64::try_from(seq).unwrap_or(0))
}

/// The order of the next effect.
pub(super) fn next_effect(conn: &Connection) -> Result<i64, StoreError> {
    let last: Option<i64> = conn.query_row("SELECT max(n) FROM effects", (), |row| row.get(0))?;
    Ok(last.unwrap_or(0) + 1)
}

/// Drops the gate records and the webhooks that nobody will ask for again.
pub(super) fn forget_the_old(conn: &Connection) -> Result<(), StoreError> {
    conn.execute(
        "DELETE FROM gates WHERE n <= (SELECT n FROM gates ORDER BY n DESC LIMIT 1 OFFSET ?1)",
        (GATES_KEPT,),
    )?;
    conn.execute(
        "DELETE FROM webhooks WHERE n <= (SELECT n FROM webhooks ORDER BY n DESC LIMIT 1 OFFSET ?1)",
        (WEBHOOKS_KEPT,),
    )?;
    Ok(())
}

fn gates(conn: &Connection) -> Result<Vec<GateRecord>, StoreError> {
    let mut select = conn.prepare_cached("SELECT tree, gate, green, tail, at FROM gates ORDER BY n DESC LIMIT ?1")?;
    let mut rows = select.query((GATES_KEPT,))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(GateRecord {
            tree: row.get(0)?,
            gate: row.get(1)?,
            green: row.get(2)?,
            tail: row.get(3)?,
            at: Timestamp::from_micros(row.get(4)?),
        });
    }
    records.reverse();
    Ok(records)
}

fn cursors(conn: &Connection) -> Result<Vec<(Box<str>, Seq)>, StoreError> {
    let mut select = conn.prepare_cached("SELECT name, seq FROM cursors ORDER BY name")?;
    let rows = select.query_map((), |row| Ok((row.get::<_, String>(0)?.into(), place(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn webhooks(conn: &Connection) -> Result<Vec<Webhook>, StoreError> {
    let mut select = conn.prepare_cached("SELECT delivery, heard_at FROM webhooks ORDER BY n DESC LIMIT ?1")?;
    let rows = select.query_map((WEBHOOKS_KEPT,), |row| {
        Ok(Webhook { delivery: row.get(0)?, heard_at: Timestamp::from_micros(row.get(1)?) })
    })?;
    let mut found = rows.collect::<Result<Vec<_>, _>>()?;
    found.reverse();
    Ok(found)
}

/// All rows of a question whose only column is a body.
pub(super) fn all<T: DeserializeOwned>(
    conn: &Connection,
    what: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<T>, StoreError> {
    let mut select = conn.prepare_cached(sql)?;
    let mut rows = select.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(body(row, 0, what)?);
    }
    Ok(found)
}

/// A body, understood.
pub(super) fn body<T: DeserializeOwned>(row: &Row<'_>, column: usize, what: &'static str) -> Result<T, StoreError> {
    let bytes = row.get_ref(column)?.as_bytes().map_err(|e| StoreError::decode(what, e))?;
    serde_json::from_slice(bytes).map_err(|e| StoreError::decode(what, e))
}
