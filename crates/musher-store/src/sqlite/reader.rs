//! Reading beside the writer: a connection of its own, which cannot write.

use std::collections::BTreeMap;
use std::path::Path;

use musher_core::change::TextKey;
use musher_core::event::{Event, Happened, Logged, Moved};
use musher_core::firing::{Firing, FiringOf};
use musher_core::hub::{HubEvent, ItemCard, MissionCard};
use musher_core::id::{AgentId, ItemId, MissionId, ProjectId, RunId, Seq, matches_prefix};
use musher_core::item::Item;
use musher_core::mission::Mission;
use musher_core::run::{Run, Usage};
use musher_core::time::Timestamp;
use rusqlite::types::ToSql;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::flush::{NOTE, columns, signed};
use super::{hub, load, schema};
use crate::StoreError;
use crate::store::{By, EventFilter, HubCounts, HubFilter, MAX_EVENTS, MAX_FOUND, Reader, Scope, Spent, SpentOn};

/// A log this much longer than the filter's place is searched through the index, a shorter one from end to end.
const TAIL: u64 = 20_000;

#[derive(Debug)]
pub(super) struct SqliteReader {
    conn: Connection,
}

impl SqliteReader {
    pub(super) fn open(file: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(file, flags)?;
        conn.set_prepared_statement_cache_capacity(32);
        schema::common_pragmas(&conn, 2 << 10)?;
        Ok(Self { conn })
    }

    /// Who holds the lease, as far as the database says.
    pub(super) fn holder(&self) -> Option<super::lease::Holding> {
        super::lease::holder(&self.conn)
    }

    fn one<T: serde::de::DeserializeOwned>(
        &self,
        what: &'static str,
        sql: &str,
        id: &[u8; 16],
    ) -> Result<Option<T>, StoreError> {
        Ok(load::all(&self.conn, what, sql, (id,))?.pop())
    }

    fn find<T: Named>(&self, typed: &str, by_id: &str) -> Result<Vec<T>, StoreError> {
        let Some(range) = Range::of(typed) else { return Ok(Vec::new()) };
        // The first half is a range of the index; the second reads the whole index, which is short beside the table.
        let mut select = self.conn.prepare_cached(&format!(
            "SELECT id FROM {by_id} WHERE id BETWEEN ?1 AND ?2
             UNION SELECT id FROM {by_id} WHERE ?3 IS NOT NULL AND substr(id, 13, 4) BETWEEN ?3 AND ?4
             ORDER BY id"
        ))?;
        let short = range.short.as_ref();
        let mut rows =
            select.query((&range.full.0, &range.full.1, short.map(|(low, _)| low), short.map(|(_, high)| high)))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let id = T::from_bytes(row.get(0)?);
            // The ranges do not mind where the dashes stand.
            if found.len() < MAX_FOUND && id.is_named_by(typed) {
                found.push(id);
            }
        }
        Ok(found)
    }

    fn mission_of(&self, item: ItemId) -> Result<Option<MissionId>, StoreError> {
        let mut select = self.conn.prepare_cached("SELECT mission FROM items WHERE id = ?1")?;
        let id = select.query_row((item.as_bytes(),), |row| row.get(0)).optional()?;
        Ok(id.map(MissionId::from_bytes))
    }
}

impl Reader for SqliteReader {
    fn text(&self, key: TextKey) -> Result<Option<String>, StoreError> {
        let mut select =
            self.conn.prepare_cached("SELECT body FROM texts WHERE kind = ?1 AND owner = ?2 AND note = ?3")?;
        Ok(select.query_row(columns(&key), |row| row.get(0)).optional()?)
    }

