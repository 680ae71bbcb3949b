//! What inputs are made from: the recorded streams, and texts of each other sort.

use std::path::Path;

use serde_json::Value;

/// What the agents of a driver said, from the recorded streams; what was said to them is left out.
pub(super) fn streams(driver: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../musher-agents/fixtures");
    let names = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<_> = names.filter(|path| recorded_of(path) == Some(driver)).collect();
    paths.sort();
    let texts = paths.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let lines = |text: String| text.lines().filter_map(said).collect::<Vec<_>>().join("\n").into_bytes();
    let samples: Vec<_> = texts.map(lines).collect();
    assert!(!samples.is_empty(), "no stream of {driver} was recorded");
    samples
}

/// The driver that a stream was recorded of.
fn recorded_of(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    let drivers = [
        ("acp-", "acp"),
        ("claude-", "claude"),
        ("codex-appserver-", "codex"),
        ("codex-", "codex-exec"),
        ("gem-", "gemini"),
        ("oc-", "opencode"),
        ("qwen-", "qwen"),
    ];
    drivers.iter().find(|(start, _)| name.starts_with(start)).map(|(_, driver)| *driver)
}

/// The line as the agent said it, from any of the forms of a recording; nothing if it was said to the agent.
fn said(line: &str) -> Option<String> {
    if let Some(line) = line.strip_prefix("< ") {
        return Some(line.to_owned());
    }
    if line.starts_with("> ") {
        return None;
    }
    match serde_json::from_str::<Value>(line) {
        Ok(value) if value.get("dir").is_some() => (value["dir"] == "agent->client").then(|| value["msg"].to_string()),
        Ok(_) => Some(line.to_owned()),
        Err(_) => Some(format!("!{line}")),
    }
}

