//! Two accounts, one of them used up: who is asked, and what a word of theirs does.

use crate::harness::Repo;
use crate::spoken::AGENT;

/// Two agents of one program, each with an account of its own. `first` is the one that is tried first.
fn repo(on_rate_limit: &str) -> Repo {
    let agent = |name: &str| {
        format!(
            "[[agents]]\nname = \"{name}\"\ndriver = \"acp\"\nhome = \".musher/homes/{name}\"\n\
             command = [\"sh\", \"{{root}}/agent.sh\"]\n"
        )
    };
    let config = format!(
        "[project]\ngate = \"true\"\n[policy]\nreviewer_required = false\nmax_retries = 1\n\
         on_rate_limit = \"{on_rate_limit}\"\n[server]\nhttp = false\n{}{}",
        agent("first"),
        agent("second")
    );
    Repo::with(&config, AGENT)
}

/// The names of the agents of an item's runs with how each ended, oldest first.
fn runs(repo: &Repo, item: &str) -> Vec<(String, String)> {
    let shown = repo.musher(&["item", "show", item, "--json"]).ok().json();
    let text = |run: &serde_json::Value, key: &str| run[key].as_str().unwrap_or_default().to_owned();
    shown["runs"].as_array().unwrap().iter().map(|run| (text(run, "agent"), text(run, "outcome"))).collect()
}

#[test]
fn an_item_that_asks_waits_for_its_account_until_a_person_gives_it_to_another() {
    let repo = repo("ask");
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "--text", "limited", "--json"]).ok().json();
    let mission = started["mission"]["id"].as_str().unwrap().to_owned();
    let mut events = repo.follow(0);
    let first = events.until("item_assigned");
    events.until("agent_rate_limited");
    let item = first["item"].as_str().unwrap().to_owned();

    // The other account is free, and yet it waits, and says so where a person looks.
    let explained = repo.musher(&["explain", &item, "--json"]).ok().json();
    assert_eq!(explained["waits"][0]["code"], "rate_limited", "{explained}");
    let inbox = repo.musher(&["inbox"]).ok().out;
    assert!(inbox.contains("musher item failover") && inbox.contains("Nothing has to be said"), "{inbox}");
    let agents = repo.musher(&["agent", "list", "--json"]).ok().json();
    let status = |name: &str| {
        let all = agents["agents"].as_array().unwrap();
        all.iter().find(|agent| agent["name"] == name).unwrap()["status"].clone()
    };
    assert_eq!((status("first"), status("second")), ("paused".into(), "idle".into()), "{agents}");
    assert_eq!(repo.titles(), ["first"]);

    repo.musher(&["item", "failover", "no-such-item"]).refused(3, "no item");
    repo.musher(&["item", "failover", &item]).ok();
    assert_eq!(repo.count_said("item_failover_allowed"), 1);
    assert_eq!(repo.count_said("item_assigned"), 2, "it has another account's agent when the word is answered");
    let second = events.until("item_assigned");
    assert_ne!(second["agent"], first["agent"], "another account's agent");
    repo.wait_for_end(&mission);
    let ended = |name: &str, how: &str| (name.to_owned(), how.to_owned());
    assert_eq!(runs(&repo, &item), [ended("first", "rate_limited"), ended("second", "finished")]);
    let document = repo.musher(&["mission", "status", &mission, "--json"]).ok().json();
    assert_eq!((&document["items"][0]["state"], &document["items"][0]["attempts"]), (&"done".into(), &0.into()));
    assert_eq!(repo.git(&["show", "main:work"]), "work\n");
    assert!(!repo.musher(&["inbox"]).ok().out.contains("failover"), "nothing is asked any more");
    repo.musher(&["item", "failover", &item]).refused(4, "done");
    repo.nothing_left();
    daemon.kill();
}

#[test]
fn a_question_about_an_account_outlives_the_daemon() {
    let repo = repo("ask");
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "--text", "limited", "--json"]).ok().json();
    let mission = started["mission"]["id"].as_str().unwrap().to_owned();
    let limited = repo.follow(0).until("agent_rate_limited");
    daemon.kill();
    let daemon = repo.up();
    let item = format!("{mission}/limited");
    let explained = repo.musher(&["explain", &item, "--json"]).ok().json();
    assert_eq!(explained["waits"][0]["until"], limited["body"]["until"], "{explained}");
    assert!(repo.musher(&["inbox"]).ok().out.contains("musher item failover"));
    repo.musher(&["item", "failover", &item]).ok();
    assert_eq!(repo.count_said("item_assigned"), 2);
    repo.wait_for_end(&mission);
    assert_eq!(runs(&repo, &item).len(), 2);
    daemon.kill();
}

#[test]
fn with_failover_nobody_is_asked() {
    let repo = repo("failover");
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "--text", "limited", "--json"]).ok().json();
    let mission = started["mission"]["id"].as_str().unwrap().to_owned();
    repo.follow(0).until("item_handed_over");
    repo.wait_for_end(&mission);
    let runs = runs(&repo, &format!("{mission}/limited"));
    assert_eq!(runs.iter().map(|(agent, _)| agent.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    daemon.kill();
}
