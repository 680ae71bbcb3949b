//! Talks with an agent in its protocol, from the spool alone: whoever reads the spool knows all that this knew.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use musher_core::approval::Ask;
use musher_core::command::Report;
use musher_core::config::drivers::{self, Speech};
use musher_core::run::{FailureClass, Limit, Outcome, Usage};
use musher_core::time::Timestamp;
use musher_core::tool;
use musher_engine::driver::Reports;
use musher_engine::job::RunJob;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::beginning::Beginning;
use super::live::Errand;
use super::meter::{Meter, difference};
use super::outcome::{cut_short, spoken_end, written_use};
use super::run::{lost, unreadable};
use super::tools::Tools;
use super::{HEARD_EVERY, Shared, said};
use crate::host::{ExitRecord, OutputRecord, Reason, Stop, Stream};
use crate::protocol::{self, Brief, Ended, Heard, Launch, Observation, Protocol, Wish};
use crate::supervise::{self, Attachment, RunFolder, TalkError, attach};

/// How long an agent that has said its end has to be gone.
const AFTER_END: Duration = Duration::from_secs(10);

/// How often in a row the host may refuse before the agent is given up.
const MAX_REFUSALS: u32 = 30;

/// The pause before the host is asked again that did not take what it was given.
const SAY_AGAIN: Duration = Duration::from_secs(1);

/// The key of the question whether a silent agent is still there.
const NUDGE: &str = "nudge";
/// That question.
const NUDGE_TEXT: &str = "Nothing was heard of you for a while. Go on if you are at work; finish if you are done.";

/// How much of what an agent said is kept for whoever follows a failure, in bytes.
const TAIL_BYTES: usize = 8_000;

/// An agent that is spoken to, or listened to, in a protocol.
pub(super) struct Spoken {
    pub(super) launch: Launch,
    beginning: Beginning,
}

impl Spoken {
    /// How the agent of a run is spoken to; nothing for the command driver.
    pub(super) fn of(job: &RunJob, tools: Option<&Tools>) -> Option<Self> {
        // What the run began with counts, whatever the configuration says by now: the spool was made by it.
        let beginning = match Beginning::of(&job.folder) {
            Ok(Some(kept)) => kept,
            Ok(None) | Err(_) => beginning(job, tools)?,
        };
        Some(Self { launch: protocol::launch(&beginning.driver, &beginning.brief)?, beginning })
    }

    /// Keeps what the run begins with in its folder.
    pub(super) fn keep(&self, folder: &Path) -> io::Result<()> {
        self.beginning.keep(folder)
    }

    fn protocol(&self) -> Option<Box<dyn Protocol>> {
        protocol::of(&self.beginning.driver, &self.beginning.brief)
    }
}

fn beginning(job: &RunJob, tools: Option<&Tools>) -> Option<Beginning> {
    let known = drivers::named(&job.agent.driver).filter(|known| known.speech != Speech::Command)?;
    let brief = Brief {
        prompt: job.prompt.clone(),
        worktree: job.worktree.to_string_lossy().into_owned(),
        model: job.agent.model.as_deref().map(str::to_owned),
        session: job.session.clone(),
        asks: job.agent.approvals != musher_core::approval::Approvals::Allow,
        mcp: tools.filter(|_| known.tools).map(|tools| tools.server(job.run)).into_iter().collect(),
    };
    Some(Beginning { driver: known.by.to_owned(), brief })
}

/// The program of an agent and its own arguments: what the configuration names, or the driver's.
pub(super) fn command_of(job: &RunJob) -> Vec<Box<str>> {
    match drivers::named(&job.agent.driver) {
        Some(known) if job.agent.command.is_empty() => known.command.iter().map(|part| (*part).into()).collect(),
        Some(_) | None => job.agent.command.to_vec(),
    }
}

impl Shared {
    /// Talks with a run's agent until it is gone; what came of it.
    pub(super) async fn converse(
        &self,
        job: &RunJob,
        folder: &RunFolder,
        spoken: &Spoken,
        reports: &Reports,
    ) -> (Outcome, Usage) {
        let Some(protocol) = spoken.protocol() else { return (Outcome::Cancelled, Usage::default()) };
        let (_attached, errands) = self.live.attach(job.run);
        let mut talk = Conversation::new(job, folder, protocol, reports);
        match talk.follow(errands).await {
            Ok(Some(exit)) => (talk.outcome(&exit), talk.unreported()),
            Ok(None) => (lost(folder, false).await, talk.unreported()),
            Err(error) => (unreadable(folder, error).await, talk.unreported()),
        }
    }
}

