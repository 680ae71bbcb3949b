//! What a hub keeps, as rows: written one after the other, for what is told anew takes the place of what was there.

use std::collections::BTreeMap;

use musher_core::hub::{HubEvent, ItemCard, MissionCard, Row, Told};
use musher_core::id::{ItemId, MissionId, ProjectId, Seq};
use musher_core::time::Timestamp;
use rusqlite::Connection;
use rusqlite::types::ToSql;
use serde::Serialize;

use super::flush::signed;
use super::load;
use crate::StoreError;
use crate::store::{HubCounts, HubFilter, MAX_EVENTS};

/// Writes rows in the open transaction.
pub(super) fn put(conn: &Connection, rows: &[Row]) -> Result<(), StoreError> {
    for row in rows {
        match row {
            Row::Project(project) => {
                let mut put = conn.prepare_cached("INSERT OR REPLACE INTO hub_projects (id, body) VALUES (?1, ?2)")?;
                put.execute((project.id.as_bytes(), json("a project", project)?))?;
            }
            Row::Emptied(id) => empty(conn, *id)?,
            Row::Gone(id) => {
                empty(conn, *id)?;
                conn.prepare_cached("DELETE FROM hub_projects WHERE id = ?1")?.execute((id.as_bytes(),))?;
            }
            Row::Mission(project, card) => {
                let mut put = conn.prepare_cached(
                    "INSERT OR REPLACE INTO hub_missions (project, id, state, body) VALUES (?1, ?2, ?3, ?4)",
                )?;
                put.execute((project.as_bytes(), card.id.as_bytes(), &*card.state, json("a mission", card)?))?;
            }
            Row::Item(project, card) => {
                let mut put = conn.prepare_cached(
                    "INSERT OR REPLACE INTO hub_items (project, mission, id, state, body) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?;
                let (mission, id) = (card.mission.as_bytes(), card.id.as_bytes());
                put.execute((project.as_bytes(), mission, id, &*card.state, json("an item", card)?))?;
            }
            Row::Event(event) => put_event(conn, event)?,
        }
    }
    Ok(())
}

fn put_event(conn: &Connection, event: &HubEvent) -> Result<(), StoreError> {
    let mut put = conn.prepare_cached(
        "INSERT INTO hub_events (place, project, seq, at, kind, actor, mission, item, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let told = &event.told;
    put.execute((
        signed(Seq(event.place)),
        event.project.as_bytes(),
        signed(told.seq),
        told.at.as_micros(),
        &*told.kind,
        &*told.actor,
        told.mission.as_ref().map(MissionId::as_bytes),
        told.item.as_ref().map(ItemId::as_bytes),
        &*told.body,
    ))?;
    Ok(())
}

fn empty(conn: &Connection, project: ProjectId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM hub_missions WHERE project = ?1",
        "DELETE FROM hub_items WHERE project = ?1",
        "DELETE FROM hub_events WHERE project = ?1",
    ] {
        conn.prepare_cached(sql)?.execute((project.as_bytes(),))?;
    }
    Ok(())
}

fn json(what: &'static str, row: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(row).map_err(|error| StoreError::encode(what, error))
}

pub(super) fn missions(conn: &Connection, project: ProjectId) -> Result<Vec<MissionCard>, StoreError> {
    let sql = "SELECT body FROM hub_missions WHERE project = ?1 ORDER BY id";
    load::all(conn, "mission of a project", sql, (project.as_bytes(),))
}

pub(super) fn items(conn: &Connection, project: ProjectId, mission: MissionId) -> Result<Vec<ItemCard>, StoreError> {
    let sql = "SELECT body FROM hub_items WHERE project = ?1 AND mission = ?2 ORDER BY id";
    let mut items: Vec<ItemCard> = load::all(conn, "item of a project", sql, (project.as_bytes(), mission.as_bytes()))?;
    items.sort_by_key(|item| (item.number, item.id));
    Ok(items)
}

pub(super) fn events(conn: &Connection, filter: &HubFilter) -> Result<Vec<HubEvent>, StoreError> {
    let mut params: Vec<Box<dyn ToSql>> =
        vec![Box::new(signed(Seq(filter.after))), Box::new(filter.limit.min(MAX_EVENTS))];
    let mut wanted = String::from("place > ?1");
    if let Some(project) = filter.project {
        params.push(Box::new(*project.as_bytes()));
        wanted += " AND project = ?3";
    }
    let mut select = conn.prepare_cached(&format!(
        "SELECT place, project, seq, at, kind, actor, mission, item, body FROM hub_events WHERE {wanted}
         ORDER BY place LIMIT ?2"
    ))?;
    let params: Vec<&dyn ToSql> = params.iter().map(AsRef::as_ref).collect();
    let rows = select.query_map(params.as_slice(), |row| {
        Ok(HubEvent {
            place: load::place(row.get(0)?).0,
            project: ProjectId::from_bytes(row.get(1)?),
            told: Told {
                seq: load::place(row.get(2)?),
                at: Timestamp::from_micros(row.get(3)?),
                kind: row.get(4)?,
                actor: row.get(5)?,
                mission: row.get::<_, Option<_>>(6)?.map(MissionId::from_bytes),
                item: row.get::<_, Option<_>>(7)?.map(ItemId::from_bytes),
                body: row.get(8)?,
            },
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn counts(conn: &Connection) -> Result<BTreeMap<ProjectId, HubCounts>, StoreError> {
    let mut counts: BTreeMap<ProjectId, HubCounts> = BTreeMap::new();
    for (table, of_items) in [("hub_missions", false), ("hub_items", true)] {
        let mut select =
            conn.prepare_cached(&format!("SELECT project, state, count(*) FROM {table} GROUP BY project, state"))?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            let of_project = counts.entry(ProjectId::from_bytes(row.get(0)?)).or_default();
            let by_state = if of_items { &mut of_project.items } else { &mut of_project.missions };
            by_state.insert(row.get(1)?, u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0));
        }
    }
    Ok(counts)
}