pub(super) fn results(_: &str) -> Vec<Vec<u8>> {
    let long = format!(r#"{{"summary":"{}","review":"rejected: {}"}}"#, "é".repeat(1_999), "x".repeat(1_995));
    owned(&[
        &long,
        r#"{"summary":"did it","usage":{"input_tokens":5,"output_tokens":7,"cost_usd":0.012345},"no_change_needed":"it was there","review":"rejected: no tests","artifacts":["a.log","b"],"class":"setup","more":{}}"#,
        r#"{"review":"Approved","no_change_needed":true,"class":"timeout"}"#,
        "{}",
    ])
}

pub(super) fn records(_: &str) -> Vec<Vec<u8>> {
    owned(&[
        r#"{"seq":7,"at":"2026-11-25T08:00:00.000001Z","stream":"stdout","text":"a line","cut":true}"#,
        r#"{"seq":8,"at":"2026-11-25T08:00:00.000001Z","stream":"stdin","text":"","cut":false,"key":"answer:1"}"#,
        r#"{"run":"r","code":null,"signal":9,"reason":"stopped","how":"kill","started_at":"a","ended_at":"b","leftovers_killed":1,"output_bytes":2,"last_line":"x"}"#,
        r#"{"run":"r","code":0,"reason":"exited","started_at":"a","ended_at":"b","leftovers_killed":0,"output_bytes":2}"#,
        r#"{"host":{"pid":1,"start":2},"agent":{"pid":3,"start":4},"boot_id":"b","started_at":"a"}"#,
        r#"{"run":"r","argv":["sh","-c","x"],"cwd":"/w","deadline_ms":7200000,"silence_ms":1,"keep_stdin":true}"#,
        r#"{"say":{"key":"note:1","text":"words\n"}}"#,
        r#"{"input":"words\n"}"#,
        r#"{"input_end":true}"#,
        r#"{"stop":"kill"}"#,
        r#"{"grew":7}"#,
        r#"{"refused":"why"}"#,
    ])
}

/// `@1` and the like stand for the secrets, which are drawn.
pub(super) fn outputs(_: &str) -> Vec<Vec<u8>> {
    owned(&[
        "building\ntoken @1 used\n{\"cmd\":\"TOKEN=@2 run\"}\n@3\n",
        "@1@2@3@1",
        "export API_KEY=@1 DEBUG=1\nauthorization: bearer @2\nhttps://me:@3@host/x\n",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7@1\n@2\n-----END RSA PRIVATE KEY-----\nafter @3\n",
        "{\"text\":\"is\\nghp_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7 and sk-aB3dE6gH9jK2mN5pQ8sT1vW4yZ7 @1\\n\"}",
        "@1 @1 @1 @1 @1 @1 @1 @1 @1 @1 @1 @1 @1 @1 @1 @1 @2 @2 @2 @2 @2 @2 @2 @2 @2 @2 @2 @3 @3 @3 @3 @3 @3 @3",
    ])
}

pub(super) fn plans(_: &str) -> Vec<Vec<u8>> {
    owned(&[
        include_str!("samples/plan.toml"),
        include_str!("../../../musher/src/demo/plan.toml"),
        "goal = \"g\"\n[[items]]\nid = \"a\"\ntitle = \"A\"\nbody = '''\nx'''\n",
        "goal = \"g\"\n[[items]]\nid = \"a\"\ntitle = \"A\"\n[[items]]\nid = \"b\"\ntitle = \"B\"\ndepends_on = [\"a\", \"c\"]\n[[items]]\nid = \"c\"\ntitle = \"C\"\ndepends_on = [\"a\"]\n",
        "goal = 'g'\nitems = [{ id = \"a\", title = \"A\" }, { id = \"b\", title = \"B\", depends_on = [\"a\"] }]\n",
    ])
}

pub(super) fn documents(_: &str) -> Vec<Vec<u8>> {
    owned(&[
        include_str!("samples/plan.md"),
        "# Goal\n\n## One\n\ntext, after `x`\n\n> quoted\n\n## Two *em*\n\n- depends on #1, \"One\" & [One](#one)\n",
        "## Schema\n\nMake it.\n\n## API\n\nDepends on schema. Requires #1 and Schema.\n",
        "Fix the login page.\n\nIt is after `schema` and blocked by \"it\".\n",
    ])
}

pub(super) fn settings(_: &str) -> Vec<Vec<u8>> {
    owned(&[
        include_str!("samples/musher.toml"),
        "[policy]\nbudget_usd = 5\ndeadline = 2026-01-31T09:00:00Z\n[secrets]\n\"a.b\" = 'env:A'\n",
        "[[agents]]\nname = \"claude\"\n[[agents]]\nname = \"codex\"\nallow = [\"shell:cargo *\"]\ndeny = [\"edit:/etc/**\"]\n",
    ])
}

pub(super) fn workflows(_: &str) -> Vec<Vec<u8>> {
    owned(&[
        include_str!("samples/workflow.md"),
        "---\ntracker: {kind: github, repo: a/b, api_key: $T}\nagent: {max_concurrent_agents: 3}\n---\nDo {{ issue.title }}.\n",
        "---\nhooks:\n  after_create: >\n    make\n    deps\nserver: {port: 80}\n---\n{% if attempt %}a{% else %}b{% endif %}\r\nc\n",
        "Work on {{ issue.identifier }}: {{ issue.description }} {% raw %}{{ x }}{% endraw %}\n",
    ])
}

/// A variable a line.
pub(super) fn variables(_: &str) -> Vec<Vec<u8>> {
    owned(&[
        "MUSHER_GATE=make check\nMUSHER_GATE_TIMEOUT=30m\nMUSHER_MAX_PARALLEL=3\nMUSHER_LISTEN=127.0.0.1:1\nMUSHER_COPY=a, b",
        "MUSHER_RUN=x\nMUSHER_BASE=main\nMUSHER_PUSH=yes\nMUSHER_MAX_FILE_SIZE=5MiB\nMUSHER_BUDGET_USD=1e3\nMUSHER_QA=gate",
        "MUSHER_DEADLINE=2026-01-31T09:00:00Z\nMUSHER_HTTP=off\nMUSHER_MERGE_STYLE=squash\nMUSHER_RETENTION=7d\nPATH=/bin",
    ])
}

pub(super) fn webhooks(_: &str) -> Vec<Vec<u8>> {
    let head = "0123456789abcdef0123456789abcdef01234567";
    let of_head = |key: &str| {
        format!(
            r#"{{"action":"completed","{key}":{{"id":1,"head_sha":"{head}","pull_requests":[]}},"repository":{{"full_name":"octo/hello"}}}}"#
        )
    };
    owned(&[
        &of_head("check_run"),
        &of_head("check_suite"),
        &of_head("workflow_run"),
        &format!(r#"{{"sha":"{head}","state":"success","repository":{{"full_name":"octo/hello"}}}}"#),
        r#"{"action":"opened","number":7,"pull_request":{"number":7,"head":{"sha":"x"}},"repository":{"full_name":"octo/hello"}}"#,
        r#"{"action":"created","issue":{"number":7,"pull_request":{"url":"x"}},"comment":{"body":"/musher stop"},"repository":{"full_name":"octo/hello"}}"#,
        r#"{"action":"closed","issue":{"number":3},"repository":{"full_name":"octo/hello"}}"#,
        r#"{"zen":"Keep it logically awesome.","hook_id":1,"organization":{"login":"octo"}}"#,
    ])
}

pub(super) fn notes(_: &str) -> Vec<Vec<u8>> {
    owned(&[
        "resume",
        "Continue: now",
        "pause now, please",
        "redirect api to claude-1 because it is stuck",
        "approve api looks good",
        "Approve\tapi",
        "reject api no tests",
        "stop!",
        "priority api high",
        "just words\nover two lines",
    ])
}

/// A command a line; the first is the one that is judged, the others are put beside it.
pub(super) fn commands(_: &str) -> Vec<Vec<u8>> {
    owned(&[
        "cargo test --all\nls -la src\ngit status",
        "git push --force origin main\necho \"a b\" 'c'\ngit log --oneline",
        "rm -rf target\nfind . -name '*.rs'\ngrep -rn x src > out.txt",
        "env X=1 timeout 5 cargo build 2>&1\ncat < in.txt\nsh -c 'ls; pwd'",
        "echo $(git rev-parse HEAD)\nfor i in 1 2; do echo $i; done\ntest -f x && echo y || echo z",
        "cat <<E\n$(rm x)\nE\n[[ -n $X ]] && ls\n((1 + 1))",
    ])
}

fn owned(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
