//! What the transcripts do not show: messages, interruptions, models, failures.

use musher_core::run::{FailureClass, Usage};

use super::*;

const DONE: &str = r#"{"stopReason": "end_turn"}"#;

fn done() -> Value {
    serde_json::from_str(DONE).unwrap()
}

fn words(text: &str) -> Value {
    json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})
}

fn finished(summary: &str) -> Option<Ended> {
    Some(Ended::Finished { summary: summary.to_owned() })
}

fn ended_by(answer: &Value) -> Ended {
    let mut run = Run::working(asking());
    let mut message = answer.clone();
    message["id"] = 10.into();
    run.out(&message);
    run.protocol.ended().cloned().unwrap()
}

#[test]
fn it_is_started_by_its_configuration_alone() {
    assert_eq!(launch(&asking()).program, "");
    assert!(launch(&asking()).args.is_empty());
}

#[test]
fn a_message_is_the_next_prompt_and_the_end_waits_for_it() {
    let mut run = Run::working(asking());
    assert!(run.tell("note:1", false) && run.tell("note:2", false) && run.tell("note:1", false));
    assert_eq!(run.say(), None, "the turn goes on");
    run.update(&words("first"));
    run.result(10, &done());
    assert_eq!(run.protocol.ended(), None);
    let (key, said) = run.say().unwrap();
    assert_eq!((key.as_str(), &said["id"]), ("note:1", &json!(11)));
    assert_eq!(said["params"]["prompt"][0]["text"], "text of note:1");
    run.result(11, &done());
    assert_eq!(run.key(), "note:2");
    run.update(&words(" second "));
    run.result(12, &done());
    assert_eq!(run.protocol.ended().cloned(), finished("second"));
    assert!(!run.tell("note:3", false), "too late");
    assert_eq!(run.say(), None);
}

#[test]
fn closing_words_are_whole_and_what_is_longer_than_anyone_reads_is_still_seen_to_be() {
    let part = "x".repeat(10_000);
    for (parts, whole) in [(26, true), (1_000, false)] {
        let mut run = Run::working(asking());
        (0..parts).for_each(|_| run.update(&words(&part)));
        run.result(10, &done());
        let Some(Ended::Finished { summary }) = run.protocol.ended() else { panic!("not finished") };
        assert_eq!(summary.len() == parts * part.len(), whole);
        assert_eq!(summary.len() <= musher_core::plan::ANSWER_LIMIT, whole);
    }
}

#[test]
fn an_urgent_message_cancels_the_turn_and_its_permissions() {
    let mut run = Run::working(asking());
    run.ask(&json!("r-1"), &json!({"toolCallId": "t", "kind": "execute", "rawInput": {"command": "ls"}}));
    assert!(run.tell("slow", false) && run.tell("fast", true));
    let (key, said) = run.say().unwrap();
    assert_eq!((key.as_str(), said.get("id")), ("interrupt:fast", None));
    assert_eq!(said["method"], "session/cancel");
    assert_eq!(run.seen.last(), Some(&Observation::PermissionGone("r-1".to_owned())));
    assert!(!run.answer("r-1", true), "withdrawn");
    let (key, said) = run.say().unwrap();
    assert_eq!((key.as_str(), &said["result"]["outcome"]["outcome"]), ("answer:r-1", &json!("cancelled")));
    assert_eq!(run.say(), None);
    run.result(10, &json!({"stopReason": "cancelled"}));
    assert_eq!(run.protocol.ended(), None);
    assert_eq!(run.key(), "fast");
    run.result(11, &done());
    assert_eq!(run.key(), "slow");
}

#[test]
fn a_used_up_account_is_good_again_when_it_was_told_beside_the_answers() {
    let limit = |status: &str| {
        json!({"sessionUpdate": "usage_update", "used": 1,
            "_meta": {"_claude/rateLimit": {"status": status, "resetsAt": 1_800_000_000}}})
    };
    let fault = json!({"id": 10, "error": {"code": -32603, "message": "Internal error: You've hit your session limit",
        "data": {"errorKind": "rate_limit"}}});
    let told = Some(Timestamp::from_micros(1_800_000_000_000_000));
    for (statuses, expected) in [(&["rejected"][..], told), (&["rejected", "allowed"], None), (&[], None)] {
        let mut run = Run::working(asking());
        statuses.iter().for_each(|status| run.update(&limit(status)));
        run.out(&fault);
        let Some(Ended::RateLimited { resets_at, .. }) = run.protocol.ended() else { panic!() };
        assert_eq!(*resets_at, expected, "{statuses:?}");
        assert_eq!(run.seen.last(), Some(&Observation::RateLimited { resets_at: expected }));
    }
}

