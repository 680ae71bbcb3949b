use super::super::super::McpServer;
use super::*;

fn answered(key: &str, result: &Value) -> Line {
    out(&json!({"id": key, "result": result}))
}

fn refused(key: &str) -> Line {
    out(&json!({"id": key, "error": {"code": -32600, "message": "no active turn to steer"}}))
}

fn asked(id: u64, method: &str, params: &Value) -> Line {
    let mut params = params.clone();
    params["turnId"] = json!("u1");
    out(&json!({"id": id, "method": method, "params": params}))
}

fn run_ls(id: u64) -> Line {
    asked(id, "item/commandExecution/requestApproval", &json!({"command": "ls"}))
}

#[test]
fn an_id_that_is_used_again_gets_an_answer_of_its_own() {
    for asks in [false, true] {
        let mut codex = running(&brief(asks));
        let mut spool = begun();
        spool.extend([run_ls(0), said("answer:0")]);
        hear(&mut codex, &spool[spool.len() - 2..]);
        let seen = hear(&mut codex, &[run_ls(0)]);
        assert_eq!(seen.iter().map(shown).collect::<Vec<_>>(), ["asks 0#2 Shell(\"ls\")"][..usize::from(asks)]);
        if asks {
            assert_eq!(codex.say(), None);
            assert!(codex.wish(answer("0#2", true, "")));
        }
        let (key, told) = say(&mut codex).unwrap();
        assert_eq!((key.as_str(), &told["id"]), ("answer:0#2", &json!(0)), "codex knows its own id alone");
        // The same after a restart, and never a third time.
        spool.extend([run_ls(0), said("answer:0#2")]);
        let mut again = Codex::new(&brief(asks));
        hear(&mut again, &spool);
        assert_eq!(again.say(), None);
    }
}

fn answer(reference: &str, allow: bool, why: &str) -> Wish {
    Wish::Answer { reference: reference.to_owned(), allow, why: why.to_owned() }
}

#[test]
fn a_run_is_greeted_in_order_and_each_word_once() {
    let mcp = McpServer {
        name: "musher".to_owned(),
        command: vec!["/bin/musher".to_owned(), "mcp".to_owned()],
        env: vec![("TOKEN".to_owned(), "a\"b".to_owned())],
    };
    let mut codex = Codex::new(&Brief { model: Some("m".to_owned()), mcp: vec![mcp], ..brief(true) });
    assert_eq!(say_all(&mut codex), ["initialize initialize"]);
    hear(&mut codex, &[answered("initialize", &json!({}))]);
    assert_eq!(say(&mut codex).unwrap(), ("initialized".to_owned(), json!({"method": "initialized"})));
    let (key, thread) = say(&mut codex).unwrap();
    assert_eq!(key, "thread");
    let server = json!({"command": "/bin/musher", "args": ["mcp"], "env": {"TOKEN": "a\"b"},
        "default_tools_approval_mode": "approve", "tool_timeout_sec": 604_800});
    let params = json!({"cwd": "/path/to/repo", "model": "m", "approvalPolicy": "untrusted",
        "sandbox": "danger-full-access", "config": {"mcp_servers.musher": server}});
    assert_eq!(thread, json!({"id": "thread", "method": "thread/start", "params": params}));
    assert_eq!(codex.say(), None);
    hear(&mut codex, &[answered("thread", &json!({"thread": {"id": "t1"}}))]);
    assert_eq!(say_all(&mut codex), ["prompt turn/start"]);
}

