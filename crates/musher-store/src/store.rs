//! The two traits: [`Store`] for the one writer, [`Reader`] for everyone else.

use std::collections::BTreeMap;
use std::time::Duration;

use musher_core::change::{Change, TextKey};
use musher_core::event::Logged;
use musher_core::firing::{Firing, FiringOf};
use musher_core::hub::{HubEvent, ItemCard, MissionCard};
use musher_core::id::{AgentId, ItemId, MissionId, ProjectId, RunId, Seq};
use musher_core::item::Item;
use musher_core::mission::Mission;
use musher_core::run::{Run, Usage};
use musher_core::state::World;
use musher_core::time::Timestamp;

use crate::StoreError;
use crate::lease::{Lease, Work};

/// How many ids a typed prefix may name before the list is cut off: enough to say that it is ambiguous.
pub const MAX_FOUND: usize = 16;

/// The most events that one question is answered with.
pub const MAX_EVENTS: u32 = 10_000;

/// The most bytes of one row or text; more is refused with [`StoreError::TooLarge`].
pub const MAX_ROW_BYTES: usize = 64 << 20;

/// How many webhooks are kept in mind: the newest ones.
pub const WEBHOOKS_KEPT: u32 = musher_core::webhook::REMEMBERED as u32;

/// How many gate records are kept in mind: the newest ones.
pub const GATES_KEPT: u32 = 1_000;

/// The one writer's side of durable state.
///
/// The order of calls: [`load`](Self::load) once, then batches, each [`begin`](Self::begin), any number of
/// [`write`](Self::write)s, [`commit`](Self::commit). Until `commit` has answered nothing was decided: nobody else sees
/// it, and a crash leaves no trace of it.
pub trait Store: Send {
    /// Reads the world that decisions are made on: all of the missions that are not archived, their live runs, all
    /// agents, the open effects, the newest [`GATES_KEPT`] gate records, all schedules and triggers with their live firings,
    /// all nodes, sinks and cursors, the newest webhooks, the projects of a hub.
    ///
    /// An open batch is dropped. After a failed commit this is the only call that helps.
    fn load(&mut self) -> Result<World, StoreError>;

    /// Opens a batch.
    ///
    /// # Errors
    /// [`StoreError::BatchOpen`] when there is one, [`StoreError::Broken`] after a failed commit.
    fn begin(&mut self) -> Result<(), StoreError>;

    /// Writes what one command changed, and answers the place of its last event, or of the last one before it.
    ///
    /// # Errors
    /// Nothing of this change is written then; the batch's other changes are as if it had never come. When the store
    /// itself failed, the batch's commit fails too.
    fn write(&mut self, change: &Change) -> Result<Seq, StoreError>;

    /// Makes the batch durable and visible, all of it, and answers the place of the last event of all.
    ///
    /// # Errors
    /// Nothing of the batch is known to be durable. Forget what was decided and [`load`](Self::load) again; until then
    /// every call answers [`StoreError::Broken`]. After [`StoreError::Fenced`] nothing helps: somebody else has taken the
    /// lease, nothing of the batch is on disk, and nothing of this writer ever will be. A commit is never tried twice: a disk that failed to write once may
    /// well claim success the second time.
    fn commit(&mut self) -> Result<Seq, StoreError>;

    /// Drops the batch.
    fn rollback(&mut self) -> Result<(), StoreError>;

    /// Opens a reader of its own, for any thread.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;

    /// The place of the last committed event; 0 when there is none.
    fn last_seq(&self) -> Seq;

    /// The lease that this writes under; none of a store that nobody else can write to.
    fn lease(&self) -> Option<Lease> {
        None
    }

    /// Renews the lease, when it is time for that, between two batches. Answers after how long it is time again, if it is
    /// by itself: never while no work is under way.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when somebody else has taken it.
    fn keep(&mut self, _work: Work) -> Result<Option<Duration>, StoreError> {
        Ok(None)
    }
}

/// Everyone else's side: sees whole batches only, and never holds the writer up.
pub trait Reader: Send {
    /// A long text.
    fn text(&self, key: TextKey) -> Result<Option<String>, StoreError>;

    /// The notes on a mission, in the order in which they were given.
    fn notes(&self, mission: MissionId) -> Result<Vec<String>, StoreError>;

    /// What happened, in order, as far as the filter lets it through.
    fn events(&self, filter: &EventFilter) -> Result<Vec<Logged>, StoreError>;

    /// The place of the last event; 0 when there is none.
    fn last_seq(&self) -> Result<Seq, StoreError>;

    /// How far the subscriber of this name has come; none when it never said.
    fn cursor(&self, name: &str) -> Result<Option<Seq>, StoreError>;

