use super::*;
use crate::config::{self, Config};

const FULL: &str = r#"---
tracker:
  kind: github
  repo: acme/shop
  api_key: $GITHUB_TOKEN
  active_states: [Todo, In Progress]
polling:
  interval_ms: 5000
workspace:
  root: ~/work
hooks:
  timeout_ms: 900000
  after_create: |
    set -eu
    make deps "a\b"
  before_run: git pull
  before_remove: git worktree remove --force "$PWD"
agent:
  max_concurrent_agents: "10"
  max_turns: 20
codex:
  command: codex --search app-server
  model: gpt-5.5
  approval_policy: never
  turn_timeout_ms: 3600000
  stall_timeout_ms: 300001
  raesoning: high
server:
  port: 8123
observability:
  on: true
---

You work on `{{ issue.identifier }}`: "{{ issue.title }}".
{% if attempt %}
This is retry #{{ attempt }}. A \ stays, and so do ''' and """.
{% endif %}
"#;

fn config_of(import: &Import) -> Config {
    let layer = config::parse("musher.toml", import.toml.as_bytes());
    Config::resolve([layer.unwrap_or_else(|problems| panic!("{problems}\n{}", import.toml))])
}

#[test]
fn what_has_a_counterpart_is_taken_over_and_all_else_is_named_by_its_line() {
    let import = read("WORKFLOW.md", FULL.as_bytes(), Some("make check")).unwrap();
    let config = config_of(&import);
    assert_eq!(config.project.gate.as_deref(), Some("make check"));
    assert_eq!(config.project.setup.as_deref(), Some("set -eu\nmake deps \"a\\b\""));
    assert_eq!(config.project.teardown.as_deref(), Some("git worktree remove --force \"$PWD\""));
    let prompt = config.project.prompt.as_deref().unwrap();
    assert!(prompt.starts_with("You work on `{{ issue.identifier }}`") && prompt.ends_with("{% endif %}"), "{prompt}");
    assert!(prompt.contains("A \\ stays, and so do ''' and \"\"\"."), "{prompt}");
    assert_eq!(config.policy.max_parallel_items, 10);
    assert_eq!(config.forge.repo.as_deref(), Some("acme/shop"));
    assert_eq!(config.forge.token, Some(config::SecretRef::Env("GITHUB_TOKEN".into())));
    assert_eq!(config.server.listen, "127.0.0.1:8123");
    let agent = &config.agents[0];
    assert_eq!((agent.name.as_str(), agent.max_load), ("codex", 10));
    assert_eq!(agent.command, ["codex", "--search"]);
    assert_eq!(agent.model.as_deref(), Some("gpt-5.5"));
    let limits = agent.spec().limits;
    assert_eq!((limits.duration_secs, limits.silence_secs), (3600, 301));
    let named: Vec<(usize, &str, &str)> = import
        .remarks
        .iter()
        .map(|remark| (remark.line, remark.key.as_str(), remark.what.split([':', ' ']).next().unwrap()))
        .collect();
    assert_eq!(
        named,
        [
            (6, "tracker.active_states", "no"),
            (8, "polling.interval_ms", "no"),
            (10, "workspace.root", "no"),
            (12, "hooks.timeout_ms", "no"),
            (16, "hooks.before_run", "no"),
            (17, "hooks.before_remove", "became"),
            (20, "agent.max_turns", "no"),
            (27, "codex.raesoning", "unknown"),
            (30, "observability", "unknown"),
        ]
    );
}