#[test]
fn a_lost_session_is_a_warning_and_a_new_thread() {
    let mut codex = Codex::new(&resumed());
    say_all(&mut codex);
    hear(&mut codex, &[answered("initialize", &json!({}))]);
    assert_eq!(say_all(&mut codex), ["initialized initialized", "thread thread/resume"]);
    let seen = hear(&mut codex, &[refused("thread")]);
    assert!(matches!(seen[..], [Observation::Warning(_)]), "{seen:?}");
    assert_eq!(say_all(&mut codex), ["thread:new thread/start"]);
    let seen = hear(&mut codex, &[answered("thread:new", &json!({"thread": {"id": "t1"}}))]);
    assert!(matches!(seen[..], [Observation::SessionStarted { resumable: true, .. }]), "{seen:?}");
    assert_eq!(say_all(&mut codex), ["prompt turn/start"]);
    let seen = hear(&mut codex, &[turn("prompt", "u1"), sum("u1", [10, 1], [10, 1])]);
    assert_eq!(seen.iter().map(shown).collect::<Vec<_>>(), ["usage 10 1 0 cached=0+0 priced=false"]);
}

#[test]
fn a_message_steers_the_turn_that_runs() {
    let mut codex = running(&brief(false));
    assert!(codex.wish(tell("m1", false)) && codex.wish(tell("m1", false)));
    let (key, said) = say(&mut codex).unwrap();
    assert_eq!((key.as_str(), said["method"].as_str()), ("m1", Some("turn/steer")));
    assert_eq!(said["params"]["expectedTurnId"], "u1");
    hear(
        &mut codex,
        &[answered("m1", &json!({"turnId": "u1"})), read("m1"), message("bye"), completed("u1", "completed")],
    );
    assert_eq!(codex.ended(), Some(&finished("bye")));
}

#[test]
fn a_message_that_no_turn_read_gets_a_turn_of_its_own() {
    let accepted = [answered("m1", &json!({"turnId": "u1"})), completed("u1", "completed")];
    let too_late = [completed("u1", "completed"), refused("m1")];
    let refused = [refused("m1"), completed("u1", "completed")];
    for (name, lines) in [("accepted", accepted), ("too late", too_late), ("refused", refused)] {
        let mut codex = running(&brief(false));
        codex.wish(tell("m1", false));
        say_all(&mut codex);
        hear(&mut codex, &lines);
        assert_eq!(codex.ended(), None, "{name}");
        assert_eq!(say_all(&mut codex), ["m1:turn turn/start"], "{name}");
        hear(&mut codex, &[turn("m1:turn", "u2"), message("bye"), completed("u1", "completed")]);
        assert_eq!(codex.ended(), None, "{name}: a turn that is over ends nothing");
        hear(&mut codex, &[completed("u2", "completed")]);
        assert_eq!(codex.ended(), Some(&finished("bye")), "{name}");
    }
}

#[test]
fn an_urgent_message_interrupts_and_what_was_not_read_is_said_again() {
    let mut codex = running(&brief(false));
    codex.wish(tell("m1", false));
    say_all(&mut codex);
    hear(&mut codex, &[answered("m1", &json!({"turnId": "u1"}))]);
    codex.wish(tell("m2", true));
    assert_eq!(say_all(&mut codex), ["interrupt:m2 turn/interrupt"]);
    hear(&mut codex, &[answered("interrupt:m2", &json!({})), completed("u1", "interrupted")]);
    assert_eq!(codex.ended(), None);
    assert_eq!(say_all(&mut codex), ["m2 turn/start"]);
    hear(&mut codex, &[turn("m2", "u2")]);
    assert_eq!(say_all(&mut codex), [""; 0], "m1 had its chance to steer");
    hear(&mut codex, &[completed("u2", "completed")]);
    assert_eq!(say_all(&mut codex), ["m1:turn turn/start"]);
    hear(&mut codex, &[turn("m1:turn", "u3"), completed("u3", "completed")]);
    assert_eq!(codex.ended(), Some(&finished("")));
}

#[test]
fn a_restart_amid_an_interrupt_waits_for_the_words() {
    let mut spool = begun();
    spool.extend([said("interrupt:m2"), completed("u1", "interrupted")]);
    let mut codex = Codex::new(&brief(false));
    hear(&mut codex, &spool);
    assert_eq!((codex.ended(), codex.say()), (None, None));
    codex.wish(tell("m2", true));
    assert_eq!(say_all(&mut codex), ["m2 turn/start"]);
}