#[test]
fn a_new_machine_waits_for_the_message_that_the_old_one_interrupted_for() {
    let mut run = Run::working(asking());
    run.tell("fast", true);
    assert_eq!(run.key(), "interrupt:fast");
    run.result(10, &json!({"stopReason": "cancelled"}));
    let mut new = Run::new(asking());
    run.spool.iter().for_each(|line| new.hear(line.clone()));
    assert_eq!((new.protocol.ended(), new.protocol.say()), (None, None));
    assert!(new.tell("fast", true));
    assert_eq!(new.key(), "fast");
}

#[test]
fn a_spool_that_goes_on_after_an_end_had_no_end_there() {
    let mut run = Run::working(asking());
    run.result(10, &done());
    assert!(run.protocol.ended().is_some());
    run.hear(Line::Said("note:1".to_owned()));
    assert_eq!((run.protocol.ended(), run.protocol.say()), (None, None));
    run.result(11, &done());
    assert_eq!(run.protocol.ended().cloned(), finished(""));
}

#[test]
fn a_result_may_stand_before_what_was_said() {
    let mut run = Run::working(asking());
    run.tell("note:1", false);
    run.result(10, &done());
    run.result(11, &done());
    assert_eq!(run.key(), "note:1");
    assert_eq!(run.protocol.ended().cloned(), finished(""));
}

#[test]
fn everything_is_allowed_once_where_nobody_asks() {
    let mut run = Run::working(Brief { asks: false, ..asking() });
    run.ask(&json!(0), &json!({"toolCallId": "t", "kind": "execute", "rawInput": {"command": "ls"}}));
    assert!(!run.seen.iter().any(|seen| matches!(seen, Observation::PermissionAsked(_))));
    let (key, said) = run.say().unwrap();
    assert_eq!((key.as_str(), &said["result"]["outcome"]["optionId"]), ("allow:0", &json!("a")));
    assert_eq!(run.say(), None);
    run.ask(&json!(0), &json!({"toolCallId": "u"}));
    assert_eq!(run.key(), "allow:0#2", "the agent used the id again");
}

#[test]
fn the_first_decision_counts_and_a_closed_request_takes_none() {
    let mut run = Run::working(asking());
    run.ask(&json!(4), &json!({"toolCallId": "t"}));
    assert!(!run.answer("5", true));
    assert!(run.answer("4", false) && run.answer("4", true));
    let (key, said) = run.say().unwrap();
    assert_eq!((key.as_str(), &said["result"]["outcome"]["optionId"]), ("answer:4", &json!("r")));
    assert!(!run.answer("4", true));
    run.result(10, &json!({"stopReason": "cancelled"}));
    let Some(Ended::Failed { class: FailureClass::Agent, message }) = run.protocol.ended() else { panic!() };
    assert_eq!(message, "stopped after a denied permission");
}

#[test]
fn a_cancelled_turn_after_a_yes_is_cancelled() {
    let mut run = Run::working(asking());
    run.ask(&json!(4), &json!({"toolCallId": "t"}));
    run.answer("4", true);
    assert_eq!(run.key(), "answer:4");
    run.update(&json!({"sessionUpdate": "tool_call_update", "toolCallId": "t", "status": "in_progress"}));
    run.result(10, &json!({"stopReason": "cancelled"}));
    assert_eq!(run.protocol.ended(), Some(&Ended::Cancelled));
}

#[test]
fn what_is_not_offered_is_refused() {
    let mut run = Run::working(asking());
    run.out(&json!({"id": "f", "method": "fs/read_text_file", "params": {"path": "/etc/passwd"}}));
    let (key, said) = run.say().unwrap();
    assert_eq!((key.as_str(), &said["error"]["code"], &said["id"]), ("refuse:f", &json!(-32601), &json!("f")));
}

