use std::fs;
use std::path::Path;

use musher_core::time::Timestamp;
use serde_json::Value;

use super::*;

mod ask;
mod end;
mod recorded;
mod stories;
mod tell;

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

fn hear(claude: &mut Claude, lines: &[Line]) -> Vec<Observation> {
    let mut seen = Vec::new();
    for line in lines {
        claude.hear(line.heard(), Timestamp::from_micros(0), &mut seen);
    }
    seen
}

/// A run that was told its prompt and took it.
fn begun(asks: bool) -> (Claude, Vec<Line>) {
    let mut claude = Claude::new(&brief(asks));
    let spool = vec![said("initialize"), said("prompt"), init(), echo(&["create hello.txt"])];
    hear(&mut claude, &spool);
    (claude, spool)
}

fn init() -> Line {
    out(&json!({"type": "system", "subtype": "init", "session_id": "s1"}))
}

fn echo(texts: &[&str]) -> Line {
    let blocks: Vec<Value> = texts.iter().map(|text| json!({"type": "text", "text": text})).collect();
    out(&json!({"type": "user", "isReplay": true, "message": {"role": "user", "content": blocks}}))
}

fn done(words: &str) -> Line {
    out(&json!({"type": "result", "subtype": "success", "is_error": false, "result": words}))
}

fn aborted() -> Line {
    out(&json!({"type": "result", "subtype": "error_during_execution", "is_error": true,
        "terminal_reason": "aborted_streaming", "errors": ["[ede_diagnostic] result_type=user"]}))
}

fn request(id: &str, tool: &str, input: &Value) -> Line {
    let request = json!({"subtype": "can_use_tool", "tool_name": tool, "input": input});
    out(&json!({"type": "control_request", "request_id": id, "request": request}))
}

fn finished(words: &str) -> Ended {
    Ended::Finished { summary: words.to_owned() }
}

fn tell(key: &str, now: bool) -> Wish {
    Wish::Tell { key: key.to_owned(), text: format!("words of {key}"), now }
}

/// Takes all that is to be said, as a host does, and gives the keys.
fn say_all(claude: &mut Claude) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some(say) = claude.say() {
        assert!(say.text.ends_with('\n') && !say.text.trim_end().contains('\n'), "{say:?}");
        hear(claude, &[said(&say.key)]);
        assert!(!keys.contains(&say.key), "said twice: {}", say.key);
        keys.push(say.key);
    }
    keys
}

/// A recorded stream as a spool. What the client said gets the keys that this protocol would have given it.
fn fixture(name: &str) -> Vec<Line> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let stream = fs::read_to_string(&path).unwrap();
    let mut messages = 0;
    let mut lines = Vec::new();
    if name.ends_with(".ndjson") {
        lines.extend([said("initialize"), said("prompt")]);
    }
    for line in stream.lines() {
        let Some(told) = line.strip_prefix("> ") else {
            lines.push(Line::Out(line.strip_prefix("< ").unwrap_or(line).to_owned()));
            continue;
        };
        let told: Value = serde_json::from_str(told).unwrap();
        lines.push(Line::Said(match text(&told, "type") {
            "user" => {
                messages += 1;
                if messages == 1 { "prompt".to_owned() } else { format!("message{messages}") }
            }
            "control_response" => format!("answer:{}", text(&told["response"], "request_id")),
            _ if told["request"]["subtype"] == "interrupt" => "interrupt:stop".to_owned(),
            _ => "initialize".to_owned(),
        }));
    }
    lines
}

/// The recorded streams of Claude Code.
fn fixtures() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("claude-")).collect();
    names.sort();
    names
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
            let Usage { input_tokens, output_tokens, cost_micro_usd, .. } = used;
            let cached = format!("cached={}+{}", used.cache_read_tokens, used.cache_write_tokens);
            format!("usage {input_tokens} {output_tokens} {cost_micro_usd} {cached} priced={priced}")
        }
        Observation::PermissionAsked(ask) => format!("asks {:?}", ask.action),
        Observation::PermissionGone(_) => "asks no more".to_owned(),
        Observation::RateLimited { resets_at } => format!("limited {resets_at:?}"),
        Observation::Retrying(words) => format!("retry {words}"),
        Observation::Warning(words) => format!("warning {words}"),
    }
}
