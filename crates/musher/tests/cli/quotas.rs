//! Quotas and costs, as a person sees them.

use crate::harness::Repo;

/// Uses 120 tokens and a quarter of a dollar.
const AGENT: &str = r#"
title=$(head -n 1 "$1"); echo "$title" >"file-$title"
echo '{"summary": "did it", "usage": {"input_tokens": 100, "output_tokens": 20, "cost_usd": 0.25}}' >"$MUSHER_RESULT"
"#;

const CONFIG: &str = r#"
[project]
gate = "true"
min_free = 0
[policy]
reviewer_required = false
max_parallel_items = 1
[quota]
timezone = "Europe/Berlin"
[quota.workspace]
daily_usd = 10
[[agents]]
name = "a"
driver = "command"
command = ["sh", "{root}/agent.sh", "{prompt_file}"]
[agents.quota]
daily_tokens = 100
max_run_duration = "30m"
"#;

const PLAN: &str = "goal = 'two'\n[[items]]\nid = 'one'\ntitle = 'one'\nbody = 'one'\n[[items]]\nid = 'two'\ntitle = 'two'\nbody = 'two'\ndepends_on = ['one']\n";

#[test]
fn a_used_up_quota_is_shown_explained_and_lifted() {
    let repo = Repo::with(CONFIG, AGENT);
    repo.write("two.plan.toml", PLAN);
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "two.plan.toml", "--json"]).ok().json();
    let mission = started["mission"]["short_id"].as_str().unwrap().to_owned();
    let mut follower = repo.follow(0);
    follower.until("quota_exceeded");
    follower.until("dispatch_failed_quota");

    let explained = repo.musher(&["explain", &format!("{mission}/two"), "--json"]).ok().json();
    let wait = &explained["waits"][0];
    assert_eq!(wait["code"], "quota", "{explained}");
    let text = wait["text"].as_str().unwrap();
    assert!(text.starts_with("1 agent(s): 1 out of quota (daily token limit exceeded); `musher quota`"), "{text}");
    assert!(wait["until"].is_string(), "{explained}");

    let shown = repo.musher(&["quota"]).ok().out;
    let line = |start: &str, key: &str| {
        let found = shown.lines().find(|line| line.starts_with(start) && line.contains(key));
        found
            .unwrap_or_else(|| panic!("no {key} of {start} in\n{shown}"))
            .split_whitespace()
            .take(5)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("agent:a", "daily_tokens"), "agent:a daily_tokens 100 120 0");
    assert_eq!(line("agent:a", "daily_jobs"), "agent:a daily_jobs unlimited 1 unlimited");
    assert_eq!(line("agent:a", "max_run_duration"), "agent:a max_run_duration 30m 0s 30m");
    assert_eq!(line("workspace", "daily_usd"), "workspace daily_usd $10.00 $0.25 $9.75");
    assert!(repo.musher(&["quota", "show", "--all"]).ok().out.contains("hourly_requests"));
    let json = repo.musher(&["quota", "show", "--json"]).ok().json();
    assert_eq!(json["timezone"], "Europe/Berlin");

    repo.musher(&["quota", "set", "agent:a", "daily_token", "1"]).refused(2, "no key `daily_token`");
    repo.musher(&["quota", "set", "agent:b", "daily_tokens", "1"]).refused(3, "no agent `b`");
    let set = repo.musher(&["quota", "set", "agent:a", "daily_tokens", "1000"]).ok().out;
    assert!(set.contains("operator"), "{set}");
    follower.until("mission_completed");

    let cost = |by: &str| repo.musher(&["cost", "--by", by]).ok().out;
    assert!(cost("agent").contains("$0.50"), "{}", cost("agent"));
    assert!(cost("model").lines().any(|line| line.starts_with("command")), "{}", cost("model"));
    let items = repo.musher(&["cost", "--by", "item", "--json"]).ok().json();
    assert_eq!(items["entries"].as_array().unwrap().len(), 2);
    assert_eq!((&items["total"]["cost_micro_usd"], &items["total"]["input_tokens"]), (&500_000.into(), &200.into()));
    let days = repo.musher(&["cost", "--by", "day", "--json"]).ok().json();
    assert_eq!(days["total"]["cost_usd"], 0.5);

    // What was set and used is there again after a crash.
    daemon.kill();
    let daemon = repo.up();
    let after = repo.musher(&["quota"]).ok().out;
    let tokens = after.lines().find(|line| line.contains("agent:a") && line.contains("daily_tokens")).unwrap();
    assert!(tokens.contains("1000") && tokens.contains("240") && tokens.contains("operator"), "{after}");
    repo.musher(&["quota", "set", "agent:a", "daily_tokens", "default"]).ok();
    daemon.kill();
}
