//! Follows a mission until it is at rest: a live tree on a terminal, plain lines elsewhere, nothing at all for scripts.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use musher_core::event::Happened;
use musher_core::id::{AgentId, ItemId, MissionId};
use musher_engine::{Clock, SystemClock};
use musher_server::api::{Batch, Event, EventQuery, MissionShow, PauseWish};
use musher_server::client::Client;

use super::paint::Screen;
use crate::error::{Exit, Failure};
use crate::output::{self, Tone, padded, paint, width_of};

/// Whether a person reads along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// A tree where it can be drawn, else lines.
    Person,
    /// The same lines, but on standard error: what the command is for goes to standard output.
    Aside,
    /// Nothing but the final document.
    Script,
}

/// How the following ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The mission is at rest; this is how it stands.
    AtRest(Box<MissionShow>),
    /// A person pressed Ctrl-C.
    Interrupted(Box<MissionShow>),
}

impl End {
    /// The exit code of the contract.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::AtRest(show) if show.mission.state == "completed" => 0,
            Self::AtRest(_) => Exit::Ended.code(),
            Self::Interrupted(_) => Exit::Interrupted.code(),
        }
    }

    /// How the mission stands.
    pub(crate) fn document(&self) -> &MissionShow {
        match self {
            Self::AtRest(show) | Self::Interrupted(show) => show,
        }
    }
}

/// How often the elapsed times are drawn anew while a terminal looks on.
const TICK: Duration = Duration::from_secs(1);

/// How many events are told at most before the mission is read and drawn anew.
const BURST: usize = 1_000;

/// Follows a mission until it is at rest and its worktrees are settled.
pub(crate) async fn mission(client: &Client, id: MissionId, audience: Audience) -> Result<End, Failure> {
    let mut follower = Follower::new(client, id, audience).await?;
    let mut events =
        client.follow_events(&EventQuery { mission: Some(id.to_string()), ..EventQuery::default() }).await?;
    let mut interrupts = 0;
    let mut tick = tokio::time::interval(TICK);
    loop {
        if let Some(end) = follower.end(interrupts) {
            follower.close(client).await?;
            return Ok(end);
        }
        tokio::select! {
            event = events.next() => match event? {
                Some(event) => {
                    // A burst is told event by event, and the mission read once for all of it.
                    let mut next = Some(event);
                    let mut told = 0;
                    while let Some(event) = next {
                        follower.meet(client, &event).await?;
                        follower.happened(&event);
                        told += 1;
                        next = if told < BURST { events.ready().await? } else { None };
                    }
                    follower.refresh(client).await?;
                }
                None => return Err(Failure::new(Exit::NoDaemon, "the daemon went away")
                    .fix("`musher up` goes on where it was; nothing is lost")),
            },
            _ = tick.tick(), if follower.screen.is_some() => follower.draw(),
            pressed = tokio::signal::ctrl_c() => {
                pressed?;
                interrupts += 1;
                follower.interrupted(client, interrupts).await?;
            }
        }
    }
}

struct Follower {
    id: MissionId,
    audience: Audience,
    screen: Option<Screen>,
    show: MissionShow,
    /// The batch that is being merged, while items of this mission are in it.
    batch: Option<Batch>,
    agents: HashMap<AgentId, String>,
    /// Items whose worktree is there and not yet settled.
    worktrees: HashSet<ItemId>,
    /// The place of the last event that was told.
    told: u64,
}

impl Follower {
    async fn new(client: &Client, id: MissionId, audience: Audience) -> Result<Self, Failure> {
        let show = client.mission(&id.to_string()).await?;
        let screen = if audience == Audience::Person { Screen::open() } else { None };
        let agents = client.agents().await?.agents.into_iter().map(|a| (a.id, a.name)).collect();
        Ok(Self { id, audience, screen, show, batch: None, agents, worktrees: HashSet::new(), told: 0 })
    }

    /// Sees to it that the item of an event is known by its key: it may have been added since.
    async fn meet(&mut self, client: &Client, event: &Event) -> Result<(), Failure> {
        let told = self.audience != Audience::Script;
        match event.item {
            Some(item) if told && !self.show.items.iter().any(|known| known.id == item) => self.refresh(client).await,
            _ => Ok(()),
        }
    }

    async fn refresh(&mut self, client: &Client) -> Result<(), Failure> {
        self.show = client.mission(&self.id.to_string()).await?;
        let merges = self.show.mission.counts.get("merging").is_some_and(|n| *n > 0);
        self.batch = if merges && self.screen.is_some() { client.queue().await?.batch } else { None };
        // A batch of other missions is none of this view's business.
        self.batch = self
            .batch
            .take()
            .filter(|batch| batch.members.iter().any(|member| self.show.items.iter().any(|item| item.id == member.id)));
        self.draw();
        Ok(())
    }

