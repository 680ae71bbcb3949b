//! Notes: words of an operator to a mission. The first word decides; anything else is told to the agents.

use crate::change::{Change, TextKey};
use crate::command::{Actor, Answer, Command, Refused};
use crate::dispatch;
use crate::effect::{Stop, When};
use crate::event::Happened;
use crate::id::{MissionId, NoteId};
use crate::item::{Item, Phase, Priority};
use crate::mission::{self, MissionState};
use crate::nearest::nearest;
use crate::review;
use crate::run::RunState;
use crate::state::{MissionEntry, State};
use crate::step::Context;
use crate::watch;

/// The longest note, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// What a note asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// resume, retry: run again now; watches that hold it up are overridden.
    Resume,
    /// continue, recheck: run again now, overriding nothing.
    Continue,
    /// pause, hold; `now` also interrupts the running agents.
    Pause {
        /// Whether the running agents are interrupted.
        now: bool,
        /// The rest.
        text: &'a str,
    },
    /// `redirect ITEM to AGENT [because …]`
    Redirect {
        /// Which item.
        item: &'a str,
        /// To which agent.
        agent: &'a str,
    },
    /// `approve ITEM [text]`
    Approve {
        /// Which item; empty when none is named.
        item: &'a str,
        /// The rest.
        text: &'a str,
    },
    /// `reject ITEM [text]`
    Reject {
        /// Which item; empty when none is named.
        item: &'a str,
        /// The rest.
        text: &'a str,
    },
    /// stop, cancel
    Stop,
    /// priority ITEM P
    Priority {
        /// Which item.
        item: &'a str,
        /// The word for the new priority.
        priority: &'a str,
    },
    /// Anything else.
    Text,
}

/// What may stand behind a word.
const PUNCTUATION: [char; 4] = [':', ',', '.', '!'];

/// Reads a note. Its first word counts as a whole word, in any case.
pub fn parse(note: &str) -> Word<'_> {
    let (first, rest) = split(note.trim());
    let word = first.trim_end_matches(PUNCTUATION).to_ascii_lowercase();
    match word.as_str() {
        "resume" | "retry" => Word::Resume,
        "continue" | "recheck" => Word::Continue,
        "pause" | "hold" => {
            let (second, _) = split(rest);
            let second = second.trim_end_matches(PUNCTUATION);
            Word::Pause { now: second.eq_ignore_ascii_case("now"), text: rest }
        }
        "redirect" => redirect(rest).unwrap_or(Word::Text),
        "approve" => {
            let (item, text) = split_name(rest);
            Word::Approve { item, text }
        }
        "reject" => {
            let (item, text) = split_name(rest);
            Word::Reject { item, text }
        }
        "stop" | "cancel" => Word::Stop,
        "priority" => {
            let (item, rest) = split_name(rest);
            let (priority, _) = split_name(rest);
            if priority.is_empty() { Word::Text } else { Word::Priority { item, priority } }
        }
        _ => Word::Text,
    }
}

fn redirect(rest: &str) -> Option<Word<'_>> {
    let (item, rest) = split_name(rest);
    let (to, rest) = split(rest);
    let (agent, _) = split_name(rest);
    (to.eq_ignore_ascii_case("to") && !agent.is_empty()).then_some(Word::Redirect { item, agent })
}

fn split(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((first, rest)) => (first, rest.trim_start()),
        None => (text, ""),
    }
}

/// A name without what ends it in a sentence, and the rest.
fn split_name(text: &str) -> (&str, &str) {
    let (name, rest) = split(text);
    (name.trim_end_matches([':', ',', '.', ';', '!', '?']), rest)
}

/// Applies a note: once, in order, with the sender's name. A word that does not fit the state is recorded as ignored.
pub fn apply(state: &State, id: MissionId, note: &str, cx: &mut Context) -> Result<Change, Refused> {
    let entry = mission::find(state, id)?;
    if note.len() > LONGEST {
        return Err(Refused::Invalid {
            what: format!("a note of {} bytes; {LONGEST} are the most", note.len()),
            fix: "say it shorter, or put it into the item's body".to_owned(),
        });
    }
    if note.trim().is_empty() {
        return Err(Refused::Invalid { what: "an empty note".to_owned(), fix: "say something".to_owned() });
    }
    let word = parse(note);
    match act(state, entry, &word, note, cx) {
        Ok((mut change, effect)) => {
            let applied = Happened::NoteApplied { text: note.into(), effect: effect.clone().into() };
            change.events.push(cx.about_mission(id, applied));
            if !went_on_as_before(entry, &word, &change) {
                took_effect(entry, &mut change, cx);
            }
            change.answer = Answer::Note(effect);
            Ok(change)
        }
        Err(Refused::State { verb, noun, state: met, .. }) => {
            let text = ignored_text(verb, noun, met, cx.actor);
            Ok(Change { answer: Answer::Note(text.clone()), ..ignored(id, &text, cx) })
        }
        Err(other) => Err(other),
    }
}