    fn notes(&self, mission: MissionId) -> Result<Vec<String>, StoreError> {
        let mut select =
            self.conn.prepare_cached("SELECT body FROM texts WHERE kind = ?1 AND owner = ?2 ORDER BY n")?;
        let rows = select.query_map((NOTE, mission.as_bytes()), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn events(&self, filter: &EventFilter) -> Result<Vec<Logged>, StoreError> {
        let snapshot = self.conn.unchecked_transaction()?;
        let last = load::last_seq(&snapshot)?;
        if filter.after >= last {
            return Ok(Vec::new());
        }
        let mission = match filter.item {
            Some(item) => self.mission_of(item)?.or(filter.mission),
            None => filter.mission,
        };
        if filter.mission.is_some() && mission != filter.mission {
            return Ok(Vec::new());
        }
        let question = Question::new(filter, mission, last);
        let mut select = snapshot.prepare_cached(&question.sql)?;
        let params: Vec<&dyn ToSql> = question.params.iter().map(AsRef::as_ref).collect();
        let mut rows = select.query(params.as_slice())?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            events.push(logged(row)?);
        }
        Ok(events)
    }

    fn last_seq(&self) -> Result<Seq, StoreError> {
        load::last_seq(&self.conn)
    }

    fn cursor(&self, name: &str) -> Result<Option<Seq>, StoreError> {
        let mut select = self.conn.prepare_cached("SELECT seq FROM cursors WHERE name = ?1")?;
        Ok(select.query_row((name,), |row| row.get(0)).optional()?.map(load::place))
    }

    fn missions(&self, scope: Scope) -> Result<Vec<Mission>, StoreError> {
        let sql = match scope {
            Scope::Active => "SELECT body FROM missions WHERE archived = 0 ORDER BY id",
            Scope::All => "SELECT body FROM missions ORDER BY id",
        };
        load::all(&self.conn, "mission", sql, ())
    }

    fn mission(&self, id: MissionId) -> Result<Option<Mission>, StoreError> {
        self.one("mission", "SELECT body FROM missions WHERE id = ?1", id.as_bytes())
    }

    fn items_of(&self, mission: MissionId) -> Result<Vec<Item>, StoreError> {
        load::items_of(&self.conn, mission)
    }

    fn item(&self, id: ItemId) -> Result<Option<Item>, StoreError> {
        self.one("item", "SELECT body FROM items WHERE id = ?1", id.as_bytes())
    }

    fn runs_of(&self, item: ItemId) -> Result<Vec<Run>, StoreError> {
        let sql = "SELECT body FROM runs WHERE item = ?1 ORDER BY id";
        let mut runs: Vec<Run> = load::all(&self.conn, "run", sql, (item.as_bytes(),))?;
        // The ids of one millisecond are in no order.
        runs.sort_by_key(|run| (run.assigned_at, run.id));
        Ok(runs)
    }

    fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        self.one("run", "SELECT body FROM runs WHERE id = ?1", id.as_bytes())
    }

    fn firings_of(&self, of: FiringOf, limit: u32) -> Result<Vec<Firing>, StoreError> {
        let sql = "SELECT body FROM firings WHERE owner = ?1 ORDER BY id DESC LIMIT ?2";
        load::all(&self.conn, "firing", sql, (of.as_bytes(), limit))
    }

    fn find_missions(&self, typed: &str) -> Result<Vec<MissionId>, StoreError> {
        self.find(typed, "missions")
    }

    fn find_items(&self, typed: &str) -> Result<Vec<ItemId>, StoreError> {
        self.find(typed, "items INDEXED BY items_by_id")
    }

    fn find_runs(&self, typed: &str) -> Result<Vec<RunId>, StoreError> {
        self.find(typed, "runs INDEXED BY runs_by_id")
    }

    fn hub_missions(&self, project: ProjectId) -> Result<Vec<MissionCard>, StoreError> {
        hub::missions(&self.conn, project)
    }

    fn hub_items(&self, project: ProjectId, mission: MissionId) -> Result<Vec<ItemCard>, StoreError> {
        hub::items(&self.conn, project, mission)
    }

    fn hub_events(&self, filter: &HubFilter) -> Result<Vec<HubEvent>, StoreError> {
        hub::events(&self.conn, filter)
    }

    fn hub_counts(&self) -> Result<BTreeMap<ProjectId, HubCounts>, StoreError> {
        hub::counts(&self.conn)
    }

    fn spent(&self, by: By) -> Result<Vec<Spent>, StoreError> {
        let key = match by {
            By::Mission => "mission",
            By::Item => "item",
            By::Agent => "agent",
            By::Model => "body ->> '$.model'",
            By::Quarter => "at - ((at % 900000000) + 900000000) % 900000000",
        };
        let sum = |name: &str| format!("sum(coalesce(body ->> '$.usage.{name}', 0))");
        let tokens = ["input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens"].map(sum).join(", ");
        let costs = ["cost_micro_usd", "estimated_micro_usd"].map(sum).join(", ");
        let mut select = self.conn.prepare_cached(&format!(
            "SELECT {key}, {tokens}, {costs} FROM events INDEXED BY events_usage WHERE kind = 'usage_recorded' GROUP BY 1 ORDER BY 1"
        ))?;
        let mut rows = select.query(())?;
        let mut spent = Vec::new();
        while let Some(row) = rows.next()? {
            let on = match by {
                By::Mission => row.get::<_, Option<_>>(0)?.map(|id| SpentOn::Mission(MissionId::from_bytes(id))),
                By::Item => row.get::<_, Option<_>>(0)?.map(|id| SpentOn::Item(ItemId::from_bytes(id))),
                By::Agent => row.get::<_, Option<_>>(0)?.map(|id| SpentOn::Agent(AgentId::from_bytes(id))),
                By::Model => row.get::<_, Option<String>>(0)?.map(SpentOn::Model),
                By::Quarter => Some(SpentOn::Quarter(Timestamp::from_micros(row.get(0)?))),
            };
            let count = |column| row.get::<_, i64>(column).map(|sum| u64::try_from(sum).unwrap_or(0));
            let usage = Usage {
                input_tokens: count(1)?,
                cache_read_tokens: count(2)?,
                cache_write_tokens: count(3)?,
                output_tokens: count(4)?,
                cost_micro_usd: count(5)?,
                estimated_micro_usd: count(6)?,
            };
            spent.push(Spent { on: on.unwrap_or(SpentOn::Unknown), usage });
        }
        spent.sort_by(|one, other| one.on.cmp(&other.on));
        Ok(spent)
    }
}

