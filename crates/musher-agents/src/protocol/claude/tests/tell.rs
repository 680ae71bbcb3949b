use super::*;

#[test]
fn a_run_begins_with_the_handshake_and_its_prompt() {
    let mut claude = Claude::new(&brief(true));
    assert!(claude.wish(tell("m1", true)));
    assert_eq!(claude.say(), claude.say());
    assert_eq!(say_all(&mut claude), ["initialize", "prompt", "m1"]);
}

#[test]
fn a_message_read_within_the_turn_has_no_result_of_its_own() {
    let (mut claude, _) = begun(true);
    claude.wish(tell("m1", false));
    assert_eq!(say_all(&mut claude), ["m1"]);
    hear(&mut claude, &[echo(&["words of m1"]), done("both")]);
    assert_eq!(claude.ended(), Some(&finished("both")));
}

#[test]
fn a_message_still_unread_at_a_result_opens_the_next_turn() {
    let (mut claude, _) = begun(true);
    claude.wish(tell("m1", false));
    claude.wish(tell("m2", false));
    assert_eq!(say_all(&mut claude), ["m1", "m2"]);
    hear(&mut claude, &[done("first")]);
    assert_eq!(claude.ended(), None);
    // Messages that waited together come back as one, a block each.
    hear(&mut claude, &[init(), echo(&["words of m1", "words of m2"])]);
    assert_eq!(claude.ended(), None);
    hear(&mut claude, &[done("second")]);
    assert_eq!(claude.ended(), Some(&finished("second")));
}

#[test]
fn a_message_wished_but_not_yet_said_holds_the_end() {
    let (mut claude, _) = begun(true);
    claude.wish(tell("m1", false));
    hear(&mut claude, &[done("first")]);
    assert_eq!(claude.ended(), None);
    assert_eq!(say_all(&mut claude), ["m1"]);
    hear(&mut claude, &[init(), echo(&["words of m1"]), done("second")]);
    assert_eq!(claude.ended(), Some(&finished("second")));
}

#[test]
fn a_message_after_the_end_is_too_late() {
    let (mut claude, _) = begun(true);
    hear(&mut claude, &[done("first")]);
    assert!(!claude.wish(tell("m1", false)));
    assert_eq!(claude.say(), None);
    assert_eq!(claude.ended(), Some(&finished("first")));
}

#[test]
fn a_message_for_now_breaks_off_the_turn_and_not_the_run() {
    let (mut claude, _) = begun(true);
    claude.wish(tell("m1", true));
    assert_eq!(say_all(&mut claude), ["interrupt:m1", "m1"]);
    hear(&mut claude, &[aborted()]);
    assert_eq!(claude.ended(), None);
    hear(&mut claude, &[init(), echo(&["words of m1"]), done("second")]);
    assert_eq!(claude.ended(), Some(&finished("second")));
}

#[test]
fn a_restart_between_the_interruption_and_its_message_loses_neither() {
    let (_, mut spool) = begun(true);
    spool.extend([said("interrupt:m1"), aborted()]);
    let mut claude = Claude::new(&brief(true));
    hear(&mut claude, &spool);
    assert_eq!(claude.ended(), None);
    assert!(claude.wish(tell("m1", true)));
    assert_eq!(say_all(&mut claude), ["m1"]);
}

#[test]
fn a_turn_that_others_interrupt_is_cancelled() {
    let (mut claude, _) = begun(true);
    hear(&mut claude, &[aborted()]);
    assert_eq!(claude.ended(), Some(&Ended::Cancelled));
}

#[test]
fn a_key_is_said_once() {
    let (mut claude, _) = begun(true);
    claude.wish(tell("m1", true));
    claude.wish(tell("m1", false));
    assert_eq!(say_all(&mut claude), ["interrupt:m1", "m1"]);
    assert!(claude.wish(tell("m1", true)));
    assert_eq!(claude.say(), None);
    for key in ["", "initialize", "answer:x", "allow:x"] {
        assert!(!Claude::new(&brief(true)).wish(tell(key, false)), "{key}");
    }
}

#[test]
fn a_program_that_repeats_nothing_ends_at_its_result() {
    let mut claude = Claude::new(&brief(true));
    hear(&mut claude, &[said("initialize"), said("prompt"), init(), said("m1"), done("first")]);
    assert_eq!(claude.ended(), Some(&finished("first")));
}

#[test]
fn the_output_of_a_slash_command_is_no_message() {
    let (mut claude, _) = begun(true);
    claude.wish(tell("m1", false));
    say_all(&mut claude);
    let output = json!({"type": "user", "isReplay": true,
        "message": {"role": "user", "content": "<local-command-stdout>x</local-command-stdout>"}});
    hear(&mut claude, &[out(&output), done("first")]);
    assert_eq!(claude.ended(), None);
}

#[test]
fn a_slash_at_the_start_is_no_command() {
    let prompt = |words: &str| {
        let mut claude = Claude::new(&Brief { prompt: words.to_owned(), ..brief(true) });
        hear(&mut claude, &[said("initialize")]);
        let told: Value = serde_json::from_str(&claude.say().unwrap().text).unwrap();
        told["message"]["content"][0]["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(prompt("/clear"), " /clear");
    assert_eq!(prompt("see /etc"), "see /etc");
}

#[test]
fn an_empty_message_is_refused_and_holds_nothing() {
    let (mut claude, _) = begun(true);
    assert!(!claude.wish(Wish::Tell { key: "m1".to_owned(), text: " \n".to_owned(), now: true }));
    assert_eq!(claude.say(), None);
    hear(&mut claude, &[done("first")]);
    assert_eq!(claude.ended(), Some(&finished("first")));
}
