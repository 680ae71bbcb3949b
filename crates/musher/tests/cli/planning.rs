//! `musher plan`: an agent plans, musher checks, a person decides.

use std::io::{Read, Write};
use std::process::Stdio;

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Repo, config};

/// The plan that the agent comes to, byte for byte.
const PLAN: &str = r#"goal = "Greetings"

[[items]]
id = "texts"
title = "texts"
body = '''
See:
```toml
x = 1
```
'''

[[items]]
id = "german"
title = "german"
depends_on = ["texts"]
gate = "test -e file-german"
"#;

/// Answers a planner's prompt on standard output with a plan that has an unknown key, and with a good one once it is told
/// of that; any other prompt with a file.
const AGENT: &str = r#"
title=$(head -n 1 "$1")
case $title in
Plan:*)
    echo "I have looked around."
    echo '```toml'
    if grep -q 'unknown key `bdoy`.*did you mean `body`' "$1"; then cat "$MUSHER_WORKTREE/../../../good.plan.toml"
    else printf 'goal = "g"\n[[items]]\nid = "a"\ntitle = "a"\nbdoy = "x"\n'; fi
    echo '```' ;;
*) echo "$title" >"file-$title"; echo "wrote file-$title" ;;
esac
"#;

/// The same, right at once, in the result file; it says something else on standard output.
const RIGHT: &str = r#"
case $(head -n 1 "$1") in
Plan:*) python3 - "$MUSHER_RESULT" "$MUSHER_WORKTREE/../../../good.plan.toml" <<'END'
import json, sys
json.dump({"summary": "planned", "plan": open(sys.argv[2]).read()}, open(sys.argv[1], "w"))
END
    echo planned ;;
esac
"#;

fn repo(agent: &str) -> Repo {
    let repo = Repo::with(&config("", ""), agent);
    repo.write("good.plan.toml", PLAN);
    repo
}

#[test]
fn a_plan_that_is_wrong_at_first_comes_out_right_and_alone_on_standard_output() {
    let repo = repo(AGENT);
    let said = repo.musher(&["plan", "Serve greetings"]).ok();
    assert_eq!(said.out, PLAN, "nothing else, to the byte");
    for part in [
        "5:1: unknown key `bdoy`",
        "a plan of 2 item(s): Greetings",
        "  texts     texts\n    german  german\n",
        "gate of german: test -e file-german",
    ] {
        assert!(said.err.contains(part), "{part:?} is not in {}", said.err);
    }
    assert_eq!(repo.titles(), ["first"]);
    assert_eq!(repo.git(&["branch", "--list", "musher/*"]), "");
    repo.nothing_left();
}

#[test]
fn a_plan_goes_into_a_file_that_starts_a_mission() {
    let repo = repo(RIGHT);
    let said = repo.musher(&["plan", "Serve greetings", "-o", "new.plan.toml"]).ok();
    assert_eq!(repo.read("new.plan.toml"), PLAN);
    assert!(
        said.out.ends_with("wrote new.plan.toml; `musher mission start new.plan.toml` starts it\n"),
        "{}",
        said.out
    );
    repo.write("agent.sh", AGENT);
    repo.musher(&["mission", "start", "new.plan.toml", "--wait"]).ok();
    assert_eq!(repo.titles(), ["german", "texts", "first"]);
}

#[test]
fn a_file_that_is_there_is_refused_before_anything_runs_unless_it_may_be_replaced() {
    let repo = repo(RIGHT);
    repo.write("old.plan.toml", "mine\n");
    repo.musher(&["plan", "Serve greetings", "-o", "old.plan.toml"]).refused(4, "--force");
    repo.musher(&["plan", "Serve greetings", "-o", "none/new.plan.toml"]).refused(2, "no folder `none`");
    repo.musher(&["plan", "Serve greetings", "-o", "."]).refused(2, "is a folder");
    assert!(!repo.file(".musher/musher.db").exists(), "nothing was made");
    assert_eq!(repo.read("old.plan.toml"), "mine\n");
    repo.musher(&["plan", "Serve greetings", "-o", "old.plan.toml", "--force"]).ok();
    assert_eq!(repo.read("old.plan.toml"), PLAN);
}

#[test]
fn a_script_gets_one_document_and_the_daemon_keeps_the_plan() {
    let repo = repo(RIGHT);
    let daemon = repo.up();
    let said = repo.musher(&["plan", "Serve greetings", "--agent", "script", "--json"]).ok();
    assert_eq!(said.out.lines().count(), 1, "{}", said.out);
    let document = said.json();
    assert_eq!(document["plan"], PLAN);
    assert_eq!(document["items"][1]["id"], "german");
    assert_eq!(document["items"][1]["depends_on"][0], "texts");
    let mission = document["mission"].as_str().unwrap();
    let shown = repo.musher(&["item", "show", &format!("{mission}/plan"), "--json"]).ok().json();
    assert_eq!(shown["plan"], PLAN);
    assert_eq!((&shown["item"]["wants"], &shown["item"]["state"]), (&"plan".into(), &"done".into()));
    assert!(repo.musher(&["item", "show", &format!("{mission}/plan")]).ok().out.contains("    goal = \"Greetings\"\n"));
    daemon.kill();
}

#[test]
fn without_a_gate_no_branch_is_made_to_gather_a_plan() {
    let repo = Repo::with(&config("", "").replace("gate = \"true\"\n", ""), RIGHT);
    repo.write("good.plan.toml", PLAN);
    let said = repo.musher(&["plan", "Serve greetings"]).ok();
    assert!(!said.err.contains("no gate is configured"), "{}", said.err);
    assert_eq!(repo.git(&["branch", "--list", "musher/*"]), "");
}