#[test]
fn a_prompt_alone_is_a_workflow_and_issues_may_come_from_elsewhere() {
    let import = read("WORKFLOW.md", b"Do {{ issue.title }}.\n", None).unwrap();
    let config = config_of(&import);
    assert_eq!((config.project.gate, config.project.prompt), (None, Some("Do {{ issue.title }}.".to_owned())));
    assert_eq!((config.agents[0].driver.as_str(), import.remarks), ("codex", vec![]));
    let linear = "---\ntracker:\n  kind: linear\n  api_key: $LINEAR_API_KEY\n  project_slug: x\n---\nGo.";
    let import = read("WORKFLOW.md", linear.as_bytes(), None).unwrap();
    assert_eq!(config_of(&import).forge, Config::resolve([]).forge);
    assert_eq!(import.remarks.iter().map(|remark| remark.line).collect::<Vec<_>>(), [3, 4, 5]);
    for head in ["---\n---\nx", "---\n# nothing\n---\nx", "---\r\nagent:\r\n---\r\nx\r\ny"] {
        config_of(&read("WORKFLOW.md", head.as_bytes(), None).unwrap());
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_line_and_no_secret_is_shown() {
    let deep = format!("---\na: {}\n---\n", "[".repeat(200));
    let nested: String = (0..40).map(|n| format!("{}k:\n", " ".repeat(n))).collect();
    let nested = format!("---\n{nested}---\n");
    let many = format!("---\na: [{}]\n---\n", "x, ".repeat(5_000));
    let cases = [
        ("---\ntracker:\n  kind: github\n  api_key: ghp_hunter2\n---\n", 4, "a secret has no place"),
        ("---\ntracker:\n  kind: linear\n  api_key: lin_hunter2\n---\n", 4, "a secret has no place"),
        ("---\nagent:\n  max_concurrent_agents: many\n---\n", 3, "no whole number"),
        ("---\nagent:\n  max_concurrent_agents: 0\n---\n", 3, "not 1 to 100,000"),
        ("---\nagent: [x]\n---\n", 2, "no list of keys"),
        ("---\n- a\n---\n", 2, "no list of keys"),
        ("---\nagent:\n  a: 1\n  a: 2\n---\n", 4, "twice"),
        ("---\nx: &a [1]\ny: *a\n---\n", 2, "anchors and aliases"),
        ("---\nx: !!binary aa\n---\n", 2, "tags"),
        ("---\nx: \"\n---\n", 2, "no YAML"),
        ("---\nx: 1\n...\n%YAML 1.2\n", 1, "has no end"),
        ("---\nx: 1\n---\n\nHello {{ issue.state }}\n", 5, "unknown variable `issue.state`"),
        ("---\nserver:\n  port: 70000\n---\n", 3, "no port"),
        ("---\ntracker:\n  kind: github\n  repo: shop\n---\n", 1, "cannot be used"),
        (&deep, 2, "too large or too deep"),
        (&nested, 0, "too large or too deep"),
        (&many, 2, "too large or too deep"),
    ];
    for (text, line, what) in cases {
        let problems = read("WORKFLOW.md", text.as_bytes(), None).unwrap_err();
        let first = &problems.shown[0];
        assert!(first.what.contains(what), "{text:.80}: {problems}");
        assert!(line == 0 || first.line == line, "{text:.80}: {problems}");
        assert!(!problems.to_string().contains("hunter2"), "{problems}");
    }
    assert!(read("WORKFLOW.md", &[0xff], None).is_err());
    assert!(read("WORKFLOW.md", "x".repeat(LARGEST + 1).as_bytes(), None).is_err());
}

#[test]
fn what_needs_a_shell_or_another_program_is_left_to_a_person() {
    for (command, left) in [
        ("codex app-server", false),
        ("/opt/codex --flag app-server", false),
        ("codex app-server --sock \"$X\"", true),
        ("mycodex app-server", true),
        ("sh -c codex", true),
    ] {
        let text = format!("---\ncodex:\n  command: {command}\n---\n");
        let import = read("WORKFLOW.md", text.as_bytes(), None).unwrap();
        assert_eq!(import.remarks.iter().any(|remark| remark.what.starts_with("not taken over")), left, "{command}");
        assert_eq!(config_of(&import).agents[0].driver, "codex", "{command}");
    }
}
