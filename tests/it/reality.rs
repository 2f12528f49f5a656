//! What the service is known to do now and then, from recordings and from people's reports: each is
//! got over, and told in words where a person must know.

use std::time::Duration;

use dropbox_standin::{Effect, Fault, ResultHeader, When};
use ferrybox::error::ExitCode;
use ferrybox::io::host::Host;

use crate::world::{World, world};

const TEAM: &str = "77001";

/// Adds a line to `[dropbox]`.
fn write(world: &World, line: &str) {
    let mut keys = world.dropbox_keys.borrow_mut();
    keys.push('\n');
    keys.push_str(line);
}

/// R9: what was just deleted is told of for a while, and the folder goes all the same.
#[test]
fn r9_a_folder_goes_though_dropbox_still_tells_of_what_was_in_it() {
    for lag in [1, 2, 3] {
        let world = world();
        for path in ["d/a", "d/b", "d/sub/c", "d/sub/e", "stays"] {
            world.put(path, path);
        }
        world.sync_ok();
        world.sync_ok();
        world.dropbox.change_habits(|it| it.lag = lag);
        world.remove("d");
        *world.guard_keys.borrow_mut() = "max_delete_count = 100".to_owned();
        for _ in 0..6 {
            world.sync_ok();
            assert!(
                !world.local_tree().contains_key("d/"),
                "{lag}: it came back"
            );
        }
        world.check_both(&[("stays", "stays")]);
        let there = world.dropbox.tree();
        assert!(!there.contains_key("/d"), "{lag}: {there:?}");
        assert_eq!(world.sync_ok().calls, ["list_folder/continue"], "{lag}");
    }
}

/// R9: what somebody else has put into it keeps the folder, here as well.
#[test]
fn r9_a_folder_with_something_new_in_it_stays() {
    let world = world();
    world.put("d/a", "a");
    world.put("stays", "stays");
    world.sync_ok();
    world.sync_ok();
    world.remove("d");
    let mut has_come = false;
    let dropbox = world.dropbox.clone();
    world.on_request(move |request| {
        if !has_come && request.target.contains("delete") {
            has_come = true;
            dropbox.put("/d/new", b"new");
        }
    });
    world.sync_ok();
    world.on_request_nothing();
    for _ in 0..3 {
        world.sync_ok();
    }
    world.check_both(&[("d/", ""), ("d/new", "new"), ("stays", "stays")]);
}

/// R9: a folder that was just made is not known everywhere yet.
#[test]
fn r9_what_is_refused_in_a_folder_just_made_is_asked_for_once_more() {
    for without in ["", "_batch", "upload_session/start_batch", "upload_session"] {
        let world = world();
        if !without.is_empty() {
            let refused = Effect::Status(400, "no such route".to_owned());
            let fault = Fault::new(without, When::Always, refused);
            world.dropbox.inject(fault);
        }
        world
            .dropbox
            .change_habits(|it| it.refuses_in_new_folders = true);
        for path in ["new/a", "new/b", "new/sub/c", "new/sub/d", "other/e"] {
            world.put(path, path);
        }
        for path in ["one/two", "one/three", "one/two/four"] {
            world.mkdir(path);
        }
        world.sync_ok();
        assert_eq!(world.local_tree(), world.remote_tree(), "{without}");
        world.check_settled();
    }
}

/// R9: what is refused for good is a problem all the same, and an old folder is not waited for.
#[test]
fn r9_a_folder_that_stays_shut_is_told_of() {
    let world = world();
    world.put("old/a", "a");
    world.sync_ok();
    world.dropbox.set_read_only("/old");
    world.put("old/b", "b");
    let before = world.clock.elapsed();
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert_eq!(outcome.problems.len(), 1, "{outcome:?}");
    assert!(world.clock.elapsed() - before < Duration::from_secs(1));
}

