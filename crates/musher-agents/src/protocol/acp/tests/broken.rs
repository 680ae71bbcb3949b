//! Transcripts that stop anywhere, lines that are cut anywhere, and a daemon that begins again anywhere.

use super::recorded::{EXPECTED, played};
use super::*;

fn names() -> impl Iterator<Item = &'static str> {
    EXPECTED.iter().map(|(name, _)| *name)
}

fn replayed(run: &Run, lines: usize) -> (Box<dyn Protocol>, Vec<Observation>) {
    let (mut protocol, mut seen) = (protocol(&run.brief), Vec::new());
    run.spool.iter().take(lines).for_each(|line| hear(protocol.as_mut(), line, &mut seen));
    (protocol, seen)
}

#[test]
fn no_prefix_ends_before_the_result_of_the_prompt() {
    for name in names() {
        let run = played(name);
        let result = |line: &Line| matches!(line, Line::Out(out) if out.contains("\"stopReason\""));
        let end = run.spool.iter().position(result).unwrap_or(run.spool.len());
        for lines in 0..=run.spool.len() {
            let (protocol, _) = replayed(&run, lines);
            assert!(lines > end || protocol.ended().is_none(), "{name} after {lines} lines: {:?}", protocol.ended());
            if protocol.ended().is_none() {
                let exited = protocol.exited(Exit { code: Some(0), signal: None });
                assert!(!matches!(exited, Ended::Finished { .. }), "{name}: an exit is no end");
            }
        }
    }
}

#[test]
fn a_new_machine_goes_on_where_the_old_one_was() {
    for name in names() {
        let run = played(name);
        let (mut old, mut old_seen) = (protocol(&run.brief), Vec::new());
        for lines in 0..=run.spool.len() {
            let (new, new_seen) = replayed(&run, lines);
            assert_eq!(new.say(), old.say(), "{name} after {lines} lines");
            assert_eq!(new.ended(), old.ended(), "{name} after {lines} lines");
            assert_eq!(new_seen, old_seen, "{name} after {lines} lines");
            if let Some(line) = run.spool.get(lines) {
                hear(old.as_mut(), line, &mut old_seen);
            }
        }
    }
}

#[test]
fn a_line_cut_anywhere_is_never_an_end() {
    for name in names() {
        let run = played(name);
        for (place, line) in run.spool.iter().enumerate() {
            let Line::Out(text) = line else { continue };
            let step = (text.len() / 10).max(1);
            for at in (0..text.len()).step_by(step).filter(|at| text.is_char_boundary(*at)) {
                let (mut protocol, mut seen) = replayed(&run, place);
                let before = protocol.ended().cloned();
                hear(protocol.as_mut(), &Line::Out(text[..at].to_owned()), &mut seen);
                assert_eq!(protocol.ended(), before.as_ref(), "{name}: {}", &text[..at]);
                let _ = protocol.say();
            }
        }
    }
}

#[test]
fn a_cut_request_is_answered_by_the_choices_before_the_cut() {
    let options = r#"[{"optionId":"yes","kind":"allow_once"}]"#;
    let line = format!(
        r#"{{"id":7,"method":"session/request_permission","params":{{"options":{options},"toolCall":{{"rawInput":"aaaa"#
    );
    let mut run = Run::working(asking());
    run.hear(Line::Out(line.clone()));
    assert!(matches!(&run.seen[..], [.., Observation::PermissionAsked(Ask { action: Action::Other(..), .. })]));
    assert_eq!(run.say(), None);
    assert!(run.answer("7", true));
    let (key, said) = run.say().unwrap();
    assert_eq!((key.as_str(), &said["result"]["outcome"]["optionId"]), ("answer:7", &json!("yes")));

    let mut run = Run::working(asking());
    run.hear(Line::Out(line.replace(r#"kind":"allow_once"}]"#, "")));
    assert!(run.answer("7", true), "its choices are lost");
    assert_eq!(run.say().unwrap().1["result"]["outcome"]["outcome"], "cancelled");
}

#[test]
fn nothing_of_a_wrong_shape_makes_it_panic() {
    let values = [json!(null), json!(-1), json!(1e300), json!("x"), json!([]), json!([[]]), json!({}), json!(true)];
    let fields = ["update", "toolCall", "options", "sessionId"];
    let kinds = ["agent_message_chunk", "tool_call", "tool_call_update", "plan", "usage_update", "a new one"];
    let mut run = Run::working(asking());
    for value in &values {
        for method in ["session/update", "session/request_permission", "fs/read_text_file", "_own"] {
            run.out(&json!({"method": method, "params": value}));
            run.out(&json!({"method": method, "id": value, "params": value}));
            for field in fields {
                run.out(&json!({"method": method, "id": value, "params": {field: value}}));
            }
        }
        for kind in kinds {
            for field in ["content", "rawInput", "toolCallId", "entries", "used", "cost", "locations", "status"] {
                run.update(&json!({"sessionUpdate": kind, "toolCallId": "t", field: value}));
                run.update(&json!({"sessionUpdate": kind, "toolCallId": "t", field: [value, {"path": value}]}));
            }
        }
        run.out(&json!({"id": value, "result": value}));
        run.out(&json!({"id": 9, "error": value}));
        run.out(value);
    }
    assert_eq!(run.protocol.ended(), None);
    assert!(run.protocol.say().is_some(), "what is not known here is refused");
}
