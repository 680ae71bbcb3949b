//! The daemon is killed by SIGKILL in each step of a merge, from the forming of a batch to the move of the base, while
//! somebody else pushes to the same branch of the same remote.
//!
//! The moment is exact: the daemon's `git` is a script that kills the daemon before, during or after the call that was
//! chosen, and so is the gate. What must hold is read from outside: from the remote's own log of where its branch has been,
//! and from what the other one was told that it had pushed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::harness::{Chance, Repo};
use crate::kill::{kills, linger, seed};

/// Items of one mission. Two of them are red only together.
const ITEMS: usize = 10;

/// The calls of git of which a merge is made, how many of one sort may pass before the one that kills, and the gate.
const STEPS: [(&str, u64); 11] = [
    ("merge-tree", 4),
    ("hash-object", 1),
    ("update-ref", 2),
    ("rev-parse", 5),
    ("worktree", 2),
    ("status", 2),
    ("push", 1),
    ("ls-remote", 1),
    ("fetch", 1),
    ("merge", 1),
    ("gate", 1),
];
/// The first of them that comes after the batch was formed.
const FORMED: u64 = 4;

/// Stands before the real git, in the daemon's PATH alone. `armed` names a step, how many of them may pass, and when to kill.
const GIT: &str = r#"#!/bin/sh
outside=@outside@
git=@git@
step=$1
# Options before the subcommand, as musher gives them.
n=0
for word in "$@"; do
    n=$((n + 1))
    case $skip$word in
    skip*) skip= ;;
    -c | -C) skip=skip ;;
    -*) ;;
    *) step=$word; break ;;
    esac
done
. "$outside/step.sh"
moment=$(moment_of "$step")
case $moment in
before) now_kill ;;
during) (now_kill) & ;;
after)
    "$git" "$@"
    code=$?
    now_kill
    exit $code
    ;;
esac
exec "$git" "$@"
"#;

/// What git and the gate share. One that takes the note away kills: two at once do not.
const STEP: &str = r#"
moment_of() {
    [ -f "$outside/armed" ] || return 0
    read -r wanted passes moment <"$outside/armed" 2>/dev/null || return 0
    [ "$wanted" = "$1" ] || return 0
    if [ "$passes" -gt 0 ]; then
        echo "$wanted $((passes - 1)) $moment" >"$outside/armed.$$" && mv "$outside/armed.$$" "$outside/armed"
        return 0
    fi
    mv "$outside/armed" "$outside/fired.$$" 2>/dev/null || return 0
    echo "$wanted $moment" >>"$outside/kills"
    echo "$moment"
}
# Who is to be killed is who lives now: a git that outlives its daemon must not kill the next one.
read -r pid <"$outside/daemon.pid"
now_kill() {
    kill -9 "$pid"
}
"#;

/// Green unless two files are there that do not go together. What is killed is the daemon, not the gate.
const GATE: &str = r#"
outside=@outside@
. "$outside/step.sh"
[ -z "$(moment_of gate)" ] || now_kill
for left in left-*; do
    [ ! -e "$left" ] || [ ! -e "right-${left#left-}" ] || exit 1
done
"#;

