//! Notes that are written as comments on a pull request of musher's.

use crate::forge::{Bench, REPO, person};
use crate::webhooks::{bench, completed, intervals, send, waiting};

/// Somebody comments, and the webhook comes twice.
fn say(bench: &Bench, number: u64, login: &str, association: &'static str, text: &str) {
    bench.fake.world(|world| world.add_comment(REPO, number, person(login, association), text));
    for delivery in bench.fake.take_deliveries() {
        send(bench, &delivery);
        send(bench, &delivery);
    }
}

/// What musher has answered with these words so far.
fn answers(bench: &Bench, words: &str) -> usize {
    let ours = |body: &str| body.contains("<!-- musher:") && body.contains(words);
    bench.fake.world(|world| world.repository(REPO).comments.iter().filter(|comment| ours(&comment.body)).count())
}

/// Waits until musher has answered.
fn answered(bench: &Bench, words: &str) {
    while answers(bench, words) == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_comment_for_musher_is_obeyed_once_and_answered_once_and_a_strangers_is_not() {
    let bench = bench();
    bench.fake.world(|world| {
        let people = &mut world.repository(REPO).people;
        people.insert("ada".to_owned(), "write".to_owned());
        people.insert("bob".to_owned(), "read".to_owned());
    });
    let mut daemon = bench.up();
    let (mission, number, _) = waiting(&bench);
    say(&bench, number, "ada", "MEMBER", "Let us stop here and /musher resume tomorrow.");
    say(&bench, number, "bob", "MEMBER", "/musher stop");
    say(&bench, number, "bob", "MEMBER", "/musher stop!");
    let disobeyed = bench.repo.follow(0).until("comment_disobeyed");
    assert_eq!((&disobeyed["body"]["author"], &disobeyed["body"]["number"]), (&"bob".into(), &number.into()));

    // It dies between the note and its answer: the fake waits while it does.
    say(&bench, number, "ada", "MEMBER", "@musher, mind the gap");
    let noted = bench.repo.follow(0).until("note_applied");
    assert_eq!((&noted["actor"], &noted["body"]["text"]), (&"@ada".into(), &"mind the gap".into()));
    bench.fake.world(|_| daemon.kill());
    daemon = bench.up();
    answered(&bench, "@ada: noted");
    say(&bench, number, "ada", "MEMBER", "/musher redirect elsewhere to script");
    answered(&bench, "@ada: nothing was done: the mission has no item `elsewhere`");
    say(&bench, number, "ada", "MEMBER", "/musher resume");
    completed(&bench, &mission);
    answered(&bench, "4 watches overridden by @ada");
    let seen = || bench.fake.world(|world| world.repository(REPO).reactions.clone());
    while seen().len() < 3 {
        std::thread::yield_now();
    }
    assert!(seen().iter().all(|(_, content)| content == "eyes"), "{:?}", seen());
    intervals(&bench, "outside-one");
    for (words, times) in [("@ada: noted", 1), ("nothing was done", 1), ("overridden", 1), ("@bob", 0), ("", 3)] {
        assert_eq!(answers(&bench, words), times, "{words}");
    }
    let events = bench.musher(&["events", "--json"]).ok().out;
    assert_eq!(events.matches("\"comment_disobeyed\"").count(), 1, "{events}");
    assert_eq!(events.matches("\"note_applied\"").count(), 2, "{events}");
    bench.honest();
    daemon.kill();
}
