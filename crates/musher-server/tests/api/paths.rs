//! What each path does.

use musher_server::api::{EventQuery, GcWish, NewAgent, PauseWish, Speech, StopWish};
use musher_server::{Client, ClientError};
use serde_json::json;

use crate::world::{World, agent, two_items};

#[tokio::test]
async fn a_mission_is_paused_resumed_noted_and_stopped() {
    let world = World::with_agent().await;
    let id = world.mission().await.id.to_string();
    world.event("run_started", 0).await;
    let wish = PauseWish { now: false, reason: "lunch".to_owned() };
    let paused = world.client.clone().speaking_for("ann").pause_mission(&id, &wish).await.unwrap();
    assert_eq!(paused.state, "paused");
    assert_eq!(paused.blocked_reason.as_deref(), Some("Paused by ann: lunch"));
    let resumed = world.client.resume_mission(&id).await.unwrap();
    assert!(resumed.mission.state == "running" || resumed.mission.state == "blocked", "{resumed:?}");
    assert!(resumed.effect.unwrap().starts_with("resumed; 0 watches overridden"));
    let noted = world.client.note_mission(&id, "mind the tests").await.unwrap();
    assert!(noted.effect.starts_with("noted"));
    assert_eq!(world.client.note_mission(&id, "priority api high").await.unwrap().effect, "api is high now");
    let shown = world.client.mission(&id).await.unwrap();
    assert!(shown.dispatcher.notes[0].ends_with(": mind the tests"));
    assert_eq!(shown.items[1].priority, "high");
    let stopped = world.client.stop_mission(&id, StopWish { force: true }).await.unwrap();
    assert_eq!(stopped.state, "cancelled");
    assert_eq!(stopped.counts["cancelled"], 2);
}

#[tokio::test]
async fn a_graph_that_wants_a_yes_waits_for_it_in_the_inbox() {
    let world = World::empty().await;
    let mut wish = two_items();
    wish.ask = true;
    let mission = world.client.start_mission(&wish).await.unwrap();
    assert_eq!(mission.state, "awaiting_approval");
    let inbox = world.client.inbox().await.unwrap().inbox;
    assert_eq!((inbox[0].ask.as_str(), inbox[0].mission), ("graph", Some(mission.id)));
    assert!(inbox[0].replies[0].starts_with("musher mission approve "));
    let approved = world.client.approve_mission(&mission.short_id).await.unwrap();
    assert_ne!(approved.state, "awaiting_approval");
    assert!(world.client.inbox().await.unwrap().inbox.iter().all(|entry| entry.ask != "graph"));
}

#[tokio::test]
async fn an_item_is_held_released_skipped_and_cancelled() {
    let world = World::empty().await;
    let mission = world.mission().await.short_id;
    let (schema, api) = (format!("{mission}/schema"), format!("{mission}/api"));
    let held = world.client.hold_item(&schema, "not yet").await.unwrap();
    assert_eq!((held.state.as_str(), held.reason.as_deref()), ("held", Some("not yet")));
    assert_eq!(world.client.release_item(&schema).await.unwrap().state, "ready");
    assert_eq!(world.client.skip_item(&schema).await.unwrap().state, "done");
    assert_eq!(world.client.item(&api).await.unwrap().item.state, "ready");
    assert_eq!(world.client.cancel_item(&api).await.unwrap().state, "cancelled");
}

#[tokio::test]
async fn an_item_is_frozen_demoted_superseded_and_followed_up() {
    let world = World::empty().await;
    let client = world.client.clone().speaking_for("ann");
    let mission = world.mission().await.short_id;
    let (schema, api) = (format!("{mission}/schema"), format!("{mission}/api"));
    let frozen = client.freeze_item(&schema, "").await.unwrap();
    assert_eq!((frozen.state.as_str(), frozen.frozen.as_deref()), ("ready", Some("by ann")));
    assert_eq!(client.item(&schema).await.unwrap().waits[0].code, "held");
    assert_eq!(client.release_item(&schema).await.unwrap().frozen, None);
    let demoted = client.demote_item(&schema, "later").await.unwrap();
    assert_eq!((demoted.state.as_str(), demoted.reason.as_deref()), ("pending", Some("frozen: later")));
    // The plan id alone names an item of the same mission.
    let cycle = problem(client.supersede_item(&schema, "api").await);
    assert_eq!(cycle.status, 422);
    assert_eq!(client.skip_item(&schema).await.unwrap().state, "done");
    let follow_up = client.reopen_item(&schema, "an index is missing").await.unwrap();
    assert_eq!((follow_up.key.as_str(), follow_up.follows), ("schema-followup", Some(demoted.id)));
    let superseded = client.supersede_item(&api, "schema-followup").await.unwrap();
    assert_eq!((superseded.state.as_str(), superseded.satisfied), ("cancelled", true));
    let refused = problem(client.reopen_item(&api, "again").await);
    assert_eq!((refused.status, refused.code.as_str()), (409, "refused"));
    assert_eq!(refused.detail.as_deref(), Some("cannot reopen item `api` while it is cancelled"));
}