/// R10: the browser shows the space of the team, and the agent is in the member's own folder.
#[test]
fn r10_a_remote_root_of_the_team_is_not_silently_made_at_home() {
    let world = world();
    world.dropbox.join_team(TEAM);
    world
        .dropbox
        .in_team_space(|dropbox| dropbox.put("/Team Folder/kitchen/there", b"there"));
    write(&world, "remote_root = \"/Team Folder/kitchen\"");
    world.put("a", "a");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Config, "{outcome:?}");
    for words in ["the space of the team", "root = \"team\" below [dropbox]"] {
        assert!(outcome.error.contains(words), "{outcome:?}");
    }
    assert!(world.dropbox.tree().is_empty());
}

/// R10: with `root = "team"` all of it goes into the space of the team.
#[test]
fn r10_the_space_of_the_team_is_synced_where_that_is_written() {
    let world = world();
    world.dropbox.join_team(TEAM);
    world.dropbox.in_team_space(|dropbox| {
        dropbox.put("/Team Folder/there", b"there");
        for nth in 0..12 {
            dropbox.put(&format!("/Team Folder/many/{nth}"), b"many");
        }
    });
    write(&world, "remote_root = \"/Team Folder\"");
    write(&world, "root = \"team\"");
    world.put("here", "here");
    world.put_bytes("large", &vec![7; 9 << 20]);
    world.sync_ok();
    assert!(world.dropbox.tree().is_empty(), "nothing at home");
    assert_eq!(world.read("there").as_deref(), Some("there"));
    assert_eq!(world.read("many/11").as_deref(), Some("many"));
    world.rename("here", "moved");
    world.remove("there");
    let outcome = world.sync_ok();
    assert_eq!(outcome.counts.moved, 1, "{outcome:?}");
    let there = |path: &str| {
        let path = format!("/Team Folder/{path}");
        world.dropbox.in_team_space(|dropbox| dropbox.read(&path))
    };
    assert_eq!(there("moved").as_deref(), Some(&b"here"[..]));
    assert!(there("there").is_none() && there("here").is_none());
    assert_eq!(there("large").map(|bytes| bytes.len()), Some(9 << 20));
    assert_eq!(world.sync_ok().calls, ["list_folder/continue"]);
}

/// R10: another home or team than before is nobody's base.
#[test]
fn r10_going_over_to_the_team_deletes_nothing() {
    let world = world();
    world.dropbox.join_team(TEAM);
    world.put("a", "a");
    world.sync_ok();
    write(&world, "root = \"team\"");
    world.sync_ok();
    let in_team = world.dropbox.in_team_space(|dropbox| dropbox.read("/a"));
    assert_eq!(in_team.as_deref(), Some(&b"a"[..]));
    assert_eq!(world.dropbox.read("/a").as_deref(), Some(&b"a"[..]));
    assert_eq!(world.read("a").as_deref(), Some("a"));
}

/// R10: a 422 is neither a crash nor the end: the namespaces are asked for anew.
#[test]
fn r10_a_team_that_has_moved_is_asked_for_in_the_next_run() {
    let world = world();
    world.dropbox.join_team(TEAM);
    write(&world, "root = \"team\"");
    world.put("a", "a");
    world.sync_ok();
    world.dropbox.join_team("77002");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
    assert!(
        outcome
            .error
            .contains("the next run asks Dropbox for it anew")
    );
    // It is another team's: nothing goes there unasked.
    let there = || world.dropbox.in_team_space(|dropbox| dropbox.read("/a"));
    let halted = world.sync();
    assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
    assert!(halted.error.contains("another team"), "{halted:?}");
    assert!(there().is_none());
    let approved = world.approve(&halted.error);
    assert_eq!(approved.exit, ExitCode::Ok, "{approved:?}");
    assert_eq!(there().as_deref(), Some(&b"a"[..]));
    assert_eq!(world.read("a").as_deref(), Some("a"));
}

