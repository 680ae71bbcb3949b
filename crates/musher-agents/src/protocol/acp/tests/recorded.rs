//! What the real programs said, line by line.

use super::*;

/// Plays a recorded transcript, in which the machine has to say what the recorded client said.
pub(super) fn played(name: &str) -> Run {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/acp-{name}.jsonl"));
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut run = Run::new(brief_of(&lines));
    for line in &lines {
        let mut message = line["msg"].clone();
        // The recorded client counted its ids; here the prompts begin at 10.
        if message["id"] == 3 && (line["dir"] == "client->agent") == message["method"].is_string() {
            message["id"] = 10.into();
        }
        if line["dir"] == "agent->client" {
            run.out(&message);
            continue;
        }
        if message["method"] == "session/cancel" {
            run.tell("note", true);
        } else if let Some(choice) = message["result"]["outcome"]["optionId"].as_str() {
            let reference = message["id"].as_str().map_or_else(|| message["id"].to_string(), str::to_owned);
            let no = ["reject", "abort", "cancel"].contains(&choice);
            assert!(run.answer(&reference, !no), "{name}: {reference} is open");
        }
        let Some((_, mut said)) = run.say() else { panic!("{name}: nothing to say at {message}") };
        if said["method"] == "session/new" && message["method"] == "session/prompt" {
            return run;
        }
        if said["method"] == "initialize" {
            said["params"]["clientInfo"] = message["params"]["clientInfo"].clone();
            message["params"]["clientCapabilities"] = said["params"]["clientCapabilities"].clone();
        }
        assert_eq!(said, message, "{name}");
    }
    run
}

fn brief_of(lines: &[Value]) -> Brief {
    let opening = &lines.iter().find(|line| line["msg"]["id"] == 2).unwrap()["msg"]["params"];
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let server = |server: &Value| McpServer {
        name: word(&server["name"]),
        command: std::iter::once(&server["command"]).chain(server["args"].as_array().unwrap()).map(word).collect(),
        env: Vec::new(),
    };
    Brief {
        session: opening["sessionId"].as_str().map(str::to_owned),
        mcp: opening["mcpServers"].as_array().unwrap().iter().map(server).collect(),
        worktree: word(&opening["cwd"]),
        ..asking()
    }
}

