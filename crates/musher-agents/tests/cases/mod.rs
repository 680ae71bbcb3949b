//! The cases, each named for the rule that it holds.

mod bench;
mod driver;
mod ends;
mod limits;
mod lost;
mod output;
mod starts;

/// Every case: its name and its body.
pub(crate) const ALL: &[(&str, fn())] = &[
    ("the_exit_code_and_the_last_line_are_told", output::the_exit_code_and_the_last_line_are_told),
    (
        "the_agent_gets_its_environment_its_folder_and_its_prompt",
        output::the_agent_gets_its_environment_its_folder_and_its_prompt,
    ),
    ("output_is_read_once_from_any_offset", output::output_is_read_once_from_any_offset),
    ("a_reader_sees_a_line_while_the_agent_lives", output::a_reader_sees_a_line_while_the_agent_lives),
    (
        "what_is_said_under_a_key_is_said_once_and_written_down",
        output::what_is_said_under_a_key_is_said_once_and_written_down,
    ),
    ("bytes_that_are_no_text_are_replaced", output::bytes_that_are_no_text_are_replaced),
    ("secrets_are_masked_wherever_they_are_said", output::secrets_are_masked_wherever_they_are_said),
    ("input_reaches_an_agent_that_waits_for_it", output::input_reaches_an_agent_that_waits_for_it),
    (
        "a_host_survives_clients_that_vanish_or_talk_nonsense",
        output::a_host_survives_clients_that_vanish_or_talk_nonsense,
    ),
    ("a_flood_is_cut_and_told", limits::a_flood_is_cut_and_told),
    ("a_long_line_is_cut_and_told", limits::a_long_line_is_cut_and_told),
    ("an_agent_that_never_reads_stalls_nobody", limits::an_agent_that_never_reads_stalls_nobody),
    ("an_agent_that_closes_its_input_stalls_nobody", limits::an_agent_that_closes_its_input_stalls_nobody),
    ("a_deadline_ends_the_agent", limits::a_deadline_ends_the_agent),
    ("silence_ends_the_agent", limits::silence_ends_the_agent),
    ("output_breaks_the_silence", limits::output_breaks_the_silence),
    ("an_agent_deaf_to_sigterm_is_killed", ends::an_agent_deaf_to_sigterm_is_killed),
    (
        "a_background_process_in_its_own_session_ends_with_the_agent",
        ends::a_background_process_in_its_own_session_ends_with_the_agent,
    ),
    ("a_double_fork_does_not_escape", ends::a_double_fork_does_not_escape),
    ("a_stopped_process_is_ended_too", ends::a_stopped_process_is_ended_too),
    ("a_tree_that_grows_while_it_is_ended_is_ended", ends::a_tree_that_grows_while_it_is_ended_is_ended),
    ("an_interrupt_lets_the_agent_say_its_last_words", ends::an_interrupt_lets_the_agent_say_its_last_words),
    (
        "an_agent_hears_an_interrupt_though_its_daemon_ignores_them",
        ends::an_agent_hears_an_interrupt_though_its_daemon_ignores_them,
    ),
    (
        "a_kill_after_an_interrupt_does_not_wait_for_the_grace",
        ends::a_kill_after_an_interrupt_does_not_wait_for_the_grace,
    ),
    ("a_kill_ends_the_whole_tree", ends::a_kill_ends_the_whole_tree),
    ("a_stop_of_what_is_over_does_nothing", ends::a_stop_of_what_is_over_does_nothing),
    ("a_host_that_is_asked_to_end_ends_its_agent_first", ends::a_host_that_is_asked_to_end_ends_its_agent_first),
    ("an_agent_dies_with_its_host_and_the_loss_is_told", lost::an_agent_dies_with_its_host_and_the_loss_is_told),
    ("what_a_dead_host_left_is_ended", lost::what_a_dead_host_left_is_ended),
    ("after_a_reboot_nothing_is_touched", lost::after_a_reboot_nothing_is_touched),
    ("a_live_host_is_not_ended_from_outside", lost::a_live_host_is_not_ended_from_outside),
    ("a_missing_program_is_a_typed_failure", starts::a_missing_program_is_a_typed_failure),
    ("a_missing_folder_is_a_typed_failure", starts::a_missing_folder_is_a_typed_failure),
    (
        "an_argument_beyond_the_systems_limit_is_a_typed_failure",
        starts::an_argument_beyond_the_systems_limit_is_a_typed_failure,
    ),
    ("a_folder_has_one_host_for_ever", starts::a_folder_has_one_host_for_ever),
    ("of_two_launches_at_once_one_is_refused", starts::of_two_launches_at_once_one_is_refused),
    (
        "a_prepared_folder_is_kept_and_a_torn_one_made_again",
        starts::a_prepared_folder_is_kept_and_a_torn_one_made_again,
    ),
    ("a_host_goes_on_when_its_daemon_is_gone", starts::a_host_goes_on_when_its_daemon_is_gone),
    ("a_path_longer_than_a_sockets_address_works", starts::a_path_longer_than_a_sockets_address_works),
    ("a_host_that_dies_at_its_start_says_why", starts::a_host_that_dies_at_its_start_says_why),
    ("secrets_do_not_stay_on_disk", starts::secrets_do_not_stay_on_disk),
    (
        "what_has_forgotten_its_run_is_found_where_the_run_worked",
        lost::what_has_forgotten_its_run_is_found_where_the_run_worked,
    ),
    ("what_a_person_runs_in_the_folder_is_left_alone", lost::what_a_person_runs_in_the_folder_is_left_alone),
    (
        "what_a_plain_program_prints_is_its_answer_to_who_wants_a_plan",
        driver::what_a_plain_program_prints_is_its_answer_to_who_wants_a_plan,
    ),
    (
        "a_folder_whose_host_came_to_nothing_is_started_again",
        driver::a_folder_whose_host_came_to_nothing_is_started_again,
    ),
    (
        "a_start_waits_for_the_host_that_has_taken_the_folder",
        driver::a_start_waits_for_the_host_that_has_taken_the_folder,
    ),
    ("what_is_stopped_before_it_begins_never_begins", driver::what_is_stopped_before_it_begins_never_begins),
    ("a_stop_while_a_host_starts_is_not_lost", driver::a_stop_while_a_host_starts_is_not_lost),
    ("a_stop_reaches_a_host_without_a_socket", driver::a_stop_reaches_a_host_without_a_socket),
    (
        "a_host_that_cannot_end_is_killed_when_it_is_stopped",
        driver::a_host_that_cannot_end_is_killed_when_it_is_stopped,
    ),
    (
        "a_script_whose_host_dies_alone_is_told_from_one_that_is_found_dead",
        driver::a_script_whose_host_dies_alone_is_told_from_one_that_is_found_dead,
    ),
    (
        "a_sweep_ends_hosts_that_do_not_answer_and_spares_the_wanted",
        driver::a_sweep_ends_hosts_that_do_not_answer_and_spares_the_wanted,
    ),
    (
        "a_run_that_is_cut_short_has_used_what_it_wrote_and_nothing_else_of_it_counts",
        driver::a_run_that_is_cut_short_has_used_what_it_wrote_and_nothing_else_of_it_counts,
    ),
    (
        "a_start_without_room_on_the_disk_counts_for_nothing",
        driver::a_start_without_room_on_the_disk_counts_for_nothing,
    ),
    ("a_log_on_a_full_disk_does_not_end_the_host", driver::a_log_on_a_full_disk_does_not_end_the_host),
];
