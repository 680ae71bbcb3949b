//! Crowds of the sound machine hold; a crowd of each broken one does not.

use musher_sim::crowd::{self, Cast, Figures, Flaw};
use musher_sim::failure::Class;

const SMALL: Cast = Cast { items: 300, agents: 12 };

/// Within so many crowds the judge must catch a broken machine.
const CROWDS: u64 = 8;

fn caught(flaw: Flaw) -> Class {
    let mut failures = (1..=CROWDS).filter_map(|seed| crowd::play(seed, SMALL, flaw).err());
    let first = failures.next();
    first.unwrap_or_else(|| panic!("{CROWDS} crowds of `{}` and nothing was noticed", flaw.name())).broken.class
}

fn play(seed: u64) -> Figures {
    crowd::play(seed, SMALL, Flaw::None).unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn no_quota_is_exceeded_and_no_item_starves_or_dies_of_waiting() {
    let mut figures = play(1);
    figures.add(&play(2));
    assert_eq!(figures.items, 2 * u64::from(SMALL.items));
    assert_eq!(figures.missing(), Vec::<&str>::new(), "{figures}");
}

#[test]
fn weights_that_are_dropped_are_caught() {
    assert_eq!(caught(Flaw::DropsWeights), Class::Liveness);
}

#[test]
fn priorities_that_are_dropped_are_caught() {
    assert_eq!(caught(Flaw::DropsPriorities), Class::Safety);
}

#[test]
fn a_lowered_quota_that_is_not_heard_is_caught() {
    assert_eq!(caught(Flaw::DropsLowered), Class::Safety);
}

#[test]
fn a_raised_quota_that_is_not_heard_is_caught() {
    assert_eq!(caught(Flaw::DropsRaised), Class::Liveness);
}

#[test]
fn a_run_that_goes_on_under_a_used_up_quota_is_caught() {
    assert_eq!(caught(Flaw::LosesStops), Class::Safety);
}

#[test]
fn a_reset_of_an_account_that_is_forgotten_is_caught() {
    assert_eq!(caught(Flaw::ForgetsResets), Class::Safety);
}

#[test]
fn a_rate_limit_that_is_held_to_be_a_failure_is_caught() {
    assert_eq!(caught(Flaw::BlamesLimits), Class::Safety);
}

#[test]
fn an_item_that_is_given_up_too_early_is_caught() {
    assert_eq!(caught(Flaw::GivesUpEarly), Class::Safety);
}

#[test]
fn a_node_that_is_heard_though_it_is_gone_is_caught() {
    assert_eq!(caught(Flaw::HearsTheVanished), Class::Safety);
}

#[test]
fn an_item_that_is_dispatched_twice_is_caught() {
    assert_eq!(caught(Flaw::GivesTwice), Class::Safety);
}

#[test]
fn days_that_end_at_midnight_utc_are_caught() {
    // Too early or too late, whichever comes first.
    assert_ne!(caught(Flaw::DaysInUtc), Class::Simulator);
}

#[test]
fn the_same_seed_is_the_same_crowd() {
    let small = Cast { items: 150, agents: 6 };
    let play = |seed| format!("{:?}", crowd::play(seed, small, Flaw::None).map_err(|failure| failure.to_string()));
    assert_eq!(play(3), play(3));
    assert_ne!(play(3), play(4));
}