/// Writes a file of the item's name. The later one of the two that do not go together is asked a second time, and mends it.
const AGENT: &str = r#"
outside=@outside@
title=$(head -n 1 "$1")
name=${title#*-}
if [ -e "$outside/ran-$title" ]; then
    git rm -q "$name" && echo mended >"mended-$name"
else
    echo "$title" >"$name"
fi
touch "$outside/ran-$title"
"#;

/// Somebody else, in a clone of their own: commits, pushes, and tries again until it is through. What was acknowledged is
/// written down.
const OTHER: &str = r#"
cd @outside@/other || exit 1
while :; do
    git fetch -q origin && git reset -q --hard origin/main || exit 1
    echo "$1" >"foreign-$1" && git add -A && git commit -q -m "foreign-$1" || exit 1
    if git push -q origin HEAD:main 2>/dev/null; then
        git rev-parse HEAD >>@outside@/pushed
        exit 0
    fi
done
"#;

/// The repository, its remote, and what was done to them.
struct World {
    repo: Repo,
    seq: u64,
    killed: u64,
    foreign: u64,
    missions: u64,
}

/// A daemon that may be killed at any moment, also before it is up.
struct Mortal(Child);

impl Drop for Mortal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl World {
    fn new() -> Self {
        let repo = Repo::with("", "");
        let outside = repo.file("outside");
        let git =
            String::from_utf8(Command::new("sh").args(["-c", "command -v git"]).output().unwrap().stdout).unwrap();
        let fill = |text: &str| text.replace("@outside@", &outside.display().to_string()).replace("@git@", git.trim());
        for (name, text) in [("bin/git", GIT), ("step.sh", STEP), ("gate.sh", GATE), ("other.sh", OTHER)] {
            repo.write(&format!("outside/{name}"), &fill(text));
        }
        repo.write("agent.sh", &fill(AGENT));
        let gate = format!("project]\ngate = \"sh {}/gate.sh\"\npush = true\nbatch_max = 4", outside.display());
        let config = crate::harness::config("", "max_parallel_items = 4\nmax_retries = 500");
        repo.write("musher.toml", &config.replace("project]\ngate = \"true\"", &gate));
        let made = Command::new("chmod").arg("+x").arg(repo.file("outside/bin/git")).status().unwrap();
        assert!(made.success());
        repo.git(&["init", "-q", "--bare", "-b", "main", "outside/remote.git"]);
        repo.git(&["-C", "outside/remote.git", "config", "core.logAllRefUpdates", "true"]);
        repo.git(&["remote", "add", "origin", &outside.join("remote.git").display().to_string()]);
        repo.git(&["push", "-q", "origin", "main"]);
        repo.git(&["clone", "-q", "outside/remote.git", "outside/other"]);
        repo.git(&["-C", "outside/other", "config", "user.name", "Other"]);
        repo.git(&["-C", "outside/other", "config", "user.email", "other@example.org"]);
        Self { repo, seq: 0, killed: 0, foreign: 0, missions: 0 }
    }

    /// Starts a daemon, which may not live to say that it is up.
    fn up(&self) -> Mortal {
        let path = format!("{}:{}", self.repo.file("outside/bin").display(), std::env::var("PATH").unwrap());
        let log = self.repo.file("outside-daemon.log");
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.repo.command(&["up"]);
        let mut child = command.env("PATH", path).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        self.repo.write("outside/daemon.pid", &format!("{}\n", child.id()));
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let _ = out.read_line(&mut line);
        std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
        Mortal(child)
    }

    /// Chooses the next kill, among the steps from this one on.
    fn arm(&self, from: u64, chance: &mut Chance) {
        let (step, passes) = STEPS[(from + chance.below(STEPS.len() as u64 - from)) as usize];
        let moment = ["before", "during", "after"][chance.below(3) as usize];
        self.repo.write("outside/armed.new", &format!("{step} {} {moment}\n", chance.below(passes)));
        std::fs::rename(self.repo.file("outside/armed.new"), self.repo.file("outside/armed")).unwrap();
    }

    /// Somebody else begins to push.
    fn somebody_pushes(&mut self) -> Child {
        self.foreign += 1;
        let script = self.repo.file("outside/other.sh");
        Command::new("sh").arg(script).arg(self.foreign.to_string()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// One mission: its items all wait in the queue before anything is merged, and then there is a kill in every life of the
    /// daemon until it is over, or there were enough.
    fn mission(&mut self, wanted: u64, chance: &mut Chance) {
        let daemon = self.up();
        self.repo.musher(&["queue", "pause"]).ok();
        let round = self.missions;
        self.missions += 1;
        let mut plan = String::from("goal = \"survive\"\n");
        for n in 0..ITEMS {
            let name = ["left".to_owned(), "right".to_owned()].get(n).cloned().unwrap_or(format!("file-{n}"));
            plan.push_str(&format!("[[items]]\nid = \"i{n}\"\ntitle = \"item-{name}-{round}\"\n"));
        }
        self.repo.write("all.plan.toml", &plan);
        let started = self.repo.musher(&["mission", "start", "all.plan.toml", "--json"]).ok().json();
        let mission = started["mission"]["id"].as_str().unwrap().to_owned();
        let mut follower = self.repo.follow(self.seq);
        for _ in 0..ITEMS {
            follower.until("item_verified");
        }
        self.seq = follower.seq;
        self.arm(0, chance);
        // It may be dead before it can answer; then it is paused still.
        let _ = self.repo.musher(&["queue", "resume"]);
        let daemon = self.lives(daemon, wanted, &mission, chance);
        self.repo.wait_for_end(&mission);
        drop(daemon);
    }

    /// One life of the daemon after the other, until the mission is over; the last one.
    fn lives(&mut self, mut daemon: Mortal, wanted: u64, mission: &str, chance: &mut Chance) -> Mortal {
        loop {
            let other = (chance.below(3) == 0).then(|| self.somebody_pushes());
            let mut follower = self.repo.follow(self.seq);
            let mut over = false;
            while let Some(event) = follower.next() {
                // Some steps never come in this life, such as a fetch when nobody has pushed: another is chosen then.
                match event["kind"].as_str() {
                    Some("gate_started") if self.killed < wanted => self.arm(FORMED, chance),
                    Some("merge_done") if self.killed < wanted => self.arm(0, chance),
                    _ => {}
                }
                over |= event["kind"] == "mission_completed" && event["mission"] == mission;
                assert!(event["kind"] != "item_blocked", "{event}");
                if over {
                    break;
                }
            }
            self.seq = follower.seq;
            if let Some(mut other) = other {
                assert!(other.wait().unwrap().success());
            }
            if over {
                let _ = std::fs::remove_file(self.repo.file("outside/armed"));
                // A kill that was chosen may still be on its way to this one.
                drop(daemon);
                return self.up();
            }
            let end = daemon.0.wait().unwrap();
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&end), Some(9), "{}", self.log());
            self.killed += 1;
            linger(chance);
            let _ = std::fs::remove_file(self.repo.file("outside/armed"));
            if self.killed < wanted {
                self.arm(0, chance);
            }
            daemon = self.up();
            if self.killed >= wanted || chance.below(8) == 0 {
                let _ = self.repo.musher(&["queue", "resume"]);
            }
        }
    }

    fn log(&self) -> String {
        self.repo.read("outside-daemon.log")
    }

    /// What the remote's branch held at each moment, oldest first.
    fn tips(&self) -> Vec<String> {
        let log = self.repo.read("outside/remote.git/logs/refs/heads/main");
        log.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect()
    }

    fn everything_holds(&self) {
        let git = |arguments: &[&str]| {
            let remote = self.repo.file("outside/remote.git").display().to_string();
            self.repo.git(&[&["-C", &remote][..], arguments].concat())
        };
        // Nothing was ever taken back, and the base was green at every moment.
        let tips = self.tips();
        for pair in tips.windows(2) {
            git(&["merge-base", "--is-ancestor", &pair[0], &pair[1]]);
        }
        for tip in &tips {
            let files = git(&["ls-tree", "--name-only", tip]);
            let files: BTreeSet<&str> = files.lines().collect();
            for left in files.iter().filter_map(|file| file.strip_prefix("left-")) {
                assert!(!files.contains(&*format!("right-{left}")), "{tip} is red under the gate");
            }
        }
        let titles = git(&["log", "--format=%s", "main"]);
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        titles.lines().for_each(|title| *count.entry(title).or_default() += 1);
        assert_eq!(count.iter().find(|(_, times)| **times > 1), None, "merged twice");
        assert_eq!(
            count.keys().filter(|title| title.starts_with("item-")).count() as u64,
            self.missions * ITEMS as u64,
            "lost: {count:?}"
        );
        for commit in self.repo.read("outside/pushed").lines() {
            git(&["merge-base", "--is-ancestor", commit, "main"]);
        }
        assert_eq!(self.repo.read("outside/pushed").lines().count() as u64, self.foreign);
        self.repo.git(&["fetch", "-q", "origin"]);
        self.repo.git(&["merge-base", "--is-ancestor", "main", "origin/main"]);
        self.repo.nothing_left();
    }

    /// Where the kills were.
    fn tally(&self) -> BTreeMap<String, usize> {
        let mut tally = BTreeMap::new();
        self.repo.read("outside/kills").lines().for_each(|line| *tally.entry(line.to_owned()).or_default() += 1);
        tally
    }
}

fn survives(wanted: u64) {
    let mut chance = Chance(seed());
    let mut world = World::new();
    while world.killed < wanted {
        world.mission(wanted, &mut chance);
        world.everything_holds();
    }
    println!(
        "{} kills in {} missions, {} pushes of somebody else: {:?}",
        world.killed,
        world.missions,
        world.foreign,
        world.tally()
    );
}

#[test]
fn a_merge_that_is_killed_in_any_step_loses_no_commit_and_doubles_none() {
    survives(kills(20));
}

/// Takes minutes: `cargo test -p musher --test cli two_hundred -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes; docs/src/verification.md names it"]
fn two_hundred_kills_in_the_steps_of_merges_lose_no_commit_and_double_none() {
    survives(kills(200));
}
