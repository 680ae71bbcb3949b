//! Quotas and costs.

use musher_core::agent::AgentSpec;
use musher_core::command::{Actor, Command};
use musher_server::api::{Amount, Quota, QuotaWish, Quotas};
use serde_json::to_value;

use crate::paths::problem;
use crate::world::World;

fn wish(key: &str, value: &str) -> QuotaWish {
    QuotaWish { key: key.to_owned(), value: value.to_owned() }
}

fn of<'a>(quotas: &'a Quotas, scope: &str, key: &str) -> &'a Quota {
    let found = quotas.quotas.iter().find(|quota| quota.scope == scope && quota.key == key);
    found.unwrap_or_else(|| panic!("no {key} of {scope} in {quotas:?}"))
}

#[tokio::test]
async fn what_is_used_is_shown_and_what_it_cost_is_added_up_by_everything() {
    let world = World::with_agent().await;
    let mission = world.mission().await;
    world.runs.end(2);
    world.event("mission_completed", 0).await;
    let quotas = world.client.quotas().await.unwrap();
    assert_eq!(quotas.timezone, "UTC");
    let tokens = of(&quotas, "agent:ann-1", "daily_tokens");
    assert_eq!((tokens.limit, tokens.used, tokens.remaining), (Amount::Whole(0), Amount::Whole(30), Amount::Whole(-1)));
    assert_eq!((tokens.unit.as_str(), tokens.origin.as_str()), ("count", "none"));
    assert!(tokens.ends_at.is_some());
    assert_eq!(of(&quotas, "agent:ann-1", "daily_jobs").used, Amount::Whole(2));
    assert_eq!(of(&quotas, "model:command", "daily_usd").used, Amount::Usd(0.5));
    assert_eq!(of(&quotas, "workspace", "daily_usd").used, Amount::Usd(0.5));
    assert!((world.client.status().await.unwrap().cost_today_usd - 0.5).abs() < 1e-9);
    let document = to_value(&quotas).unwrap();
    for field in "scope key unit limit used remaining ends_at origin".split(' ') {
        assert!(document["quotas"][0].get(field).is_some(), "{field}");
    }

    for (by, names) in [
        ("mission", vec![format!("{} Reach it", mission.short_id)]),
        ("item", vec![format!("{}/api", mission.short_id), format!("{}/schema", mission.short_id)]),
        ("agent", vec!["ann-1".to_owned()]),
        ("model", vec!["command".to_owned()]),
    ] {
        let cost = world.client.cost(by).await.unwrap();
        let mut found: Vec<_> = cost.entries.iter().map(|entry| entry.name.clone()).collect();
        found.sort();
        assert_eq!(found, names, "{by}");
        assert_eq!((cost.total.cost_micro_usd, cost.total.input_tokens, cost.total.output_tokens), (500_000, 20, 10));
        assert_eq!((cost.total.cache_read_tokens, cost.total.cache_write_tokens), (8, 6), "{by}");
        assert_eq!(cost.total.estimated_micro_usd, 0);
    }
    let days = world.client.cost("day").await.unwrap();
    assert_eq!(days.entries.iter().map(|day| day.cost_micro_usd).sum::<u64>(), 500_000);
    assert!(days.entries.iter().all(|day| day.name.len() == 10 && day.name.starts_with("20")), "{days:?}");
    let wrong = problem(world.client.cost("modle").await);
    assert_eq!((wrong.status, wrong.fix.as_deref()), (422, Some("did you mean `model`?")));
}

