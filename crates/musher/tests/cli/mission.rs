//! A mission from a plan file to merged commits.

use crate::harness::{Repo, config};

/// Notes the order of work outside, and does one line of it.
const AGENT: &str = r#"
title=$(head -n 1 "$1")
echo "$title" >"file-$title"
echo "wrote file-$title"
"#;

/// A diamond: one item, then a row of ten, then one that needs them all.
fn diamond() -> String {
    let mut plan = String::from("goal = \"a diamond\"\n[[items]]\nid = \"top\"\ntitle = \"top\"\n");
    let mut all = Vec::new();
    for n in 0..10 {
        plan.push_str(&format!("[[items]]\nid = \"m{n}\"\ntitle = \"m{n}\"\ndepends_on = [\"top\"]\n"));
        all.push(format!("\"m{n}\""));
    }
    plan.push_str(&format!("[[items]]\nid = \"end\"\ntitle = \"end\"\ndepends_on = [{}]\n", all.join(", ")));
    plan
}

#[test]
fn transcripts_are_trimmed_when_their_retention_is_over_and_what_was_spent_stays() {
    let spends = "echo hi >file; printf '{\"usage\": {\"input_tokens\": 7}}' >\"$MUSHER_RESULT\"";
    let repo = Repo::with(&config("retention = \"90d\"", ""), spends);
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "--text", "spends", "--json"]).ok().json();
    repo.wait_for_end(started["mission"]["id"].as_str().unwrap());
    let item = format!("{}/spends", started["mission"]["short_id"].as_str().unwrap());
    let run = repo.musher(&["item", "show", &item, "--json"]).ok().json()["runs"][0]["id"].as_str().unwrap().to_owned();
    let folder = repo.file(".musher/runs").join(&run);
    assert!(folder.join("out.ndjson").exists(), "within its retention");
    let cost = repo.musher(&["cost", "--json"]).ok().out;
    daemon.kill();
    repo.write("musher.toml", &repo.read("musher.toml").replace("90d", "0s"));
    let daemon = repo.up();
    while folder.exists() {
        std::thread::yield_now();
    }
    assert_eq!(repo.musher(&["cost", "--json"]).ok().out, cost, "what was spent is in events");
    repo.musher(&["logs", &run]).refused(1, "no transcript any more");
    daemon.kill();
}

#[test]
fn a_diamond_of_twelve_items_is_merged_in_dependency_order_and_the_checkout_only_follows() {
    let repo = Repo::with(&config("", "max_parallel_items = 4"), AGENT);
    repo.write("d.plan.toml", &diamond());
    repo.write("untracked", "mine\n");
    repo.write("README", "a scratch repository\nstashed\n");
    repo.git(&["stash"]);
    let stash = repo.git(&["stash", "list"]);

    let said = repo.musher(&["mission", "start", "d.plan.toml", "--wait", "--json"]).ok();
    let document = said.json();
    assert_eq!(said.out.lines().count(), 1, "exactly one JSON document");
    assert_eq!(document["mission"]["state"], "completed");
    assert_eq!(document["mission"]["counts"]["done"], 12);
    for item in document["items"].as_array().unwrap() {
        assert_eq!(item["state"], "done", "{item}");
    }
    let titles = repo.titles();
    assert_eq!(titles.len(), 13, "one commit an item: {titles:?}");
    assert_eq!((titles[0].as_str(), titles[11].as_str(), titles[12].as_str()), ("end", "top", "first"));
    let trailers = repo.git(&["log", "-1", "--format=%(trailers:key=Musher-Item)%(trailers:key=Musher-Agent)", "main"]);
    assert!(trailers.contains("Musher-Item: end ") && trailers.contains("Musher-Agent: script"), "{trailers}");
    // The user's own: the checkout followed, nothing else of it changed.
    assert_eq!(repo.git(&["status", "--porcelain"]).trim(), "?? untracked");
    assert_eq!(repo.git(&["stash", "list"]), stash);
    assert_eq!(repo.read("file-end"), "end\n");
    assert_eq!(repo.run_processes(), Vec::<String>::new());
}