#[test]
fn a_restart_after_a_steer_says_nothing_twice() {
    let mut spool = begun();
    spool.push(said("m1"));
    let mut codex = Codex::new(&brief(false));
    hear(&mut codex, &spool);
    assert!(codex.wish(tell("m1", false)));
    hear(&mut codex, &[answered("m1", &json!({"turnId": "u1"}))]);
    assert_eq!(codex.say(), None);
    hear(&mut codex, &[read("m1"), completed("u1", "completed")]);
    assert_eq!(codex.ended(), Some(&finished("")));
}

#[test]
fn every_question_gets_the_answer_of_its_sort() {
    let change = json!({"type": "fileChange", "id": "f", "status": "inProgress",
        "changes": [{"path": "/a", "kind": {"type": "update", "move_path": "/b"}, "diff": ""}]});
    let tool = json!({"serverName": "fk", "_meta": {"codex_approval_kind": "mcp_tool_call", "tool_name": "ping",
        "tool_params": {"a": 1}}});
    let network = json!({"networkApprovalContext": {"host": "a.b", "protocol": "https"}});
    let permissions = json!({"permissions": {"network": {"enabled": true}}});
    let cases = [
        (
            "item/commandExecution/requestApproval",
            json!({"command": "ls"}),
            r#"Shell("ls")"#,
            json!({"decision": "accept"}),
            json!({"decision": "decline"}),
        ),
        (
            "item/commandExecution/requestApproval",
            network,
            r#"Fetch("https://a.b")"#,
            json!({"decision": "accept"}),
            json!({"decision": "decline"}),
        ),
        (
            "item/fileChange/requestApproval",
            json!({"itemId": "f"}),
            r#"Edit(["/a", "/b"])"#,
            json!({"decision": "accept"}),
            json!({"decision": "decline"}),
        ),
        (
            "mcpServer/elicitation/request",
            tool,
            r#"Other("fk.ping", "{\"a\":1}")"#,
            json!({"action": "accept", "content": {}}),
            json!({"action": "decline"}),
        ),
        (
            "item/permissions/requestApproval",
            permissions,
            r#"Other("permissions", "{\"permissions\":{\"network\":{\"enabled\":true}},\"reason\":null}")"#,
            json!({"permissions": {"network": {"enabled": true}}, "scope": "turn"}),
            json!({"permissions": {}}),
        ),
    ];
    for (method, params, action, yes, no) in cases {
        for (allow, wanted) in [(true, yes), (false, no)] {
            let mut codex = running(&brief(true));
            hear(&mut codex, &[note("item/started", &json!({"turnId": "u1", "item": change}))]);
            let seen = hear(&mut codex, &[asked(7, method, &params)]);
            assert_eq!(seen.iter().map(shown).collect::<Vec<_>>(), [format!("asks 7 {action}")]);
            assert_eq!(codex.say(), None);
            codex.wish(answer("7", allow, ""));
            assert_eq!(say(&mut codex), Some(("answer:7".to_owned(), json!({"id": 7, "result": wanted}))));
            codex.wish(answer("7", allow, ""));
            assert_eq!(codex.say(), None, "answered once");
        }
    }
}

#[test]
fn what_musher_cannot_answer_is_refused_at_once() {
    let cases = [
        ("item/tool/requestUserInput", json!({"result": {"answers": {}}})),
        ("mcpServer/elicitation/request", json!({"result": {"action": "decline"}})),
        ("execCommandApproval", json!({"error": {"code": -32601, "message": "musher has no such method"}})),
    ];
    for (method, mut wanted) in cases {
        let mut codex = running(&brief(true));
        assert_eq!(hear(&mut codex, &[asked(7, method, &json!({}))]), []);
        wanted["id"] = json!(7);
        assert_eq!(say(&mut codex), Some(("refuse:7".to_owned(), wanted)));
        assert_eq!(codex.say(), None);
    }
}

#[test]
fn who_is_not_asked_allows() {
    let mut codex = running(&brief(false));
    assert_eq!(hear(&mut codex, &[run_ls(7)]), []);
    assert_eq!(say(&mut codex).unwrap().1["result"]["decision"], "accept");
}