#[test]
fn every_transcript_means_what_is_written_here() {
    let mut wrong = String::new();
    for (name, expected) in EXPECTED {
        let run = played(name);
        let mut lines = shown(&run.seen);
        lines.push(format!("end {:?}", run.protocol.ended()));
        let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
        if lines.iter().map(|line| line.trim_end()).ne(expected.iter().copied()) {
            wrong.push_str(&format!("(\"{name}\", r#\"\n    {}\n\"#),\n", lines.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn no_transcript_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_prefix("acp-") {
            assert!(EXPECTED.iter().any(|(known, _)| format!("{known}.jsonl") == name), "{name}");
        }
    }
}

#[rustfmt::skip]
pub(super) const EXPECTED: &[(&str, &str)] = &[
("claude-allow", r#"
    session resumable=true
    start 1 Bash {"command":"echo 'hello from fake model' > hello
    ask Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 2604 (200+400) 84 8832 true
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("claude-cancel", r#"
    session resumable=true
    text word0 word1 word2 word3 word4 word5
    end None
"#),
("claude-deny", r#"
    session resumable=true
    start 1 Bash {"command":"echo 'hello from fake model' > hello
    ask Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
    finish 1 false
    text Done: hello.txt was written by the fake model.
    usage 2604 (200+400) 84 8832 true
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("claude-l-allow", r#"
    session resumable=true
    start 1 Bash {"command":"echo 'hello from fake model' > hello
    ask Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 2604 (200+400) 84 8832 true
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("claude-l-load", r#"
    session resumable=true
    start 1 Bash {"command":"echo 'hello from fake model' > hello
    ask Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 2612 (200+400) 84 8856 true
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("claude-mcp", r#"
    session resumable=true
    start 1 mcp__fk__fake_ping {"text":"write hello.txt"}
    ask Other("mcp__fk__fake_ping", "{\"text\":\"write hello.txt\"}")
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 2604 (200+400) 84 8832 true
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("claude-old-allow", r#"
    session resumable=true
    start 1 Bash {"command":"echo 'hello from fake model' > hello
    ask Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
    finish 1 true
    text Done: hello.txt was written by the fake model.
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("codex-allow", r#"
    session resumable=true
    warning Model metadata for `gpt-5` not found. Defaulting to fallback metadata; this can degrade performance and cause issues.
    start 1 execute {"command":["/bin/bash","-lc","echo 'hello from
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 2092 (0+0) 0 0 false
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("codex-cancel", r#"
    session resumable=true
    warning Model metadata for `gpt-5` not found. Defaulting to fallback metadata; this can degrade performance and cause issues.
    text word0 word1 word2 word3 word4 word5
    end None
"#),
("codex-deny", r#"
    session resumable=true
    warning Model metadata for `gpt-5` not found. Defaulting to fallback metadata; this can degrade performance and cause issues.
    start 1 execute {"command":["/bin/bash","-lc","echo 'hello from
    ask Shell("/bin/bash -lc 'echo '\\''hello from fake model'\\'' > hello.txt && cat hello.txt'")
    end Some(Failed { class: Agent, message: "stopped after a denied permission" })
"#),
("codex-l-allow", r#"
    session resumable=true
    warning Model metadata for `gpt-5` not found. Defaulting to fallback metadata; this can degrade performance and cause issues.
    start 1 execute {"command":["/bin/bash","-lc","echo 'hello from
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 2092 (0+0) 0 0 false
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("codex-l-load", r#"
    session resumable=true
    warning Model metadata for `gpt-5` not found. Defaulting to fallback metadata; this can degrade performance and cause issues.
    start 1 execute {"command":["/bin/bash","-lc","echo 'hello from
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 2100 (0+0) 0 0 false
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("codex-mcp", r#"
    session resumable=true
    warning Model metadata for `gpt-5` not found. Defaulting to fallback metadata; this can degrade performance and cause issues.
    start 1 Tool: fk/fake_ping {"arguments":{"text":"write hello.txt"},"server"
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 2092 (0+0) 0 0 false
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("codex-native-allow", r#"
    session resumable=true
    warning Model metadata for `gpt-5` not found. Defaulting to fallback metadata; this can degrade performance and cause issues.
    start 1 execute {"command":["/bin/bash","-lc","echo 'hello from
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 2092 (0+0) 0 0 false
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("gemini-allow", r#"
    session resumable=true
    start 1 execute "echo 'hello from fake model' > hello.txt && cat
    ask Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 2004 (0+0) 84 0 false
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("gemini-cancel", r#"
    session resumable=true
    text word0 word1 word2 word3 word4 word5
    end None
"#),
("gemini-deny", r#"
    session resumable=true
    start 1 execute "echo 'hello from fake model' > hello.txt && cat
    ask Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
    text Done: hello.txt was written by the fake model.
    usage 2004 (0+0) 84 0 false
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("gemini-l-allow", r#"
    session resumable=true
    start 1 execute "echo 'hello from fake model' > hello.txt && cat
    ask Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 2004 (0+0) 84 0 false
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("gemini-l-load", r#"
    warning the session could not be loaded, a new one is begun: Internal error: No previous sessions found for this project.
    end None
"#),
("gemini-mcp", r#"
    session resumable=true
    start 1 fake_ping (fk MCP Server) "fake_ping (fk MCP Server)"
    ask Other("fake_ping (fk MCP Server)", "\"fake_ping (fk MCP Server)\"")
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 2004 (0+0) 84 0 false
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("opencode-allow", r#"
    session resumable=true
    start 1 bash {"command":"echo 'hello from fake model' > hello
    ask Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 1004 (100+0) 42 1994 true
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("opencode-cancel", r#"
    session resumable=true
    text word0 word1 word2 word3
    end None
"#),
("opencode-deny", r#"
    session resumable=true
    start 1 bash {"command":"echo 'hello from fake model' > hello
    ask Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
    finish 1 false
    usage 1002 (100+0) 42 996 true
    end Some(Finished { summary: "" })
"#),
("opencode-l-allow", r#"
    session resumable=true
    start 1 bash {"command":"echo 'hello from fake model' > hello
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 1004 (100+0) 42 1994 true
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("opencode-l-load", r#"
    session resumable=true
    start 1 bash {"command":"echo 'hello from fake model' > hello
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 1008 (100+0) 42 0 false
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("opencode-mcp", r#"
    session resumable=true
    start 1 fk_fake_ping {"text":"write hello.txt"}
    finish 1 true
    text Done: hello.txt was written by the fake model.
    usage 1004 (100+0) 42 1994 true
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("qwen-allow", r#"
    session resumable=true
    start 1 execute {"command":"echo 'hello from fake model' > hello
    ask Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
    finish 1 true
    text Done: hello.txt was written by the fake model.
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
("qwen-deny", r#"
    session resumable=true
    start 1 execute {"command":"echo 'hello from fake model' > hello
    ask Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
    text Done: hello.txt was written by the fake model.
    end Some(Finished { summary: "Done: hello.txt was written by the fake model." })
"#),
];
