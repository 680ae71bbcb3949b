//! What each recorded stream means, a line an observation, and how its run ended.

pub(super) const STORIES: &[(&str, &str)] = &[
    (
        "claude-budget.ndjson",
        r#"
        session c6a1ed97 resumable=true
        tool Bash {"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}
        usage 1301 42 4413 cached=100+200 priced=true
        Some(Failed { class: Limit, message: "Reached maximum budget ($0.001)" })
        "#,
    ),
    (
        "claude-control-allow.jsonl",
        r#"
        session b9c0108b resumable=true
        tool Bash {"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}
        asks Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
        tool done ok=true
        text Done: hello.txt was written by the fake model.
        usage 2604 84 8832 cached=200+400 priced=true
        tool Bash {"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}
        asks Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
        tool done ok=true
        text Done: hello.txt was written by the fake model.
        usage 2612 84 8856 cached=200+400 priced=true
        Some(Finished { summary: "Done: hello.txt was written by the fake model." })
        "#,
    ),
    (
        "claude-control-deny.jsonl",
        r#"
        session 0d6372a6 resumable=true
        tool Bash {"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}
        asks Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
        tool done ok=false
        text Done: hello.txt was written by the fake model.
        usage 2604 84 8832 cached=200+400 priced=true
        Some(Finished { summary: "Done: hello.txt was written by the fake model." })
        "#,
    ),
    (
        "claude-control-interrupt.jsonl",
        r#"
        session 756b7b4a resumable=true
        text word0 word1 word2 word3
        None
        "#,
    ),
    (
        "claude-control-partial.jsonl",
        r#"
        session d05c53c2 resumable=true
        tool Bash {"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}
        asks Shell("echo 'hello from fake model' > hello.txt && cat hello.txt")
        tool done ok=true
        text Done: hello.txt was written by the fake model.
        usage 2604 84 8832 cached=200+400 priced=true
        Some(Finished { summary: "Done: hello.txt was written by the fake model." })
        "#,
    ),
    (
        "claude-cut.ndjson",
        r#"
        session 3aff404d resumable=true
        tool Bash {"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}
        tool done ok=true
        text Done: hello.txt was written by the fake model.
        usage 2604 84 8832 cached=200+400 priced=true
        Some(Finished { summary: "Done: hello.txt was written by the fake model." })
        "#,
    ),
    (
        "claude-e401.ndjson",
        r#"
        session 8baccb6a resumable=true
        retry attempt 1 of 2 in 0.5 s: 401 authentication_failed
        retry attempt 2 of 2 in 1.2 s: 401 authentication_failed
        warning Failed to authenticate. API Error: 401 fake 401 from fake_llm
        Some(Failed { class: Setup, message: "Failed to authenticate. API Error: 401 fake 401 from fake_llm" })
        "#,
    ),
    (
        "claude-e429.ndjson",
        r#"
        session 98f80406 resumable=true
        retry attempt 1 of 2 in 0.5 s: 429 rate_limit
        retry attempt 2 of 2 in 1.2 s: 429 rate_limit
        warning API Error: Request rejected (429) · fake 429 from fake_llm
        Some(RateLimited { resets_at: None, message: "API Error: Request rejected (429) · fake 429 from fake_llm" })
        "#,
    ),
    (
        "claude-e500.ndjson",
        r#"
        session 4f23a48b resumable=true
        retry attempt 1 of 2 in 0.5 s: 500 server_error
        retry attempt 2 of 2 in 1.0 s: 500 server_error
        warning API Error: 500 fake 500 from fake_llm. This is a server-side issue, usually temporary — try again in a moment. If it persists, check your inference gateway (127.0.0.1:18080).
        Some(Failed { class: Agent, message: "API Error: 500 fake 500 from fake_llm. This is a server-side issue, usually temporary — try again in a moment. If it persists, check your inference gateway (127.0.0.1:18080)." })
        "#,
    ),
    (
        "claude-maxturns.ndjson",
        r#"
        session 896bf620 resumable=true
        tool Bash {"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}
        tool done ok=true
        usage 1301 42 4413 cached=100+200 priced=true
        Some(Failed { class: Limit, message: "Reached maximum number of turns (1)" })
        "#,
    ),
    (
        "claude-mcp-stdio.ndjson",
        r#"
        session aae78096 resumable=true
        tool mcp__fk__fake_ping {"text":"write hello.txt"}
        tool done ok=true
        text Done: hello.txt was written by the fake model.
        usage 2604 84 8832 cached=200+400 priced=true
        Some(Finished { summary: "Done: hello.txt was written by the fake model." })
        "#,
    ),
    (
        "claude-ok.ndjson",
        r#"
        session 7530e0a2 resumable=true
        tool Bash {"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}
        tool done ok=true
        text Done: hello.txt was written by the fake model.
        usage 2604 84 8832 cached=200+400 priced=true
        Some(Finished { summary: "Done: hello.txt was written by the fake model." })
        "#,
    ),
    (
        "claude-perm-default.ndjson",
        r#"
        session c5447281 resumable=true
        tool Bash {"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}
        tool done ok=false
        text Done: hello.txt was written by the fake model.
        usage 2604 84 8832 cached=200+400 priced=true
        Some(Finished { summary: "Done: hello.txt was written by the fake model." })
        "#,
    ),
    (
        "claude-resume.ndjson",
        r#"
        session 7530e0a2 resumable=true
        tool Bash {"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}
        tool done ok=true
        text Done: hello.txt was written by the fake model.
        usage 2612 84 8856 cached=200+400 priced=true
        Some(Finished { summary: "Done: hello.txt was written by the fake model." })
        "#,
    ),
];