/// Whether a blocked mission was told to go on and nothing came free by it: it is blocked again at once, for the same reason.
fn went_on_as_before(entry: &MissionEntry, word: &Word, change: &Change) -> bool {
    let freed = match word {
        Word::Resume => !change.items.is_empty() || !change.watches.is_empty(),
        // It only looks again.
        Word::Continue => false,
        Word::Pause { .. }
        | Word::Redirect { .. }
        | Word::Approve { .. }
        | Word::Reject { .. }
        | Word::Stop
        | Word::Priority { .. }
        | Word::Text => true,
    };
    entry.row.state == MissionState::Blocked && !freed
}

/// A note that took effect is progress of its mission.
fn took_effect(entry: &MissionEntry, change: &mut Change, cx: &Context) {
    if !change.missions.iter().any(|row| row.id == entry.row.id) {
        change.missions.push(entry.row.clone());
    }
    for row in change.missions.iter_mut().filter(|row| row.id == entry.row.id) {
        row.dispatcher.noted_at = Some(cx.now);
    }
}

fn ignored_text(verb: &str, noun: &str, met: &str, actor: &Actor) -> String {
    format!("ignored {verb} from {} while {noun} was {met}", actor.text())
}

/// The log's line for a wish that a mission's state refuses.
pub fn ignored(id: MissionId, text: &str, cx: &Context) -> Change {
    let event = cx.about_mission(id, Happened::CommandIgnored { text: text.into() });
    Change { events: vec![event], ..Change::default() }
}

/// What is to be said of a refused command beside its refusal: a wish for a mission that does not fit its state leaves
/// an event.
pub fn of_refusal(command: &Command, refused: &Refused, actor: &Actor) -> Option<Command> {
    let id = match command {
        Command::ApproveMission(id)
        | Command::PauseMission(id, ..)
        | Command::ResumeMission(id)
        | Command::StopMission(id, _)
        | Command::WeighMission(id, _) => *id,
        _ => return None,
    };
    let Refused::State { verb, noun, state, .. } = refused else { return None };
    Some(Command::NoteIgnored(id, ignored_text(verb, noun, state, actor).into()))
}

fn act(
    state: &State,
    entry: &MissionEntry,
    word: &Word,
    note: &str,
    cx: &mut Context,
) -> Result<(Change, String), Refused> {
    let id = entry.row.id;
    match word {
        Word::Resume => resumed(state, entry, cx),
        Word::Continue => continued(state, entry, cx),
        Word::Pause { now, text } => {
            let why = format!("Paused by {}: {}", cx.actor.text(), text.trim());
            let stop = now.then_some(Stop::Interrupt);
            Ok((mission::pause(state, id, stop, why.trim_end_matches([':', ' ']), cx)?, "paused".to_owned()))
        }
        Word::Redirect { item, agent } => redirected(state, entry, item, agent, cx),
        Word::Approve { item, text } => {
            let item = reviewed(state, entry, item, "approve")?;
            Ok((review::approve(state, item.id, text, cx)?, format!("approved {}", item.key)))
        }
        Word::Reject { item, text } => {
            let item = reviewed(state, entry, item, "reject")?;
            Ok((review::reject(state, item.id, text, cx)?, format!("rejected {}", item.key)))
        }
        Word::Stop => Ok((mission::stop(state, id, Stop::Interrupt, cx)?, "stopped; its branches are kept".to_owned())),
        Word::Priority { item, priority } => reprioritised(state, entry, item, priority, cx),
        Word::Text => {
            if entry.row.state.is_terminal() {
                return Err(Refused::State {
                    verb: "note",
                    noun: "mission",
                    name: id.short(),
                    state: entry.row.state.name(),
                    fix: "",
                });
            }
            let key = TextKey::Note(id, NoteId::new(cx.now, cx.entropy));
            let text = format!("{}: {}", cx.actor.text(), note.trim());
            let mut change = Change::default();
            let told = tell_running(state, entry, &text, &mut change, cx);
            change.texts.push((key, text.into()));
            Ok((change, format!("noted; {told} running agent(s) and those that start from now on are told")))
        }
    }
}