#[tokio::test]
async fn a_quota_is_set_by_whoever_may_and_named_in_the_log() {
    let world = World::with_agent().await;
    let mission = world.mission().await;
    let ann = world.client.clone().speaking_for("ann");
    let scope = format!("mission:{}", mission.short_id);
    let answer = ann.set_quota(&scope, &wish("usd", "12.50")).await.unwrap();
    let set = of(&answer, &format!("mission:{}", mission.id), "usd");
    assert_eq!((set.limit, set.origin.as_str()), (Amount::Usd(12.5), "operator"));
    assert_eq!(answer.quotas.len(), 2, "those of its scope alone");
    let event = world.event("quota_set", 0).await;
    assert_eq!((event.actor.as_str(), event.mission), ("ann", Some(mission.id)));
    assert_eq!(event.body["value"], "12500000");
    let answer = ann.set_quota("agent:ann-1", &wish("model_allowlist", "a,b")).await.unwrap();
    assert_eq!(answer.model_allowlists[0].models, ["a", "b"]);
    // A name with a slash is one name, and has to be that of a model that an agent uses.
    let unknown = problem(ann.set_quota("model:vendor/m:free", &wish("daily_tokens", "1_000")).await);
    assert_eq!((unknown.status, unknown.detail.as_deref()), (404, Some("no agent uses a model `vendor/m:free`")));
    let other = AgentSpec {
        name: "bob-1".into(),
        driver: "codex".into(),
        model: Some("vendor/m:free".into()),
        ..AgentSpec::default()
    };
    world.engine.send(Actor::Operator("ann".into()), Command::AddAgent(Box::new(other))).await.unwrap();
    let answer = ann.set_quota("model:vendor/m:free", &wish("daily_tokens", "1_000")).await.unwrap();
    assert_eq!(of(&answer, "model:vendor/m:free", "daily_tokens").limit, Amount::Whole(1000));
    let answer = ann.set_quota(&scope, &wish("usd", "default")).await.unwrap();
    assert_eq!(of(&answer, &format!("mission:{}", mission.id), "usd").origin, "none");

    for (scope, key, value, status, words, fix) in [
        ("agnet:ann-1", "daily_tokens", "1", 422, "is no scope of quotas", Some("did you mean `agent`?")),
        ("agent:ann-2", "daily_tokens", "1", 404, "no agent `ann-2`", Some("did you mean `ann-1`?")),
        ("mission:ffffffff", "usd", "1", 404, "no mission", None),
        ("workspace", "daily_usdd", "1", 422, "no key `daily_usdd`", Some("did you mean `daily_usd`?")),
        ("workspace", "daily_usd", "much", 422, "`much` is no value", None),
    ] {
        let refused = problem(ann.set_quota(scope, &wish(key, value)).await);
        assert_eq!(refused.status, status, "{scope} {key} {value}: {refused:?}");
        assert!(
            refused.title.contains(words) || refused.detail.as_deref().unwrap_or_default().contains(words),
            "{refused:?}"
        );
        if fix.is_some() {
            assert_eq!(refused.fix.as_deref(), fix);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_at_once_never_share_the_last_job() {
    const CALLERS: usize = 256;
    const JOBS: usize = 7;
    let world = World::empty().await;
    let mut wide = crate::world::agent("ann-1");
    wide.max_load = 0;
    world.client.add_agent(&wide).await.unwrap();
    world.client.set_quota("agent:ann-1", &wish("daily_jobs", &JOBS.to_string())).await.unwrap();
    let mut one = crate::world::two_items();
    one.items.truncate(1);
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let (client, one) = (world.client.clone(), one.clone());
        callers.spawn(async move { client.start_mission(&one).await.unwrap().id });
    }
    let missions = callers.join_all().await;
    assert_eq!(missions.len(), CALLERS);
    let quotas = world.client.quotas().await.unwrap();
    let jobs = of(&quotas, "agent:ann-1", "daily_jobs");
    assert_eq!((jobs.used, jobs.remaining), (Amount::Whole(7), Amount::Whole(0)));
    let query = musher_server::api::EventQuery { kind: Some("item_assigned".to_owned()), ..Default::default() };
    assert_eq!(world.client.events(&query).await.unwrap().len(), JOBS);
    // One more is taken as soon as it is there, by one of them all.
    world.client.set_quota("agent:ann-1", &wish("daily_jobs", "8")).await.unwrap();
    assert_eq!(world.client.events(&query).await.unwrap().len(), JOBS + 1);
}
