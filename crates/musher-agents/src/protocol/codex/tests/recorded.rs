use musher_core::run::FailureClass;

use super::*;

const NO_MODEL: &str = "warning Model metadata for `gpt-5` not found";
const SHELL: &str =
    r#"tool shell {"command":"/bin/bash -lc \"echo 'hello from fake model' > hello.txt && cat hello.txt\""}"#;
const ASKS: &str = r#"asks 0 Shell("/bin/bash -lc \"echo 'hello from fake model' > hello.txt && cat hello.txt\"")"#;
const DONE: &str = "Done: hello.txt was written by the fake model.";
const TEXT: &str = "text Done: hello.txt was written by the fake model.";
const E401: &str = "not logged in: unexpected status 401 Unauthorized: fake 401 from fake_llm, url: \
    http://127.0.0.1:18080/s/e401/v1/responses";

fn failed(class: FailureClass, message: &str) -> Ended {
    Ended::Failed { class, message: message.to_owned() }
}

/// What each recorded stream means, as far as it is not the same for all of a sort.
fn meaning(name: &str) -> (Vec<&'static str>, Ended) {
    let session = "session 01a1fce7 resumable=true";
    let [first, second] = ["usage 1004 42 0 cached=100+0 priced=false", "usage 1006 42 0 cached=100+0 priced=false"];
    match name {
        "codex-appserver-allow.jsonl" => (
            vec!["session 01a1fcff resumable=true", NO_MODEL, SHELL, ASKS, "tool done ok=true", first, TEXT, second],
            finished(DONE),
        ),
        "codex-appserver-deny.jsonl" => (
            vec!["session 01a1fcff resumable=true", NO_MODEL, SHELL, ASKS, "tool done ok=false", first, TEXT, second],
            finished(DONE),
        ),
        "codex-appserver-interrupt.jsonl" => (vec!["session 01a1fcff resumable=true", NO_MODEL], Ended::Cancelled),
        "codex-cut.ndjson" => {
            let words = "stream disconnected before completion: Transport error: network error: error decoding \
                response body";
            (vec![session, NO_MODEL], failed(FailureClass::Agent, words))
        }
        "codex-e401.ndjson" => (vec![session, NO_MODEL], failed(FailureClass::Setup, E401)),
        "codex-e429.ndjson" => {
            let message = "exceeded retry limit, last status: 429 Too Many Requests".to_owned();
            (vec![session, NO_MODEL, "limited None"], Ended::RateLimited { resets_at: None, message })
        }
        "codex-e500.ndjson" => {
            let words = "We’re currently experiencing high demand, which may cause temporary errors.";
            (vec![session, NO_MODEL], failed(FailureClass::Agent, words))
        }
        "codex-mcp-stdio.ndjson" => {
            let tool = r#"tool fk.fake_ping {"text":"write hello.txt"}"#;
            let usage = "usage 2010 84 0 cached=200+0 priced=false";
            (vec![session, NO_MODEL, tool, "tool done ok=true", TEXT, usage], finished(DONE))
        }
        "codex-ok.ndjson" => {
            let usage = "usage 2010 84 0 cached=200+0 priced=false";
            let session = "session 01a1fce6 resumable=true";
            (vec![session, NO_MODEL, SHELL, "tool done ok=true", TEXT, usage], finished(DONE))
        }
        "codex-resume.ndjson" => {
            let unknown = "warning what it used in a resumed session is not known";
            let session = "session 01a1fce6 resumable=true";
            (vec![session, NO_MODEL, SHELL, "tool done ok=true", TEXT, unknown], finished(DONE))
        }
        "codex-write.ndjson" => (vec![session, NO_MODEL, "text (fake model", first], finished("(fake model")),
        other => panic!("what does {other} mean?"),
    }
}

#[test]
fn each_recorded_stream_means_what_is_written_here() {
    for name in fixtures() {
        let mut protocol = of(&name);
        let seen = hear(protocol.as_mut(), &fixture(&name));
        let (wanted, end) = meaning(&name);
        let short = |line: String| if line.contains("(fake model:") { "text (fake model".to_owned() } else { line };
        let seen: Vec<String> = seen.iter().map(|seen| short(shown(seen))).collect();
        assert_eq!(seen, wanted, "{name}");
        match (protocol.ended(), &end) {
            (Some(Ended::Finished { summary }), Ended::Finished { summary: wanted }) => {
                assert!(summary.starts_with(wanted.as_str()), "{name}");
            }
            (ended, wanted) => assert_eq!(ended, Some(wanted), "{name}"),
        }
        assert_eq!(protocol.say(), None, "{name}");
        assert!(!protocol.wish(tell("late", true)), "{name}");
    }
}

#[test]
fn no_part_of_a_stream_is_a_success() {
    for name in fixtures() {
        let lines = fixture(&name);
        for length in 0..lines.len() {
            let mut protocol = of(&name);
            hear(protocol.as_mut(), &lines[..length]);
            assert_eq!(protocol.ended(), None, "{name} after {length} lines");
            for code in [0, 1, 2] {
                let end = protocol.exited(Exit { code: Some(code), signal: None });
                assert!(!matches!(end, Ended::Finished { .. } | Ended::Cancelled), "{name}: {end:?}");
            }
        }
    }
}

#[test]
fn a_line_that_is_cut_anywhere_is_no_success_and_no_panic() {
    for name in fixtures() {
        let lines = fixture(&name);
        for (place, line) in lines.iter().enumerate() {
            let Line::Out(text) = line else { continue };
            let last = place + 1 == lines.len();
            for at in (0..text.len()).filter(|at| (last || at % 17 == 0) && text.is_char_boundary(*at)) {
                let mut protocol = of(&name);
                let mut spool = lines.clone();
                spool[place] = Line::Out(text[..at].to_owned());
                hear(protocol.as_mut(), &spool[..=place]);
                assert_eq!(protocol.ended(), None, "{name}, line {place} cut at {at}");
                // What follows may come all the same.
                hear(protocol.as_mut(), &spool[place + 1..]);
                protocol.say();
            }
        }
    }
}

#[test]
fn a_new_protocol_goes_on_where_the_spool_ends() {
    for name in fixtures() {
        let lines = fixture(&name);
        let mut old = of(&name);
        for length in 0..=lines.len() {
            let mut new = of(&name);
            hear(new.as_mut(), &lines[..length]);
            assert_eq!(new.say(), old.say(), "{name} after {length} lines");
            assert_eq!(new.ended(), old.ended(), "{name} after {length} lines");
            hear(old.as_mut(), &lines[length..lines.len().min(length + 1)]);
        }
    }
}
