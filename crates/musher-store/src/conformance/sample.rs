//! Rows to write: small, whole, and the same for the same number.

use musher_core::action::Action;
use musher_core::agent::{Agent, AgentSpec};
use musher_core::change::{Change, GateRecord};
use musher_core::effect::{Effect, EffectKind};
use musher_core::event::{Event, Happened, Logged, Moved};
use musher_core::firing::{Firing, FiringOf, FiringState};
use musher_core::hub::{HubEvent, ItemCard, Mark, MissionCard, Place, Project, Row, Told};
use musher_core::id::{
    AgentId, EffectId, FiringId, ItemId, MissionId, NoteId, ProjectId, RunId, ScheduleId, Seq, TriggerId, WatchId,
};
use musher_core::item::Item;
use musher_core::merge::{Batch, Ejected, Link, MergeQueue, Overlap};
use musher_core::mission::{Mission, Policy};
use musher_core::node::Node;
use musher_core::pull::Pull;
use musher_core::quota::{Account, Cap, Scope};
use musher_core::run::{Run, RunState, Usage};
use musher_core::schedule::{Misfire, Notify, Schedule, ScheduleSpec, When};
use musher_core::sink::{Sink, SinkKind, Trouble};
use musher_core::time::Timestamp;
use musher_core::trigger::{Cause, Mode, Predicate, Trigger, TriggerSpec};
use musher_core::watch::{Holds, Looks, Seen, Watch, WatchKind, WatchStatus};
use musher_core::webhook::Webhook;

use crate::store::Store;

/// The moment that all samples are of: 2026-01-31T09:00:00Z.
pub const NOW: Timestamp = Timestamp::from_micros(1_769_850_000_000_000);

/// The bytes of an id whose time is [`NOW`] and whose random part tells the number; ids grow with their numbers.
pub fn id_bytes(n: u32) -> [u8; 16] {
    let mut bytes = [0u8; 16];
    bytes[..6].copy_from_slice(&NOW.as_millis().to_be_bytes()[2..]);
    bytes[6..8].copy_from_slice(&[0x70, 0]);
    bytes[8..12].copy_from_slice(&[0x80, 0, 0, 0]);
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    bytes
}

/// The n-th mission's id.
pub fn mission_id(n: u32) -> MissionId {
    MissionId::from_bytes(id_bytes(n))
}

/// The n-th item's id.
pub fn item_id(n: u32) -> ItemId {
    ItemId::from_bytes(id_bytes(n))
}

/// The n-th run's id.
pub fn run_id(n: u32) -> RunId {
    RunId::from_bytes(id_bytes(n))
}

/// The n-th effect's id.
pub fn effect_id(n: u32) -> EffectId {
    EffectId::from_bytes(id_bytes(n))
}

/// The n-th note's id.
pub fn note_id(n: u32) -> NoteId {
    NoteId::from_bytes(id_bytes(n))
}

/// The n-th mission, running.
pub fn mission(n: u32) -> Mission {
    serde_json::from_value(serde_json::json!({
        "id": mission_id(n), "goal": format!("goal {n}"), "policy": {}, "state": "running", "base": "main",
        "delivery": "merge", "owner": "ann", "created_at": NOW, "updated_at": NOW,
    }))
    .unwrap()
}

/// The n-th item, of a mission, ready.
pub fn item(n: u32, mission: u32) -> Item {
    serde_json::from_value(serde_json::json!({
        "id": item_id(n), "mission": mission_id(mission), "key": format!("item-{n}"), "number": n,
        "title": "Grüße an 世界 🐑", "kind": "implement", "priority": "medium", "state": "ready", "attempts": 0,
        "fence": 0, "created_at": NOW, "updated_at": NOW,
    }))
    .unwrap()
}

/// The n-th run, of an item of a mission, live.
pub fn run(n: u32, item: u32, mission: u32) -> Run {
    serde_json::from_value(serde_json::json!({
        "id": run_id(n), "mission": mission_id(mission), "item": item_id(item), "agent": AgentId::from_bytes(id_bytes(1)),
        "purpose": "work", "fence": 1, "attempt": 1, "state": "running", "assigned_at": NOW,
    }))
    .unwrap()
}