/// The SQL of a filter. Only constant parts go into the text; what is asked for is bound.
struct Question {
    sql: String,
    params: Vec<Box<dyn ToSql>>,
}

impl Question {
    fn new(filter: &EventFilter, mission: Option<MissionId>, last: Seq) -> Self {
        let mut params: Vec<Box<dyn ToSql>> =
            vec![Box::new(signed(filter.after)), Box::new(filter.limit.min(MAX_EVENTS))];
        let mut wanted = String::from("seq > ?1");
        if !filter.kinds.is_empty() {
            params.push(Box::new(serde_json::json!(filter.kinds).to_string()));
            wanted += &format!(" AND kind IN (SELECT value FROM json_each(?{}))", params.len());
        }
        if let Some(mission) = mission {
            params.push(Box::new(*mission.as_bytes()));
            wanted += &format!(" AND mission = ?{}", params.len());
        }
        if let Some(item) = filter.item {
            params.push(Box::new(*item.as_bytes()));
            wanted += &format!(" AND item = ?{}", params.len());
        }
        let in_tail = last.0.saturating_sub(filter.after.0) <= TAIL;
        let way = if in_tail || mission.is_none() { "NOT INDEXED" } else { "INDEXED BY events_by_mission" };
        // The places first: sorting a mission's events then moves numbers, not bodies.
        let sql = format!(
            "SELECT seq, at, kind, actor, mission, item, agent, run, body, from_state, to_state, chain FROM events WHERE seq IN
             (SELECT seq FROM events {way} WHERE {wanted} ORDER BY seq LIMIT ?2) ORDER BY seq"
        );
        Self { sql, params }
    }
}

fn logged(row: &Row<'_>) -> Result<Logged, StoreError> {
    let undone = |e| StoreError::decode("event", e);
    let text = |column| {
        let text = row.get_ref(column)?;
        text.as_str().map_err(|e| StoreError::decode("event", e))
    };
    let id = |column| row.get::<_, Option<[u8; 16]>>(column);
    let (kind, body) = (text(2)?, text(8)?);
    let happened: Happened = serde_json::from_str(&format!(r#"{{"kind":"{kind}","body":{body}}}"#)).map_err(undone)?;
    let moved = match (row.get::<_, Option<String>>(9)?, row.get::<_, Option<String>>(10)?) {
        (Some(from), Some(to)) => Some(Moved { from: from.into(), to: to.into() }),
        (Some(_) | None, _) => None,
    };
    let chain: Option<String> = row.get(11)?;
    let chain = chain.map(|chain| serde_json::from_str(&chain)).transpose().map_err(undone)?;
    Ok(Logged {
        seq: load::place(row.get(0)?),
        event: Event {
            at: Timestamp::from_micros(row.get(1)?),
            actor: text(3)?.into(),
            mission: id(4)?.map(MissionId::from_bytes),
            item: id(5)?.map(ItemId::from_bytes),
            agent: id(6)?.map(AgentId::from_bytes),
            run: id(7)?.map(RunId::from_bytes),
            moved,
            chain: chain.unwrap_or_default(),
            happened,
        },
    })
}

/// What the three ids that people type have in common.
trait Named {
    fn from_bytes(bytes: [u8; 16]) -> Self;
    fn is_named_by(&self, typed: &str) -> bool;
}

macro_rules! named {
    ($($id:ident)+) => { $(
        impl Named for $id {
            fn from_bytes(bytes: [u8; 16]) -> Self {
                $id::from_bytes(bytes)
            }
            fn is_named_by(&self, typed: &str) -> bool {
                matches_prefix(&self.to_string(), &self.short(), typed)
            }
        }
    )+ };
}

named! { MissionId ItemId RunId }

/// Where the ids lie that a typed prefix may name: by their first digits, and by their last eight.
struct Range {
    full: ([u8; 16], [u8; 16]),
    short: Option<([u8; 4], [u8; 4])>,
}

impl Range {
    /// None when no id can be meant.
    fn of(typed: &str) -> Option<Self> {
        let digits: Vec<u8> = typed
            .chars()
            .filter(|c| *c != '-')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()?;
        if digits.is_empty() || digits.len() > 32 {
            return None;
        }
        let short = (digits.len() <= 8).then(|| (fill(&digits, 0), fill(&digits, 0xf)));
        Some(Self { full: (fill(&digits, 0), fill(&digits, 0xf)), short })
    }
}

/// The digits as bytes, filled up with one digit.
fn fill<const N: usize>(digits: &[u8], with: u8) -> [u8; N] {
    let digit = |i: usize| digits.get(i).copied().unwrap_or(with);
    std::array::from_fn(|i| (digit(2 * i) << 4) | digit(2 * i + 1))
}