#[tokio::test]
async fn a_person_says_no_and_then_yes_and_the_work_is_merged() {
    let world = World::with_agent().await;
    let mut wish = two_items();
    wish.policy.reviewer_required = true;
    let mission = world.client.start_mission(&wish).await.unwrap().short_id;
    let id = format!("{mission}/schema");
    world.runs.end(1);
    let waiting = world.event("item_waiting", 0).await;
    let item = world.client.item(&id).await.unwrap();
    assert_eq!((item.item.state.as_str(), item.waits[0].code.as_str()), ("waiting", "review"));
    let diff = world.client.diff(&id).await.unwrap();
    assert_eq!(diff.patch, format!("diff --git {}\n", diff.branch));

    let rejected = world.client.reject_item(&id, "no tests").await.unwrap();
    assert_eq!(rejected.attempts, 1);
    world.runs.end(1);
    let again = world.event("item_waiting", waiting.seq).await;
    world.client.approve_item(&id, "now it is right").await.unwrap();
    let done = world.event("item_done", again.seq).await;
    assert_eq!(done.item, Some(item.item.id));
    assert!(world.client.queue().await.unwrap().queue.is_empty());
}

#[tokio::test]
async fn agents_are_added_paused_resumed_drained_and_removed_by_name() {
    let world = World::empty().await;
    let client = &world.client;
    assert_eq!(client.add_agent(&agent("ann-1")).await.unwrap().source, "operator");
    assert_eq!(client.pause_agent("ann-1").await.unwrap().status, "paused");
    assert_eq!(client.resume_agent("ann-1").await.unwrap().status, "idle");
    assert_eq!(client.drain_agent("ann-1").await.unwrap().status, "draining");
    assert_eq!(client.agent("ann-1").await.unwrap().status, "draining");
    assert_eq!(client.agents().await.unwrap().agents.len(), 1);
    assert_eq!(client.remove_agent("ann-1").await.unwrap().status, "stopped");
    assert!(client.agents().await.unwrap().agents.is_empty());
}

#[tokio::test]
async fn a_node_is_listed_once_an_agent_names_it_and_its_heartbeat_brings_the_agent_in() {
    let world = World::empty().await;
    let client = &world.client;
    assert!(client.nodes().await.unwrap().nodes.is_empty());
    let unknown = problem(client.heartbeat("box").await);
    assert_eq!((unknown.status, unknown.code.as_str()), (404, "not_found"));
    let wish = NewAgent { node: Some("box".to_owned()), ..agent("ann-1") };
    let added = client.add_agent(&wish).await.unwrap();
    assert_eq!((added.status.as_str(), added.node.as_deref(), added.heartbeat), ("offline", Some("box"), None));
    assert!(added.error.unwrap().contains("`musher node heartbeat box`"));
    assert!(problem(client.heartbeat("bix").await).fix.unwrap().contains("`box`"));
    let listed = client.nodes().await.unwrap().nodes;
    assert_eq!((listed[0].status.as_str(), listed[0].heartbeat, listed[0].ttl_secs), ("offline", None, 60));
    let heard = client.heartbeat("box").await.unwrap();
    assert_eq!((heard.status.as_str(), heard.agents), ("online", vec!["ann-1".to_owned()]));
    let agent = client.agent("ann-1").await.unwrap();
    assert_eq!((agent.status.as_str(), agent.heartbeat, agent.error), ("idle", heard.heartbeat, None));
    let bad = NewAgent { node: Some("no host".to_owned()), ..crate::world::agent("ann-2") };
    assert_eq!(problem(client.add_agent(&bad).await).status, 422);
}

#[tokio::test]
async fn a_run_is_shown_and_ended() {
    let world = World::with_agent().await;
    world.mission().await;
    let begun = world.event("run_started", 0).await;
    let id = begun.run.unwrap();
    let run = world.client.run(&id.short()).await.unwrap().run;
    assert_eq!((run.state.as_str(), run.purpose.as_str(), run.id), ("running", "work", id));
    world.client.interrupt_run(&id.to_string()).await.unwrap();
    let ended = world.event("run_finished", begun.seq).await;
    assert_eq!(ended.run, Some(id));
    assert_eq!(world.client.run(&id.to_string()).await.unwrap().run.outcome.as_deref(), Some("cancelled"));
    let late = problem(world.client.kill_run(&id.to_string()).await);
    assert_eq!((late.status, late.code.as_str()), (409, "ended"));
}

