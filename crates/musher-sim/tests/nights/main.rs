//! Nights of the sound machine hold; nights of each broken one do not.

use musher_sim::bench;
use musher_sim::campaign;
use musher_sim::chance::Chance;
use musher_sim::failure::Class;
use musher_sim::night;
use musher_sim::variant::Variant;
use musher_sim::world::World;

const THREADS: usize = 2;

/// Within so many nights the checker must catch a broken machine.
const NIGHTS: u64 = 150;

fn caught(variant: Variant) -> Class {
    let outcome = campaign::play(1, NIGHTS, THREADS, variant);
    outcome
        .failure
        .unwrap_or_else(|| panic!("{} nights of `{}` and nothing was noticed", NIGHTS, variant.name()))
        .broken
        .class
}

#[test]
fn nights_of_the_sound_machine_hold() {
    let outcome = campaign::play(1, 50, THREADS, Variant::Sound);
    if let Some(failure) = outcome.failure {
        panic!("{failure}");
    }
    assert_eq!(outcome.passed, 50);
    assert!(outcome.coverage.merged > 20 && outcome.coverage.acknowledged > 100, "{}", outcome.coverage);
}

#[test]
fn a_machine_without_a_fence_is_caught() {
    assert_eq!(caught(Variant::NoFence), Class::Safety);
}

#[test]
fn a_machine_that_acts_before_it_commits_is_caught() {
    assert_eq!(caught(Variant::EffectBeforeCommit), Class::Safety);
}

#[test]
fn a_machine_that_loses_its_outbox_is_caught() {
    assert_eq!(caught(Variant::LostOutbox), Class::Liveness);
}

#[test]
fn a_machine_that_runs_twice_is_caught() {
    assert_eq!(caught(Variant::DoubleRun), Class::Safety);
}

#[test]
fn a_machine_that_forgets_what_it_acknowledged_is_caught() {
    assert_eq!(caught(Variant::ForgetsAck), Class::Safety);
}

#[test]
fn a_machine_that_lands_twice_is_caught() {
    assert_eq!(caught(Variant::DoubleLand), Class::Safety);
}

#[test]
fn a_machine_that_forgets_dependencies_is_caught() {
    assert_eq!(caught(Variant::ForgetsDependencies), Class::Safety);
}

#[test]
fn a_restart_that_forgets_what_was_used_is_caught() {
    assert_eq!(caught(Variant::ForgetsQuotas), Class::Safety);
}

#[test]
fn a_restart_that_forgets_which_nodes_are_silent_is_caught() {
    assert_eq!(caught(Variant::ForgetsSilence), Class::Safety);
}

#[test]
fn a_machine_that_forgets_its_limits_is_caught() {
    assert_eq!(caught(Variant::ForgetsLimits), Class::Safety);
}

#[test]
fn a_sink_that_is_moved_on_before_it_is_told_is_caught() {
    assert_eq!(caught(Variant::AdvancesFirst), Class::Safety);
}

#[test]
fn the_same_seed_is_the_same_night() {
    let play = |seed| format!("{:?}", night::play(seed, Variant::Sound).map_err(|f| f.to_string()));
    for seed in [3, 4] {
        assert_eq!(play(seed), play(seed));
    }
}

#[test]
fn a_failing_seed_fails_again_in_the_same_step() {
    let outcome = campaign::play(1, NIGHTS, THREADS, Variant::DoubleRun);
    let first = outcome.failure.expect("this variant is caught");
    let again = night::play(first.seed, Variant::DoubleRun).expect_err("it was caught before");
    assert_eq!(again.to_string(), first.to_string());
    assert!(first.to_string().contains(&format!("run --seed {} --variant double-run", first.seed)));
}

#[test]
fn neighbouring_seeds_are_different_worlds() {
    let line = |seed| World::draw(&mut Chance::new(seed)).line();
    assert_ne!(line(1), line(2));
}

#[test]
fn a_data_folder_that_cannot_be_made_says_how_to_mend_it() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let options = bench::Options { dir: file.path().join("below"), quick: true, dispatch: false };
    let error = bench::run(&options).expect_err("a file is no folder");
    assert!(error.to_string().contains("cannot be used"), "{error}");
    assert!(error.fix().contains("--dir"));
}
