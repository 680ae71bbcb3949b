//! What is refused, how it is said, and that nothing changed.

use musher_server::api::{EventQuery, ItemQuery, StopWish};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::paths::problem;
use crate::world::{World, agent, two_items};

/// Sends what no client of ours would; answers the status, the media type and the body.
pub(crate) async fn raw(world: &World, head: &str, body: &str) -> (u16, String, serde_json::Value) {
    let mut stream = UnixStream::connect(world.client.socket()).await.unwrap();
    let request = format!(
        "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    // A refusal may come before the whole body is taken.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    parsed(&answer)
}

pub(crate) fn parsed(answer: &[u8]) -> (u16, String, serde_json::Value) {
    let answer = String::from_utf8_lossy(answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    let kind = head.lines().find_map(|l| l.strip_prefix("content-type: ")).unwrap_or_default().to_owned();
    (status, kind, serde_json::from_str(body).unwrap_or_default())
}

/// A request line with the header of a JSON body.
const JSON: &str = "\r\nContent-Type: application/json";

async fn post(world: &World, path: &str, body: &str) -> (u16, String) {
    // The header goes behind the version, so it is put where the head ends.
    let mut stream = UnixStream::connect(world.client.socket()).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1{JSON}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let (status, _, body) = parsed(&answer);
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_problem_is_a_problem_document() {
    let world = World::empty().await;
    let (status, kind, body) = raw(&world, "GET /v1/missions/ffffffff", "").await;
    assert_eq!((status, kind.as_str()), (404, "application/problem+json"));
    assert_eq!(body["type"], "about:blank");
    assert_eq!(body["title"], "not found");
    assert_eq!(body["status"], 404);
    assert_eq!(body["code"], "not_found");
    assert_eq!(body["detail"], "no mission `ffffffff`");
    assert_eq!(body["instance"], "/v1/missions/ffffffff");
    assert!(body["fix"].as_str().unwrap().contains("musher mission list"));

    let (status, _, body) = raw(&world, "GET /v2/anything", "").await;
    assert_eq!((status, body["code"].as_str()), (404, Some("no_path")));
    let (status, kind, body) = raw(&world, "DELETE /v1/status", "").await;
    assert_eq!((status, body["code"].as_str()), (405, Some("no_method")));
    assert_eq!(kind, "application/problem+json");
}

#[tokio::test]
async fn a_bad_body_is_refused_and_changes_nothing() {
    let world = World::empty().await;
    let before = world.client.events(&EventQuery::default()).await.unwrap().len();
    let item = r#"{"key":"a","title":"t"}"#;
    let cases = [
        ("not JSON", "/v1/missions", "{".to_owned(), 400, "not_json"),
        ("no fields", "/v1/missions", "{}".to_owned(), 422, "invalid"),
        (
            "an unknown field",
            "/v1/missions",
            format!(r#"{{"goal":"g","base":"main","items":[{item}],"golas":1}}"#),
            422,
            "invalid",
        ),
        (
            "an unknown field of an item",
            "/v1/missions",
            r#"{"goal":"g","base":"main","items":[{"key":"a","title":"t","depend_on":[]}]}"#.to_owned(),
            422,
            "invalid",
        ),
        (
            "an unknown field of the policy",
            "/v1/missions",
            format!(r#"{{"goal":"g","base":"main","items":[{item}],"policy":{{"max_parallel":1}}}}"#),
            422,
            "invalid",
        ),
        (
            "a circle",
            "/v1/missions",
            r#"{"goal":"g","base":"main","items":[{"key":"a","title":"t","depends_on":["a"]}]}"#.to_owned(),
            422,
            "invalid",
        ),
        ("a large body", "/v1/agents", format!(r#"{{"name":"{}"}}"#, "x".repeat(2 << 20)), 413, "too_large"),
        ("a bad name", "/v1/agents", r#"{"name":"a b","driver":"command"}"#.to_owned(), 422, "invalid"),
        ("an unknown wish", "/v1/gc", r#"{"dry":true}"#.to_owned(), 422, "invalid"),
    ];
    for (name, path, body, status, code) in cases {
        assert_eq!(post(&world, path, &body).await, (status, code.to_owned()), "{name}");
    }
    let (status, _, body) = raw(&world, "POST /v1/gc", "{}").await;
    assert_eq!((status, body["code"].as_str()), (415, Some("not_json")), "no web form passes for JSON");
    assert_eq!(world.client.events(&EventQuery::default()).await.unwrap().len(), before);
}

#[tokio::test]
async fn a_large_mission_is_taken() {
    let world = World::empty().await;
    let mut wish = two_items();
    let one = wish.items[0].clone();
    wish.items = (0..5_000)
        .map(|n| musher_server::api::NewItem { key: format!("i{n}"), body: "x".repeat(400), ..one.clone() })
        .collect();
    let mission = world.client.start_mission(&wish).await.unwrap();
    let shown = world.client.mission(&mission.short_id).await.unwrap();
    assert_eq!(shown.items.len(), 5_000);
    assert!(shown.items.iter().enumerate().all(|(n, item)| item.key == format!("i{n}")));
}

#[tokio::test]
async fn a_refusal_names_the_state_and_says_how_to_fix_it() {
    let world = World::empty().await;
    let mission = world.mission().await.short_id;
    let refused = problem(world.client.retry_item(&format!("{mission}/schema")).await);
    assert_eq!((refused.status, refused.code.as_str()), (409, "refused"));
    assert_eq!(refused.detail.as_deref(), Some("cannot retry item `schema` while it is ready"));
    assert_eq!(refused.fix.as_deref(), Some("only failed and blocked items can be retried"));
    assert_eq!(problem(world.client.approve_mission(&mission).await).status, 409);
    assert_eq!(problem(world.client.note_mission(&mission, " ").await).status, 422);
    assert_eq!(problem(world.client.reject_item(&format!("{mission}/schema"), "").await).status, 422);

    world.client.add_agent(&agent("ann-1")).await.unwrap();
    let twice = problem(world.client.add_agent(&agent("ann-1")).await);
    assert_eq!((twice.status, twice.code.as_str()), (422, "invalid"));
    world.client.stop_mission(&mission, StopWish::default()).await.unwrap();
    let ended = problem(world.client.resume_mission(&mission).await);
    assert!(ended.detail.unwrap().contains("while it is cancelled"));
}

#[tokio::test]
async fn an_id_is_named_by_a_unique_beginning_of_its_full_or_short_form() {
    let world = World::empty().await;
    let mission = world.mission().await;
    let (full, short) = (mission.id.to_string(), mission.short_id.clone());
    for typed in [full.as_str(), &full[..13], short.as_str(), &short[..5], &full.to_uppercase()] {
        assert_eq!(world.client.mission(typed).await.unwrap().mission.id, mission.id, "{typed}");
    }
    let item = world.client.item(&format!("{short}/api")).await.unwrap().item;
    for typed in
        [item.id.to_string(), item.short_id.clone(), format!("{full}/api"), format!("{short}/{}", item.short_id)]
    {
        assert_eq!(world.client.item(&typed).await.unwrap().item.id, item.id, "{typed}");
    }
    let few = problem(world.client.mission(&short[..3]).await);
    assert_eq!((few.status, few.fix.as_deref()), (404, Some("type at least four digits of its id")));
}

#[tokio::test]
async fn an_ambiguous_beginning_names_the_candidates() {
    let world = World::empty().await;
    let (one, two) = (world.mission().await, world.mission().await);
    // Made in the same minute, two ids begin alike.
    let shared = problem(world.client.mission(&one.id.to_string()[..6]).await);
    assert_eq!((shared.status, shared.code.as_str()), (409, "ambiguous"));
    assert_eq!(shared.detail.unwrap(), format!("`{}` names 2 missions", &one.id.to_string()[..6]));
    assert_eq!(shared.candidates.len(), 2);
    assert!(shared.candidates[0].starts_with(&one.short_id) && shared.candidates[1].starts_with(&two.short_id));
    assert!(shared.candidates[0].contains("Reach it"));
}

#[tokio::test]
async fn an_unknown_name_gets_the_nearest_known_one() {
    let world = World::with_agent().await;
    let mission = world.mission().await.short_id;
    let fix = |problem: musher_server::api::Problem| (problem.status, problem.fix.unwrap_or_default());
    let near = format!("did you mean `{mission}/schema`?");
    assert_eq!(fix(problem(world.client.item(&format!("{mission}/shema")).await)), (404, near.clone()));
    assert_eq!(fix(problem(world.client.item("schema").await)), (404, near));
    assert_eq!(fix(problem(world.client.agent("ann-2").await)), (404, "did you mean `ann-1`?".to_owned()));
    let kind = EventQuery { kind: Some("item_dnoe".to_owned()), ..EventQuery::default() };
    assert_eq!(fix(problem(world.client.events(&kind).await)), (422, "did you mean `item_done`?".to_owned()));
    let state = ItemQuery { state: Some("runing".to_owned()), ..ItemQuery::default() };
    assert_eq!(fix(problem(world.client.items(&state).await)), (422, "did you mean `running`?".to_owned()));
    assert_eq!(problem(world.client.run("ffffffff").await).status, 404);
    let (status, _, body) = raw(&world, "GET /v1/events?afer=1", "").await;
    assert_eq!((status, body["code"].as_str()), (422, Some("invalid")));
}
