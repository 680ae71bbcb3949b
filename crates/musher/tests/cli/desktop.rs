//! Notifications on the desktop of the real daemon: what they say, and that nobody is stopped by a desktop that is not there.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::harness::{Repo, config};

const AGENT: &str = "echo \"works on $1\"; echo done >file\n";
const SINK: &str = "\n[[sinks]]\nname = \"me\"\nkind = \"desktop\"\n";

/// Writes its arguments in a line, and tells the number 7.
const NOTIFY_SEND: &str = "#!/bin/sh\nprintf '%s\\t' \"$@\" | tr '\\n' '|' >>\"$HOME/outside-shown\"\necho >>\"$HOME/outside-shown\"\necho 7\n";

/// The sink, once it has looked at all that has happened.
fn looked(repo: &Repo) -> Value {
    loop {
        let sink = repo.musher(&["sink", "list", "--json"]).ok().json()["sinks"][0].clone();
        if sink["behind"] == 0 || sink["state"] == "failing" {
            return sink;
        }
    }
}

fn shown(repo: &Repo) -> Vec<String> {
    repo.read("outside-shown").lines().map(str::to_owned).collect()
}

#[test]
fn a_mission_that_asks_for_help_has_one_notification_which_is_taken_back() {
    let repo = Repo::with(&(config("", "") + SINK), AGENT);
    repo.write("outside-bin/notify-send", NOTIFY_SEND);
    let program = repo.file("outside-bin/notify-send");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", repo.file("outside-bin").display(), std::env::var("PATH").unwrap());
    let doctor = repo.command(&["doctor"]).env("PATH", &path).output().unwrap();
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("pass  sink me: `notify-send` is there"), "{doctor}");

    let daemon = repo.up_with(&[("PATH", &path)]);
    let tested = repo.musher(&["sink", "test", "me"]).ok().out;
    assert_eq!(tested.trim(), "me: it was shown");
    assert!(shown(&repo)[0].contains("\t--\tmusher: a test\t"), "{:?}", shown(&repo));

    let mut follower = repo.follow(0);
    repo.musher(&["agent", "pause", "script"]).ok();
    let id =
        repo.musher(&["mission", "start", "--text", "paint <it> blue", "--json"]).ok().json()["mission"]["id"].clone();
    let id = id.as_str().unwrap();
    follower.until("mission_help_requested");
    looked(&repo);
    let lines = shown(&repo);
    let words = "\t--\tmusher: a mission needs help\tMission ";
    assert!(lines.len() == 2 && lines[1].contains(words), "{lines:?}");
    assert!(lines[1].contains("1 ready work item(s) but no idle agents") && lines[1].contains("|musher agent resume"));
    repo.musher(&["agent", "resume", "script"]).ok();
    follower.until("mission_help_retired");
    looked(&repo);
    let lines = shown(&repo);
    assert!(lines.len() == 3 && lines[2].contains("\t--replace-id=7\t--transient\t"), "{lines:?}");
    repo.wait_for_end(id);
    assert_eq!(shown(&repo).len(), 3, "nothing else asks for anybody");
    daemon.kill();
}

#[test]
fn without_the_program_the_sink_fails_and_says_what_to_install_and_the_work_goes_on() {
    let repo = Repo::with(&(config("", "") + SINK), AGENT);
    for name in ["git", "sh", "env"] {
        let path = std::env::var_os("PATH").unwrap();
        let from = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.exists()).unwrap();
        std::fs::create_dir_all(repo.file("outside-bin")).unwrap();
        std::os::unix::fs::symlink(from, repo.file("outside-bin").join(name)).unwrap();
    }
    let path = repo.file("outside-bin").display().to_string();
    let doctor = repo.command(&["doctor"]).env("PATH", &path).output().unwrap();
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("warn  sink me: `notify-send` is not on the PATH\n      fix: install"), "{doctor}");

    let daemon = repo.up_with(&[("PATH", &path)]);
    repo.musher(&["agent", "pause", "script"]).ok();
    let id = repo.musher(&["mission", "start", "--text", "paint", "--json"]).ok().json()["mission"]["id"].clone();
    let failed = repo.follow(0).until("delivery_failed");
    let error = failed["body"]["error"].as_str().unwrap();
    assert!(error.contains("`notify-send` is not on the PATH of the daemon: install `libnotify-bin`"), "{error}");
    assert_eq!(looked(&repo)["state"], "failing");
    let listed = repo.musher(&["sink", "list"]).ok().out;
    assert!(listed.contains("this desktop") && listed.contains("is not on the PATH of the daemon"), "{listed}");
    repo.musher(&["agent", "resume", "script"]).ok();
    repo.wait_for_end(id.as_str().unwrap());
    daemon.kill();
}

#[test]
fn a_desktop_has_no_address_and_no_secret() {
    let repo = Repo::with(&(config("", "") + SINK + "url = \"https://example.org\"\n"), AGENT);
    repo.musher(&["config", "check"]).refused(2, "a sink of kind `desktop` has no `url`");
}
