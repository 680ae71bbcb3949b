//! A planner run by real agents: the first plan has an unknown key, the second is right, and much longer than a summary.

use crate::fixture::Fixture;
use crate::kind::Kind;
use crate::model::{Scenario, plan};

fn a_plan_that_is_wrong_at_first_comes_out_whole(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Plan) else { return };
    let repo = fixture.repo("");
    let daemon = fixture.up(&repo);
    let document = repo.musher(&["plan", "Do it in many steps", "--json"]).ok().json();
    assert_eq!(document["plan"], plan());
    assert_eq!(document["items"].as_array().unwrap().len(), 200);
    let item = format!("{}/plan", document["mission"].as_str().unwrap());
    let shown = repo.musher(&["item", "show", &item, "--json"]).ok().json();
    assert_eq!(shown["runs"].as_array().unwrap().len(), 2, "one was refused: {}", shown["runs"]);
    assert_eq!((shown["item"]["state"].as_str(), repo.titles()), (Some("done"), vec!["first".to_owned()]));
    repo.nothing_left();
    daemon.kill();
}

macro_rules! agents {
    ($($name:ident => $kind:ident;)*) => {$(
        #[test]
        fn $name() {
            a_plan_that_is_wrong_at_first_comes_out_whole(Kind::$kind);
        }
    )*};
}

// One a protocol: what is theirs of a plan is how its words come out whole.
agents! {
    codex => Codex;
    claude => Claude;
    claude_acp => ClaudeAcp;
    opencode => Opencode;
    gemini => Gemini;
    qwen => Qwen;
}