    fn draw(&mut self) {
        if let Some(screen) = &mut self.screen {
            let (width, height) = Screen::size();
            let now = SystemClock.now();
            let mut pane = self.batch.as_ref().map(|batch| super::batch_lines(batch, now, width)).unwrap_or_default();
            pane.truncate(height / 2);
            let mut lines = super::lines(&self.show, now, (width, height.saturating_sub(pane.len())));
            lines.extend(pane);
            screen.draw(&lines);
        }
    }

    /// Tells what led to this end and has not been told yet, then how the mission stands.
    async fn close(&mut self, client: &Client) -> Result<(), Failure> {
        if self.audience == Audience::Script {
            return Ok(());
        }
        let mission = Some(self.id.to_string());
        let page = EventQuery { after: self.told, mission, ..EventQuery::default() };
        client.events(&page).await?.iter().for_each(|event| self.happened(event));
        self.draw();
        if self.screen.is_none() {
            self.line("");
            for line in super::lines(&self.show, SystemClock.now(), (100, usize::MAX)) {
                self.line(&line);
            }
        }
        Ok(())
    }

    /// Says what happened, for people who read along.
    fn happened(&mut self, event: &Event) {
        self.told = event.seq;
        if let Some(item) = event.item {
            match event.kind.as_str() {
                "worktree_created" => drop(self.worktrees.insert(item)),
                "worktree_removed" | "worktree_kept" => drop(self.worktrees.remove(&item)),
                _ => {}
            }
        }
        if self.audience == Audience::Script {
            return;
        }
        let happened = serde_json::json!({"kind": event.kind, "body": event.body});
        // An event of a newer daemon is no reason to stop.
        let Ok(happened) = serde_json::from_value::<Happened>(happened) else { return };
        let agent = event.agent.and_then(|id| self.agents.get(&id)).map(String::as_str);
        let Some((text, tone)) = super::say(&happened, agent) else { return };
        let time = event.at.to_string();
        let time = time.get(11..19).unwrap_or_default();
        let key = event.item.map_or("", |id| self.key(id));
        let key = padded(&output::one_line(key, 28), 14);
        let used = time.len() + width_of(&key) + 3;
        let text = match &self.screen {
            Some(_) => output::one_line(&text, Screen::size().0.saturating_sub(used)),
            None => text,
        };
        let line = format!("{} {key} {}", paint(time, Tone::Quiet), paint(&text, tone));
        match &mut self.screen {
            Some(screen) => screen.lasting(&line),
            None => self.line(&line),
        }
    }

    /// Prints a line where its audience reads it.
    fn line(&self, text: &str) {
        match self.audience {
            Audience::Person => output::line(text),
            Audience::Aside => eprintln!("{text}"),
            Audience::Script => {}
        }
    }

    fn key(&self, id: ItemId) -> &str {
        self.show.items.iter().find(|i| i.id == id).map_or("", |i| i.key.as_str())
    }

    fn is_quiet(&self) -> bool {
        let count = |state: &str| self.show.mission.counts.get(state).copied().unwrap_or(0);
        count("assigned") + count("running") + count("verifying") + count("merging") == 0
    }

    /// Whether there is nothing more to follow.
    fn end(&mut self, interrupts: u32) -> Option<End> {
        let state = self.show.mission.state.as_str();
        let worktrees = self.show.items.iter().any(|i| i.state == "done" && self.worktrees.contains(&i.id));
        let ended = matches!(state, "completed" | "failed" | "cancelled");
        let settled = ended && self.is_quiet() && !worktrees;
        let show = || Box::new(self.show.clone());
        if settled {
            return Some(End::AtRest(show()));
        }
        if interrupts > 0 && self.is_quiet() {
            return Some(End::Interrupted(show()));
        }
        (!ended && self.show.mission.at_rest).then(|| End::AtRest(show()))
    }

    /// Ctrl-C once: nothing more is dispatched and the runs go on to their end; twice: the runs are interrupted.
    async fn interrupted(&mut self, client: &Client, times: u32) -> Result<(), Failure> {
        let id = self.id.to_string();
        if times == 1 {
            let reason = "interrupted at the terminal".to_owned();
            // A mission that is not running has nothing to be paused; that it ends is what was wanted.
            let _ = client.pause_mission(&id, &PauseWish { now: false, reason }).await;
            self.say_lasting(&format!(
                "nothing more is dispatched; the running agents finish their items (Ctrl-C again interrupts them)\n\
                 `musher mission resume {}` goes on, with `musher up` if no daemon runs",
                self.show.mission.short_id
            ));
        } else {
            for item in self.show.items.iter().filter(|i| matches!(i.state.as_str(), "assigned" | "running")) {
                let shown = client.item(&item.id.to_string()).await?;
                for run in shown.runs.iter().filter(|r| r.outcome.is_none()) {
                    let _ = client.interrupt_run(&run.id.to_string()).await;
                }
            }
        }
        self.refresh(client).await
    }

    fn say_lasting(&mut self, text: &str) {
        for line in text.lines() {
            match &mut self.screen {
                Some(screen) => screen.lasting(line),
                None => eprintln!("{line}"),
            }
        }
    }
}
