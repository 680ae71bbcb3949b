use musher_core::run::{FailureClass, Usage};

use super::*;

fn used(seen: &[Observation]) -> Vec<(u64, u64)> {
    let usage = |seen: &Observation| match seen {
        Observation::Usage { used: Usage { input_tokens, output_tokens, .. }, .. } => {
            Some((*input_tokens, *output_tokens))
        }
        _ => None,
    };
    seen.iter().filter_map(usage).collect()
}

#[test]
fn two_turns_and_a_resume_count_no_token_twice() {
    let mut codex = running(&brief(false));
    let first =
        [sum("u1", [1004, 42], [1004, 42]), sum("u1", [2010, 84], [1006, 42]), sum("u1", [2010, 84], [1006, 42])];
    assert_eq!(used(&hear(&mut codex, &first)), [(1004, 42), (1006, 42)]);
    let second = [completed("u1", "completed"), turn("m1", "u2"), sum("u2", [3018, 126], [1008, 42])];
    assert_eq!(used(&hear(&mut codex, &second)), [(1008, 42)]);

    // A resumed thread tells its old sum again, with the turn of the earlier run.
    let mut codex = Codex::new(&resumed());
    let mut spool = begun();
    spool.insert(6, sum("u2", [3018, 126], [1008, 42]));
    assert_eq!(used(&hear(&mut codex, &spool)), []);
    assert_eq!(used(&hear(&mut codex, &[sum("u1", [4028, 168], [1010, 42])])), [(1010, 42)]);

    // Where that line is lost, the first one of this run's turn says what came last.
    let mut codex = running(&resumed());
    assert_eq!(used(&hear(&mut codex, &[sum("u1", [4028, 168], [1010, 42])])), [(1010, 42)]);
}

#[test]
fn a_sum_that_begins_anew_does_not_fall_below_nothing() {
    let mut codex = running(&brief(false));
    let lines = [sum("u1", [1004, 42], [1004, 42]), sum("u1", [0, 0], [0, 0]), sum("u1", [10, 1], [10, 1])];
    assert_eq!(used(&hear(&mut codex, &lines)), [(1004, 42), (10, 1)]);
}

