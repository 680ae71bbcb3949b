//! How everything stands, as lines: who works on what, and who waits for what.

use std::collections::BTreeMap;

use musher_core::time::Timestamp;
use musher_server::api::{Agent, QueueEntry, Status, WaitGroup};

use super::batch::batch_lines;
use super::waits::{first_of, lasted, words};
use crate::output::{self, Tone, one_line, padded, paint, width_of};

/// The most lines of one section where there is room for all.
const SECTION: usize = 20;
/// The columns before what a section says.
const INDENT: usize = 12;
/// The widest that a name is shown.
const NAME: usize = 20;

/// Everything in about `height` lines of at most `width` columns.
pub(crate) fn overview(status: &Status, now: Timestamp, (width, height): (usize, usize)) -> Vec<String> {
    let most = (height / 4).clamp(3, SECTION);
    let room = width.saturating_sub(INDENT);
    let daemon = &status.daemon;
    let up = output::span(daemon.uptime_s);
    let head = format!("musher {} on {} (pid {}), up {up}", daemon.version, daemon.node, daemon.pid);
    let mut lines = vec![one_line(&head, width)];
    let http = daemon.http.as_ref().map(|http| {
        let tone = if http.listening { Tone::Quiet } else { Tone::Busy };
        paint(&one_line(&output::http(http), room), tone)
    });
    lines.extend(section("http", http.into_iter().collect()));
    // A start that found nothing in the middle of something is no news.
    let found = daemon.found.filter(|found| found.attached + found.lost + found.effects + found.swept > 0);
    let found = found.map(|found| paint(&one_line(&output::found(&found), room), Tone::Quiet));
    lines.extend(section("at start", found.into_iter().collect()));
    lines.extend(section("missions", vec![counts(&status.missions)]));
    lines.extend(section("items", vec![counts(&status.items)]));
    lines.extend(section("agents", agents(&status.agents, now, room, most)));
    lines.extend(section("merging", merging(status, now, room, most)));
    lines.extend(section("waiting", waiting(status, now, room, most)));
    if status.cost_today_usd > 0.0 {
        lines.extend(section("today", vec![output::dollars(status.cost_today_usd)]));
    }
    let failing = status.sinks.iter().filter(|sink| sink.state == "failing").map(|sink| {
        let error = sink.error.as_deref().unwrap_or_default();
        let text = format!("sink {} fails, {} behind: {error}", sink.name, sink.behind);
        paint(&one_line(&text, room), Tone::Bad)
    });
    lines.extend(section("events", failing.collect()));
    let mut asked = Vec::new();
    for entry in status.inbox.iter().take(most) {
        asked.push(paint(&one_line(&entry.text, room), Tone::Bad));
        asked.extend(entry.replies.first().map(|reply| paint(&one_line(reply, room), Tone::Quiet)));
    }
    let more = status.inbox.len().saturating_sub(most);
    if more > 0 {
        asked.push(format!("and {more} more; `musher inbox` shows all"));
    }
    lines.extend(section("for you", asked));
    lines
}

/// Lines of which the first has a name before it.
fn section(name: &str, lines: Vec<String>) -> impl Iterator<Item = String> {
    let name = format!("  {name:<10}");
    lines
        .into_iter()
        .enumerate()
        .map(move |(at, line)| if at == 0 { format!("{name}{line}") } else { format!("{}{line}", " ".repeat(INDENT)) })
}

fn counts(of: &BTreeMap<String, u32>) -> String {
    let parts: Vec<String> = of
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(state, n)| paint(&format!("{n} {}", state.replace('_', " ")), Tone::of_state(state)))
        .collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

/// How many there are of each word: `70 idle, 10 working`.
fn tally<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    words.for_each(|word| *count.entry(word).or_default() += 1);
    let parts: Vec<String> = count.iter().map(|(word, n)| format!("{n} {}", word.replace('_', " "))).collect();
    parts.join(", ")
}

fn agents(agents: &[Agent], now: Timestamp, width: usize, most: usize) -> Vec<String> {
    if agents.is_empty() {
        return vec!["none".to_owned()];
    }
    let mut agents: Vec<&Agent> = agents.iter().collect();
    // Those at work first, then those that something keeps from it.
    agents.sort_by_key(|agent| (agent.work.is_empty(), agent.status == "idle"));
    let (shown, hidden) = agents.split_at(agents.len().min(most));
    let column = shown.iter().map(|agent| width_of(&one_line(&agent.name, NAME))).max().unwrap_or(0);
    let mut lines: Vec<String> = shown.iter().map(|agent| agent_line(agent, column, now, width)).collect();
    if !hidden.is_empty() {
        let states = tally(hidden.iter().map(|agent| agent.status.as_str()));
        lines.push(one_line(&format!("and {} more: {states}", hidden.len()), width));
    }
    lines
}

