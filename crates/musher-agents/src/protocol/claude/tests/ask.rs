use musher_core::approval::Action;

use super::*;

fn hello() -> Line {
    request("r1", "Bash", &json!({"command": "echo *** > hello.txt"}))
}

fn answer(reference: &str, allow: bool) -> Wish {
    Wish::Answer { reference: reference.to_owned(), allow, why: "by rule".to_owned() }
}

#[test]
fn a_yes_never_repeats_what_may_be_masked() {
    let (mut claude, _) = begun(true);
    hear(&mut claude, &[hello()]);
    assert!(claude.wish(answer("r1", true)));
    let say = claude.say().unwrap();
    assert_eq!(say.key, "answer:r1");
    let told: Value = serde_json::from_str(&say.text).unwrap();
    assert_eq!(told["response"]["response"], json!({"behavior": "allow", "updatedInput": {}}));
    assert!(!say.text.contains("***"));
}

#[test]
fn a_no_carries_its_reason() {
    let (mut claude, _) = begun(true);
    hear(&mut claude, &[hello()]);
    assert!(claude.wish(answer("r1", false)));
    let told: Value = serde_json::from_str(&claude.say().unwrap().text).unwrap();
    assert_eq!(told["response"]["response"], json!({"behavior": "deny", "message": "by rule"}));
}

#[test]
fn an_answer_to_nothing_is_refused_and_says_nothing() {
    let (mut claude, mut spool) = begun(true);
    assert!(!claude.wish(answer("r1", true)));
    assert_eq!(claude.say(), None);
    // Answered once; also for the daemon that reads the spool after a restart.
    spool.extend([hello(), said("answer:r1")]);
    let mut again = Claude::new(&brief(true));
    hear(&mut again, &spool);
    assert!(!again.wish(answer("r1", false)));
    assert_eq!(again.say(), None);
}

#[test]
fn what_is_withdrawn_is_gone_and_its_answer_with_it() {
    let (mut claude, _) = begun(true);
    hear(&mut claude, &[hello()]);
    claude.wish(answer("r1", true));
    let cancel = out(&json!({"type": "control_cancel_request", "request_id": "r1"}));
    assert_eq!(hear(&mut claude, std::slice::from_ref(&cancel)), [Observation::PermissionGone("r1".to_owned())]);
    assert_eq!(claude.say(), None);
    assert!(!claude.wish(answer("r1", true)));
    assert_eq!(hear(&mut claude, &[cancel]), []);
}

#[test]
fn nothing_stays_open_after_the_turn() {
    let (mut claude, _) = begun(true);
    let seen = hear(&mut claude, &[hello(), done("ok")]);
    assert_eq!(seen.last(), Some(&Observation::PermissionGone("r1".to_owned())));
}

#[test]
fn without_asking_the_protocol_says_yes_itself() {
    let (mut claude, _) = begun(false);
    assert_eq!(hear(&mut claude, &[hello()]), []);
    hear(&mut claude, &[hello()]);
    assert_eq!(say_all(&mut claude), ["allow:r1"], "what is asked again before it is answered is the same");
}

#[test]
fn an_id_that_is_used_again_gets_an_answer_of_its_own() {
    for (asks, first, second) in [(false, "allow:r1", "allow:r1#2"), (true, "answer:r1", "answer:r1#2")] {
        let (mut claude, mut spool) = begun(asks);
        spool.extend([hello(), said(first)]);
        hear(&mut claude, &spool[4..]);
        let seen = hear(&mut claude, &[hello()]);
        assert_eq!(seen.len(), usize::from(asks), "{seen:?}");
        assert_eq!(claude.wish(answer("r1#2", true)), asks);
        let say = claude.say().unwrap();
        assert_eq!(say.key, second);
        let told: Value = serde_json::from_str(&say.text).unwrap();
        assert_eq!(told["response"]["request_id"], "r1", "the program knows its own id alone");
        // The same after a restart, and never a third time.
        spool.extend([hello(), said(second)]);
        let mut again = Claude::new(&brief(asks));
        hear(&mut again, &spool);
        assert!(!again.wish(answer("r1#2", true)));
        assert_eq!(again.say(), None);
        let cancel = out(&json!({"type": "control_cancel_request", "request_id": "r1"}));
        hear(&mut claude, &[cancel]);
        assert_eq!(claude.say(), None, "withdrawn");
    }
}

#[test]
fn what_musher_does_not_do_is_answered_rather_than_left_hanging() {
    let (mut claude, _) = begun(true);
    let hook = json!({"type": "control_request", "request_id": "h", "request": {"subtype": "hook_callback"}});
    assert_eq!(hear(&mut claude, &[out(&hook)]), []);
    assert!(claude.say().unwrap().text.contains(r#""subtype":"error""#));
    assert_eq!(say_all(&mut claude), ["refuse:h"]);
}

#[test]
fn each_tool_is_the_action_that_it_is() {
    let edit = |path: &str| Action::Edit([path.into()].into());
    let read = |path: &str| Action::Read([path.into()].into());
    let cases = [
        ("Bash", json!({"command": "ls"}), Action::Shell("ls".into())),
        ("Write", json!({"file_path": "a", "content": "x"}), edit("a")),
        ("Edit", json!({"file_path": "a"}), edit("a")),
        ("MultiEdit", json!({"file_path": "a"}), edit("a")),
        ("NotebookEdit", json!({"notebook_path": "n"}), edit("n")),
        ("Read", json!({"file_path": "a"}), read("a")),
        ("LS", json!({"path": "/etc"}), read("/etc")),
        ("Grep", json!({"pattern": "x"}), read(".")),
        ("Grep", json!({"pattern": "x", "path": "/etc"}), read("/etc")),
        ("Glob", json!({"pattern": "*.rs"}), read(".")),
        ("Glob", json!({"pattern": "/etc/*"}), Action::Read([".".into(), "/etc/*".into()].into())),
        ("WebFetch", json!({"url": "https://a"}), Action::Fetch("https://a".into())),
        ("Bash", json!({"cmd": "ls"}), Action::Other("Bash".into(), r#"{"cmd":"ls"}"#.into())),
        ("mcp__m__x", json!({}), Action::Other("mcp__m__x".into(), "{}".into())),
    ];
    for (tool, input, action) in cases {
        assert_eq!(super::super::ask::action(tool, &input), action, "{tool} {input}");
    }
}
