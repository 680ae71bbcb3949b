//! Bad input: a clear error with what, why and how to fix it, the right exit code, and nothing changed.

use std::process::Command;

use crate::harness::{Repo, config};

fn repo() -> Repo {
    Repo::with(&config("", ""), "echo work >work")
}

#[track_caller]
fn refused_plan(plan: &[u8], words: &[&str]) {
    let repo = repo();
    std::fs::write(repo.file("bad.plan.toml"), plan).unwrap();
    for arguments in [["plan", "check", "bad.plan.toml"], ["mission", "start", "bad.plan.toml"]] {
        let said = repo.musher(&arguments);
        assert_eq!(said.code, 2, "{said:?}");
        for word in words {
            assert!(said.err.contains(word), "{word:?} is not in {}", said.err);
        }
        assert!(said.err.contains("fix: "), "{}", said.err);
    }
    assert!(!repo.file(".musher/musher.db").exists(), "nothing was made");
}

#[test]
fn plans_that_cannot_be_used_name_file_line_and_column() {
    let item = |text: &str| format!("goal = \"g\"\n[[items]]\n{text}\n");
    refused_plan(item("id = \"a\"\ntitle = \"a\"\ndepends_on = [\"b\"]").as_bytes(), &["bad.plan.toml:5:", "`b`"]);
    refused_plan(
        b"goal = \"g\"\n[[items]]\nid = \"a\"\ntitle = \"a\"\ndepends_on = [\"b\"]\n[[items]]\nid = \"b\"\ntitle = \"b\"\ndepends_on = [\"a\"]\n",
        &["a", "b", "\u{2192}"],
    );
    refused_plan(item("id = \"a\"\ntitle = \"a\"\nbdoy = \"x\"").as_bytes(), &["bad.plan.toml:5:1", "bdoy", "body"]);
    refused_plan(
        b"goal = \"g\"\n[[items]]\nid = \"a\"\ntitle = \"a\"\n[[items]]\nid = \"a\"\ntitle = \"b\"\n",
        &["bad.plan.toml:6:", "`a`"],
    );
    refused_plan(item("id = \"a\"\ntitle = 7").as_bytes(), &["bad.plan.toml:4:"]);
    refused_plan(b"goal = \"g\"\n\xff\xfe\n", &["UTF-8"]);
    refused_plan(b"goal = \"g\"\n", &["item"]);
}

#[test]
fn a_plan_of_100_001_items_is_refused() {
    let mut plan = String::from("goal = \"g\"\n");
    for n in 0..100_001 {
        plan.push_str(&format!("[[items]]\nid = \"i{n}\"\ntitle = \"t\"\n"));
    }
    refused_plan(plan.as_bytes(), &["at most 100000"]);
}

#[test]
fn a_folder_without_a_repository_and_a_bare_one_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_musher")).current_dir(folder.path()).args(arguments).output().unwrap()
    };
    for arguments in [&["status"][..], &["up"], &["mission", "start", "--text", "x"], &["init"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("fix: "), "{output:?}");
    }
    assert!(Command::new("git").current_dir(folder.path()).args(["init", "-q", "--bare"]).status().unwrap().success());
    let output = run(&["up"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("bare"), "{output:?}");
}

#[test]
fn a_base_branch_that_does_not_exist_is_refused_with_the_nearest() {
    let repo = repo();
    let said = repo.musher(&["mission", "start", "--text", "x", "--base", "mian", "--wait"]);
    said.refused(2, "mian");
    assert!(said.err.contains("main"), "{}", said.err);
    assert!(!repo.file(".musher/musher.db").exists());
}

#[test]
fn without_a_daemon_reading_commands_exit_5() {
    let repo = repo();
    for arguments in [&["status"][..], &["mission", "list"], &["inbox"], &["events"], &["down"], &["queue", "list"]] {
        repo.musher(arguments).refused(5, "no daemon");
    }
    let problem = repo.musher(&["status", "--json"]);
    let problem: serde_json::Value = serde_json::from_str(&problem.err).unwrap();
    assert_eq!(problem["title"], "no daemon");
}

#[test]
fn a_second_daemon_is_refused_and_names_the_first() {
    let repo = repo();
    let daemon = repo.up();
    let said = repo.musher(&["up"]);
    said.refused(4, &daemon.pid().to_string());
    assert!(said.err.contains("musher down"), "{}", said.err);
    repo.musher(&["status"]).ok();
    daemon.kill();
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_not_touched() {
    let repo = repo();
    repo.musher(&["up", "--detach"]).ok();
    repo.musher(&["down"]).ok();
    let path = repo.file(".musher/musher.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // SQLite's header keeps the schema's version of its user at offset 60, big-endian.
    bytes[60..64].copy_from_slice(&9_999u32.to_be_bytes());
    for leftover in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(repo.file(&format!(".musher/musher.db{leftover}")));
    }
    std::fs::write(&path, &bytes).unwrap();
    repo.musher(&["up"]).refused(1, "newer");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_broken_config_names_its_problems() {
    let repo = repo();
    repo.write(
        "musher.toml",
        "[project]\ngaet = \"true\"\n[[agents]]\nname = \"x\"\ndriver = \"command\"\ncommand = [\"{promt}\"]\n",
    );
    let said = repo.musher(&["config", "check"]);
    said.refused(2, "musher.toml:2:1");
    assert!(said.err.contains("gate") && said.err.contains("prompt"), "{}", said.err);
    repo.musher(&["up"]).refused(2, "gaet");
}

#[test]
fn unknown_ids_and_words_say_so() {
    let repo = repo();
    let daemon = repo.up();
    repo.musher(&["item", "show", "deadbeef"]).refused(3, "deadbeef");
    repo.musher(&["mission", "status", "deadbeef"]).refused(3, "deadbeef");
    repo.musher(&["agent", "pause", "scirpt"]).refused(3, "scirpt");
    assert_eq!(repo.musher(&["mision", "list"]).code, 2);
    assert_eq!(repo.musher(&["mission", "start"]).code, 2);
    daemon.kill();
}
