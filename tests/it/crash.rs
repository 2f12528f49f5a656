//! Scenarios again, on a machine in memory, each of their passes once per call of a seam: the
//! process is killed there; the power fails there; and while the next pass recovers it fails once
//! more. What follows must come to the same end as without, and then to rest.
//!
//! The scenarios run in a process of their own, told by [`COUNTS_FILE`] how.

use std::process::{Command, Stdio};

use crate::world::{COUNTS_FILE, TempDir, started};

/// Modules whose tests are scenarios of a [`crate::world::World`], and some scenarios of others.
const SCENARIOS: [&str; 26] = [
    "archives::a_file_edited_while",
    "archives::local_files_in_the_way",
    "batches::a_delete_of_a_version",
    "batches::a_file_dropbox_refuses",
    "batches::a_tree_of_folders",
    "batches::edited_files",
    "batches::equal_files",
    "clashes::",
    "conflicts::",
    "decisions::",
    "deletes::",
    "dry_run::",
    "excluded::a_folder_that_comes_back",
    "excluded::archives_leave",
    "filters::",
    "folder_moves::",
    "folders::",
    "halts::",
    "idle::",
    "listings::",
    "manners::",
    "moves::",
    "names::",
    "renames::",
    "state::",
    "transfers::",
];

/// Scenarios about what only a real directory has; one that exchanges its Dropbox; one in which
/// bytes are damaged on the way up: where the pass dies before it has looked at what arrived, the
/// damaged version is kept beside the good one, as any other that nobody here has seen; one in
/// which a file takes Dropbox's spelling where the pass dies between the two renames of a conflict;
/// one that asks for the modification time of a folder, which a power cut takes back; one that
/// answers a halt by an id which is another one where the pass before died; and one that ends
/// before it is at rest, because a folder is looked at once more in the pass after. And those that
/// count what a listing asked for, or the passes until one is asked for, or how long a pass takes,
/// or send a hundred megabytes; and one that asks for a share of the files that are here, to which
/// those belong that a pass has brought back without settling them. And two whose faults are
/// counted, or last through the passes that follow; and one in which a folder is moved in Dropbox
/// and a file in it deleted there: where the pass dies between the two here, that file is new.
const NOT_RUN: [&str; 34] = [
    "batches::a_tree_of_folders_that_holds_what_cannot_be_here_is_not_deleted",
    "clashes::a22_the_copy_of_a_folder_takes_no_name_that_is_taken",
    "conflicts::a15_copies_of_two_gateways_of_one_name_never_clash",
    "dry_run::a_dry_run_before_anything_else_makes_not_even_a_directory",
    "filters::a18_configurations_of_other_instances_never_travel",
    "filters::nothing_comes_down_into_our_own_state",
    "folder_moves::a_new_directory_with_the_number_of_a_gone_one_is_not_taken_for_it",
    "folder_moves::a_pass_that_hears_nothing_more_leaves_it_to_the_next_one",
    "folder_moves::a_pass_that_is_cut_off_behind_the_move_forgets_no_edit_and_no_delete",
    "folder_moves::what_was_done_in_it_in_dropbox_is_done_here_after_it_has_moved",
    "halts::b2_a_halt_of_one_direction_stops_nothing_in_the_other",
    "listings::r3_a_listing_that_never_comes_whole_comes_folder_by_folder",
    "listings::r3_changes_that_are_not_told_are_found_by_listing_again",
    "listings::r3_folder_by_folder_and_whole_come_to_the_same",
    "listings::r3_it_goes_on_where_a_pass_ended",
    "listings::r3_what_is_told_twice_is_listed_once",
    "manners::a_download_limit_holds_for_large_files_and_for_archives",
    "manners::a_file_that_is_sent_again_and_again_is_told_of_once_a_day_with_the_lines_to_write",
    "manners::a_limit_that_changes_counts_within_a_file_that_is_under_way",
    "manners::a_limited_pass_ends_with_its_time_and_the_next_ones_go_on",
    "manners::an_upload_limit_holds_for_large_files_and_for_many_small_ones",
    "manners::what_could_not_be_looked_at_is_kept_until_it_can",
    "manners::what_is_kept_there_does_not_make_deletes_here_look_few",
    "names::a_download_through_a_linked_directory_is_refused",
    "names::a_local_path_too_long_for_linux_is_told_in_every_pass",
    "names::a_name_that_is_not_utf8_is_a_problem_and_the_rest_goes_on",
    "names::links_fifos_and_sockets_are_skipped_without_a_word",
    "names::nothing_outside_the_content_dir_is_touched_whatever_the_remote_names",
    "state::a_personal_token_of_another_app_deletes_nothing",
    "state::a_problem_that_stays_does_not_keep_the_reset_due",
    "state::a_second_run_at_the_same_time_is_turned_away",
    "state::state_is_private_from_the_start",
    "transfers::bytes_damaged_on_the_way_up_are_sent_again",
    "transfers::every_size_takes_its_route_and_arrives_whole",
];

/// A module that is renamed must not leave these lists in silence.
#[test]
fn every_name_of_the_lists_is_that_of_a_scenario() {
    let mut list = Command::new(std::env::current_exe().unwrap());
    list.arg("--list").stdout(Stdio::piped());
    let output = started(&mut list).unwrap().wait_with_output().unwrap();
    let tests = String::from_utf8(output.stdout).unwrap();
    for name in SCENARIOS.into_iter().chain(NOT_RUN) {
        assert!(tests.lines().any(|test| test.starts_with(name)), "{name}");
    }
}

#[test]
fn every_scenario_survives_a_crash_at_every_call() {
    let temp = TempDir::new();
    let counts = temp.path().join("counts");
    std::fs::write(&counts, "").unwrap();
    let mut scenarios = Command::new(std::env::current_exe().unwrap());
    scenarios.args(SCENARIOS);
    for name in NOT_RUN.into_iter().chain(["hostile::"]) {
        scenarios.args(["--skip", name]);
    }
    scenarios.env(COUNTS_FILE, &counts);
    scenarios.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = started(&mut scenarios).unwrap().wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let counts = std::fs::read_to_string(&counts).unwrap();
    let mut sums = [0; 5];
    for line in counts.lines() {
        let numbers = line.split(' ').skip(1).map(|n| n.parse::<u64>().unwrap());
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += number;
        }
    }
    let [passes, calls, points, deaths, compound] = sums;
    println!(
        "{} worlds, {passes} passes; cut short at {points} of {calls} calls, in {deaths} runs, \
         {compound} of them twice; not run: {NOT_RUN:?}",
        counts.lines().count()
    );
    assert!(points > 1000, "crashes were really tried");
}