#[tokio::test]
async fn how_a_runs_agent_is_spoken_to_is_shown_as_the_run_began_and_its_prompt_is_not() {
    let world = World::with_agent().await;
    world.mission().await;
    let id = world.event("run_started", 0).await.run.unwrap().to_string();
    assert_eq!(world.client.run(&id).await.unwrap().speech, None, "a plain command speaks no protocol");

    let brief = json!({"prompt": "Please do schema.", "worktree": "/w", "model": "m", "session": "s1", "asks": true,
        "mcp": [{"name": "n", "command": ["c"], "env": [["TOKEN", "secret"]]}]});
    let begun = world.engine.paths().run(&id).join("brief.json");
    std::fs::write(&begun, json!({"driver": "acp", "brief": brief}).to_string()).unwrap();
    let document = serde_json::to_value(world.client.run(&id).await.unwrap()).unwrap();
    assert_eq!(document["speech"], json!({"driver": "acp", "session": "s1", "model": "m", "asks": true}));
    assert!(!document.to_string().contains("Please do schema") && !document.to_string().contains("secret"));

    std::fs::write(&begun, "{").unwrap();
    assert_eq!(world.client.run(&id).await.unwrap().speech, None, "what cannot be read is not shown");
}

#[tokio::test]
async fn how_an_agent_will_be_spoken_to_is_known_before_its_run_begins() {
    let world = World::empty().await;
    let copilot = NewAgent { driver: "copilot".to_owned(), model: Some("m".to_owned()), ..agent("ann-1") };
    world.client.add_agent(&copilot).await.unwrap();
    world.mission().await;
    let id = world.event("run_started", 0).await.run.unwrap().to_string();
    let speech = Speech { driver: "acp".to_owned(), session: None, model: Some("m".to_owned()), asks: true };
    assert_eq!(world.client.run(&id).await.unwrap().speech, Some(speech));
}

#[tokio::test]
async fn a_backup_is_a_database_and_never_replaces_a_file() {
    let world = World::empty().await;
    world.mission().await;
    let file = world.folder.path().join("copy.db");
    let made = world.client.backup(&file).await.unwrap();
    assert_eq!(made.bytes, std::fs::metadata(&file).unwrap().len());
    assert!(std::fs::read(&file).unwrap().starts_with(b"SQLite format 3"));
    let refused = problem(world.client.backup(&file).await);
    assert_eq!((refused.status, refused.code.as_str()), (409, "no_backup"));
    assert_eq!(problem(world.client.backup("copy.db").await).status, 422);
}

#[tokio::test]
async fn clean_up_lists_what_is_kept_and_removes_only_what_is_over() {
    let world = World::with_agent().await;
    let mission = world.mission().await.short_id;
    let begun = world.event("run_started", 0).await;
    let runs = world.engine.paths().runs();
    for (name, ended) in [("gate-over", true), ("gate-open", false), ("something-else", true)] {
        std::fs::create_dir_all(runs.join(name)).unwrap();
        if ended {
            std::fs::write(runs.join(name).join("exit.json"), "{}").unwrap();
        }
    }
    world.runs.end(1);
    world.event("worktree_kept", begun.seq).await;
    let dry = world.client.gc(&GcWish { dry_run: true, discard: None }).await.unwrap();
    assert_eq!(dry.removed.iter().map(|e| e.path.clone()).collect::<Vec<_>>(), [runs.join("gate-over")]);
    assert_eq!((dry.kept[0].key.as_str(), dry.kept[0].reason.as_str()), ("schema", "notes.txt is nowhere else"));
    assert!(runs.join("gate-over").is_dir());

    let wish = GcWish { dry_run: false, discard: Some(format!("{mission}/schema")) };
    let done = world.client.gc(&wish).await.unwrap();
    assert_eq!(done.removed.iter().map(|e| e.what.as_str()).collect::<Vec<_>>(), ["worktree", "script"]);
    assert!(!runs.join("gate-over").exists() && runs.join("gate-open").is_dir());
    assert!(runs.join("something-else").is_dir());
    assert!(runs.join(begun.run.unwrap().to_string()).is_dir(), "a transcript within its retention");
}