/// Tells the running agents of a mission that take messages; how many that are. The others read it when they start.
fn tell_running(state: &State, entry: &MissionEntry, text: &str, change: &mut Change, cx: &mut Context) -> usize {
    let items = entry.items.iter().filter_map(|id| state.item(*id));
    let runs = items.flat_map(|item| state.runs_of(item.id).iter().map(move |run| (item, *run)));
    let running = runs.filter_map(|(item, run)| Some((item, state.run(run)?))).filter(|(_, run)| {
        let driver = state.agent(run.agent).map(|agent| &*agent.spec.driver).unwrap_or_default();
        run.state == RunState::Running && crate::config::drivers::takes_messages(driver)
    });
    let before = change.effects.len();
    for (item, run) in running {
        change.extend(crate::item::tell_effect(item, run, text, When::Next, cx));
    }
    change.effects.len() - before
}

/// The item of a mission that a person names: by its key, or by the beginning of its id.
pub fn named<'a>(state: &'a State, entry: &MissionEntry, name: &str) -> Result<&'a Item, Refused> {
    let items = || entry.items.iter().filter_map(|id| state.item(*id));
    if let Some(item) = items().find(|i| &*i.key == name) {
        return Ok(item);
    }
    let mut found = items().filter(|i| crate::id::matches_prefix(&i.id.to_string(), &i.id.short(), name));
    match (found.next(), found.next()) {
        (Some(item), None) => Ok(item),
        _ => {
            let near = nearest(name, items().map(|i| &*i.key));
            Err(Refused::Invalid {
                what: format!("the mission has no item `{name}`"),
                fix: near.map(|n| format!("did you mean `{n}`?")).unwrap_or_default(),
            })
        }
    }
}

/// The item that a reviewer's word names; without a name the answer says what is missing.
fn reviewed<'a>(state: &'a State, entry: &MissionEntry, name: &str, verb: &'static str) -> Result<&'a Item, Refused> {
    if !name.is_empty() {
        return named(state, entry, name);
    }
    let mut waiting = entry.items.iter().filter_map(|id| state.item(*id)).filter(|item| review::is_awaited(item));
    let fix = match waiting.next() {
        Some(item) => format!("write `{verb} {}`, or another item's name", item.key),
        None => format!("write `{verb} ITEM`; no item of the mission waits for it now"),
    };
    Err(Refused::Invalid { what: format!("`{verb}` names no item"), fix })
}

/// An item whose agent or rank can still matter, in a mission that has not ended.
fn changeable<'a>(state: &'a State, entry: &MissionEntry, name: &str, verb: &'static str) -> Result<&'a Item, Refused> {
    let refused = |noun, name: String, state| Refused::State { verb, noun, name, state, fix: "" };
    if entry.row.state.is_terminal() {
        return Err(refused("mission", entry.row.id.short(), entry.row.state.name()));
    }
    let item = named(state, entry, name)?;
    match item.phase() {
        Phase::Done | Phase::Cancelled | Phase::Merging => {
            Err(refused("item", item.key.to_string(), item.phase().name()))
        }
        // One in the dead letter may be retried, by another agent or sooner.
        Phase::Failed
        | Phase::Pending
        | Phase::Ready
        | Phase::Assigned
        | Phase::Running
        | Phase::Verifying
        | Phase::Waiting
        | Phase::MergeFailed
        | Phase::Blocked
        | Phase::Held => Ok(item),
    }
}

/// `mission resume`: what the word of a note does.
pub fn resume(state: &State, id: MissionId, cx: &mut Context) -> Result<Change, Refused> {
    let entry = mission::find(state, id)?;
    let (mut change, effect) = resumed(state, entry, cx)?;
    if !went_on_as_before(entry, &Word::Resume, &change) {
        took_effect(entry, &mut change, cx);
    }
    change.answer = Answer::Note(effect);
    Ok(change)
}

/// Run again now: the watches that hold the mission up are overridden, and what is blocked is freed too, for nothing else of
/// a blocked mission would change by itself. A paused mission of which something can go on is held up by its pause alone.
fn resumed(state: &State, entry: &MissionEntry, cx: &mut Context) -> Result<(Change, String), Refused> {
    let mut change = mission::resume(state, entry.row.id, cx)?;
    let overridden =
        if mission::is_held_up_outside(state, entry) { watch::override_all(state, entry, &mut change, cx)? } else { 0 };
    let blocked = entry.items.iter().filter_map(|id| state.item(*id)).filter(|i| i.phase() == Phase::Blocked);
    let mut freed = 0;
    for item in blocked {
        change.extend(crate::item::retry(state, item.id, cx)?);
        freed += 1;
    }
    let by = if overridden > 0 { format!(" by {}", cx.actor.text()) } else { String::new() };
    Ok((change, format!("resumed; {overridden} watches overridden{by}, {freed} blocked item(s) freed")))
}

