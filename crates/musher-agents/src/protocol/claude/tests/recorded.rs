use super::stories::STORIES;
use super::*;

/// What each recorded stream means, and how it ended.
fn story(name: &str) -> String {
    let mut claude = Claude::new(&brief(true));
    let seen = hear(&mut claude, &fixture(name));
    let mut lines: Vec<String> = seen.iter().map(|seen| shown(seen).trim_end().to_owned()).collect();
    lines.push(format!("{:?}", claude.ended()));
    lines.join("\n")
}

fn expected(name: &str) -> &'static str {
    STORIES.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no story of {name}")).1
}

#[test]
fn every_recorded_stream_means_what_is_written_here() {
    for name in fixtures() {
        let told: Vec<&str> = expected(&name).trim().lines().map(str::trim).collect();
        assert_eq!(story(&name), told.join("\n"), "{name}");
    }
    assert_eq!(fixtures().len(), STORIES.len());
}

#[test]
fn no_prefix_of_a_stream_is_a_success() {
    for name in fixtures() {
        let lines = fixture(&name);
        let mut claude = Claude::new(&brief(true));
        let mut had_result = false;
        for line in &lines {
            let is_result = matches!(line, Line::Out(line) if line.contains(r#""type":"result""#));
            had_result |= is_result;
            hear(&mut claude, std::slice::from_ref(line));
            assert!(had_result || claude.ended().is_none(), "{name}: {line:?}");
            let exit = claude.exited(Exit { code: Some(0), signal: None });
            assert!(had_result || !matches!(exit, Ended::Finished { .. }), "{name}: {line:?}");
        }
    }
}

#[test]
fn a_cut_line_never_panics_and_never_finishes_a_run() {
    for name in fixtures() {
        let lines = fixture(&name);
        for (at, line) in lines.iter().enumerate() {
            let Line::Out(text) = line else { continue };
            let step = (text.len() / 40).max(1);
            for end in (1..text.len()).step_by(step).filter(|end| text.is_char_boundary(*end)) {
                let mut claude = Claude::new(&brief(true));
                hear(&mut claude, &lines[..at]);
                let before = claude.ended().cloned();
                hear(&mut claude, &[Line::Out(text[..end].to_owned())]);
                assert_eq!(claude.ended(), before.as_ref(), "{name}: {}", &text[..end]);
                hear(&mut claude, &[Line::Out(text[end..].to_owned())]);
                assert_eq!(claude.ended(), before.as_ref(), "{name}: {}", &text[end..]);
            }
        }
    }
}

#[test]
fn the_same_spool_gives_the_same_say() {
    for name in fixtures() {
        for asks in [true, false] {
            let lines = fixture(&name);
            let mut first = Claude::new(&brief(asks));
            for end in 0..lines.len() {
                hear(&mut first, &lines[end..=end]);
                let mut second = Claude::new(&brief(asks));
                hear(&mut second, &lines[..=end]);
                assert_eq!(first.say(), second.say(), "{name} {end}");
                assert_eq!(first.ended(), second.ended(), "{name} {end}");
            }
        }
    }
}

#[test]
fn strange_lines_mean_nothing() {
    let (mut claude, _) = begun(true);
    let lines = [
        "",
        "null",
        "[]",
        "{}",
        "7",
        r#"{"type":7}"#,
        r#"{"type":"result""#,
        r#"{"type":"assistant","message":4}"#,
        r#"{"type":"user","message":{"content":[7,{}]}}"#,
        r#"{"type":"control_request"}"#,
        r#"{"type":"rate_limit_event"}"#,
        r#"{"type":"rate_limit_event","rate_limit_info":{"resetsAt":-1e300}}"#,
    ];
    for line in lines {
        assert_eq!(hear(&mut claude, &[Line::Out(line.to_owned())]), [], "{line}");
        assert_eq!(claude.ended(), None, "{line}");
        assert_eq!(claude.say(), None, "{line}");
    }
}