/// R10: who has left the team has a private folder in its place, and nothing of the team's goes
/// there, however often it is tried.
#[test]
fn r10_who_leaves_the_team_is_not_synced_at_home_instead() {
    let world = world();
    world.dropbox.join_team(TEAM);
    write(&world, "root = \"team\"");
    world.put("of the team", "of the team");
    world.sync_ok();
    world.dropbox.put("/private", b"private");
    world.dropbox.join_team("");
    assert_eq!(world.sync().exit, ExitCode::TryLater);
    for _ in 0..3 {
        let halted = world.sync();
        assert_eq!(halted.exit, ExitCode::Halted, "{halted:?}");
        assert!(halted.error.contains("not in the team any more"));
        assert!(world.read("private").is_none());
        assert!(world.dropbox.read("/of the team").is_none());
    }
    let again = world.sync().calls;
    assert_eq!(again, ["users/get_current_account"], "it is asked anew");
    // What is written down is what the owner wants.
    let keys = world.dropbox_keys.borrow().replace("root = \"team\"", "");
    *world.dropbox_keys.borrow_mut() = keys;
    world.sync_ok();
    world.check_both(&[("of the team", "of the team"), ("private", "private")]);
}

/// R10: a space that was another one for a while only is gone on with unasked.
#[test]
fn r10_a_team_that_comes_back_is_gone_on_with() {
    for meanwhile in ["77002", ""] {
        let world = world();
        world.dropbox.join_team(TEAM);
        write(&world, "root = \"team\"");
        world.put("a", "a");
        world.sync_ok();
        world.dropbox.join_team(meanwhile);
        assert_eq!(world.sync().exit, ExitCode::TryLater);
        assert_eq!(world.sync().exit, ExitCode::Halted);
        world.dropbox.join_team(TEAM);
        world
            .dropbox
            .in_team_space(|dropbox| dropbox.put("/a", b"a"));
        world.dropbox.reset_cursors();
        world.sync_ok();
        assert_eq!(world.read("a").as_deref(), Some("a"), "{meanwhile}");
    }
}

/// R10: there has to be a team.
#[test]
fn r10_the_space_of_a_team_needs_a_team() {
    let world = world();
    write(&world, "root = \"team\"");
    world.put("a", "a");
    for _ in 0..2 {
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::Config, "{outcome:?}");
        for words in [
            "dropbox.root",
            "config.toml:3",
            "in no team",
            "take the line out",
        ] {
            assert!(outcome.error.contains(words), "{words}: {outcome:?}");
        }
        assert!(world.dropbox.tree().is_empty());
    }
    world.dropbox.join_team(TEAM);
    world.sync_ok();
}

/// R10: the look into the space of the team is a courtesy.
#[test]
fn r10_a_team_space_that_cannot_be_looked_into_holds_nothing_back() {
    let answers = [
        Effect::refused("other"),
        Effect::Status(
            403,
            r#"{"error_summary":"x/","error":{".tag":"x"}}"#.to_owned(),
        ),
        Effect::Status(400, "Error in call to API function \"x\": no".to_owned()),
        Effect::Status(
            422,
            r#"{"error_summary":"no_permission/","error":{".tag":"no_permission"}}"#.to_owned(),
        ),
        Effect::Status(422, "<html>".to_owned()),
    ];
    for answer in answers {
        let world = world();
        world.dropbox.join_team(TEAM);
        write(&world, "remote_root = \"/kitchen\"");
        world.put("a", "a");
        let fault = Fault::exactly("files/get_metadata", When::Always, answer);
        world.dropbox.inject(fault);
        world.sync_ok();
        assert!(world.dropbox.read("/kitchen/a").is_some());
    }
}

/// R10: what is missing is missing somewhere.
#[test]
fn r10_a_folder_that_is_not_in_the_space_of_the_team_is_missed_there() {
    let world = World::in_mode("DROPBOX_TO_LOCAL");
    world.dropbox.join_team(TEAM);
    write(&world, "remote_root = \"/kitchen\"");
    write(&world, "root = \"team\"");
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::Config, "{outcome:?}");
    assert!(outcome.error.contains("in the space of the team"));
}