#[tokio::test]
async fn a_wish_for_the_end_is_answered_and_heard() {
    let world = World::empty().await;
    let mut events = world.follow(&EventQuery::default()).await.unwrap();
    while events.next().await.unwrap().unwrap().kind != "settings_changed" {}
    assert_eq!(world.client.shutdown().await.unwrap().pid, std::process::id());
    world.server.stop_wished().await;
    let socket = world.engine.paths().socket();
    world.server.stop().await;
    assert!(events.next().await.unwrap().is_none(), "streams end with the daemon");
    assert!(!socket.exists());
    assert!(matches!(Client::new(&socket).status().await, Err(ClientError::NoDaemon { .. })));
}

#[tokio::test]
async fn the_description_names_every_path() {
    let world = World::empty().await;
    let description = world.client.openapi().await.unwrap();
    let mut found: Vec<String> = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        found.extend(methods.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
    }
    found.sort();
    let mut expected: Vec<String> = ROUTES.lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect();
    expected.sort();
    assert_eq!(found, expected);
    assert!(description["components"]["schemas"]["Problem"].is_object());
    let text = description.to_string();
    for (at, _) in text.match_indices("#/components/schemas/") {
        let name: String = text[at + 21..].chars().take_while(char::is_ascii_alphanumeric).collect();
        assert!(description["components"]["schemas"][&name].is_object(), "no schema {name}");
    }
}

const ROUTES: &str = "
    post /v1/runs/{id}/send
    post /v1/requests/{id}/allow
    post /v1/requests/{id}/answer
    post /v1/requests/{id}/deny
    get /v1/status
    get /v1/inbox
    get /v1/queue
    post /v1/backup
    post /v1/gc
    post /v1/hub/projects/{project}/forget
    post /v1/hub/relay
    post /v1/shutdown
    get /v1/missions
    post /v1/missions
    get /v1/missions/{id}
    get /v1/missions/{id}/graph
    get /v1/missions/{id}/explain
    post /v1/missions/{id}/notes
    post /v1/missions/{id}/pause
    post /v1/missions/{id}/resume
    post /v1/missions/{id}/stop
    post /v1/missions/{id}/approve
    get /v1/items
    get /v1/items/{id}
    get /v1/items/{id}/explain
    get /v1/items/{id}/diff
    post /v1/items/{id}/retry
    post /v1/items/{id}/failover
    post /v1/items/{id}/hold
    post /v1/items/{id}/release
    post /v1/items/{id}/freeze
    post /v1/items/{id}/demote
    post /v1/items/{id}/supersede
    post /v1/items/{id}/reopen
    post /v1/items/{id}/skip
    post /v1/items/{id}/cancel
    post /v1/items/{id}/approve
    post /v1/items/{id}/reject
    post /v1/items/{id}/discard
    get /v1/agents
    post /v1/agents
    get /v1/agents/{name}
    delete /v1/agents/{name}
    post /v1/agents/{name}/pause
    post /v1/agents/{name}/resume
    post /v1/agents/{name}/drain
    post /v1/agents/{name}/restart
    get /v1/nodes
    post /v1/nodes/{name}/heartbeat
    post /v1/queue/{id}/retry
    post /v1/queue/{id}/eject
    post /v1/queue/resume
    post /v1/queue/pause
    post /v1/missions/{id}/weight
    get /v1/quotas
    post /v1/quotas/{scope}
    get /v1/cost
    get /v1/runs/{id}
    get /v1/runs/{id}/log
    post /v1/runs/{id}/interrupt
    post /v1/runs/{id}/kill
    get /v1/events
    get /v1/events/stream
    get /v1/hub/events
    get /v1/hub/projects
    get /v1/hub/projects/{project}
    get /v1/hub/projects/{project}/missions/{mission}
    get /v1/hub/relay/{project}
    get /v1/schedules
    post /v1/schedules
    get /v1/schedules/{name}
    delete /v1/schedules/{name}
    get /v1/schedules/{name}/firings
    post /v1/schedules/{name}/run
    post /v1/schedules/{name}/enable
    post /v1/schedules/{name}/disable
    get /v1/triggers
    post /v1/triggers
    get /v1/triggers/{name}
    delete /v1/triggers/{name}
    get /v1/triggers/{name}/firings
    get /v1/triggers/{name}/test
    post /v1/triggers/{name}/enable
    post /v1/triggers/{name}/disable
    get /v1/watches
    get /v1/watches/{id}
    post /v1/watches/{id}/snooze
    post /v1/watches/{id}/close
    post /v1/items/{id}/watches
    get /v1/sinks
    post /v1/sinks/{name}/test
    post /v1/forge/webhook";

/// The problem of a refusal.
pub(crate) fn problem<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> musher_server::api::Problem {
    match answer {
        Err(ClientError::Problem(problem)) => *problem,
        other => panic!("no problem: {other:?}"),
    }
}
