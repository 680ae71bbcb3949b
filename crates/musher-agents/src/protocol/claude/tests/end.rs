use musher_core::run::FailureClass;

use super::*;

const EXIT_1: Exit = Exit { code: Some(1), signal: None };

fn result(fields: &Value) -> Line {
    let mut event = json!({"type": "result", "subtype": "success", "is_error": true});
    for (name, value) in fields.as_object().unwrap() {
        event[name.as_str()] = value.clone();
    }
    out(&event)
}

fn ended(fields: &Value) -> Ended {
    let (mut claude, _) = begun(true);
    hear(&mut claude, &[result(fields)]);
    claude.ended().unwrap().clone()
}

fn failed(class: FailureClass, message: &str) -> Ended {
    Ended::Failed { class, message: message.to_owned() }
}

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp::from_micros(seconds * 1_000_000))
}

fn limited(resets_at: Option<Timestamp>, message: &str) -> Ended {
    Ended::RateLimited { resets_at, message: message.to_owned() }
}

#[test]
fn a_failure_has_the_class_of_its_cause() {
    use FailureClass::{Agent, Limit, Setup};
    let old = "Claude AI usage limit reached|1749924000";
    let cases = [
        (json!({"result": "x", "api_error_status": 401}), failed(Setup, "x")),
        (json!({"result": "x", "api_error_status": 403}), failed(Setup, "x")),
        (json!({"result": "x", "api_error_status": 500}), failed(Agent, "x")),
        (json!({"result": "x\ny", "api_error_status": 429}), limited(None, "x")),
        (
            json!({"result": "Invalid API key · Fix external API key"}),
            failed(Setup, "Invalid API key · Fix external API key"),
        ),
        (json!({"result": "Not logged in · Please run /login"}), failed(Setup, "Not logged in · Please run /login")),
        (
            json!({"result": "API Error: Unable to connect to API (ConnectionRefused)"}),
            failed(Setup, "API Error: Unable to connect to API (ConnectionRefused)"),
        ),
        (json!({"result": old}), limited(at(1_749_924_000), old)),
        (json!({"result": old, "is_error": false}), limited(at(1_749_924_000), old)),
        (json!({"result": "You've hit your limit · resets 3pm"}), limited(None, "You've hit your limit · resets 3pm")),
        (
            json!({"result": "Credit balance is too low", "api_error_status": 400}),
            failed(Setup, "Credit balance is too low"),
        ),
        (json!({"subtype": "error_max_turns", "errors": ["Reached"]}), failed(Limit, "Reached")),
        (json!({"subtype": "error_max_budget_usd"}), failed(Limit, "error_max_budget_usd")),
        (json!({"subtype": "error_during_execution", "errors": ["boom"]}), failed(Agent, "boom")),
        (json!({}), failed(Agent, "it failed, and did not say why")),
        (json!({"is_error": null}), failed(Agent, "it failed, and did not say why")),
    ];
    for (fields, expected) in cases {
        assert_eq!(ended(&fields), expected, "{fields}");
    }
}

#[test]
fn a_used_up_account_tells_when_it_is_good_again() {
    let event = |status: &str| {
        let info = json!({"status": status, "resetsAt": 1_800_000_000, "rateLimitType": "five_hour"});
        out(&json!({"type": "rate_limit_event", "rate_limit_info": info}))
    };
    let (mut claude, _) = begun(true);
    let resets_at = at(1_800_000_000);
    assert_eq!(hear(&mut claude, &[event("allowed")]), []);
    assert_eq!(hear(&mut claude, &[event("rejected")]), [Observation::RateLimited { resets_at }]);
    hear(&mut claude, &[result(&json!({"result": "You've hit your limit"}))]);
    assert_eq!(claude.ended(), Some(&limited(resets_at, "You've hit your limit")));

    let (mut claude, _) = begun(true);
    hear(&mut claude, &[event("rejected"), event("allowed"), result(&json!({"result": "boom"}))]);
    assert_eq!(claude.ended(), Some(&failed(FailureClass::Agent, "boom")));
}

#[test]
fn an_exit_without_a_result_is_never_a_success() {
    let err = |line: &str| Line::Err(line.to_owned());
    let root = "--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons";
    let cases = [
        (vec![], failed(FailureClass::Agent, "exit 1")),
        (vec![err("boom"), err("")], failed(FailureClass::Agent, "exit 1: boom")),
        (vec![err("fetch failed"), err("boom")], failed(FailureClass::Agent, "exit 1: boom")),
        (vec![err(root)], failed(FailureClass::Setup, &format!("exit 1: {root}"))),
        (vec![err("Invalid API key"), err("bye")], failed(FailureClass::Setup, "exit 1: Invalid API key")),
        (
            vec![err("No conversation found with session ID: s1")],
            Ended::SessionLost { message: "No conversation found with session ID: s1".to_owned() },
        ),
    ];
    for (lines, expected) in cases {
        let (mut claude, _) = begun(true);
        hear(&mut claude, &lines);
        assert_eq!(claude.exited(EXIT_1), expected, "{lines:?}");
        assert_eq!(claude.ended(), None);
    }
    let (claude, _) = begun(true);
    let killed = Exit { code: None, signal: Some(9) };
    assert_eq!(claude.exited(killed), failed(FailureClass::Agent, "signal 9"));
}