#[test]
fn what_a_planner_left_behind_is_kept_and_merged_nowhere() {
    let repo = repo(&RIGHT.replace("echo planned", "echo mine >notes; echo planned"));
    let said = repo.musher(&["plan", "Serve greetings"]).ok();
    assert_eq!((said.out.as_str(), repo.titles()), (PLAN, vec!["first".to_owned()]));
    assert!(said.err.contains("its worktree stays: 1 uncommitted files"), "{}", said.err);
}

#[test]
fn a_planner_that_has_no_plan_leads_to_exit_6_with_the_reason() {
    let repo = Repo::with(&config("", "max_retries = 1"), "echo 'I would rather not.'");
    let said = repo.musher(&["plan", "Serve greetings"]);
    said.refused(6, "max retries exceeded: its answer holds no plan");
    assert_eq!(said.out, "");
    let said = repo.musher(&["plan", "Serve greetings", "--json"]);
    let problem: serde_json::Value = serde_json::from_str(&said.err).unwrap();
    assert_eq!((said.code, said.out.as_str(), &problem["detail"]), (6, "", &"no plan came of it".into()));
}

#[test]
fn words_that_make_no_sense_start_nothing() {
    let repo = repo(RIGHT);
    repo.musher(&["plan"]).refused(2, "nothing to plan");
    repo.musher(&["plan", " "]).refused(2, "the text is empty");
    repo.musher(&["plan", "chekc"]).refused(2, "did you mean `musher plan check`");
    repo.musher(&["plan", "Serve", "greetings"]).refused(2, "greetings");
    repo.musher(&["plan", "Serve greetings", "--force"]).refused(2, "--output");
    assert!(!repo.file(".musher/musher.db").exists(), "nothing was made");
    repo.musher(&["plan", "Serve greetings", "--agent", "scirpt"]).refused(3, "did you mean `script`?");
    assert_eq!(repo.musher(&["plan", "--", "check"]).ok().out, PLAN, "a goal like any other");
}

/// Plans at a terminal and answers its question, or interrupts it there; says how that ended and what stood on the screen.
fn at_a_terminal(repo: &Repo, answer: Option<&str>) -> (i32, String) {
    let terminal = openpty(None, None).unwrap();
    let ours = || Stdio::from(terminal.slave.try_clone().unwrap());
    let mut command = repo.command(&["plan", "Serve greetings"]);
    // No drawing: the lines stay where they are.
    let mut child = command.env("TERM", "dumb").stdin(ours()).stdout(ours()).stderr(ours()).spawn().unwrap();
    drop((command, terminal.slave));
    let mut screen = std::fs::File::from(terminal.master);
    let mut seen = Vec::new();
    let mut bytes = [0; 1024];
    let mut asked = false;
    // A terminal that nobody has open any more is read with an error.
    while let Ok(read @ 1..) = screen.read(&mut bytes) {
        seen.extend_from_slice(&bytes[..read]);
        if !asked && String::from_utf8_lossy(&seen).contains("Start this mission? [y/N] ") {
            asked = true;
            match answer {
                Some(answer) => screen.write_all(answer.as_bytes()).unwrap(),
                None => kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap(),
            }
        }
    }
    (child.wait().unwrap().code().unwrap_or(-1), String::from_utf8_lossy(&seen).replace("\r\n", "\n"))
}

#[test]
fn a_person_sees_the_graph_and_a_yes_starts_it() {
    // Without a daemon it is waited for. The end of the input is no yes.
    for (answer, started) in [("y\n", true), ("n\n", false), ("\n", false), ("\u{4}", false)] {
        let repo = repo(&AGENT.replace("if grep", "if true || grep"));
        let (exit, screen) = at_a_terminal(&repo, Some(answer));
        assert_eq!(exit, 0, "{answer:?}: {screen}");
        assert!(
            screen.contains("    german  german\n") && screen.contains("gate of german: test -e file-german"),
            "{screen}"
        );
        let titles = if started { vec!["german", "texts", "first"] } else { vec!["first"] };
        assert_eq!(repo.titles(), titles, "{answer:?}: {screen}");
        assert_eq!(screen.contains(PLAN), !started, "{screen}");
        assert_eq!(
            screen.contains("nothing was started; `musher up --detach`, then `musher item show "),
            !started,
            "{screen}"
        );
    }
}

#[test]
fn an_interrupt_at_the_question_starts_nothing_and_says_where_the_plan_is() {
    let repo = repo(&AGENT.replace("if grep", "if true || grep"));
    let (exit, screen) = at_a_terminal(&repo, None);
    assert_eq!(exit, 130, "{screen}");
    assert!(screen.contains("nothing was started") && screen.contains("`musher item show "), "{screen}");
    assert_eq!(repo.titles(), ["first"]);
}

#[test]
fn with_a_daemon_a_yes_leaves_the_mission_to_it() {
    let repo = repo(&AGENT.replace("if grep", "if true || grep"));
    let daemon = repo.up();
    let mut follower = repo.follow(0);
    let (exit, screen) = at_a_terminal(&repo, Some("yes\n"));
    assert_eq!(exit, 0, "{screen}");
    assert!(screen.contains("is running: Greetings"), "{screen}");
    // The first is that of the planner.
    follower.until("mission_completed");
    follower.until("mission_completed");
    assert_eq!(repo.titles(), ["german", "texts", "first"]);
    daemon.kill();
}