impl Shared {
    /// What a run whose host is gone had used that was not reported. Its session is reported, too.
    pub(super) async fn last_use(&self, job: &RunJob, folder: &RunFolder, reports: &Reports) -> Usage {
        let Some(protocol) = Spoken::of(job, self.tools.as_ref()).and_then(|spoken| spoken.protocol()) else {
            return written_use(job);
        };
        let mut talk = Conversation::new(job, folder, protocol, reports);
        // The host is gone, so this reads what there is and comes back.
        let (_, errands) = mpsc::unbounded_channel();
        match talk.follow(errands).await {
            Ok(_) => talk.unreported(),
            Err(error) => {
                debug!(run = %job.run, error, "the spool of a lost run cannot be read");
                Usage::default()
            }
        }
    }
}

struct Conversation<'a> {
    job: &'a RunJob,
    folder: &'a RunFolder,
    reports: &'a Reports,
    protocol: Box<dyn Protocol>,
    meter: Meter,
    /// What of the use is reported.
    reported: Usage,
    /// Everything that was in the spool when this began was heard: from here on, what is heard is new.
    caught_up: bool,
    /// What the agent was told.
    said: HashSet<String>,
    /// The key that was given to the host last.
    given: Option<String>,
    /// When the host is asked again that did not take what it was given.
    again: Option<Instant>,
    /// Questions without an answer.
    asks: Vec<Ask>,
    /// Calls of tools in which the agent waits for the operator.
    helped: HashSet<String>,
    session: Option<String>,
    /// Who waits for something to be said, by its key.
    waiting: HashMap<String, oneshot::Sender<bool>>,
    /// When the agent, or someone who talks to it, was heard last.
    heard: Instant,
    told: Instant,
    /// When it said its end.
    ended_at: Option<Timestamp>,
    /// Its input was closed, and when it must be gone.
    closing: Option<Instant>,
    limited: bool,
    /// Nothing more of the agent will be heard.
    deaf: bool,
    /// How often in a row the host did not take what it was given.
    refusals: u32,
    /// The agent was asked whether it is still there.
    nudged: bool,
    tail: String,
}

impl<'a> Conversation<'a> {
    fn new(job: &'a RunJob, folder: &'a RunFolder, protocol: Box<dyn Protocol>, reports: &'a Reports) -> Self {
        Self {
            job,
            folder,
            reports,
            protocol,
            meter: Meter::new(job.price),
            reported: job.used,
            caught_up: false,
            said: HashSet::new(),
            given: None,
            again: None,
            asks: Vec::new(),
            helped: HashSet::new(),
            session: None,
            waiting: HashMap::new(),
            heard: Instant::now(),
            told: Instant::now(),
            ended_at: None,
            closing: None,
            limited: false,
            deaf: false,
            refusals: 0,
            nudged: false,
            tail: String::new(),
        }
    }

    /// Reads the run to its end, and says what is to be said; nothing when its host is lost.
    async fn follow(&mut self, mut errands: mpsc::UnboundedReceiver<Errand>) -> Result<Option<ExitRecord>, String> {
        let mut attachment: Attachment = attach(self.folder, 0).map_err(|e| said(&e, e.fix()))?;
        let known = std::fs::metadata(self.folder.output()).map(|m| m.len()).unwrap_or(0);
        loop {
            if !self.caught_up && attachment.offset() >= known {
                self.catch_up();
            }
            if self.caught_up {
                self.speak().await;
            }
            let due = self.due();
            tokio::select! {
                next = attachment.next() => match next.map_err(|e| said(&e, e.fix()))? {
                    Some(supervise::Observation::Output { records, .. }) => {
                        records.iter().for_each(|record| self.hear(record));
                        self.report();
                    }
                    Some(supervise::Observation::Exited(exit)) => return Ok(Some(*exit)),
                    Some(supervise::Observation::HostLost) | None => return Ok(None),
                },
                Some((wish, done)) = errands.recv(), if self.caught_up => self.wish(wish, done),
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.overdue().await,
            }
        }
    }

    /// What was open when the daemon went is told again; whoever knows it already changes nothing.
    fn catch_up(&mut self) {
        self.caught_up = true;
        self.heard = Instant::now();
        if let Some(id) = self.session.clone() {
            (self.reports)(Report::SessionStarted { id: id.into() });
        }
        for ask in self.asks.clone() {
            self.ask(ask);
        }
        self.report();
    }

    /// Takes a line of the spool.
    fn hear(&mut self, record: &OutputRecord) {
        let at = record.at.parse().unwrap_or(Timestamp::from_micros(0));
        let mut seen = Vec::new();
        match (record.stream, &record.key) {
            (Stream::Stdout, _) => self.protocol.hear(Heard::Out(&record.text), at, &mut seen),
            (Stream::Stderr, _) => self.protocol.hear(Heard::Err(&record.text), at, &mut seen),
            (Stream::Stdin, Some(key)) => {
                self.said.insert(key.clone());
                if let Some(reference) = key.strip_prefix("answer:") {
                    self.asks.retain(|ask| &*ask.reference != reference);
                }
                if let Some(done) = self.waiting.remove(key) {
                    let _ = done.send(true);
                }
                self.protocol.hear(Heard::Said(key), at, &mut seen);
            }
            // The marker after which nothing of the agent is kept: the conversation cannot go on.
            (Stream::Host, _) if record.cut => self.deaf = true,
            (Stream::Stdin | Stream::Host, _) => {}
        }
        self.heard = Instant::now();
        self.ended_at = self.protocol.ended().is_some().then(|| self.ended_at.unwrap_or(at));
        seen.into_iter().for_each(|observation| self.see(observation));
    }