/// R10: a page says nothing about namespaces.
#[test]
fn r10_a_page_with_422_is_nobodys_word() {
    let world = world();
    world.dropbox.join_team(TEAM);
    write(&world, "root = \"team\"");
    world.put("a", "a");
    world.sync_ok();
    let page = Effect::Status(422, "<html>".to_owned());
    world
        .dropbox
        .inject(Fault::new("files/", When::Always, page));
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
    assert!(!outcome.error.contains("team"), "{outcome:?}");
    world.dropbox.clear_faults();
    assert_eq!(world.sync_ok().calls, ["list_folder/continue"]);
}

/// R11: the bytes are checked against the listing; what stands in the header may be missing.
#[test]
fn r11_a_download_without_its_result_header_arrives() {
    for header in [ResultHeader::Missing, ResultHeader::Utf8] {
        let world = world();
        world.refuse_batches();
        world.dropbox.change_habits(|it| it.result_header = header);
        world.dropbox.put("/Übung.txt", b"exercise");
        world.dropbox.put("/empty", b"");
        world.sync_ok();
        assert_eq!(world.read("Übung.txt").as_deref(), Some("exercise"));
        world.check_settled();
    }
}

/// R11: what nobody has announced is not believed without it.
#[test]
fn r11_without_any_hash_the_header_is_needed() {
    let world = world();
    world.dropbox.put("/f", b"f");
    world.dropbox.set_without_content_hash("/f");
    world
        .dropbox
        .change_habits(|it| it.result_header = ResultHeader::Missing);
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert!(world.read("f").is_none());
}

/// R12: whatever `user_message` is, the reason beside it is understood.
#[test]
fn r12_a_message_for_the_user_of_any_type_hides_no_reason() {
    let messages = [
        serde_json::json!("in plain words"),
        serde_json::json!(""),
        serde_json::json!(null),
        serde_json::json!(17),
        serde_json::json!(["a"]),
        serde_json::json!({"locale": "en"}),
        serde_json::json!({"text": "in plain words", "locale": "en"}),
    ];
    for message in messages {
        let world = world();
        world.put("a", "a");
        world.sync_ok();
        let told = message.clone();
        world
            .dropbox
            .change_habits(|it| it.user_message = Some(told));
        world.dropbox.set_read_only("/others");
        world.put("others/mine", "mine");
        let outcome = world.sync();
        let problem = &outcome.problems["/others/mine"];
        let is_told = ["in plain words", "this account may not write there"];
        let is_told = is_told.iter().any(|words| problem.contains(words));
        assert!(is_told, "{message}: {outcome:?}");
        world.sync();
        assert!(world.dropbox.read("/a").is_some());
    }
}

/// R12: the folder of an app is gone.
#[test]
fn r12_an_app_folder_that_is_gone_is_told_and_tried_later() {
    for mode in ["BIDIRECTIONAL", "DROPBOX_TO_LOCAL", "LOCAL_TO_DROPBOX"] {
        for is_known in [false, true] {
            let world = World::in_mode(mode);
            if is_known {
                world.dropbox.put("/a", b"a");
                world.sync_ok();
            }
            world
                .dropbox
                .change_habits(|it| it.app_folder_is_gone = true);
            world.dropbox.reset_cursors();
            let outcome = world.sync();
            let what = format!("{mode} {is_known}: {outcome:?}");
            assert_eq!(outcome.exit, ExitCode::TryLater, "{what}");
            assert!(outcome.error.contains("the folder of this app"), "{what}");
            world
                .dropbox
                .change_habits(|it| it.app_folder_is_gone = false);
            world.sync_ok();
        }
    }
}

/// R8: a name that Dropbox refuses is not sent again in each pass, and holds nothing back.
#[test]
fn r8_a_name_beyond_what_dropbox_takes_is_sent_once() {
    let world = world();
    world
        .dropbox
        .change_habits(|it| it.refuses_beyond_bmp = true);
    world.put("rocket \u{1f680}.txt", "to the moon");
    for nth in 0..20 {
        world.put(&format!("plain {nth}"), "plain");
    }
    let outcome = world.sync();
    assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
    assert_eq!(outcome.counts.uploaded, 20, "{outcome:?}");
    let again = world.sync();
    let sends = again.calls.iter().filter(|call| call.contains("upload"));
    assert_eq!(sends.count(), 0, "{again:?}");
    assert_eq!(again.problems.len(), 1, "{again:?}");
}

