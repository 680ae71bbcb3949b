//! What must hold for the parsers of what others write does, for a fixed set of inputs.

use musher_sim::fuzz::TARGETS;
use musher_sim::fuzz::campaign::{self, Plan};

/// How many seeds each target plays.
const ROUNDS: u64 = 60;

#[test]
fn everything_holds_and_every_target_understands_some_of_its_inputs() {
    let plan = Plan { targets: TARGETS.to_vec(), from: 1, rounds: ROUNDS, until: None, threads: 2, patience: None };
    let outcome = campaign::play(&plan);
    if let Some(failure) = outcome.failure {
        panic!("{failure}");
    }
    for (target, cases, understood) in outcome.played {
        assert_eq!(cases, ROUNDS, "{target}");
        assert!(understood * 20 >= cases, "{target} understood only {understood} of {cases} inputs");
    }
}
