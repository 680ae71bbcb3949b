//! Agents that behave badly: each ends as the rules say, with a reason that `explain` prints.

use serde_json::Value;

use crate::harness::{Repo, config};

/// Runs one item with one attempt and answers the final document and the repository.
fn one(agent: &str, project: &str) -> (Value, Repo) {
    let repo = Repo::with(&config(project, "max_retries = 1"), agent);
    let said = repo.musher(&["mission", "start", "--text", "task", "--wait", "--json"]);
    assert!(said.code == 0 || said.code == 6, "{said:?}");
    (said.json(), repo)
}

#[track_caller]
fn failed_with(document: &Value, words: &str) {
    let item = &document["items"][0];
    assert_eq!(item["state"], "failed", "{document}");
    let reason = item["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(words), "{reason:?} does not say {words:?}");
}

#[track_caller]
fn done(document: &Value, repo: &Repo) {
    assert_eq!(document["items"][0]["state"], "done", "{document}");
    assert_eq!(repo.titles()[0], "task");
    repo.nothing_left();
}

#[test]
fn one_that_changes_nothing_has_failed() {
    let (document, repo) = one("exit 0", "");
    failed_with(&document, "finished without changing anything");
    assert_eq!(repo.titles(), ["first"]);
    // The reason can be asked for, now and later.
    let daemon = repo.up();
    let id = document["items"][0]["id"].as_str().unwrap();
    let explained = repo.musher(&["explain", id]).ok();
    assert!(explained.out.contains("finished without changing anything"), "{}", explained.out);
    daemon.kill();
}

#[test]
fn uncommitted_changes_are_committed_as_the_items_title() {
    let (document, repo) = one("echo work >work", "");
    done(&document, &repo);
    assert_eq!(repo.git(&["show", "main:work"]), "work\n");
}

#[test]
fn where_the_agent_must_commit_leftovers_are_a_failure() {
    let (document, _) = one("echo work >work", "commit = \"agent\"");
    failed_with(&document, "work");
}

#[test]
fn a_background_process_in_a_session_of_its_own_is_ended() {
    let (document, repo) = one("setsid sh -c 'while :; do sleep 1; done' >/dev/null 2>&1 & echo work >work", "");
    done(&document, &repo);
}

#[test]
fn a_flood_of_output_is_cut_and_the_work_counts() {
    let config = config("", "max_retries = 1") + "[agents.limits]\nmax_output = \"1MiB\"\n";
    let repo = Repo::with(&config, "head -c 8000000 /dev/zero | tr '\\0' 'x' | fold -w 1000; echo work >work");
    let document = repo.musher(&["mission", "start", "--text", "task", "--wait", "--json"]).ok().json();
    done(&document, &repo);
    let runs = std::fs::read_dir(repo.file(".musher/runs")).unwrap();
    let largest = runs.flatten().filter_map(|r| r.path().join("out.ndjson").metadata().ok()).map(|m| m.len()).max();
    assert!(largest.unwrap() <= (1 << 20) + 4096, "{largest:?}");
}

#[test]
fn bytes_that_are_no_text_do_not_stop_anything() {
    let (document, repo) = one("printf '\\377\\376\\000bad\\n'; echo work >work", "");
    done(&document, &repo);
}

#[test]
fn one_that_ignores_sigterm_is_killed_at_its_deadline() {
    let config = config("", "max_retries = 1") + "[agents.limits]\nduration = \"1s\"\n";
    let repo = Repo::with(&config, "trap '' TERM INT; while :; do sleep 0.1; done");
    let said = repo.musher(&["mission", "start", "--text", "task", "--wait", "--json"]);
    assert_eq!(said.code, 6);
    failed_with(&said.json(), "it ran for 1 s");
    assert_eq!(repo.run_processes(), Vec::<String>::new());
}

#[test]
fn one_that_commits_to_the_base_branch_itself_has_changed_nothing_of_its_own() {
    let agent = "echo work >work; git add work; git commit -qm sneaked; git push -q . HEAD:main 2>/dev/null || \
                 git update-ref refs/heads/main HEAD; exit 0";
    let (document, _) = one(agent, "");
    failed_with(&document, "finished without changing anything");
}

#[test]
fn one_that_deletes_its_worktree_has_failed_and_a_new_one_is_made_for_the_next_try() {
    let agent = "if [ \"$MUSHER_ATTEMPT\" = 1 ]; then rm -rf \"$MUSHER_WORKTREE\"; else echo work >work; fi";
    let repo = Repo::with(&config("", "max_retries = 3"), agent);
    let document = repo.musher(&["mission", "start", "--text", "task", "--wait", "--json"]).ok().json();
    done(&document, &repo);
    assert_eq!(document["items"][0]["attempts"], 1);
}

#[test]
fn one_whose_program_is_missing_is_broken_itself_and_the_item_waits_uncounted() {
    let config =
        config("", "").replace("[\"sh\", \"{root}/agent.sh\", \"{prompt_file}\"]", "[\"no-such-program-here\"]");
    let repo = Repo::with(&config, "");
    let said = repo.musher(&["mission", "start", "--text", "task", "--wait", "--json"]);
    assert_eq!(said.code, 6, "{said:?}");
    let document = said.json();
    assert_eq!(document["items"][0]["attempts"], 0);
    assert!(
        document["mission"]["blocked_reason"].as_str().unwrap().contains("no idle agents are available"),
        "{document}"
    );
    let daemon = repo.up();
    let agents = repo.musher(&["agent", "list", "--json"]).ok().json();
    assert_eq!(agents["agents"][0]["status"], "error");
    assert!(agents["agents"][0]["error"].as_str().unwrap().contains("no-such-program-here"), "{agents}");
    daemon.kill();
}

/// What `agent list` says of an agent: its status and what is wrong with it.
#[track_caller]
fn standing(repo: &Repo, name: &str) -> (String, String) {
    let list = repo.musher(&["agent", "list", "--json"]).ok().json();
    let agent = list["agents"].as_array().unwrap().iter().find(|agent| agent["name"] == name).unwrap().clone();
    (agent["status"].as_str().unwrap().into(), agent["error"].as_str().unwrap_or_default().into())
}

#[test]
fn one_whose_program_is_missing_is_broken_before_it_is_given_work_and_mended_when_it_is_there() {
    let script = config("", "").replace("[\"sh\", \"{root}/agent.sh\", \"{prompt_file}\"]", "[\"./outside-agent\"]");
    let elsewhere = "[[agents]]\nname = \"far\"\ndriver = \"command\"\nnode = \"n\"\ncommand = [\"no-such-program\"]\n";
    let inside = "[[agents]]\nname = \"inside\"\ndriver = \"command\"\ncommand = [\"{worktree}/agent\"]\n";
    let script = format!("{script}{elsewhere}{inside}");
    let repo = Repo::with(&script, "");
    let install = || {
        repo.write("outside-agent", "#!/bin/sh\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(repo.file("outside-agent"), mode).unwrap();
    };
    let daemon = repo.up();
    let mut events = repo.follow(0);
    let mut until = |kind: &str, name: &str| while events.until(kind)["body"]["name"] != name {};
    until("agent_offline", "script");
    let (status, why) = standing(&repo, "script");
    assert_eq!(status, "error");
    assert!(why.contains("outside-agent") && why.contains("name the program in the agent's `command`"), "{why}");
    let told = repo.musher(&["agent", "resume", "script"]).ok().out;
    assert!(told.contains("script is error"), "it is looked for again: {told}");

    // Of one on another machine, and of one in a worktree, nobody here can tell.
    assert_eq!((standing(&repo, "far").1.contains("program"), standing(&repo, "inside").0.as_str()), (false, "idle"));

    // A change of something else mends nothing.
    let more = "[[agents]]\nname = \"more\"\ndriver = \"command\"\ncommand = [\"sh\"]\n";
    repo.write("musher.toml", &format!("{script}{more}"));
    until("agent_defined", "more");
    assert_eq!(standing(&repo, "script").0, "error");

    install();
    repo.write("musher.toml", &script);
    until("agent_online", "script");
    assert_eq!(standing(&repo, "script").0, "idle");

    // Of one that is added here it is said at once.
    let added = repo.musher(&["agent", "add", "hand", "--", "no-such-program"]).ok().out;
    assert!(added.contains("hand is error"), "{added}");
    std::fs::remove_file(repo.file("outside-agent")).unwrap();
    let restarted = repo.musher(&["agent", "restart", "script"]).ok().out;
    assert!(restarted.contains("script is error"), "{restarted}");
    install();
    let resumed = repo.musher(&["agent", "resume", "script"]).ok().out;
    assert!(resumed.contains("script is idle"), "{resumed}");

    // Every start looks, too.
    std::fs::remove_file(repo.file("outside-agent")).unwrap();
    daemon.kill();
    let daemon = repo.up();
    let mut events = repo.follow(events.seq);
    while events.until("agent_offline")["body"]["name"] != "script" {}
    assert_eq!(standing(&repo, "script").0, "error");
    daemon.kill();
}

#[test]
fn secrets_are_masked_in_what_is_kept() {
    let config = config("", "max_retries = 1")
        .replace("[\"sh\", \"{root}/agent.sh\", \"{prompt_file}\"]", "[\"sh\", \"{root}/agent.sh\"]")
        + "env = [\"NOTHING\"]\n[secrets]\nkey = \"file:outside-secret\"\n";
    let repo = Repo::with(&config, "echo the key is correct-horse-battery; echo work >work");
    repo.write("outside-secret", "correct-horse-battery\n");
    repo.musher(&["mission", "start", "--text", "task", "--wait"]).ok();
    for run in std::fs::read_dir(repo.file(".musher/runs")).unwrap().flatten() {
        let kept = std::fs::read_to_string(run.path().join("out.ndjson")).unwrap_or_default();
        assert!(!kept.contains("correct-horse"), "{kept}");
    }
}