/// A world in step, and what it takes away here in the ways that Dropbox gets to know of.
fn takes_away(what: &str) -> World {
    let world = world();
    for path in ["a", "stays", "d/x", "d/y", "empty/z"] {
        world.put(path, path);
    }
    world.sync_ok();
    world.remove("empty/z");
    world.sync_ok();
    match what {
        "file" => world.remove("a"),
        "rename" => world.rename("a", "b"),
        "tree" => world.remove("d"),
        "folder" => world.remove("empty"),
        _ => unreachable!(),
    }
    world
}

/// H2: what Dropbox does not find to be deleted or renamed may be there all the same.
#[test]
fn h2_what_is_not_found_and_still_there_goes_in_the_end() {
    for what in ["file", "rename", "tree", "folder"] {
        for times in [1, 2, 5] {
            let world = takes_away(what);
            let not_found = Effect::refused("path_lookup/not_found");
            let fault = Fault::new("delete_v2", When::First(times), not_found);
            world.dropbox.inject(fault);
            let not_found = Effect::refused("from_lookup/not_found");
            let fault = Fault::new("move_v2", When::First(times), not_found.clone());
            world.dropbox.inject(fault);
            let fault = Fault::new("copy_v2", When::First(times), not_found);
            world.dropbox.inject(fault);
            let refused = Effect::Status(400, "no such route".to_owned());
            let fault = Fault::new("delete_batch", When::Always, refused);
            world.dropbox.inject(fault);
            for _ in 0..4 {
                world.sync();
            }
            assert_eq!(world.local_tree(), world.remote_tree(), "{what} {times}");
            let still = world.sync_ok().calls;
            assert_eq!(still, ["list_folder/continue"], "{what} {times}");
        }
    }
}

/// H2: what is really gone costs a look, and is not asked about again.
#[test]
fn h2_what_is_not_found_and_gone_is_settled_at_once() {
    for what in ["file", "folder"] {
        let world = takes_away(what);
        let dropbox = world.dropbox.clone();
        let gone = if what == "file" { "/a" } else { "/empty" };
        world.on_request(move |request| {
            if request.target.contains("delete") {
                dropbox.remove(gone);
            }
        });
        world.sync_ok();
        world.on_request_nothing();
        assert_eq!(world.sync_ok().calls, ["list_folder/continue"], "{what}");
        assert_eq!(world.local_tree(), world.remote_tree());
    }
}

/// H2: what is shown and never found is told, not forgotten.
#[test]
fn h2_what_is_never_found_is_told_in_the_second_pass() {
    for what in ["file", "folder"] {
        let world = takes_away(what);
        let not_found = Effect::refused("path_lookup/not_found");
        world
            .dropbox
            .inject(Fault::new("delete_v2", When::Always, not_found));
        assert_eq!(world.sync().exit, ExitCode::Ok, "{what}");
        let outcome = world.sync();
        assert_eq!(outcome.exit, ExitCode::SomeFiles, "{what}: {outcome:?}");
        world.dropbox.clear_faults();
        world.sync_ok();
        assert_eq!(world.local_tree(), world.remote_tree(), "{what}");
    }
}

const NAME_REFUSED: &str = "Error in call to API function \"files/upload\": path: '/x' is not part \
                            of the Unicode Basic Multilingual Plane";

/// Whatever call names the rocket is refused in a text.
fn refuse_rockets(world: &World, text: &str) {
    let refused = Effect::Status(400, text.to_owned());
    for written in ["\u{1f680}", "\\ud83d\\ude80"] {
        for route in ["files/upload", "create_folder"] {
            let fault = Fault::new(route, When::Always, refused.clone());
            world.dropbox.inject(fault.about(written));
        }
    }
}