#[test]
fn a_model_is_set_as_the_agent_offers_it() {
    let option = json!({"sessionId": "s1", "configOptions": [{"id": "m", "category": "model", "currentValue": "a"}]});
    let method = json!({"sessionId": "s1", "models": {"currentModelId": "a"}});
    let cases = [
        (option, "session/set_config_option", json!({"sessionId": "s1", "configId": "m", "value": "b"})),
        (method, "session/set_model", json!({"sessionId": "s1", "modelId": "b"})),
    ];
    for (session, name, params) in cases {
        for (wanted, asked) in [("b", true), ("a", false)] {
            let mut run = Run::new(Brief { model: Some(wanted.into()), ..asking() });
            run.key();
            run.result(1, &json!({"protocolVersion": 1}));
            run.key();
            run.result(2, &session);
            if asked {
                let (key, said) = run.say().unwrap();
                assert_eq!((key.as_str(), &said["method"], &said["params"]), ("mode", &json!(name), &params));
                run.out(&json!({"id": 4, "error": {"code": -32602, "message": "no such model"}}));
                assert!(matches!(run.seen.last(), Some(Observation::Warning(_))));
            }
            assert_eq!(run.key(), "prompt");
        }
    }
    let mut run = Run::working(Brief { model: Some("b".into()), ..asking() });
    assert!(matches!(run.seen.last(), Some(Observation::Warning(_))), "it has no way");
    assert_eq!(run.key(), "");
}

#[test]
fn without_loading_a_new_session_is_begun() {
    let mut run = Run::new(Brief { session: Some("old".into()), ..asking() });
    run.key();
    run.result(1, &json!({"protocolVersion": 1, "agentCapabilities": {}}));
    assert!(matches!(run.seen.last(), Some(Observation::Warning(_))));
    assert_eq!(run.say().unwrap().1["method"], "session/new");
}

#[test]
fn no_login_is_a_matter_of_setup() {
    let mut run = Run::new(asking());
    run.key();
    run.result(1, &json!({"protocolVersion": 1, "authMethods": [{"id": "oauth"}, {"id": "key"}]}));
    run.key();
    run.out(&json!({"id": 2, "error": {"code": -32000, "message": "Authentication required"}}));
    let Some(Ended::Failed { class: FailureClass::Setup, message }) = run.protocol.ended() else { panic!() };
    assert_eq!(message, "not logged in: Authentication required (its ways to log in: oauth, key)");
    assert_eq!(run.say(), None);
}

#[test]
fn another_version_is_a_matter_of_setup() {
    let mut run = Run::new(asking());
    run.key();
    run.result(1, &json!({"protocolVersion": 2}));
    assert!(matches!(run.protocol.ended(), Some(Ended::Failed { class: FailureClass::Setup, .. })));
}

/// As measured with `fake_llm.py`: codex-acp, claude-agent-acp, gemini, opencode.
#[test]
fn an_error_of_the_provider_has_its_class() {
    let internal = |message: &str, data: Value| json!({"code": -32603, "message": message, "data": data});
    let codex =
        |message: &str, info: Value| internal("Internal error", json!({"message": message, "codex_error_info": info}));
    let many = json!({"response_too_many_failed_attempts": {"http_status_code": 429}});
    let cases = [
        ("setup", codex("unexpected status 401 Unauthorized: fake", json!("other"))),
        ("limit", codex("exceeded retry limit, last status: 429 Too Many Requests", many)),
        ("agent", codex("We're currently experiencing high demand", json!("internal_server_error"))),
        (
            "setup",
            internal("Failed to authenticate. API Error: 401 fake", json!({"errorKind": "authentication_failed"})),
        ),
        ("limit", internal("API Error: Request rejected (429)", json!({"errorKind": "rate_limit"}))),
        ("agent", internal("API Error: 500 fake (127.0.0.1:44245).", json!({"errorKind": "server_error"}))),
        ("setup", json!({"code": 401, "message": "{\"error\":{\"code\":401}}"})),
        ("limit", json!({"code": 429, "message": "fake"})),
        ("agent", json!({"code": 500, "message": "{\"error\":{\"code\":500}}"})),
        ("setup", internal("Internal error: fake 401", json!({"errorName": "APIError"}))),
    ];
    for (class, error) in cases {
        let got = match ended_by(&json!({"error": error.clone()})) {
            Ended::Failed { class: FailureClass::Setup, .. } => "setup",
            Ended::Failed { class: FailureClass::Agent, .. } => "agent",
            Ended::RateLimited { .. } => "limit",
            other => panic!("{other:?}"),
        };
        assert_eq!(got, class, "{error}");
    }
}