    fn see(&mut self, observation: Observation) {
        self.meter.count(&observation);
        self.remember(&observation);
        match observation {
            Observation::SessionStarted { id, resumable: true } => {
                if self.caught_up && self.session.as_ref() != Some(&id) {
                    (self.reports)(Report::SessionStarted { id: id.as_str().into() });
                }
                self.session = Some(id);
            }
            Observation::PermissionAsked(ask) => {
                self.asks.push(ask.clone());
                if self.caught_up {
                    self.ask(ask);
                }
            }
            Observation::PermissionGone(reference) => {
                self.asks.retain(|ask| *ask.reference != *reference);
                if self.caught_up {
                    (self.reports)(Report::PermissionGone(reference.into()));
                }
            }
            Observation::ToolStarted { id, name, .. } if tool::waits_for_operator(&name) => {
                self.helped.insert(id);
            }
            Observation::ToolFinished { id, .. } => {
                self.helped.remove(&id);
            }
            Observation::SessionStarted { resumable: false, .. }
            | Observation::Text(_)
            | Observation::Thought(_)
            | Observation::ToolStarted { .. }
            | Observation::Plan(_)
            | Observation::Usage { .. }
            | Observation::RateLimited { .. }
            | Observation::Retrying(_)
            | Observation::Warning(_) => {}
        }
    }

    fn ask(&self, ask: Ask) {
        let worktree = self.job.worktree.to_string_lossy().into();
        (self.reports)(Report::PermissionAsked { ask, worktree });
    }

    /// Keeps the end of what was said, for whoever follows a failure.
    fn remember(&mut self, observation: &Observation) {
        let line = match observation {
            Observation::Text(text) => text.clone(),
            Observation::ToolStarted { name, arguments, .. } => format!("[{name}] {arguments}"),
            Observation::Retrying(text) | Observation::Warning(text) => format!("({text})"),
            Observation::SessionStarted { .. }
            | Observation::Thought(_)
            | Observation::ToolFinished { .. }
            | Observation::Plan(_)
            | Observation::Usage { .. }
            | Observation::PermissionAsked(_)
            | Observation::PermissionGone(_)
            | Observation::RateLimited { .. } => return,
        };
        self.tail.push_str(&line);
        self.tail.push('\n');
        if self.tail.len() > 2 * TAIL_BYTES {
            self.tail = musher_core::retry::tail(&self.tail, TAIL_BYTES).to_owned();
        }
    }

    /// Tells what was used, that the agent was heard, and the limit that it has reached.
    fn report(&mut self) {
        if !self.caught_up {
            return;
        }
        let used = self.unreported();
        if used != Usage::default() || self.told.elapsed() >= HEARD_EVERY {
            self.reported = self.reported.plus(used);
            self.told = Instant::now();
            (self.reports)(Report::RunProgress { usage: used });
        }
        if self.deaf {
            let kept = self.job.agent.limits.max_output_bytes;
            self.reach(Limit::Output, format!("it said more than {kept} bytes, its limit"));
        }
        if let Some((limit, text)) = self.meter.limit(&self.job.agent.limits) {
            self.reach(limit, text);
        }
    }

    fn reach(&mut self, limit: Limit, text: String) {
        if !std::mem::replace(&mut self.limited, true) {
            (self.reports)(Report::LimitReached { limit, text: text.into() });
        }
    }

    fn unreported(&self) -> Usage {
        difference(self.meter.used(), self.reported)
    }

    /// Says what the protocol has to say, and closes the agent's input once it has said its end.
    async fn speak(&mut self) {
        if self.protocol.ended().is_some() {
            if self.closing.is_none() {
                self.closing = Some(Instant::now() + AFTER_END);
                self.give_up();
                if let Err(error) = supervise::end_input(self.folder).await {
                    debug!(run = %self.job.run, %error, "an agent that is done cannot be told so");
                }
            }
            return;
        }
        if self.again.is_some_and(|again| again > Instant::now()) {
            return;
        }
        let Some(say) = self.protocol.say().filter(|say| self.given.as_ref() != Some(&say.key)) else { return };
        match supervise::say(self.folder, &say.key, &say.text).await {
            Ok(()) => (self.given, self.again, self.refusals) = (Some(say.key), None, 0),
            // The end is read from the spool; there is nobody to talk to any more.
            Err(TalkError::NoHost) => self.given = Some(say.key),
            Err(error) => {
                warn!(run = %self.job.run, %error, fix = error.fix(), "an agent does not take what it is told");
                self.again = Some(Instant::now() + SAY_AGAIN);
                self.refusals += 1;
                if self.refusals >= MAX_REFUSALS {
                    self.reach(Limit::Silence, format!("it does not take what it is told: {error}"));
                }
            }
        }
    }