fn agent_line(agent: &Agent, column: usize, now: Timestamp, width: usize) -> String {
    let work: Vec<String> = agent
        .work
        .iter()
        .take(3)
        .map(|work| {
            let review = if work.purpose == "review" { "review of " } else { "" };
            format!("{review}{} {}", work.key, lasted(work.since, now))
        })
        .collect();
    let mut rest = first_of(&work, agent.work.len());
    // That it has as much as it may have is seen from what it has, and a status is not said twice.
    let told = |code: &str, brief: &str| (code == "agents_busy" && !rest.is_empty()) || brief == agent.status;
    if let Some(wait) = agent.wait.as_ref().filter(|wait| !told(&wait.code, &wait.brief)) {
        let between = if rest.is_empty() { "" } else { "; " };
        rest = format!("{rest}{between}{}", words(wait, now));
    }
    let name = padded(&one_line(&agent.name, NAME), column);
    let status = format!("{:<8}", agent.status);
    let used = column + 2 + status.len() + 2;
    let rest = one_line(&rest, width.saturating_sub(used));
    format!("{name}  {}  {rest}", paint(&status, Tone::of_state(&agent.status))).trim_end().to_owned()
}

/// The batch under way, and what else is in the merge queue.
fn merging(status: &Status, now: Timestamp, width: usize, most: usize) -> Vec<String> {
    let mut lines = status.batch.as_ref().map(|batch| batch_lines(batch, now, width)).unwrap_or_default();
    let all = lines.len();
    lines.truncate(most.max(6));
    if lines.len() < all {
        lines.push(paint("… `musher queue list` shows the rest", Tone::Quiet));
    }
    let in_batch = |entry: &QueueEntry| {
        status.batch.as_ref().is_some_and(|batch| batch.members.iter().any(|member| member.id == entry.id))
    };
    let mut stages: Vec<(&str, Vec<&QueueEntry>)> = Vec::new();
    for entry in status.queue.iter().filter(|entry| !in_batch(entry)) {
        match stages.iter_mut().find(|(stage, _)| *stage == entry.stage) {
            Some((_, entries)) => entries.push(entry),
            None => stages.push((&entry.stage, vec![entry])),
        }
    }
    for (stage, entries) in stages {
        let keys: Vec<String> = entries.iter().take(3).map(|entry| one_line(&entry.key, NAME)).collect();
        lines.push(one_line(&format!("{} ({stage})", first_of(&keys, entries.len())), width));
    }
    lines
}

/// Who waits for what, those that are alike on one line.
fn waiting(status: &Status, now: Timestamp, width: usize, most: usize) -> Vec<String> {
    let several = status.waiting.iter().flat_map(|group| &group.items).any(|item| {
        status.waiting.first().and_then(|group| group.items.first()).is_some_and(|first| first.mission != item.mission)
    });
    // What is being merged, or is next, is said above.
    let groups: Vec<&WaitGroup> = status.waiting.iter().filter(|group| group.wait.code != "merge_queue").collect();
    let (shown, hidden) = groups.split_at(groups.len().min(most));
    let mut lines: Vec<String> = shown.iter().map(|group| group_line(group, several, now, width)).collect();
    if !hidden.is_empty() {
        let count: u32 = hidden.iter().map(|group| group.count).sum();
        lines.push(format!("and {count} more wait, for {} other reasons", hidden.len()));
    }
    if !status.not_asked.is_empty() {
        let count: u32 = status.not_asked.values().sum();
        let states: Vec<String> = status.not_asked.iter().map(|(state, n)| format!("{n} {state}")).collect();
        let text = format!("and {count} more that were not asked: {}", states.join(", "));
        lines.push(paint(&one_line(&text, width), Tone::Quiet));
    }
    lines
}

fn group_line(group: &WaitGroup, several: bool, now: Timestamp, width: usize) -> String {
    let key = |item: &musher_server::api::WaitItem| {
        let key = one_line(&item.key, NAME);
        if several { format!("{}/{key}", item.mission.short()) } else { key }
    };
    // Of several missions each name is long.
    let names = if several { 1 } else { 3 };
    let keys: Vec<String> = group.items.iter().take(names).map(key).collect();
    let names = first_of(&keys, group.count as usize);
    let state = match group.state.as_str() {
        "blocked" | "failed" => format!("{}, ", group.state),
        _ => String::new(),
    };
    let said = format!("{state}{}", words(&group.wait, now));
    let room = width.saturating_sub(width_of(&names) + 2);
    format!("{names}: {}", paint(&one_line(&said, room), Tone::of_state(&group.state)))
}