#[test]
fn an_exit_before_a_message_was_read_is_what_the_turn_before_failed_of() {
    let (mut claude, _) = begun(true);
    claude.wish(tell("m1", false));
    say_all(&mut claude);
    hear(&mut claude, &[result(&json!({"subtype": "error_max_turns"}))]);
    assert_eq!(claude.ended(), None);
    assert_eq!(claude.exited(EXIT_1), failed(FailureClass::Limit, "error_max_turns"));
    hear(&mut claude, &[done("first")]);
    assert_eq!(claude.exited(EXIT_1), failed(FailureClass::Agent, "exit 1"));
}

#[test]
fn a_lost_session_is_told_as_such_by_its_result() {
    // As recorded: `claude --resume` with a session that is not there, before anything was taken up.
    let lost = "No conversation found with session ID: s0";
    let mut claude = Claude::new(&Brief { session: Some("s0".to_owned()), ..brief(true) });
    let event = result(&json!({"subtype": "error_during_execution", "num_turns": 0, "errors": [lost]}));
    hear(&mut claude, &[said("initialize"), said("prompt"), event]);
    assert_eq!(claude.ended(), Some(&Ended::SessionLost { message: lost.to_owned() }));
}

#[test]
fn usage_is_counted_once_over_turns() {
    let (mut claude, _) = begun(true);
    let level = |input: u64, cached: u64, usd: f64| {
        let models = json!({
            "a": {"inputTokens": input, "outputTokens": 5, "cacheReadInputTokens": cached, "cacheCreationInputTokens": 1},
            "b": {"inputTokens": 1, "outputTokens": 1}});
        result(&json!({"is_error": false, "result": "ok", "total_cost_usd": usd, "modelUsage": models}))
    };
    let usage = |input_tokens, (cache_read_tokens, cache_write_tokens), output_tokens, cost_micro_usd| {
        let used = Usage {
            input_tokens,
            cache_read_tokens,
            cache_write_tokens,
            output_tokens,
            cost_micro_usd,
            ..Usage::default()
        };
        [Observation::Usage { used, priced: true }]
    };
    assert_eq!(hear(&mut claude, &[level(100, 10, 0.000_001_4)]), usage(112, (10, 1), 6, 1));
    assert_eq!(hear(&mut claude, &[level(150, 17, 0.000_002_8)]), usage(57, (7, 0), 0, 2));
    assert_eq!(hear(&mut claude, &[level(150, 17, 0.000_002_8)]), []);
    assert_eq!(hear(&mut claude, &[level(50, 10, 0.0)]), []);
    assert_eq!(hear(&mut claude, &[level(151, 17, 0.000_002_8)]), usage(1, (0, 0), 0, 0));
}

#[test]
fn a_launch_names_the_model_the_session_and_the_servers() {
    let server = crate::protocol::McpServer {
        name: "musher".to_owned(),
        command: vec!["musher".to_owned(), "mcp".to_owned()],
        env: vec![("A".to_owned(), "b".to_owned())],
    };
    let brief = Brief { model: Some("m".to_owned()), session: Some("s".to_owned()), mcp: vec![server], ..brief(false) };
    let args = launch(&brief).args.join(" ");
    let servers = r#"{"mcpServers":{"musher":{"args":["mcp"],"command":"musher","env":{"A":"${A}"}}}}"#;
    assert!(args.contains("--permission-prompt-tool stdio"), "{args}");
    assert!(args.ends_with(&format!("--model m --resume s --mcp-config {servers}")), "{args}");
    assert!(!args.contains("dangerously"), "{args}");
    // Every user of the machine can read arguments; the environment is the owner's.
    assert!(launch(&brief).env.contains(&("A".to_owned(), "b".to_owned())));
}

#[test]
fn a_result_before_the_prompt_is_no_end() {
    let mut claude = Claude::new(&brief(true));
    hear(&mut claude, &[said("initialize"), done("nothing to do")]);
    assert_eq!(claude.ended(), None);
    assert!(matches!(claude.exited(Exit { code: Some(0), signal: None }), Ended::Failed { .. }));
    assert_eq!(claude.say().unwrap().key, "prompt");
}