/// A run that is over, and what it used.
pub fn over(run: Run, usage: Usage) -> Run {
    Run { state: RunState::Finished, finished_at: Some(NOW), usage, ..run }
}

/// The n-th agent.
pub fn agent(n: u32) -> Agent {
    Agent {
        id: AgentId::from_bytes(id_bytes(n)),
        spec: AgentSpec { name: format!("agent-{n}").into(), ..AgentSpec::default() },
        source: musher_core::agent::Source::Config,
        paused: false,
        draining: false,
        removed: false,
        limited_until: None,
        limited_times: 2,
        suspended: None,
        setup_failures: Vec::new(),
        error: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// What the n-th agent has used, and what was set for the n-th mission.
pub fn quota(n: u32) -> [Account; 2] {
    let mut used = Account::new(Scope::Agent(format!("agent-{n}").into()));
    (used.day_ends, used.tokens, used.jobs) = (NOW, u64::MAX - u64::from(n), u64::from(n));
    used.warned.insert(Cap::DailyTokens);
    let mut set = Account::new(Scope::Mission(mission_id(n)));
    set.set.caps.insert(Cap::Usd, 5_000_000);
    [used, set]
}

/// Those of all these numbers, in the order in which they are loaded.
pub fn quotas(numbers: impl IntoIterator<Item = u32>) -> Vec<Account> {
    let mut rows: Vec<Account> = numbers.into_iter().flat_map(quota).collect();
    rows.sort_by_key(|row| row.scope.to_string());
    rows
}

/// The n-th pull request, of the item and the mission of the same number.
pub fn pull(n: u32) -> Pull {
    serde_json::from_value(serde_json::json!({
        "item": item_id(n), "mission": mission_id(n), "number": n, "pushed": "c0ffee", "wishes": ["merge", { "again": "ada" }], "looks": { "due": NOW, "failures": n },
        "created_at": NOW, "updated_at": NOW,
    }))
    .unwrap()
}

/// The n-th watch, of the item and the mission of the same number.
pub fn watch(n: u32) -> Watch {
    Watch {
        id: WatchId::from_bytes(id_bytes(n)),
        mission: mission_id(n),
        item: item_id(n),
        kind: WatchKind::IssueClosed("owner/name#7".parse().unwrap()),
        holds: Holds::Mission,
        status: WatchStatus::Snoozed(NOW),
        seen: Seen::Pending,
        text: Some("Grüße an 世界 🐑".into()),
        head: None,
        found: vec!["build".into()],
        looks: Looks::default(),
        created_at: NOW,
        changed_at: NOW,
    }
}

/// The n-th effect, for an item.
pub fn effect(n: u32, item: u32) -> Effect {
    Effect { id: effect_id(n), item: Some(item_id(item)), kind: EffectKind::StartRun(run_id(n)), at: NOW }
}

/// The n-th gate record.
pub fn gate(n: u32) -> GateRecord {
    GateRecord {
        tree: format!("tree-{n}").into(),
        gate: "make".into(),
        green: n.is_multiple_of(2),
        tail: "é\n".into(),
        at: NOW,
    }
}

/// The n-th node; the odd ones are silent.
pub fn node(n: u32) -> Node {
    Node { name: format!("box-{n}.example").into(), heard_at: NOW, silent: !n.is_multiple_of(2) }
}

/// The n-th schedule.
pub fn schedule(n: u32) -> Schedule {
    let spec = ScheduleSpec {
        name: format!("nightly-{n}").into(),
        when: When::Cron { expression: "0 2 * * *".into(), tz: "Europe/Berlin".into() },
        check: None,
        action: Action::Prompt { text: "Grüße an 世界".into(), agent: None },
        overlap: musher_core::schedule::Overlap::Queue,
        misfire: Misfire::All,
        timeout_secs: 7,
        notify: Notify::All,
        enabled: true,
        policy: Policy::default(),
    };
    Schedule {
        id: ScheduleId::from_bytes(id_bytes(n)),
        spec,
        source: musher_core::schedule::Source::Operator,
        off: None,
        due: Some(NOW),
        live: Some(FiringId::from_bytes(id_bytes(n))),
        queued: vec![NOW],
        failures: n,
        not_before: Some(NOW),
        paused: None,
        fired_due: Some(NOW),
        removed: false,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// The n-th trigger.
pub fn trigger(n: u32) -> Trigger {
    let spec = TriggerSpec {
        name: format!("on-red-{n}").into(),
        on: Predicate { kinds: ["item_*".into()].into(), text: Some("世界".into()), ..Predicate::default() },
        action: Action::Note { mission: "abcd".into(), text: "pause".into() },
        mode: Mode::Persistent,
        max_fires: Some(7),
        cooldown_secs: 60,
        expires: Some(NOW),
        enabled: true,
        policy: Policy::default(),
    };
    Trigger {
        id: TriggerId::from_bytes(id_bytes(n)),
        spec,
        source: musher_core::schedule::Source::Config,
        off: None,
        seen: Seq(u64::from(n)),
        fires: u64::from(n),
        fired_at: Some(NOW),
        over: None,
        failures: n,
        not_before: Some(NOW),
        paused: None,
        removed: false,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// The n-th firing, which is live: of the n-th schedule, or of the n-th trigger when n is even.
pub fn firing(n: u32) -> Firing {
    Firing {
        id: FiringId::from_bytes(id_bytes(n)),
        of: if n.is_multiple_of(2) {
            FiringOf::Trigger(TriggerId::from_bytes(id_bytes(n)))
        } else {
            FiringOf::Schedule(ScheduleId::from_bytes(id_bytes(n)))
        },
        due: NOW,
        missed: n,
        state: FiringState::Running,
        mission: Some(mission_id(n)),
        text: Some("exit 1".into()),
        fired_at: NOW,
        expires_at: (!n.is_multiple_of(2)).then_some(NOW),
        finished_at: None,
        cause: n.is_multiple_of(2).then(|| Box::new(cause(n))),
    }
}

/// What the n-th trigger fired on.
fn cause(n: u32) -> Cause {
    Cause {
        trigger: format!("on-red-{n}").into(),
        event: Seq(u64::from(n)),
        kind: "item_done".into(),
        chain: [TriggerId::from_bytes(id_bytes(n))].into(),
        text: "item_done 世界".into(),
    }
}

/// The n-th sink, which has failed n times.
pub fn sink(n: u32) -> Sink {
    let trouble = Trouble {
        since: NOW,
        failures: n,
        event: Seq(u64::from(n)),
        attempts: n,
        tried_ms: 7,
        last_at: NOW,
        not_before: NOW,
        error: "it answered \"500\"".into(),
        announced: true,
    };
    Sink {
        name: format!("sink-{n}").into(),
        kind: SinkKind::Webhook,
        trouble: Some(trouble),
        removed_at: None,
        relay: None,
    }
}

/// The n-th cursor.
pub fn cursor(n: u32) -> (Box<str>, Seq) {
    (format!("sink:sink-{n}").into(), Seq(u64::from(n)))
}

/// An event about an item of a mission.
pub fn event(happened: Happened, mission: u32, item: Option<u32>) -> Event {
    Event {
        at: NOW,
        actor: "ann".into(),
        mission: Some(mission_id(mission)),
        item: item.map(item_id),
        agent: None,
        run: None,
        moved: item.map(|_| Moved { from: "".into(), to: "ready".into() }),
        chain: item.map(|n| TriggerId::from_bytes(id_bytes(n))).into_iter().collect(),
        happened,
    }
}

/// A webhook that was taken.
pub(crate) fn webhook(n: u32) -> Webhook {
    Webhook { delivery: format!("delivery-{n}").into(), heard_at: NOW }
}

/// A project of a hub.
pub fn project(n: u32) -> Project {
    let last = Some(Place { seq: Seq(u64::from(n) * 10), at: NOW });
    Project {
        id: project_id(n),
        name: "Grüße".into(),
        mark: Mark { history: n, last },
        events: 1,
        since: NOW,
        heard_at: NOW,
    }
}

/// The id of a project.
pub fn project_id(n: u32) -> ProjectId {
    ProjectId::from_bytes(id_bytes(n))
}

/// A mission that a project tells of.
pub fn mission_card(n: u32, state: &str) -> MissionCard {
    let card = MissionCard::of(&mission(n));
    MissionCard { state: state.into(), ..card }
}

/// An item that a project tells of.
pub fn item_card(mission: u32, n: u32, state: &str) -> ItemCard {
    let card = ItemCard::of(&item(n, mission), Some("ann".into()));
    ItemCard { state: state.into(), ..card }
}

/// An event that a project tells.
pub fn hub_event(project: u32, place: u64, seq: u64) -> Row {
    let logged = Logged { seq: Seq(seq), event: event(Happened::MissionResumed {}, project, Some(1)) };
    Row::Event(HubEvent { place, project: project_id(project), told: Told::of(&logged) })
}

/// What project n told: itself, a mission, an item and an event.
pub fn hub(n: u32) -> Vec<Row> {
    let id = project_id(n);
    vec![
        Row::Project(project(n)),
        Row::Mission(id, mission_card(n, "running")),
        Row::Item(id, item_card(n, n, "ready")),
        hub_event(n, u64::from(n), u64::from(n) * 10),
    ]
}

/// A change of every sort of row: mission n with item n, its live run, effect, agent, gate record and two events; schedule
/// and trigger n, a live firing, node n, and sink n with its cursor.
pub fn everything(n: u32) -> Change {
    Change {
        missions: vec![mission(n)],
        items: vec![item(n, n)],
        runs: vec![run(n, n, n)],
        agents: vec![agent(n)],
        pulls: vec![pull(n)],
        watches: vec![watch(n)],
        quotas: quota(n).into(),
        gates: vec![gate(n)],
        events: vec![
            event(Happened::MissionResumed {}, n, None),
            event(Happened::ItemAssigned { attempt: n }, n, Some(n)),
        ],
        effects: vec![effect(n, n)],
        schedules: vec![schedule(n)],
        triggers: vec![trigger(n)],
        firings: vec![firing(n)],
        nodes: vec![node(n)],
        sinks: vec![sink(n)],
        cursors: vec![cursor(n)],
        webhooks: vec![webhook(n)],
        hub: hub(n),
        ..Change::default()
    }
}

/// Writes changes as one batch and commits it.
pub fn commit(store: &mut dyn Store, changes: &[Change]) -> Seq {
    store.begin().unwrap();
    for change in changes {
        store.write(change).unwrap();
    }
    store.commit().unwrap()
}

/// The row of the merge queue in the middle of a batch.
pub(crate) fn queue(batches: u64) -> MergeQueue {
    let link = |name: &str| Link { commit: name.into(), tree: format!("tree of {name}").into() };
    let items = [item(1, 1).id, item(1, 2).id];
    let mut batch = Batch::new(batches, "refs/heads/main", Some("make \"check\""), &items, Timestamp::from_micros(5));
    batch.form(link("base"), &[link("one"), link("two")]);
    (batch.tried[2].reds, batch.tried[2].words) = (1, Some("it is red: exit 1".into()));
    (batch.tried[1].green, batch.landing) = (true, Some(1));
    let ejected = Ejected { item: items[0], batch: 1, words: "exit 1".into(), at: Timestamp::from_micros(6) };
    MergeQueue {
        paused: Some("release".into()),
        batch: Some(batch),
        batches,
        flaky: 3,
        ejected: vec![ejected],
        overlaps: vec![overlap()],
    }
}

fn overlap() -> Overlap {
    let items = Box::new(["one".into(), "two".into()]);
    Overlap { files: Box::new(["src/lib.rs".into()]), mission: mission(1).id, items, at: NOW }
}