#[cfg(test)]
mod tests {
    use musher_server::api::Found;
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "019a0000-0000-7000-8000-000000000001";
    const NOW: Timestamp = Timestamp::from_micros(1_764_324_000_000_000);

    fn agent(name: &str, status: &str, work: &Value, wait: &Value) -> Value {
        json!({"id": ID, "name": name, "driver": "command", "roles": [], "capabilities": [], "status": status, "load": 0,
            "max_load": 1, "source": "config", "runs": [], "work": work, "wait": wait})
    }

    fn group(state: &str, code: &str, brief: &str, count: u32, keys: &[&str]) -> Value {
        let items: Vec<Value> =
            keys.iter().map(|key| json!({"id": ID, "short_id": "1", "mission": ID, "key": key})).collect();
        json!({"state": state, "wait": {"code": code, "brief": brief}, "count": count, "items": items})
    }

    fn status(agents: &[Value], waiting: &[Value]) -> Status {
        serde_json::from_value(json!({
            "daemon": {"version": "1.0.0", "pid": 7, "uptime_s": 65, "node": "here", "store": "s"},
            "missions": {"running": 1}, "items": {"ready": 40, "pending": 1, "done": 0}, "agents": agents, "queue": [],
            "inbox": [], "cost_today_usd": 0.0, "waiting": waiting, "not_asked": {"pending": 99_900},
        }))
        .unwrap()
    }

    #[test]
    fn it_says_who_works_on_what_and_who_waits_for_what() {
        let work = json!([{"run": ID, "item": ID, "key": "api", "purpose": "work", "since": "2025-11-28T09:58:40Z"}]);
        let quota =
            json!({"code": "quota", "brief": "quota: daily job limit exceeded", "until": "2025-11-29T00:00:00Z"});
        let agents = [
            agent(
                "idle-one",
                "idle",
                &json!([]),
                &json!({"code": "no_agent", "brief": "nothing that is ready fits it"}),
            ),
            agent("ada", "working", &work, &json!({"code": "agents_busy", "brief": "1 of 1 at work"})),
            agent("bob", "paused", &json!([]), &json!({"code": "agent_paused", "brief": "paused"})),
            agent("cleo", "idle", &json!([]), &quota),
        ];
        let waiting = [
            group("ready", "agents_busy", "1 agent busy", 40, &["b", "c", "d"]),
            group("pending", "dependency", "waits for api", 1, &["web"]),
        ];
        let expected = "musher 1.0.0 on here (pid 7), up 1m05s
  missions  1 running
  items     1 pending, 40 ready
  agents    ada       working   api 1m20s
            bob       paused
            idle-one  idle      nothing that is ready fits it
            cleo      idle      quota: daily job limit exceeded, until 00:00
  waiting   b, c, d and 37 more: 1 agent busy
            web: waits for api
            and 99900 more that were not asked: 99900 pending";
        assert_eq!(overview(&status(&agents, &waiting), NOW, (80, usize::MAX)).join("\n"), expected);

        // What it found when it started, if that was anything.
        let mut began = status(&agents, &waiting);
        began.daemon.found = Some(Found { missions: 4, ..Found::default() });
        assert_eq!(overview(&began, NOW, (80, usize::MAX)).join("\n"), expected);
        began.daemon.found = Some(Found { missions: 4, attached: 2, lost: 1, effects: 5, swept: 3 });
        let line =
            "  at start  4 mission(s), 2 run(s) re-attached, 1 lost, 5 effect(s) re-issued, 3 abandoned run(s) ended";
        assert_eq!(overview(&began, NOW, (200, usize::MAX))[1], line);
    }

    #[test]
    fn a_small_terminal_gets_few_lines_none_of_them_too_wide() {
        let agents: Vec<Value> =
            (0..200).map(|n| agent(&format!("agent-with-a-long-name-{n}"), "idle", &json!([]), &Value::Null)).collect();
        let wide = "漢字".repeat(40);
        let waiting: Vec<Value> =
            (0..90).map(|n| group("ready", "quota", &format!("{wide} {n}"), 3, &["x\u{1b}[2J", "y", "z"])).collect();
        let lines = overview(&status(&agents, &waiting), NOW, (80, 24));
        assert!(lines.len() < 24, "{lines:#?}");
        assert!(lines.iter().all(|line| width_of(line) <= 80 && !line.contains('\u{1b}')), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("and 194 more: 194 idle")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("and 252 more wait, for 84 other reasons")), "{lines:#?}");
    }
}
