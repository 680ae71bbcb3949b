//! Kills at random moments: nothing is lost, nothing is done twice, nothing is left behind.

use crate::harness::{Chance, Repo, config};

/// Notes who is at work outside of everything that musher knows: the oracle. Two at once for one item is a violation.
const AGENT: &str = r#"
title=$(head -n 1 "$1")
outside=$MUSHER_TEST_OUTSIDE
mark="$outside/$title.pid"
if [ -f "$mark" ]; then
    read -r pid prompt <"$mark"
    # A pid may belong to another program by now, or to nothing but a dead process that nobody has waited for.
    if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$prompt"; then
        echo "$title" >>"$outside/violations"
    fi
fi
echo "$$ $1" >"$mark.new" && mv "$mark.new" "$mark"
echo "$title" >>"$outside/starts"
n=0
while [ $n -lt "$MUSHER_TEST_STEPS" ]; do
    n=$((n + 1))
    echo "step $n of $title"
    sleep 0.05
done
echo "$title" >"file-$title"
rm -f "$mark"
"#;

const ITEMS: usize = 20;

fn plan() -> String {
    let mut plan = String::from("goal = \"survive\"\n");
    for n in 0..ITEMS {
        let after = if n >= 4 { format!("depends_on = [\"i{}\"]\n", n - 4) } else { String::new() };
        plan.push_str(&format!("[[items]]\nid = \"i{n}\"\ntitle = \"item-{n}\"\n{after}"));
    }
    plan
}

fn repo() -> Repo {
    let config = config("", "max_parallel_items = 4\nmax_retries = 500")
        .replace("max_load = 0", "max_load = 0\nenv = [\"MUSHER_TEST_OUTSIDE\", \"MUSHER_TEST_STEPS\"]");
    let repo = Repo::with(&config, AGENT);
    std::fs::create_dir_all(repo.file("outside")).unwrap();
    repo.write("all.plan.toml", &plan());
    repo
}

#[track_caller]
fn everything_is_merged_once(repo: &Repo) {
    let titles = repo.titles();
    for n in 0..ITEMS {
        let title = format!("item-{n}");
        assert_eq!(titles.iter().filter(|t| **t == title).count(), 1, "{title} in {titles:?}");
        assert_eq!(repo.git(&["show", &format!("main:file-{title}")]).trim(), title);
    }
    assert_eq!(repo.read("outside/violations"), "", "an agent ran twice at the same time");
    repo.nothing_left();
}

/// How long an agent works, so that as many kills as are asked for fall into the time of the mission.
fn steps(kills: u64) -> String {
    (2 * kills + 3).to_string()
}

/// How often a process is killed; the environment may ask for more.
pub(crate) fn kills(usual: u64) -> u64 {
    std::env::var("MUSHER_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

pub(crate) fn seed() -> u64 {
    let seed = std::env::var("MUSHER_TEST_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or_else(|| {
        u64::from(std::process::id()) ^ std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |d| d.as_nanos() as u64)
    });
    println!("replay the choices with MUSHER_TEST_SEED={seed}");
    seed | 1
}

/// Spends a moment that no event announces, so that kills fall between events too.
pub(crate) fn linger(chance: &mut Chance) {
    let mut sum = 0u64;
    for n in 0..chance.below(3_000_000) {
        sum = std::hint::black_box(sum.wrapping_add(n));
    }
    std::hint::black_box(sum);
}

#[test]
fn a_daemon_that_is_killed_again_and_again_loses_nothing_and_doubles_nothing() {
    let mut chance = Chance(seed());
    let repo = repo();
    let outside = repo.file("outside");
    let steps = steps(kills(12));
    let environment = [("MUSHER_TEST_OUTSIDE", outside.to_str().unwrap()), ("MUSHER_TEST_STEPS", &steps)];
    let mut daemon = repo.up_with(&environment);
    let started = repo.musher(&["mission", "start", "all.plan.toml", "--json"]).ok().json();
    let mission = started["mission"]["id"].as_str().unwrap().to_owned();
    let mut seq = 0;
    let mut killed = 0;
    for _ in 0..kills(12) {
        let mut follower = repo.follow(seq);
        // The mission says some 240 things: so many of them lie between two kills that all kills fall into it.
        let after = 1 + chance.below((240 / kills(12).max(1)).max(2));
        let mut over = false;
        for _ in 0..after {
            match follower.next() {
                Some(event) if event["kind"] == "mission_completed" => over = true,
                Some(_) if !over => {}
                _ => break,
            }
            if over {
                break;
            }
        }
        seq = follower.seq;
        linger(&mut chance);
        daemon.kill();
        killed += 1;
        daemon = repo.up_with(&environment);
        // What was acknowledged is still there.
        assert_eq!(
            repo.musher(&["mission", "status", &mission, "--json"]).ok().json()["items"].as_array().unwrap().len(),
            ITEMS
        );
        if over {
            break;
        }
    }
    repo.wait_for_end(&mission);
    println!("the daemon was killed {killed} times");
    everything_is_merged_once(&repo);
    daemon.kill();
}

#[test]
fn run_hosts_agents_and_the_daemon_may_die_all_at_once() {
    let mut chance = Chance(seed());
    let repo = repo();
    let outside = repo.file("outside");
    let environment = [("MUSHER_TEST_OUTSIDE", outside.to_str().unwrap()), ("MUSHER_TEST_STEPS", "5")];
    let mut daemon = repo.up_with(&environment);
    let started = repo.musher(&["mission", "start", "all.plan.toml", "--json"]).ok().json();
    let mission = started["mission"]["id"].as_str().unwrap().to_owned();
    let mut seq = 0;
    for round in 0..kills(9) {
        let mut follower = repo.follow(seq);
        for _ in 0..1 + chance.below(6) {
            match follower.next() {
                Some(event) if event["kind"] == "mission_completed" => break,
                Some(_) => {}
                None => break,
            }
        }
        seq = follower.seq;
        linger(&mut chance);
        match round % 3 {
            0 => repo.kill_where(|line| line.contains("run-host")),
            1 => repo.kill_where(|line| line.contains("agent.sh")),
            _ => {
                // A power cut: everything at once.
                daemon.kill();
                repo.kill_where(|line| line.contains("run-host") || line.contains("agent.sh"));
                daemon = repo.up_with(&environment);
            }
        }
    }
    repo.wait_for_end(&mission);
    everything_is_merged_once(&repo);
    daemon.kill();
}