    /// The missions, oldest first.
    fn missions(&self, scope: Scope) -> Result<Vec<Mission>, StoreError>;

    /// A mission, archived or not.
    fn mission(&self, id: MissionId) -> Result<Option<Mission>, StoreError>;

    /// The items of a mission, archived or not, in the order of the plan.
    fn items_of(&self, mission: MissionId) -> Result<Vec<Item>, StoreError>;

    /// An item, of an archived mission or not.
    fn item(&self, id: ItemId) -> Result<Option<Item>, StoreError>;

    /// The runs of an item, oldest first.
    fn runs_of(&self, item: ItemId) -> Result<Vec<Run>, StoreError>;

    /// A run, live or over.
    fn run(&self, id: RunId) -> Result<Option<Run>, StoreError>;

    /// The newest firings of a schedule or a trigger, newest first, at most so many.
    fn firings_of(&self, of: FiringOf, limit: u32) -> Result<Vec<Firing>, StoreError>;

    /// The missions that what a person typed names (see [`musher_core::id::matches_prefix`]), archived ones too, in the
    /// order of their ids; at most [`MAX_FOUND`].
    fn find_missions(&self, typed: &str) -> Result<Vec<MissionId>, StoreError>;

    /// The items that what a person typed names, like [`find_missions`](Self::find_missions).
    fn find_items(&self, typed: &str) -> Result<Vec<ItemId>, StoreError>;

    /// The runs that what a person typed names, like [`find_missions`](Self::find_missions).
    fn find_runs(&self, typed: &str) -> Result<Vec<RunId>, StoreError>;

    /// The missions that a project has told a hub of, oldest first.
    fn hub_missions(&self, project: ProjectId) -> Result<Vec<MissionCard>, StoreError>;

    /// The items of a mission that a project has told a hub of, in the order of the plan.
    fn hub_items(&self, project: ProjectId, mission: MissionId) -> Result<Vec<ItemCard>, StoreError>;

    /// What projects have told a hub, in the order in which it came, as far as the filter lets it through.
    fn hub_events(&self, filter: &HubFilter) -> Result<Vec<HubEvent>, StoreError>;

    /// How many missions and items each project has told a hub of, by their states; none of a project without any.
    fn hub_counts(&self) -> Result<BTreeMap<ProjectId, HubCounts>, StoreError>;

    /// All that was ever used, added up by mission, item, agent, model or time: from the events, so that it is exact to
    /// the millionth of a dollar and counts use in the moment in which it was reported. In the order of the keys.
    fn spent(&self, by: By) -> Result<Vec<Spent>, StoreError>;
}

/// Which events of a hub are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubFilter {
    /// Only those after this place in the hub; 0 is the beginning.
    pub after: u64,
    /// At most so many; more than [`MAX_EVENTS`] counts as [`MAX_EVENTS`].
    pub limit: u32,
    /// Only those of this project.
    pub project: Option<ProjectId>,
}

/// How many missions and items of a project there are, by the names of their states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubCounts {
    /// Missions.
    pub missions: BTreeMap<String, u64>,
    /// Items.
    pub items: BTreeMap<String, u64>,
}

/// By what use is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// By mission.
    Mission,
    /// By item.
    Item,
    /// By agent.
    Agent,
    /// By model.
    Model,
    /// By the quarter of an hour: in every zone of the world days begin with one.
    Quarter,
}

/// Whose use it is, or of when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpentOn {
    /// A mission's.
    Mission(MissionId),
    /// An item's.
    Item(ItemId),
    /// An agent's.
    Agent(AgentId),
    /// A model's.
    Model(String),
    /// Of the quarter of an hour that begins then.
    Quarter(Timestamp),
    /// Nobody can say: the event names none.
    Unknown,
}

/// What was used of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Spent {
    /// Whose.
    pub on: SpentOn,
    /// How much.
    pub usage: Usage,
}

/// How long a quarter of an hour is, in microseconds.
pub const QUARTER_MICROS: i64 = 900_000_000;

/// Which missions are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Those that are not archived.
    #[default]
    Active,
    /// The archived ones too.
    All,
}

/// Which events are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those after this place; 0 is the beginning.
    pub after: Seq,
    /// At most so many; more than [`MAX_EVENTS`] counts as [`MAX_EVENTS`].
    pub limit: u32,
    /// Only those about this mission.
    pub mission: Option<MissionId>,
    /// Only those about this item. (An event about an item names its mission too.)
    pub item: Option<ItemId>,
    /// Only those of these names; none = all.
    pub kinds: Vec<Box<str>>,
}

impl Default for EventFilter {
    fn default() -> Self {
        Self { after: Seq(0), limit: MAX_EVENTS, mission: None, item: None, kinds: Vec::new() }
    }
}