#[test]
fn a_document_and_a_text_are_missions_too() {
    let repo = Repo::with(&config("", ""), AGENT);
    repo.write("todo.md", "# Things to do\n\n## first\n\nWrite it.\n\n## second\n\nThis depends on first.\n");
    let document = repo.musher(&["mission", "start", "--doc", "todo.md", "--wait", "--json"]).ok().json();
    assert_eq!(document["mission"]["goal"], "Things to do");
    assert_eq!(document["items"][1]["depends_on"][0], document["items"][0]["key"]);
    assert_eq!(repo.titles()[..2], ["second", "first"]);
    let text = repo.musher(&["mission", "start", "--text", "third", "--wait", "--json"]).ok().json();
    assert_eq!(text["items"].as_array().unwrap().len(), 1);
    assert_eq!(repo.titles()[0], "third");
}

#[test]
fn run_does_one_thing_and_shows_what_came_of_it() {
    let repo = Repo::with(&config("", ""), AGENT);
    let said = repo.musher(&["run", "alone"]).ok();
    assert!(said.out.contains("merged into main as"), "{}", said.out);
    assert_eq!(repo.titles()[0], "alone");
    let red = repo.musher(&["run", "again", "--gate", "exit 7", "--json"]);
    assert_eq!(red.code, 6, "{red:?}");
    assert_eq!(red.json()["items"][0]["state"], "failed");
    assert_eq!(repo.titles()[0], "alone");
}

#[test]
fn without_a_gate_the_work_is_gathered_on_a_branch_and_musher_says_so() {
    let repo = Repo::with(&config("", "").replace("gate = \"true\"\n", ""), AGENT);
    let said = repo.musher(&["run", "gathered"]).ok();
    assert!(said.out.contains("no gate is configured"), "{}", said.out);
    assert_eq!(repo.titles(), ["first"], "nothing reached the base branch");
    let branches = repo.git(&["branch", "--format=%(refname:short)", "--list", "musher/*/integration"]);
    let branch = branches.trim();
    assert_eq!(repo.git(&["log", "-1", "--format=%s", branch]).trim(), "gathered");
}

#[test]
fn a_conflict_goes_to_the_agent_with_the_merge_open_and_lands_when_it_is_resolved() {
    let agent = r#"
title=$(head -n 1 "$1")
if git diff --name-only --diff-filter=U | grep -q list; then
    grep -v -e '^<<<<<<<' -e '^=======' -e '^>>>>>>>' list >new && mv new list
    grep -q "conflict" "$1" || exit 9
    exit 0
fi
# The second waits until the first is merged, so that it conflicts for certain.
if [ "$title" = two ]; then
    while ! git log --format=%s main | grep -q '^one$'; do :; done
fi
echo "$title" >>list
"#;
    let repo = Repo::with(&config("", "max_parallel_items = 2"), agent);
    repo.write("list", "zero\n");
    repo.git(&["add", "list"]);
    repo.git(&["commit", "-q", "-m", "list"]);
    repo.write(
        "c.plan.toml",
        "goal = \"conflict\"\n[[items]]\nid = \"one\"\ntitle = \"one\"\n[[items]]\nid = \"two\"\ntitle = \"two\"\n",
    );
    let document = repo.musher(&["mission", "start", "c.plan.toml", "--wait", "--json"]).ok().json();
    assert_eq!(document["mission"]["state"], "completed");
    let list = repo.git(&["show", "main:list"]);
    assert!(list.starts_with("zero\n") && list.contains("one\n") && list.contains("two\n"), "{list}");
    assert_eq!(list.lines().count(), 3);
    assert_eq!(repo.titles()[..2], ["two", "one"]);
}

#[test]
fn a_dirty_checkout_holds_the_merge_and_is_not_touched() {
    let repo = Repo::with(&config("", ""), AGENT);
    repo.write("README", "my own unfinished words\n");
    let daemon = repo.up();
    repo.musher(&["mission", "start", "--text", "patient"]).ok();
    let mut follower = repo.follow(0);
    let held = follower.until("merge_held");
    assert!(held["body"]["why"].as_str().unwrap().contains("README"), "{held}");
    let item = held["item"].as_str().unwrap();
    let explained = repo.musher(&["explain", item, "--json"]).ok().json();
    assert_eq!(explained["waits"][0]["code"], "base_dirty", "{explained}");
    assert!(repo.musher(&["inbox"]).ok().out.contains("README"));
    assert_eq!(repo.read("README"), "my own unfinished words\n");
    assert_eq!(repo.titles(), ["first"]);
    // Clean again, the merge goes on by itself.
    repo.git(&["checkout", "-q", "README"]);
    follower.until("merge_done");
    assert_eq!(repo.titles()[0], "patient");
    daemon.kill();
}