#[test]
fn a_turn_that_stops_otherwise_is_no_success() {
    for (reason, class) in [
        ("max_tokens", FailureClass::Limit),
        ("max_turn_requests", FailureClass::Limit),
        ("refusal", FailureClass::Agent),
        ("something new", FailureClass::Agent),
    ] {
        let Ended::Failed { class: got, .. } = ended_by(&json!({"result": {"stopReason": reason}})) else { panic!() };
        assert_eq!(got, class, "{reason}");
    }
    assert_eq!(ended_by(&json!({"result": {"stopReason": "cancelled"}})), Ended::Cancelled);
    let mut run = Run::working(asking());
    run.update(&words("[API Error: 401 Incorrect API key provided]"));
    run.result(10, &done());
    assert!(matches!(run.protocol.ended(), Some(Ended::Failed { class: FailureClass::Setup, .. })));
}

#[test]
fn two_turns_count_each_token_and_cent_once() {
    let mut run = Run::working(asking());
    run.tell("note:1", false);
    let level = |amount: f64| json!({"sessionUpdate": "usage_update", "used": 1302, "cost": {"amount": amount}});
    let usage = json!({"inputTokens": 904, "outputTokens": 42, "totalTokens": 1046, "cachedReadTokens": 100});
    run.update(&level(0.001));
    run.update(&level(0.002));
    run.result(10, &json!({"stopReason": "end_turn", "usage": usage}));
    run.key();
    run.update(&level(0.005));
    run.result(11, &json!({"stopReason": "end_turn", "usage": usage}));
    let tokens = Usage { input_tokens: 1004, cache_read_tokens: 100, output_tokens: 42, ..Usage::default() };
    let used = |cost_micro_usd| Usage { cost_micro_usd, ..tokens };
    let usages: Vec<_> = run.seen.iter().filter(|seen| matches!(seen, Observation::Usage { .. })).collect();
    let expected = [2000, 3000].map(|cost| Observation::Usage { used: used(cost), priced: true });
    assert_eq!(usages, expected.iter().collect::<Vec<_>>());
}

#[test]
fn an_ask_says_what_will_be_done() {
    let shell = |text: &str| Action::Shell(text.into());
    let edit = |paths: &[&str]| Action::Edit(paths.iter().map(|path| Box::from(*path)).collect());
    let read = |paths: &[&str]| Action::Read(paths.iter().map(|path| Box::from(*path)).collect());
    let cases = [
        (json!({"kind": "execute", "rawInput": {"command": ["sh", "-c", "a 'b'"]}}), shell(r"sh -c 'a '\''b'\'''")),
        (json!({"kind": "read", "rawInput": {"command": ["cat", "x"]}}), shell("cat x")),
        (json!({"rawInput": {"command": "git", "args": ["log", "a b"]}}), shell("git log 'a b'")),
        (json!({"kind": "execute", "title": "`ls`"}), shell("ls")),
        (
            json!({"kind": "execute", "title": "ls", "rawInput": {"x": 1}}),
            Action::Other("ls".into(), r#"{"x":1}"#.into()),
        ),
        (json!({"kind": "edit", "rawInput": {"command": "create", "path": "a"}}), edit(&["a"])),
        (
            json!({"kind": "edit", "locations": [{"path": "a"}], "content": [{"type": "diff", "path": "b"}],
                "rawInput": {"changes": {"c": {}}, "file_path": "a"}}),
            edit(&["a", "b", "c"]),
        ),
        (json!({"kind": "move", "rawInput": {"from": "a", "to": "b"}}), edit(&["a", "b"])),
        (json!({"kind": "edit", "title": "Edit"}), Action::Other("Edit".into(), r#""Edit""#.into())),
        (json!({"kind": "read", "rawInput": {"file_path": "/a"}}), read(&["/a"])),
        (json!({"kind": "search", "rawInput": {"pattern": "x"}}), read(&["."])),
        (json!({"kind": "fetch", "rawInput": {"url": "http://a/"}}), Action::Fetch("http://a/".into())),
        (json!({"kind": "new kind", "title": "t", "rawInput": {}}), Action::Other("t".into(), "{}".into())),
    ];
    for (mut call, expected) in cases {
        call["toolCallId"] = "t".into();
        let mut run = Run::working(asking());
        run.ask(&json!(0), &call);
        let Some(Observation::PermissionAsked(Ask { action, .. })) = run.seen.last() else { panic!("{call}") };
        assert_eq!(action, &expected, "{call}");
    }
}
