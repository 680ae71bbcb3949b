//! Comments on a pull request as notes: whose, which, once, and what is said of them there.

use musher_core::command::{Push, Report};
use musher_core::config::ProjectSettings;
use musher_core::effect::EffectKind;
use musher_core::event::Happened;
use musher_core::forge::{Comment, ForgeAnswer, ForgeWork, PullSeen};
use musher_core::item::Phase;
use musher_core::mission::{Delivery, MissionState};

use crate::world::{World, agent, item, policy, settings};

/// A world with the pull request of item `a` open and its first look under way.
fn opened() -> World {
    let mut w = World::with_settings(ProjectSettings { delivery: Delivery::Pr, ..settings() });
    w.agent(agent("a1"));
    // With another item at work, or the mission would only wait.
    w.mission_with(policy(), vec![item("a", &[]), item("b", &[])]);
    w.work("a");
    w.report("a", "push_branch", Report::Pushed(Push::Done));
    let opened = ForgeAnswer::PullOpened { number: 7, url: "https://forge/7".into(), draft: true, adopted: false };
    w.report("a", "open_pull", Report::Forge(opened));
    w
}

/// The look under way sees these comments, numbered from 1: who, whether they are trusted, and what.
fn look(w: &mut World, comments: &[(&str, bool, &str)]) {
    let comment = |(n, (author, trusted, text)): (usize, &(&str, bool, &str))| Comment {
        id: n as u64 + 1,
        author: (*author).into(),
        bot: false,
        text: (*text).into(),
        trusted: *trusted,
    };
    let seen = PullSeen {
        number: 7,
        head: w.item("a").head.clone().unwrap(),
        base: "main".into(),
        draft: true,
        mergeable: Some(true),
        comments: comments.iter().enumerate().map(comment).collect(),
        ..PullSeen::default()
    };
    w.report("a", "look_at_pull", Report::Forge(ForgeAnswer::PullLooked(Box::new(seen))));
}

/// What is to be said on the pull request, in order.
fn replies(w: &World) -> Vec<String> {
    let said = w.state.effects().filter_map(|effect| match &effect.kind {
        EffectKind::Forge(ForgeWork::CommentPull { number: 7, text }) => Some((effect.id, text.to_string())),
        _ => None,
    });
    let mut said: Vec<_> = said.collect();
    said.sort_by_key(|(id, _)| *id);
    said.into_iter().map(|(_, text)| text).collect()
}

fn mission(w: &World) -> musher_core::id::MissionId {
    w.item("a").mission
}

#[test]
fn a_note_of_a_trusted_author_is_applied_once_with_their_name_and_answered_there() {
    let mut w = opened();
    let said = [("ada", true, "Nice work so far."), ("ada", true, "/musher pause for lunch")];
    look(&mut w, &said);
    assert_eq!(w.mission_state(mission(&w)), MissionState::Paused);
    assert_eq!(w.blocked_reason(mission(&w)), "Paused by @ada: for lunch");
    assert_eq!(replies(&w), ["@ada: paused"]);
    let applied = w.events.iter().find(|event| matches!(event.happened, Happened::NoteApplied { .. })).unwrap();
    assert_eq!(&*applied.actor, "@ada");
    w.restart_and_compare();
    assert_eq!(w.state.pull(w.id("a")).unwrap().read_to, 2);
    w.note(mission(&w), "continue");
    look(&mut w, &said);
    assert_eq!((w.said("note_applied"), replies(&w).len()), (2, 1), "what was read is not read again");
    w.report("a", "comment_pull", Report::Forge(ForgeAnswer::Commented { id: 9 }));
    assert!(replies(&w).is_empty());
}

#[test]
fn several_notes_are_applied_in_order_each_on_what_the_one_before_has_left() {
    let mut w = opened();
    look(
        &mut w,
        &[
            ("ada", true, "/musher pause"),
            ("bob", true, "@musher: priority a high"),
            ("ada", true, "/musher redirect a to nobody"),
            ("bob", true, "/musher"),
            ("bob", true, "/musher mind the tests"),
            ("ada", true, "@Musher resume"),
        ],
    );
    let said = replies(&w);
    assert_eq!(said.len(), 6, "{said:?}");
    assert_eq!(said[..2], ["@ada: paused", "@bob: a is high now"]);
    assert!(said[2].starts_with("@ada: nothing was done: there is no agent `nobody`"), "{said:?}");
    assert!(said[3].starts_with("@bob: nothing was done: an empty note"), "{said:?}");
    assert!(said[4].starts_with("@bob: noted; 0 running"), "{said:?}");
    assert!(said[5].contains("resumed; 0 watches overridden"), "{said:?}");
    assert_eq!(w.phase("a"), Phase::Waiting, "it was the pause that held the mission up: `b` could go on");
    assert_eq!(w.state.pull(w.id("a")).unwrap().remarks, []);
}

#[test]
fn a_conversation_is_no_note_and_a_stranger_is_not_obeyed_and_named_once() {
    let mut w = opened();
    let stranger = ("mallory", false, "/musher stop");
    look(&mut w, &[("ada", true, "stop, please /musher it"), stranger, ("mallory", false, "Hello"), stranger]);
    let another = ("eve", false, "@musher stop");
    w.hint(musher_core::forge::Hint::Pull(7));
    look(&mut w, &[("ada", true, "x"), stranger, stranger, stranger, another, stranger]);
    assert_eq!((w.mission_state(mission(&w)), replies(&w).len()), (MissionState::Running, 0));
    let named: Vec<&str> = w
        .events
        .iter()
        .filter_map(|event| match &event.happened {
            Happened::CommentDisobeyed { number: 7, author } => Some(&**author),
            _ => None,
        })
        .collect();
    assert_eq!(named, ["mallory", "eve"]);
}

#[test]
fn a_mission_that_is_stopped_from_its_pull_request_says_so_there() {
    let mut w = opened();
    look(&mut w, &[("ada", true, "/musher cancel"), ("ada", true, "/musher resume")]);
    assert_eq!(w.mission_state(mission(&w)), MissionState::Cancelled);
    let said = replies(&w);
    assert_eq!(said[0], "@ada: stopped; its branches are kept");
    assert!(said[1].starts_with("@ada: ignored resume from @ada while mission was cancelled"), "{said:?}");
    assert_eq!(said.len(), 2);
}
