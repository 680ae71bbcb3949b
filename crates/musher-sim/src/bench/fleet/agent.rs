//! The scripted agent: it speaks the Agent Client Protocol, works for a while as agents do, and costs next to nothing.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// How the scripted agent works.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How many lines it says in its turn.
    pub lines: u32,
    /// How long it is busy with something else before each line, in milliseconds.
    pub pause_ms: u64,
    /// Nobody talks to it: it works at once, and changes nothing.
    pub alone: bool,
}

/// Plays an agent on the standard streams until its input ends.
///
/// # Errors
/// The streams or the file that it makes cannot be used.
pub fn play(manner: Manner) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if manner.alone {
        return work(manner, &mut out);
    }
    for line in io::stdin().lock().lines() {
        // What is no message of the protocol is not for it.
        let Ok(asked) = serde_json::from_str::<Value>(&line?) else { continue };
        let result = match asked["method"].as_str().unwrap_or_default() {
            "initialize" => json!({"protocolVersion": 1, "agentCapabilities": {}}),
            "session/new" => json!({"sessionId": SESSION}),
            "session/prompt" => {
                work(manner, &mut out)?;
                // A file of its own, so that all that is merged fits together.
                let item = std::env::var("MUSHER_RUN").unwrap_or_default();
                std::fs::write(Path::new(&format!("work-{item}")), "done\n")?;
                json!({"stopReason": "end_turn", "usage": {"inputTokens": 12_000, "outputTokens": 300}})
            }
            _ => continue,
        };
        say(&mut out, &json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}))?;
    }
    Ok(())
}

const SESSION: &str = "s1";

/// A turn: words, a tool that is used, how full the context is, and so on.
fn work(manner: Manner, out: &mut impl Write) -> io::Result<()> {
    for line in 0..manner.lines {
        std::thread::sleep(Duration::from_millis(manner.pause_ms));
        let call = format!("call-{}", line / 10);
        let update = match line % 10 {
            3 => json!({"sessionUpdate": "tool_call", "toolCallId": call, "title": "cargo test", "kind": "execute",
                        "rawInput": {"command": format!("cargo test --package part-{line}")}}),
            4 => json!({"sessionUpdate": "tool_call_update", "toolCallId": call, "status": "completed"}),
            9 => json!({"sessionUpdate": "usage_update", "used": 9_000 + line, "size": 200_000}),
            _ => json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": WORDS}}),
        };
        let params = json!({"sessionId": SESSION, "update": update});
        say(out, &json!({"jsonrpc": "2.0", "method": "session/update", "params": params}))?;
    }
    Ok(())
}

const WORDS: &str = "the test fails because the reader is opened before the writer has made the file; ";

fn say(out: &mut impl Write, message: &Value) -> io::Result<()> {
    // At once, as a program does that a person may be watching.
    writeln!(out, "{message}")?;
    out.flush()
}
