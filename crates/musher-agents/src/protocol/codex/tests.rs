use std::fs;
use std::path::Path;

use super::*;

mod dialogue;
mod end;
mod recorded;

/// A line of a spool that lives long enough to be cut.
#[derive(Clone, Debug)]
enum Line {
    Out(String),
    Err(String),
    Said(String),
}

impl Line {
    fn heard(&self) -> Heard<'_> {
        match self {
            Self::Out(line) => Heard::Out(line),
            Self::Err(line) => Heard::Err(line),
            Self::Said(key) => Heard::Said(key),
        }
    }
}

fn out(line: &Value) -> Line {
    Line::Out(line.to_string())
}

fn said(key: &str) -> Line {
    Line::Said(key.to_owned())
}

fn brief(asks: bool) -> Brief {
    Brief { prompt: "create hello.txt".to_owned(), worktree: "/path/to/repo".to_owned(), asks, ..Brief::default() }
}

fn resumed() -> Brief {
    Brief { session: Some("t1".to_owned()), ..brief(false) }
}

fn hear(protocol: &mut dyn Protocol, lines: &[Line]) -> Vec<Observation> {
    let mut seen = Vec::new();
    for line in lines {
        protocol.hear(line.heard(), Timestamp::default(), &mut seen);
    }
    seen
}

/// A spool to the first turn, in the thread `t1` and the turn `u1`.
fn begun() -> Vec<Line> {
    vec![
        said("initialize"),
        out(&json!({"id": "initialize", "result": {}})),
        said("initialized"),
        said("thread"),
        out(&json!({"id": "thread", "result": {"thread": {"id": "t1", "ephemeral": false}}})),
        said("prompt"),
        turn("prompt", "u1"),
    ]
}

/// A run of this brief whose first turn runs.
fn running(brief: &Brief) -> Codex {
    let mut codex = Codex::new(brief);
    hear(&mut codex, &begun());
    codex
}

fn turn(key: &str, id: &str) -> Line {
    out(&json!({"id": key, "result": {"turn": {"id": id, "status": "inProgress"}}}))
}

fn note(method: &str, params: &Value) -> Line {
    let mut params = params.clone();
    params["threadId"] = json!("t1");
    out(&json!({"method": method, "params": params}))
}

fn completed(turn: &str, status: &str) -> Line {
    note("turn/completed", &json!({"turn": {"id": turn, "status": status, "error": null}}))
}

fn failed(error: &Value) -> Line {
    note("turn/completed", &json!({"turn": {"id": "u1", "status": "failed", "error": error}}))
}

fn message(text: &str) -> Line {
    note("item/completed", &json!({"turnId": "u1", "item": {"type": "agentMessage", "id": "m", "text": text}}))
}

fn read(key: &str) -> Line {
    note("item/completed", &json!({"turnId": "u1", "item": {"type": "userMessage", "id": "m", "clientId": key}}))
}

fn sum(turn: &str, total: [u64; 2], last: [u64; 2]) -> Line {
    let tokens = |[input, output]: [u64; 2]| json!({"inputTokens": input, "outputTokens": output});
    let usage = json!({"total": tokens(total), "last": tokens(last)});
    note("thread/tokenUsage/updated", &json!({"turnId": turn, "tokenUsage": usage}))
}

fn tell(key: &str, now: bool) -> Wish {
    Wish::Tell { key: key.to_owned(), text: format!("words of {key}"), now }
}

fn finished(words: &str) -> Ended {
    Ended::Finished { summary: words.to_owned() }
}

/// The key and the message that is to be said, which is then said.
fn say(codex: &mut Codex) -> Option<(String, Value)> {
    let Say { key, text } = codex.say()?;
    assert!(text.ends_with('\n') && !text.trim_end().contains('\n'), "one line: {text:?}");
    hear(codex, &[said(&key)]);
    assert_ne!(codex.say().map(|say| say.key), Some(key.clone()), "said once");
    Some((key, serde_json::from_str(&text).unwrap()))
}

/// What is said until nothing is, by key and method.
fn say_all(codex: &mut Codex) -> Vec<String> {
    let mut all = Vec::new();
    while let Some((key, said)) = say(codex) {
        all.push(format!("{key} {}", said["method"].as_str().unwrap_or("-")));
    }
    all
}

/// A recorded stream as a spool, with the ids that this protocol would have given.
fn fixture(name: &str) -> Vec<Line> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let stream = fs::read_to_string(&path).unwrap();
    let key = |id: &Value| ["", "initialize", "thread", "prompt", "elsewhere"][id.as_u64().unwrap() as usize];
    let lines = stream.lines().map(|line| {
        let Some((direction, text)) = line.split_once(' ').filter(|(way, _)| matches!(*way, "<" | ">")) else {
            return Line::Out(line.to_owned());
        };
        let mut value: Value = serde_json::from_str(text).unwrap();
        if direction == ">" {
            return match value["method"].as_str() {
                Some("initialized") => said("initialized"),
                Some(_) => said(key(&value["id"])),
                None => said(&format!("answer:{}", value["id"])),
            };
        }
        if value.get("method").is_none() {
            value["id"] = json!(key(&value["id"]));
        }
        out(&value)
    });
    // Somebody else's interrupt: nothing that this protocol said.
    lines.filter(|line| !matches!(line, Line::Said(key) if key == "elsewhere")).collect()
}

/// The recorded streams of codex.
fn fixtures() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("codex-")).collect();
    names.sort();
    assert_eq!(names.len(), 11, "{names:?}");
    names
}

/// The protocol of a recorded stream.
fn of(name: &str) -> Box<dyn Protocol> {
    let session = (name == "codex-resume.ndjson").then(|| "t1".to_owned());
    let brief = Brief { session, ..brief(true) };
    if name.ends_with(".ndjson") { exec::protocol(&brief) } else { protocol(&brief) }
}

/// An observation in a line.
fn shown(observation: &Observation) -> String {
    match observation {
        Observation::SessionStarted { id, resumable } => format!("session {} resumable={resumable}", &id[..8]),
        Observation::Text(words) => format!("text {words}"),
        Observation::Thought(words) => format!("thought {words}"),
        Observation::ToolStarted { name, arguments, .. } => format!("tool {name} {arguments}"),
        Observation::ToolFinished { ok, .. } => format!("tool done ok={ok}"),
        Observation::Plan(entries) => format!("plan {}", entries.join(" / ")),
        Observation::Usage { used, priced } => {
            let cached = format!("cached={}+{}", used.cache_read_tokens, used.cache_write_tokens);
            format!(
                "usage {} {} {} {cached} priced={priced}",
                used.input_tokens, used.output_tokens, used.cost_micro_usd
            )
        }
        Observation::PermissionAsked(ask) => format!("asks {} {:?}", ask.reference, ask.action),
        Observation::PermissionGone(reference) => format!("gone {reference}"),
        Observation::RateLimited { resets_at } => format!("limited {resets_at:?}"),
        Observation::Retrying(words) => format!("retrying {words}"),
        Observation::Warning(words) => format!("warning {}", words.split(". ").next().unwrap_or_default()),
    }
}