/// Run again now, and look at everything outside at once; nothing is overridden.
fn continued(state: &State, entry: &MissionEntry, cx: &mut Context) -> Result<(Change, String), Refused> {
    let mut change = mission::resume(state, entry.row.id, cx)?;
    let looks = watch::hurry_all(state, entry, &mut change, cx);
    Ok((change, format!("resumed; {looks} watches are looked at now, nothing overridden")))
}

fn redirected(
    state: &State,
    entry: &MissionEntry,
    item: &str,
    agent: &str,
    cx: &mut Context,
) -> Result<(Change, String), Refused> {
    let item = changeable(state, entry, item, "redirect")?;
    let Some(to) = state.agent_named(agent) else {
        let names = state.agents().filter(|a| !a.removed).map(|a| &*a.spec.name);
        return Err(Refused::Invalid {
            what: format!("there is no agent `{agent}`"),
            fix: nearest(agent, names).map(|n| format!("did you mean `{n}`?")).unwrap_or_default(),
        });
    };
    // One that is being taken away from it is pinned to another.
    let has_it = item.is_live() && item.agent == Some(to.id) && item.pin.as_deref().is_none_or(|pin| pin == agent);
    let mut row: Item = item.clone();
    row.pin = Some(agent.into());
    // Who names an agent does not want to wait for the account of another.
    if row.phase() == Phase::Ready
        && let Some(limited) = &mut row.limited
    {
        limited.then = mission::OnRateLimit::Failover;
    }
    row.updated_at = cx.now;
    let mut change = Change::default();
    if has_it {
        let said = format!("{agent} has {} already, and keeps it", row.key);
        change.items.push(row);
        return Ok((change, said));
    }
    if let Some(taken_back) = dispatch::take_back(state, &mut row, cx)? {
        change.extend(taken_back);
    } else if row.is_live() {
        for run in state.runs_of(row.id) {
            change.extend(crate::item::stop_effect(state, &row, *run, Stop::Interrupt, cx));
        }
    }
    let said = format!("{} goes to {agent}", row.key);
    change.items.push(row);
    Ok((change, said))
}

fn reprioritised(
    state: &State,
    entry: &MissionEntry,
    item: &str,
    word: &str,
    cx: &mut Context,
) -> Result<(Change, String), Refused> {
    let item = changeable(state, entry, item, "priority")?;
    let word = word.to_ascii_lowercase();
    let Some(priority) = Priority::ALL.into_iter().find(|p| p.name() == word) else {
        return Err(Refused::Invalid {
            what: format!("`{word}` is no priority"),
            fix: "one of critical, high, medium, low".to_owned(),
        });
    };
    let mut row = item.clone();
    row.priority = priority;
    row.updated_at = cx.now;
    let event = cx.about(&row, Happened::ItemReprioritised { priority });
    let said = format!("{} is {} now", row.key, priority.name());
    Ok((Change { items: vec![row], events: vec![event], ..Change::default() }, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_decides_in_any_case_and_only_as_a_whole_word() {
        for (note, word) in [
            ("resume", Word::Resume),
            ("Retry please", Word::Resume),
            ("continue", Word::Continue),
            ("RECHECK", Word::Continue),
            ("pause for lunch", Word::Pause { now: false, text: "for lunch" }),
            ("hold now", Word::Pause { now: true, text: "now" }),
            ("pause now.", Word::Pause { now: true, text: "now." }),
            ("Pause, now!", Word::Pause { now: true, text: "now!" }),
            ("pause nowhere", Word::Pause { now: false, text: "nowhere" }),
            ("redirect api to claude-1 because it knows", Word::Redirect { item: "api", agent: "claude-1" }),
            ("redirect docs TO a2, because x", Word::Redirect { item: "docs", agent: "a2" }),
            ("redirect docs, to a2.", Word::Redirect { item: "docs", agent: "a2" }),
            ("redirect api", Word::Text),
            ("approve api looks right", Word::Approve { item: "api", text: "looks right" }),
            ("approve api: ok", Word::Approve { item: "api", text: "ok" }),
            ("approve", Word::Approve { item: "", text: "" }),
            ("Reject.", Word::Reject { item: "", text: "" }),
            ("reject api no tests", Word::Reject { item: "api", text: "no tests" }),
            ("stop", Word::Stop),
            ("cancel.", Word::Stop),
            ("priority api high", Word::Priority { item: "api", priority: "high" }),
            ("priority api high please", Word::Priority { item: "api", priority: "high" }),
            ("priority api: HIGH, please", Word::Priority { item: "api", priority: "HIGH" }),
            ("priority api", Word::Text),
            ("stop?", Word::Text),
            ("stopping is not a word of the table", Word::Text),
            ("please resume", Word::Text),
        ] {
            assert_eq!(parse(note), word, "{note}");
        }
    }
}