#[test]
fn the_reason_of_a_no_goes_before_the_no() {
    let mut codex = running(&brief(true));
    hear(&mut codex, &[run_ls(7)]);
    codex.wish(answer("7", false, "not today"));
    let (key, said) = say(&mut codex).unwrap();
    assert_eq!(key, "why:7");
    assert_eq!(said["params"]["input"][0]["text"], "The request was denied: not today");
    assert_eq!(say_all(&mut codex), ["answer:7 -"]);
    hear(&mut codex, &[answered("why:7", &json!({"turnId": "u1"})), completed("u1", "completed")]);
    assert_eq!(codex.ended(), Some(&finished("")), "a reason is worth no turn of its own");
}

#[test]
fn a_question_that_needs_no_answer_any_more_is_gone() {
    let resolved = note("serverRequest/resolved", &json!({"requestId": 7}));
    for (name, line) in [("resolved", resolved), ("turn over", completed("u1", "interrupted"))] {
        let mut codex = running(&brief(true));
        let seen = hear(&mut codex, &[run_ls(7), line]);
        assert_eq!(seen.last(), Some(&Observation::PermissionGone("7".to_owned())), "{name}");
        codex.wish(answer("7", true, ""));
        assert_eq!(codex.say(), None, "{name}");
    }
}

#[test]
fn a_restart_anywhere_goes_on_as_if_there_was_none() {
    let taken = |key: &str, turn: &str| answered(key, &json!({"turnId": turn}));
    let late = vec![completed("u1", "completed"), refused("m1"), turn("m1:turn", "u2"), completed("u2", "completed")];
    let read = vec![taken("m1", "u1"), read("m1"), message("bye"), completed("u1", "completed")];
    let over = vec![
        completed("u1", "interrupted"),
        answered("interrupt:m1", &json!({})),
        turn("m1", "u2"),
        completed("u2", "completed"),
    ];
    for (name, now, lines) in [("late", false, late), ("read", false, read), ("interrupted", true, over)] {
        let (mut codex, mut spool) = (running(&brief(false)), begun());
        codex.wish(tell("m1", now));
        let mut lines = lines.into_iter();
        loop {
            while let Some(Say { key, text: _ }) = codex.say() {
                hear(&mut codex, &[said(&key)]);
                spool.push(said(&key));
            }
            let mut again = Codex::new(&brief(false));
            hear(&mut again, &spool);
            again.wish(tell("m1", now));
            let Some(line) = lines.next() else { break };
            // Words that were said and taken are not asked for again.
            hear(&mut codex, std::slice::from_ref(&line));
            hear(&mut again, std::slice::from_ref(&line));
            assert_eq!(again.say(), codex.say(), "{name} after {line:?}");
            assert_eq!(again.ended(), codex.ended(), "{name} after {line:?}");
            spool.push(line);
        }
        let mut again = Codex::new(&brief(false));
        hear(&mut again, &spool);
        assert!(matches!(codex.ended(), Some(Ended::Finished { .. })), "{name}");
        assert_eq!(again.ended(), codex.ended(), "{name}");
    }
}

#[test]
fn an_id_that_is_used_again_is_another_question_with_an_answer_of_its_own() {
    let mut codex = running(&brief(true));
    let mut references = Vec::new();
    // Twice while the first is open, and once more after its answer.
    for again in [true, false, false] {
        references.extend(hear(&mut codex, &[run_ls(7)]).into_iter().map(|seen| match seen {
            Observation::PermissionAsked(ask) => ask.reference.to_string(),
            other => panic!("{other:?}"),
        }));
        if !again {
            for reference in &references {
                codex.wish(answer(reference, true, ""));
            }
            say_all(&mut codex);
        }
    }
    assert_eq!(references, ["7", "7#2", "7#3"]);
    assert_eq!(codex.said.iter().filter(|key| key.starts_with("answer:")).count(), 3);
}