#[test]
fn the_error_of_a_turn_says_what_failed() {
    let status = |status: u64| json!({"httpConnectionFailed": {"httpStatusCode": status}});
    let cases = [
        ("401", status(401), "setup"),
        ("403", status(403), "setup"),
        ("429", json!({"responseTooManyFailedAttempts": {"httpStatusCode": 429}}), "limited"),
        ("no status", json!({"responseStreamDisconnected": {"httpStatusCode": null}}), "agent"),
        ("unauthorized", json!("unauthorized"), "setup"),
        ("usage limit", json!("usageLimitExceeded"), "limited"),
        ("500", json!("internalServerError"), "agent"),
        ("context", json!("contextWindowExceeded"), "agent"),
        ("budget", json!("sessionBudgetExceeded"), "limit"),
        ("of a later version", json!("somethingNew"), "agent"),
        ("none", Value::Null, "agent"),
    ];
    for (name, info, wanted) in cases {
        let mut codex = running(&brief(false));
        codex.wish(tell("m1", false));
        hear(&mut codex, &[failed(&json!({"message": "words", "codexErrorInfo": info}))]);
        let class = match codex.ended().unwrap() {
            Ended::Failed { class, .. } => class.name(),
            Ended::RateLimited { .. } => "limited",
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(class, wanted, "{name}");
        assert_eq!(codex.say(), None, "{name}");
    }
}

#[test]
fn a_used_up_account_says_when_it_can_be_used_again() {
    let window = |percent: u64, resets_at: u64| json!({"usedPercent": percent, "resetsAt": resets_at});
    let limits = json!({"rateLimits": {"primary": window(100, 1000), "secondary": window(40, 9000)}});
    let mut codex = running(&brief(false));
    let error = json!({"message": "used up", "codexErrorInfo": "usageLimitExceeded"});
    let seen = hear(&mut codex, &[note("account/rateLimits/updated", &limits), failed(&error)]);
    let resets_at = Some(Timestamp::from_micros(1_000_000_000));
    assert_eq!(seen, [Observation::RateLimited { resets_at }]);
    assert_eq!(codex.ended(), Some(&Ended::RateLimited { resets_at, message: "used up".to_owned() }));
}

#[test]
fn an_error_that_is_tried_again_ends_nothing() {
    let mut codex = running(&brief(false));
    let error = json!({"willRetry": true, "error": {"message": "Reconnecting... 1/5", "additionalDetails": "why"}});
    let seen = hear(&mut codex, &[note("error", &error)]);
    assert_eq!(seen, [Observation::Retrying("Reconnecting... 1/5: why".to_owned())]);
    assert_eq!(codex.ended(), None);
}

#[test]
fn the_turns_of_its_own_agents_end_nothing() {
    let mut codex = running(&brief(false));
    let other = json!({"threadId": "t2", "turn": {"id": "u1", "status": "completed"}});
    let words = json!({"threadId": "t2", "item": {"type": "agentMessage", "id": "m", "text": "not mine"}});
    let lines = [("item/completed", words), ("turn/completed", other)];
    let lines = lines.map(|(method, params)| out(&json!({"method": method, "params": params})));
    assert_eq!(hear(&mut codex, &lines), []);
    assert_eq!(codex.ended(), None);
}

#[test]
fn a_tool_that_outlives_its_turn_is_done() {
    let item = |status: &str| {
        let item = json!({"type": "commandExecution", "id": "c", "command": "sleep 9", "status": status});
        json!({"turnId": "u1", "item": item})
    };
    let mut codex = running(&brief(false));
    let lines = [note("item/started", &item("inProgress")), completed("u1", "completed")];
    let seen = hear(&mut codex, &lines);
    assert_eq!(seen.last(), Some(&Observation::ToolFinished { id: "c".to_owned(), ok: false }));
    assert_eq!(hear(&mut codex, &[note("item/completed", &item("completed"))]), []);
}

#[test]
fn what_came_from_a_cache_is_a_difference_too() {
    let mut codex = running(&brief(false));
    let tokens = |[input, read, written, output]: [u64; 4]| json!({"inputTokens": input, "cachedInputTokens": read, "cacheWriteInputTokens": written, "outputTokens": output});
    let sum = |total, last| {
        let usage = json!({"total": tokens(total), "last": tokens(last)});
        note("thread/tokenUsage/updated", &json!({"turnId": "u1", "tokenUsage": usage}))
    };
    let told = [
        sum([1004, 100, 9, 42], [1004, 100, 9, 42]),
        sum([2010, 800, 12, 84], [1006, 700, 3, 42]),
        // One that was begun anew.
        sum([500, 400, 1, 2], [500, 400, 1, 2]),
    ];
    let cached: Vec<_> = hear(&mut codex, &told)
        .iter()
        .filter_map(|seen| match seen {
            Observation::Usage { used, .. } => {
                Some((used.input_tokens, used.cache_read_tokens, used.cache_write_tokens, used.output_tokens))
            }
            _ => None,
        })
        .collect();
    assert_eq!(cached, [(1004, 100, 9, 42), (1006, 700, 3, 42), (500, 400, 1, 2)]);
}

#[test]
fn a_start_that_fails_is_the_setup() {
    for key in ["initialize", "thread"] {
        let mut codex = Codex::new(&brief(false));
        let error = json!({"id": key, "error": {"code": -32600, "message": "failed to load configuration"}});
        hear(&mut codex, &[out(&error)]);
        let wanted = Ended::Failed { class: FailureClass::Setup, message: "failed to load configuration".to_owned() };
        assert_eq!(codex.ended(), Some(&wanted), "{key}");
    }
}

#[test]
fn an_exit_without_an_end_tells_the_line_that_says_most() {
    let log = "\u{1b}[2m2026-11-25T06:54:48Z\u{1b}[0m \u{1b}[31mERROR\u{1b}[0m core: no disk";
    let config = "Error loading config.toml: unknown variant `x`";
    let cases = [
        (1, vec![], FailureClass::Agent, "ended without a result (exit 1)"),
        (0, vec!["bye"], FailureClass::Agent, "ended without a result (exit 0) bye"),
        (
            1,
            vec![log, "", "   0: <unknown>"],
            FailureClass::Agent,
            "ended without a result (exit 1) 2026-11-25T06:54:48Z ERROR core: no disk",
        ),
        (
            1,
            vec![config, "in `sandbox_mode`"],
            FailureClass::Setup,
            "ended without a result (exit 1) Error loading config.toml: unknown variant `x`",
        ),
        (
            2,
            vec!["error: unexpected argument '--foo' found", "For more information, try '--help'."],
            FailureClass::Setup,
            "ended without a result (exit 2) error: unexpected argument '--foo' found",
        ),
        (
            1,
            vec!["Error: unexpected status 401 Unauthorized"],
            FailureClass::Setup,
            "ended without a result (exit 1) Error: unexpected status 401 Unauthorized",
        ),
    ];
    for (code, lines, class, message) in cases {
        let mut codex = running(&brief(false));
        let lines: Vec<Line> = lines.into_iter().map(|line| Line::Err(line.to_owned())).collect();
        hear(&mut codex, &lines);
        let end = codex.exited(Exit { code: Some(code), signal: None });
        assert_eq!(end, Ended::Failed { class, message: message.to_owned() });
    }
}

#[test]
fn a_session_that_exec_does_not_find_is_lost() {
    let line = Line::Err("Error: thread/resume: thread/resume failed: no rollout found for thread id x".to_owned());
    for (brief, lost) in [(resumed(), true), (brief(false), false)] {
        let mut protocol = exec::protocol(&brief);
        hear(protocol.as_mut(), std::slice::from_ref(&line));
        let end = protocol.exited(Exit { code: Some(1), signal: None });
        assert_eq!(matches!(end, Ended::SessionLost { .. }), lost, "{end:?}");
    }
}

#[test]
fn exec_is_started_with_its_prompt_on_standard_input() {
    let launch = exec::launch(&Brief { model: Some("m".to_owned()), ..resumed() });
    let args = [
        "exec",
        "resume",
        "--json",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
        "--model=m",
        "--",
        "t1",
        "-",
    ];
    assert_eq!(launch.args, args);
    assert_eq!(launch.stdin.as_deref(), Some("create hello.txt"));
    assert!(!exec::launch(&brief(true)).args.iter().any(|arg| arg.contains("dangerously")));
}