    fn wish(&mut self, wish: Wish, done: oneshot::Sender<bool>) {
        let key = match &wish {
            Wish::Tell { key, .. } => key.clone(),
            Wish::Answer { reference, .. } => format!("answer:{reference}"),
        };
        if self.said.contains(&key) {
            let _ = done.send(true);
        } else if self.protocol.ended().is_some() || !self.protocol.wish(wish) {
            let _ = done.send(false);
        } else {
            self.heard = Instant::now();
            self.waiting.insert(key, done);
        }
    }

    /// Whoever still waits for something to be said waits in vain.
    fn give_up(&mut self) {
        for (_, done) in self.waiting.drain() {
            let _ = done.send(false);
        }
    }

    /// When something must be done though nothing is heard.
    fn due(&self) -> Option<Instant> {
        if self.closing.is_some() {
            return self.closing;
        }
        if self.again.is_some() && !self.limited {
            return self.again;
        }
        let silence = self.job.agent.limits.silence_secs;
        // An agent that waits for an answer is not silent, and one that is being stopped has nothing to say.
        let waits = !self.asks.is_empty() || !self.helped.is_empty();
        (self.caught_up && silence > 0 && !waits && !self.limited).then(|| self.heard + Duration::from_secs(silence))
    }

    async fn overdue(&mut self) {
        if self.closing.is_none() && self.again.take().is_some() {
            return;
        }
        if self.closing.take().is_some() {
            // Closed for good: what has not ended by now is ended.
            self.closing = Some(Instant::now() + Duration::from_secs(3600));
            if let Err(error) = supervise::end(self.folder, Stop::Kill).await {
                warn!(run = %self.job.run, %error, fix = error.fix(), "an agent that is done cannot be ended");
            }
            return;
        }
        let nudge = Wish::Tell { key: NUDGE.to_owned(), text: NUDGE_TEXT.to_owned(), now: false };
        // A question that makes a turn of its own would only be read once the silence is over.
        let asked = self.nudged || self.said.contains(NUDGE);
        if !asked && self.protocol.hears_within_turn() && self.protocol.wish(nudge) {
            self.nudged = true;
            self.heard = Instant::now();
            return;
        }
        let silence = self.job.agent.limits.silence_secs;
        self.reach(Limit::Silence, format!("it was silent for {silence} s, its limit"));
    }

    /// An agent that stops without being asked to, or loses a session that it was not given, has failed: taken at its
    /// word, it would be started again at once and for ever.
    fn believed(&self, ended: Ended) -> Ended {
        let (class, asked) = (FailureClass::Agent, self.said.iter().any(|key| key.starts_with("interrupt:")));
        match ended {
            Ended::Cancelled if !asked => Ended::Failed { class, message: "it stopped without being asked to".into() },
            Ended::SessionLost { message } if self.job.session.is_none() => Ended::Failed { class, message },
            Ended::Finished { .. }
            | Ended::Failed { .. }
            | Ended::RateLimited { .. }
            | Ended::SessionLost { .. }
            | Ended::Cancelled => ended,
        }
    }

    /// Whether its own end came before anyone ended it: what a dying agent says of its death does not count. One that was
    /// ended because it did not go had said its end that long before; the spool has both moments, so that every daemon
    /// comes to the same.
    fn ended_by_itself(&self, exit: &ExitRecord) -> bool {
        let long_gone = |ended: Timestamp| {
            let over: Result<Timestamp, _> = exit.ended_at.parse();
            over.is_ok_and(|over| over.since(ended) >= AFTER_END)
        };
        exit.reason == Reason::Exited || self.ended_at.is_some_and(long_gone)
    }

    fn outcome(&mut self, exit: &ExitRecord) -> Outcome {
        self.give_up();
        let (code, signal) = (exit.code, exit.signal);
        let ended = match self.protocol.ended().filter(|_| self.ended_by_itself(exit)) {
            Some(ended) => ended.clone(),
            None => match cut_short(self.job, exit, &self.tail) {
                Some(outcome) => return outcome,
                None => self.protocol.exited(protocol::Exit { code, signal }),
            },
        };
        let ended = self.believed(ended);
        spoken_end(self.job, ended, musher_core::retry::tail(&self.tail, TAIL_BYTES))
    }
}
