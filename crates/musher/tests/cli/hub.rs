//! A real hub, killed at any moment while two projects of one name work: it shows what they show.

use musher_core::event::Happened;
use musher_core::relay::tells;
use serde_json::{Value, json};

use crate::harness::{Chance, Repo, config};
use crate::kill::{kills, linger, seed};

const AGENT: &str = "name=$(head -n 1 \"$1\"); echo \"$name\" >\"file-$name\"\n";
const ITEMS: usize = 8;
const TOKEN: &str = "a token of the hub, long enough";

fn hub() -> Repo {
    let hub = Repo::folder_with("[hub]\ntokens = [\"file:hub-token\"]\n");
    hub.write("hub-token", TOKEN);
    hub
}

/// An address that nobody has just now.
fn address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn project(address: &str) -> Repo {
    let relay = format!(
        "[relay]\nurl = \"http://{address}\"\ntoken = \"env:HUB_TOKEN\"\nproject = \"shop\"\n[server]\nhttp = false\n"
    );
    let repo = Repo::with(&format!("{}{relay}", config("", "max_parallel_items = 3")), AGENT);
    let mut plan = String::from("goal = \"sell\"\n");
    for n in 0..ITEMS {
        let after = if n >= 2 { format!("depends_on = [\"i{}\"]\n", n - 2) } else { String::new() };
        plan.push_str(&format!("[[items]]\nid = \"i{n}\"\ntitle = \"item-{n}\"\n{after}"));
    }
    repo.write("all.plan.toml", &plan);
    repo
}

/// Lines of JSON, each reduced to what a hub and a project have in common.
fn events(said: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let lines = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let common = |event: Value| json!([event["seq"], event["at"], event["kind"], event["item"], event["body"]]);
    lines.filter(wanted).map(common).collect()
}

fn is_told(event: &Value) -> bool {
    let happened: Happened = serde_json::from_value(json!({"kind": event["kind"], "body": event["body"]})).unwrap();
    tells(&happened)
}

#[test]
fn a_hub_that_is_killed_again_and_again_shows_what_the_projects_show() {
    let (hub, address) = (hub(), address());
    let up = || hub.up_as(&["up", "--hub", "--listen", &address], &[]);
    let projects = [project(&address), project(&address)];
    let mut running = Some(up());
    let daemons = projects.each_ref().map(|project| project.up_with(&[("HUB_TOKEN", TOKEN)]));
    let missions = projects.each_ref().map(|project| {
        let started = project.musher(&["mission", "start", "all.plan.toml", "--json"]).ok().json();
        started["mission"]["id"].as_str().unwrap().to_owned()
    });
    let mut chance = Chance(seed());
    for _ in 0..kills(4) {
        linger(&mut chance);
        running.take().unwrap().kill();
        linger(&mut chance);
        running = Some(up());
    }
    for (project, mission) in projects.iter().zip(&missions) {
        project.wait_for_end(mission);
        // What waits for its next try is tried now.
        project.until_status(|_| {
            project.musher(&["sink", "test", "relay"]);
            let sinks = project.musher(&["sink", "list", "--json"]).ok().json();
            sinks["sinks"][0]["state"] == "ok" && sinks["sinks"][0]["behind"] == 0
        });
    }
    let shown = hub.musher(&["hub", "projects", "--json"]).ok().json();
    let shown = shown["projects"].as_array().unwrap();
    assert_eq!(shown.len(), 2, "{shown:?}");
    let mut matched = 0;
    for (project, mission) in projects.iter().zip(&missions) {
        for known in shown {
            let id = known["short_id"].as_str().unwrap();
            assert_eq!(known["shown"], format!("shop ({id})"));
            let told = hub.musher(&["hub", "status", id, "--json"]).ok().json();
            if told["missions"][0]["id"] != **mission {
                continue;
            }
            matched += 1;
            let own = project.musher(&["mission", "status", mission, "--json"]).ok().json();
            let told = hub.musher(&["hub", "status", id, mission, "--json"]).ok().json();
            assert_eq!((&told["mission"]["state"], &told["mission"]["goal"]), (&json!("completed"), &json!("sell")));
            let card = |item: &Value| {
                json!([item["id"], item["key"], item["title"], item["state"], item["agent"], item["commit"]])
            };
            let cards = |items: &Value| items.as_array().unwrap().iter().map(card).collect::<Vec<_>>();
            assert_eq!(cards(&told["items"]), cards(&own["items"]));
            let own = events(&project.musher(&["events", "--json"]).ok().out, is_told);
            let told = events(&hub.musher(&["hub", "events", "--project", id, "--json"]).ok().out, |_| true);
            assert_eq!(told, own);
        }
    }
    assert_eq!(matched, 2);
    hub.musher(&["hub", "status", "shop"]).refused(4, "names more than one project");
    assert_eq!(daemons.len(), 2);
    let folder = hub.musher(&["status", "--json"]).ok().json();
    assert_eq!(folder["daemon"]["hub"], true);
    hub.musher(&["run", "do it"]).refused(2, "is not in a git repository");
}

#[test]
fn a_hub_wants_a_token_and_a_project_that_shows_another_one_says_so() {
    let bare = Repo::folder_with("");
    bare.musher(&["up", "--hub"]).refused(2, "the hub has no token");
    bare.write("musher.toml", "[hub]\ntokens = [\"env:SHORT\"]\n");
    bare.write("hub-token", "short");
    bare.write("musher.toml", "[hub]\ntokens = [\"file:hub-token\"]\n");
    bare.musher(&["up", "--hub"]).refused(2, "shorter than 16 characters");

    let (hub, address) = (hub(), address());
    let _hub = hub.up_as(&["up", "--hub", "--listen", &address], &[]);
    let project = project(&address);
    let daemon = project.up_with(&[("HUB_TOKEN", "not a token of this hub")]);
    project.musher(&["run", "do it"]).ok();
    let tested = project.musher(&["sink", "test", "relay"]);
    assert_eq!(tested.code, 1, "{tested:?}");
    assert!(tested.out.contains("401") && tested.out.contains("does not know this token"), "{tested:?}");
    project.until_status(|status| status["sinks"][0]["state"] == "failing");
    let doctor = project.musher(&["doctor", "--json"]).json();
    let check = doctor["checks"].as_array().unwrap().iter().find(|check| check["name"] == "relay").unwrap();
    assert_eq!(check["status"], "fail", "{check}");
    assert!(check["text"].as_str().unwrap().contains("401 Unauthorized"), "{check}");
    drop(daemon);
    assert_eq!(hub.musher(&["hub", "projects", "--json"]).ok().json()["projects"], json!([]));
    let said = project.read("outside-daemon.log");
    assert!(!said.contains("not a token of this hub"), "{said}");

    // Nothing is lost of what happened meanwhile.
    let _daemon = project.up_with(&[("HUB_TOKEN", TOKEN)]);
    project.musher(&["sink", "test", "relay"]).ok();
    project.until_status(|_| {
        hub.musher(&["hub", "projects", "--json"]).ok().json()["projects"][0]["missions"]["completed"] == 1
    });
}
