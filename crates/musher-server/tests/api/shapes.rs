//! The fields that scripts rely on: none may go, none may be renamed.

use musher_server::api::{EventQuery, ItemQuery, MissionQuery};
use serde_json::{Value, to_value};

use crate::world::World;

/// Every field of the list is in the document.
fn has(document: &Value, fields: &str) {
    for field in fields.split_whitespace() {
        assert!(document.get(field).is_some(), "no `{field}` in {document}");
    }
}

#[tokio::test]
async fn the_mission_document_has_every_documented_field() {
    let world = World::with_agent().await;
    let started = to_value(world.mission().await).unwrap();
    let document = to_value(world.client.mission(started["short_id"].as_str().unwrap()).await.unwrap()).unwrap();
    has(&document, "mission items watches dispatcher");
    has(
        &document["mission"],
        "id short_id goal state blocked_reason created_at updated_at next_wake_at policy counts cost_usd tokens base \
         delivery owner",
    );
    has(
        &document["mission"]["policy"],
        "max_parallel_items reviewer_required auto_merge watch_interval_secs max_retries budget_usd budget_tokens \
         on_cap on_rate_limit deadline",
    );
    has(
        &document["mission"]["counts"],
        "pending ready assigned running verifying waiting merging merge_failed done blocked held failed cancelled",
    );
    has(
        &document["items"][1],
        "id short_id key title kind wants role priority state reason agent attempts branch commit depends_on cost_usd",
    );
    has(&document["dispatcher"], "last_tick_at last_progress_at last_help_at last_help_reason help_attempts notes");
    assert_eq!(document["items"][1]["depends_on"], serde_json::json!(["schema"]));
    assert_eq!(document["items"][1]["state"], "pending");
    assert!(document["items"][1]["reason"].as_str().unwrap().contains("depends on schema"));
    assert_eq!(document["watches"], serde_json::json!([]));
    assert_eq!(document["mission"]["state"], "running");
    assert!(document["mission"]["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(started["id"], document["mission"]["id"]);
}

#[tokio::test]
async fn an_item_is_shown_with_its_runs_and_waits() {
    let world = World::with_agent().await;
    let mission = world.mission().await;
    let begun = world.event("run_started", 0).await;
    let id = format!("{}/schema", mission.short_id);
    let document = to_value(world.client.item(&id).await.unwrap()).unwrap();
    has(&document, "item runs waits body");
    has(&document["runs"][0], "id agent state outcome class attempt started_at finished_at usage");
    has(&document["runs"][0]["usage"], "input_tokens cache_read_tokens cache_write_tokens output_tokens cost_usd");
    assert_eq!(document["item"]["state"], "running");
    assert_eq!(document["item"]["agent"], "ann-1");
    assert_eq!(document["runs"][0]["agent"], "ann-1");
    assert!(document["item"]["branch"].as_str().unwrap().starts_with("musher/"));
    assert!(document["item"]["worktree"].as_str().unwrap().contains(".musher/worktrees/"));
    assert_eq!(document["body"], "Please do schema.");

    world.runs.end(1);
    let done = world.event("item_done", begun.seq).await;
    let document = to_value(world.client.item(&id).await.unwrap()).unwrap();
    assert_eq!(document["item"]["state"], "done");
    assert_eq!(document["item"]["commit"], "merge1");
    assert_eq!(document["item"]["cost_usd"], 0.25);
    assert_eq!(document["runs"][0]["outcome"], "finished");
    assert_eq!(document["runs"][0]["message"], "did it");
    assert_eq!(done.item.unwrap().to_string(), document["item"]["id"].as_str().unwrap());
}

#[tokio::test]
async fn explain_has_stable_codes() {
    let world = World::empty().await;
    let mission = world.mission().await;
    let first = to_value(world.client.explain(&format!("{}/schema", mission.short_id)).await.unwrap()).unwrap();
    has(&first, "id state waits");
    assert_eq!(first["state"], "ready");
    assert_eq!(first["waits"][0]["code"], "no_agent");
    assert!(!first["waits"][0]["text"].as_str().unwrap().is_empty());
    let second = world.client.explain(&format!("{}/api", mission.short_id)).await.unwrap();
    assert_eq!(second.waits[0].code, "dependency");
    // What is no item may be a mission.
    let whole = world.client.explain(&mission.short_id).await.unwrap();
    assert_eq!(whole.id, mission.id.to_string());
    assert_eq!(world.client.explain_mission(&mission.id.to_string()).await.unwrap(), whole);
}

#[tokio::test]
async fn events_have_every_documented_field() {
    let world = World::with_agent().await;
    let mission = world.mission().await;
    let wanted = EventQuery { mission: Some(mission.short_id.clone()), ..EventQuery::default() };
    let events = world.client.events(&wanted).await.unwrap();
    let first = to_value(&events[0]).unwrap();
    has(&first, "seq at kind mission item agent run actor body");
    assert_eq!(first["kind"], "mission_started");
    assert_eq!(first["body"], serde_json::json!({"goal": "Reach it", "items": 2}));
    assert!(events.iter().all(|e| e.mission == Some(mission.id)));
    assert!(events.windows(2).all(|two| two[0].seq < two[1].seq));
}

#[tokio::test]
async fn the_status_has_every_documented_field() {
    let world = World::with_agent().await;
    world.mission().await;
    let begun = world.event("run_started", 0).await;
    let status = to_value(world.client.status().await.unwrap()).unwrap();
    has(&status, "daemon missions items agents queue inbox cost_today_usd");
    has(&status["daemon"], "version pid uptime_s node store");
    assert_eq!(status["daemon"]["version"], "9.9.9");
    let found = serde_json::json!({"missions": 3, "attached": 1, "lost": 1, "effects": 5, "swept": 0});
    assert_eq!(status["daemon"]["found"], found);
    assert_eq!(status["missions"]["running"], 1);
    assert_eq!(status["items"]["running"], 1);
    assert_eq!(status["items"]["pending"], 1);
    has(&status["agents"][0], "id name driver model roles capabilities status load max_load error source runs");
    assert_eq!(status["agents"][0]["status"], "working");
    assert_eq!(status["agents"][0]["load"], 1);

    world.runs.end(2);
    world.event("mission_completed", begun.seq).await;
    assert_eq!(to_value(world.client.status().await.unwrap()).unwrap()["cost_today_usd"], 0.5);
}

#[tokio::test]
async fn lists_hold_what_was_asked_for() {
    let world = World::with_agent().await;
    let mission = world.mission().await;
    world.event("run_started", 0).await;
    let missions = world.client.missions(MissionQuery { all: true }).await.unwrap().missions;
    assert_eq!(missions.iter().map(|m| m.id).collect::<Vec<_>>(), [mission.id]);
    assert_eq!(world.client.missions(MissionQuery::default()).await.unwrap().missions.len(), 1);

    let keys = async |state: Option<&str>, limit| {
        let wanted = ItemQuery { mission: Some(mission.short_id.clone()), state: state.map(str::to_owned), limit };
        let found = world.client.items(&wanted).await.unwrap();
        (found.items.into_iter().map(|i| i.key).collect::<Vec<_>>(), found.more)
    };
    assert_eq!(keys(None, None).await, (vec!["schema".to_owned(), "api".to_owned()], false));
    assert_eq!(keys(Some("pending,held"), None).await, (vec!["api".to_owned()], false));
    assert_eq!(keys(None, Some(1)).await, (vec!["schema".to_owned()], true));
    assert_eq!(world.client.items(&ItemQuery::default()).await.unwrap().items.len(), 2);

    let graph = to_value(world.client.mission_graph(&mission.short_id).await.unwrap()).unwrap();
    assert_eq!(graph["nodes"][0]["key"], "schema");
    assert_eq!(graph["edges"], serde_json::json!([{"from": "schema", "to": "api"}]));
}