/// H5: a name that is refused in a text is remembered as one that is refused by a tag, and found
/// among others without a call for each of them.
#[test]
fn h5_a_name_refused_in_a_text_is_sent_once_and_holds_nothing_back() {
    let others = "Error in call to API function \"files/upload\": HTTP header \
                  \"Dropbox-API-Arg\": path: '/x' did not match pattern";
    let malformed = "Error in call to API function \"files/upload\": malformed path";
    for text in [NAME_REFUSED, others, malformed] {
        for plain in [0, 60] {
            let world = world();
            refuse_rockets(&world, text);
            for nth in 0..plain {
                world.put(&format!("plain {nth:02}"), "plain");
            }
            world.put("plain 3\u{1f680}", "to the moon");
            world.put("rocket \u{1f680}.txt", "to the moon");
            world.put("dir \u{1f680}/a", "to the moon");
            let outcome = world.sync();
            assert_eq!(outcome.exit, ExitCode::SomeFiles, "{outcome:?}");
            assert_eq!(outcome.counts.uploaded, plain, "{outcome:?}");
            let sends = |outcome: &crate::world::Outcome| {
                let calls = outcome.calls.iter();
                calls.filter(|call| call.starts_with("upload")).count()
            };
            assert!(sends(&outcome) < 40, "{:?}", outcome.calls);
            let again = world.sync();
            assert_eq!(sends(&again), 0, "{text}: {again:?}");
            assert_eq!(again.problems.len(), 4, "{again:?}");
            world.dropbox.clear_faults();
            world.clock.advance(25 * 3600);
            world.sync_ok();
            assert_eq!(world.local_tree(), world.remote_tree());
        }
    }
}

/// H5: a commit that is refused for whatever reason is halved, too.
#[test]
fn h5_a_commit_refused_as_a_whole_is_halved_to_the_one_file() {
    let text = "Error in call to API function: in words that nobody knows";
    for refused in [
        Effect::Status(400, text.to_owned()),
        Effect::refused("other"),
    ] {
        let world = world();
        let fault = Fault::new("finish_batch_v2", When::Always, refused);
        world.dropbox.inject(fault.about("odd"));
        for nth in 0..200 {
            world.put(&format!("plain {nth:03}"), "plain");
        }
        world.put("plain 077 odd", "odd");
        let outcome = world.sync_ok();
        let alone = outcome.calls.iter().filter(|call| *call == "upload");
        assert_eq!(alone.count(), 1, "{:?}", outcome.calls);
        assert!(outcome.calls.len() < 40, "{:?}", outcome.calls);
        assert_eq!(world.local_tree(), world.remote_tree());
    }
}

/// L2: what is in the header is advice; bytes and hash are what counts.
#[test]
fn l2_a_header_with_another_size_is_no_reason_to_fail() {
    let world = world();
    world.refuse_batches();
    world
        .dropbox
        .change_habits(|it| it.result_header = ResultHeader::OtherSize);
    world.dropbox.put("/f", b"content");
    world.sync_ok();
    assert_eq!(world.read("f").as_deref(), Some("content"));
}

/// M7: what has Dropbox's shape is from Dropbox, though this version does not know it.
#[test]
fn m7_an_answer_in_dropboxs_shape_is_not_called_a_strangers() {
    for status in [401, 403, 422, 404] {
        for body in [
            r#"{"error_summary":"brand_new/..","error":{".tag":"brand_new"}}"#,
            r#"{"error_summary":"brand_new/.."}"#,
            "Error in call to API function \"files/list_folder\": brand_new",
        ] {
            let world = world();
            let answer = Effect::Status(status, body.to_owned());
            world
                .dropbox
                .inject(Fault::new("files/", When::Always, answer));
            let outcome = world.sync();
            assert_eq!(outcome.exit, ExitCode::TryLater, "{outcome:?}");
            assert!(!outcome.error.contains("not Dropbox"), "{outcome:?}");
            assert!(outcome.error.contains("brand_new"), "{outcome:?}");
        }
    }
}
