//! The promises of a store, each as a test that any store can be put to.
//!
//! [`PROMISES`] lists them; a store runs each over a [`Fixture`] of its own. A promise that is broken panics.
#![allow(clippy::unwrap_used, reason = "a test panics when a store breaks its promise")]

use musher_core::state::World;

use crate::store::Store;

mod batches;
mod fences;
mod hub;
mod reading;
mod rows;
pub mod sample;

/// A place where a store can be opened, and opened again after a crash.
pub trait Fixture {
    /// Opens the store, empty the first time.
    fn open(&self) -> Box<dyn Store>;

    /// Opens the store beside one that was paused for longer than its lease lasts.
    fn rival(&self) -> Box<dyn Store>;

    /// Crashes the store, and opens what is durable.
    fn reopen(&self, store: Box<dyn Store>) -> Box<dyn Store> {
        drop(store);
        self.open()
    }
}

/// One promise: its name, and its test.
pub type Promise = (&'static str, fn(&dyn Fixture));

/// Every promise.
pub const PROMISES: &[Promise] = &[
    ("a_new_store_is_empty", rows::a_new_store_is_empty),
    ("what_was_committed_is_there_after_a_crash", rows::what_was_committed_is_there_after_a_crash),
    ("the_last_row_of_an_id_counts", rows::the_last_row_of_an_id_counts),
    (
        "the_last_row_of_a_pull_request_and_of_a_watch_counts",
        rows::the_last_row_of_a_pull_request_and_of_a_watch_counts,
    ),
    ("a_firing_that_is_over_is_history", rows::a_firing_that_is_over_is_history),
    ("a_run_that_is_over_is_not_loaded", rows::a_run_that_is_over_is_not_loaded),
    ("effects_are_loaded_oldest_first_until_closed", rows::effects_are_loaded_oldest_first_until_closed),
    ("the_newest_gate_records_are_loaded", rows::the_newest_gate_records_are_loaded),
    ("the_newest_webhooks_are_loaded_each_once", rows::the_newest_webhooks_are_loaded_each_once),
    ("an_archived_mission_is_not_loaded_but_readable", rows::an_archived_mission_is_not_loaded_but_readable),
    ("an_uncommitted_batch_leaves_no_trace", batches::an_uncommitted_batch_leaves_no_trace),
    ("a_rolled_back_batch_leaves_no_trace", batches::a_rolled_back_batch_leaves_no_trace),
    ("a_failed_write_leaves_the_others_of_its_batch", batches::a_failed_write_leaves_the_others_of_its_batch),
    ("calls_out_of_order_are_refused", batches::calls_out_of_order_are_refused),
    ("an_empty_batch_commits", batches::an_empty_batch_commits),
    ("a_stale_fence_changes_nothing", fences::a_stale_fence_changes_nothing),
    ("a_lease_is_kept_by_one", fences::a_lease_is_kept_by_one),
    ("events_are_numbered_without_gaps", batches::events_are_numbered_without_gaps),
    ("a_batch_of_1024_changes_lands_whole", batches::a_batch_of_1024_changes_lands_whole),
    (
        "a_batch_beyond_any_buffer_lands_whole_or_not_at_all",
        batches::a_batch_beyond_any_buffer_lands_whole_or_not_at_all,
    ),
    ("texts_are_kept_to_the_byte_and_replaced", reading::texts_are_kept_to_the_byte_and_replaced),
    ("notes_are_read_in_the_order_given", reading::notes_are_read_in_the_order_given),
    ("events_are_filtered", reading::events_are_filtered),
    ("every_event_is_read_back_as_it_was_written", reading::every_event_is_read_back_as_it_was_written),
    ("a_hub_keeps_what_each_project_tells", hub::a_hub_keeps_what_each_project_tells),
    ("what_is_told_anew_takes_the_place_of_what_was_told", hub::what_is_told_anew_takes_the_place_of_what_was_told),
    ("cursors_are_kept_with_their_batch", reading::cursors_are_kept_with_their_batch),
    ("a_reader_never_sees_half_a_batch", reading::a_reader_never_sees_half_a_batch),
    ("a_reader_does_not_hold_the_writer_up", reading::a_reader_does_not_hold_the_writer_up),
    ("ids_are_found_by_either_end", reading::ids_are_found_by_either_end),
    ("runs_are_read_oldest_first", reading::runs_are_read_oldest_first),
    (
        "what_was_used_is_added_up_by_everything_it_is_asked_by",
        reading::what_was_used_is_added_up_by_everything_it_is_asked_by,
    ),
];

/// Runs every promise, each over a fresh fixture.
pub fn check_all<F: Fixture>(fresh: impl Fn() -> F) {
    for (name, promise) in PROMISES {
        // Shown only when the test fails: the last line names the promise.
        println!("promise: {name}");
        promise(&fresh());
    }
}

/// Whether two worlds hold the same rows in the same order.
pub fn same(left: &World, right: &World) -> bool {
    left.settings == right.settings
        && left.missions == right.missions
        && left.items == right.items
        && left.runs == right.runs
        && left.agents == right.agents
        && left.effects == right.effects
        && left.gates == right.gates
        && left.nodes == right.nodes
        && left.sinks == right.sinks
        && left.quotas == right.quotas
        && left.pulls == right.pulls
        && left.watches == right.watches
        && left.cursors == right.cursors
        && left.webhooks == right.webhooks
        && left.projects == right.projects
}
