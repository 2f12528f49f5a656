//! The commands that look at files in Dropbox and change them there without a sync, by the rows of
//! the founding documents they answer.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use serde_json::Value;

use crate::console::{Console, Said};
use crate::json::{Schema, of_type};

/// Signed in, with nothing synced and no content dir.
fn ready() -> Console {
    let console = Console::new();
    console.authenticate();
    fs::remove_dir_all(console.content()).unwrap();
    console
}

#[track_caller]
fn out(said: &Said, code: i32) -> Vec<String> {
    assert_eq!(said.code, code, "{}{}", said.out, said.err);
    said.out.lines().map(str::to_owned).collect()
}

#[track_caller]
fn refused(said: &Said, code: i32, text: &str) {
    assert_eq!((said.code, said.out.as_str()), (code, ""), "{}", said.err);
    assert!(said.err.contains(text), "{}", said.err);
    assert_eq!(said.err.lines().count(), 1, "{}", said.err);
}

/// C.2.17, C.2.18, C.3.4, C.3.19, C.4.3, C.5.4.
#[test]
fn c2_17_ls_lists_a_folder_and_all_below_it() {
    let console = ready();
    for path in ["/a.txt", "/Sub/b.txt", "/Sub/deep/c.txt"] {
        console.dropbox.put(path, path.as_bytes());
    }
    console.dropbox.mkdir("/empty");
    assert_eq!(
        out(&console.run(&["ls"]), 0),
        ["/a.txt", "/empty/", "/Sub/"]
    );
    let all = out(&console.run(&["ls", "-R"]), 0);
    for path in [
        "/a.txt",
        "/empty/",
        "/Sub/",
        "/Sub/b.txt",
        "/Sub/deep/",
        "/Sub/deep/c.txt",
    ] {
        assert!(all.contains(&path.to_owned()), "{path}: {all:?}");
    }
    assert_eq!(all.len(), 6, "{all:?}");
    for typed in ["/sub", "Sub/", "/SUB"] {
        let below = out(&console.run(&["ls", typed]), 0);
        assert_eq!(below.len(), 2, "{typed}: {below:?}");
        assert!(
            below.iter().any(|path| path.ends_with("/b.txt")),
            "{below:?}"
        );
    }
    let dirs = out(&console.run(&["ls", "-R", "--dirs"]), 0);
    assert_eq!(dirs.len(), 3, "{dirs:?}");
    // The folder itself is not in its listing.
    let below = out(&console.run(&["ls", "-R", "/Sub"]), 0);
    assert_eq!(below.len(), 3, "{below:?}");
    let long = out(&console.run(&["ls", "-l", "/a.txt"]), 0);
    assert_eq!(long.len(), 1);
    assert!(long[0].trim_start().starts_with("6  20"), "{long:?}");
    assert!(long[0].ends_with("  /a.txt"), "{long:?}");
    refused(
        &console.run(&["ls", "/nowhere"]),
        1,
        "/nowhere: not there in Dropbox",
    );
    refused(&console.run(&["ls", "/a/../b"]), 2, "the name is . or ..");
    assert!(!console.content().exists(), "it needs none");
}

/// C.5.2, C.5.5: size, times, hash and the rest as records.
#[test]
fn c5_2_ls_gives_records_to_programs() {
    let (schema, console) = (Schema::read(), ready());
    console.dropbox.put("/pictures/a.JPG", b"abc");
    let said = console.run(&["ls", "-R", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    schema.check(&said.out);
    let entries = of_type(&said.out, "entry");
    let folder = &entries[0];
    assert_eq!(
        (&folder["path"], &folder["kind"]),
        (&"/pictures/".into(), &"folder".into())
    );
    let file = &entries[1];
    assert_eq!(file["path"], "/pictures/a.JPG");
    assert_eq!(
        (&file["size"], &file["category"]),
        (&3.into(), &"image".into())
    );
    assert!(file["id"].as_str().unwrap().starts_with("id:"), "{file}");
    for time in ["modified", "server_modified"] {
        assert!(file[time].as_str().unwrap().ends_with('Z'), "{file}");
    }
    assert_eq!(file["content_hash"].as_str().unwrap().len(), 64);
    let said = console.run(&["ls", "/nowhere", "--json"]);
    assert_eq!(said.code, 1);
    assert_eq!(schema.check(&said.out)[0]["type"], "error");
}

#[test]
fn names_that_steer_a_terminal_are_escaped_and_true_in_json() {
    let console = ready();
    console.dropbox.put("/a\u{1b}[2J\n.txt", b"x");
    let shown = out(&console.run(&["ls"]), 0);
    assert_eq!(shown, ["/a\\u{1b}[2J\\n.txt"]);
    let said = console.run(&["ls", "--json"]);
    let line: Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
    assert_eq!(line["path"], "/a\u{1b}[2J\n.txt");
}

#[test]
fn paths_begin_at_the_remote_root_or_with_top_at_all_the_app_may_see() {
    let console = ready();
    let text = console.config_text();
    console.write_config(&text.replace(
        "app_key = \"standin-key\"",
        "app_key = \"standin-key\"\nremote_root = \"/Gateways/Kitchen\"",
    ));
    console.dropbox.put("/Gateways/kitchen/x/a", b"a");
    console.dropbox.put("/other", b"o");
    let below = out(&console.run(&["ls", "-R"]), 0);
    assert_eq!(below, ["/x/", "/x/a"]);
    let top = out(&console.run(&["ls", "--top"]), 0);
    assert_eq!(top, ["/Gateways/", "/other"]);
    assert_eq!(out(&console.run(&["cat", "/x/a"]), 0), ["a"]);
    // Nothing reaches beyond it.
    for outside in ["../other", "/x/../../other"] {
        refused(&console.run(&["rm", outside]), 2, "the name is . or ..");
    }
    for whole in ["/", "", "//"] {
        refused(
            &console.run(&["rm", "-r", whole]),
            2,
            "the whole folder in Dropbox",
        );
    }
    assert_eq!(console.dropbox.tree().len(), 5);
}

/// A listing is printed as it arrives; who reads may have enough of it.
#[test]
fn a_listing_of_many_pages_comes_whole_and_may_be_left() {
    let console = ready();
    for number in 0..4500 {
        console
            .dropbox
            .put(&format!("/d{}/f{number}", number % 7), b"");
    }
    let all = out(&console.run(&["ls", "-R"]), 0);
    assert_eq!(all.len(), 4507);
    let mut command = console.command(&["ls", "-R"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    let mut pipe = child.stdout.take().unwrap();
    pipe.read_exact(&mut first).unwrap();
    drop(pipe);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// C.3.21.
#[test]
fn c3_21_cat_prints_a_file() {
    let console = ready();
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    console.dropbox.put("/a", &bytes);
    let output = console.command(&["cat", "/a"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == bytes, "{} bytes", output.stdout.len());
    console.dropbox.put("/empty", b"");
    assert_eq!(out(&console.run(&["cat", "/empty"]), 0), [""; 0]);
    console.dropbox.mkdir("/d");
    refused(&console.run(&["cat", "/d"]), 1, "/d: not a file");
    refused(
        &console.run(&["cat", "/nowhere"]),
        1,
        "not there in Dropbox",
    );
}

/// C.4.5.
#[test]
fn c4_5_mkdir_makes_a_folder_and_those_above_it() {
    let console = ready();
    let said = console.run(&["mkdir", "/a/b"]);
    assert_eq!(out(&said, 0), ["made /a/b/ in Dropbox"]);
    assert_eq!(
        out(&console.run(&["mkdir", "/a/b"]), 0),
        ["/a/b/ is there already"]
    );
    console.dropbox.put("/f", b"f");
    refused(
        &console.run(&["mkdir", "/f"]),
        1,
        "/f: a file is in its way",
    );
    refused(&console.run(&["mkdir", "/"]), 2, "name something in it");
    let (schema, said) = (Schema::read(), console.run(&["mkdir", "/c", "--json"]));
    let line = &schema.check(&said.out)[0];
    assert_eq!(line["action"], "make_remote_folder");
}

#[test]
fn mv_moves_and_never_over_something() {
    let console = ready();
    console.dropbox.put("/a", b"a");
    console.dropbox.put("/b", b"b");
    console.dropbox.mkdir("/d");
    assert_eq!(
        out(&console.run(&["mv", "/a", "/c"]), 0),
        ["moved /a to /c in Dropbox"]
    );
    refused(
        &console.run(&["mv", "/c", "/b"]),
        1,
        "/b: something is there already",
    );
    refused(
        &console.run(&["mv", "/c", "/d"]),
        1,
        "to move it into that folder write /d/",
    );
    refused(
        &console.run(&["mv", "/c", "/C"]),
        1,
        "takes it for the same name",
    );
    refused(
        &console.run(&["mv", "/gone", "/x"]),
        1,
        "/gone: not there in Dropbox",
    );
    refused(
        &console.run(&["mv", "/d", "/d/e"]),
        1,
        "cannot be moved into itself",
    );
    assert_eq!(out(&console.run(&["mv", "/c", "/d/"]), 0).len(), 1);
    assert_eq!(console.dropbox.read("/d/c").as_deref(), Some(&b"a"[..]));
    assert_eq!(console.dropbox.read("/b").as_deref(), Some(&b"b"[..]));
}

/// C.3.20, C.4.6.
#[test]
fn c3_20_rm_deletes_what_can_be_had_back() {
    let console = ready();
    console.dropbox.put("/a", b"a");
    let planned = out(&console.run(&["rm", "-n", "/a"]), 0);
    assert!(
        planned[0].starts_with("would delete /a in Dropbox"),
        "{planned:?}"
    );
    assert!(console.dropbox.read("/a").is_some());
    let said = out(&console.run(&["rm", "/a"]), 0).concat();
    assert!(
        said.contains("30 days") && said.contains("restore /a"),
        "{said}"
    );
    assert_eq!(console.dropbox.read("/a"), None);
    refused(&console.run(&["rm", "/a"]), 1, "/a: not there in Dropbox");
    let back = console.run(&["restore", "/a"]);
    assert!(
        out(&back, 0)[0].starts_with("restored /a in Dropbox"),
        "{}",
        back.out
    );
    assert_eq!(console.dropbox.read("/a").as_deref(), Some(&b"a"[..]));
}

#[test]
fn rm_of_a_folder_wants_r_and_many_files_a_word() {
    let console = ready();
    for number in 0..20 {
        console.dropbox.put(&format!("/few/{number}"), b"x");
    }
    for number in 0..21 {
        console.dropbox.put(&format!("/Many/{number}"), b"x");
    }
    refused(&console.run(&["rm", "/few"]), 2, "rm -r deletes it");
    let said = out(&console.run(&["rm", "-r", "/few"]), 0).concat();
    assert!(said.contains("/few/ with 20 files"), "{said}");
    let asked = console.run(&["rm", "-r", "/Many"]);
    refused(
        &asked,
        5,
        "21 files would be deleted in Dropbox with /Many/; nothing was deleted",
    );
    assert_eq!(console.dropbox.tree().len(), 22);
    let command = asked.err.split("to delete them: ").nth(1).unwrap().trim();
    let words: Vec<&str> = command.split_whitespace().collect();
    let place = words.iter().position(|word| *word == "rm").unwrap();
    refused(
        &console.run(&["rm", "-r", "--approve", "00000000", "/Many"]),
        2,
        "00000000 is not",
    );
    // What is asked about is exactly that.
    console.dropbox.put("/Many/one-more", b"x");
    refused(
        &console.run(&words[place..]),
        2,
        "is not what would be deleted now",
    );
    console.dropbox.remove("/Many/one-more");
    assert_eq!(out(&console.run(&words[place..]), 0).len(), 1);
    assert_eq!(console.dropbox.tree().len(), 0);
    let (schema, said) = (Schema::read(), console.run(&["ls", "--deleted", "--json"]));
    let gone = schema.check(&said.out);
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(
        gone.iter().all(|entry| entry["kind"] == "deleted"),
        "{gone:?}"
    );
}

#[test]
fn an_id_of_something_else_deletes_nothing() {
    let console = ready();
    console.dropbox.put("/file", b"x");
    let other = console.run(&["rm", "--approve", "deadbeef", "/file"]);
    refused(&other, 2, "deadbeef is not what would be deleted now");
    for number in 0..21 {
        console.dropbox.put(&format!("/-fold er/{number}"), b"x");
    }
    let asked = console.run(&["rm", "-r", "--", "-fold er"]);
    assert_eq!(asked.code, 5);
    // However the path is written, the id is the same, and each command can be pasted.
    let again = console.run(&["rm", "-r", "/-FOLD er/"]);
    let id = |said: &Said| {
        said.err
            .split("--approve ")
            .nth(1)
            .map(|rest| rest[..8].to_owned())
    };
    assert_eq!(id(&asked), id(&again));
    assert!(asked.err.contains("ls -R '/-fold er'"), "{}", asked.err);
    let id = id(&asked).unwrap();
    let planned = console.run(&["rm", "-rn", "--approve", "00000000", "/-fold er"]);
    refused(&planned, 2, "00000000 is not");
    refused(
        &console.run(&["rm", "--approve", &id, "/file"]),
        2,
        "is not what would be",
    );
    assert!(console.dropbox.read("/file").is_some());
    assert_eq!(
        console
            .run(&["rm", "-r", "--approve", &id, "/-fold er"])
            .code,
        0
    );
}

#[test]
fn with_fake_mode_nothing_is_changed_in_dropbox() {
    let console = ready();
    console.dropbox.put("/a", b"one");
    console.dropbox.put("/a", b"two");
    console.write_config(
        &console
            .config_text()
            .replace("[sync]\n", "[sync]\nfake_mode = true\n"),
    );
    let before = console.dropbox.tree();
    let rev = console.run(&["revisions", "/a", "--json"]);
    let rev = of_type(&rev.out, "revision")[1]["rev"]
        .as_str()
        .unwrap()
        .to_owned();
    for args in [
        &["mkdir", "/d"][..],
        &["mv", "/a", "/b"],
        &["rm", "/a"],
        &["restore", "/a", "--rev", &rev],
    ] {
        let said = out(&console.run(args), 0).concat();
        assert!(said.starts_with("would "), "{said}");
        let mut args = args.to_vec();
        args.push("--json");
        let said = console.run(&args);
        let line = &Schema::read().check(&said.out)[0];
        assert_eq!(line["planned"], true, "{line}");
    }
    assert_eq!(console.dropbox.tree(), before);
}

#[test]
fn the_versions_of_a_file_that_was_moved_are_its_own() {
    let console = ready();
    console.dropbox.put("/a", b"one");
    console.dropbox.put("/a", b"two");
    console.dropbox.rename("/a", "/b");
    let said = console.run(&["revisions", "/b", "--json"]);
    let versions = of_type(&said.out, "revision");
    let revs: Vec<_> = versions
        .iter()
        .map(|line| line["rev"].as_str().unwrap())
        .collect();
    assert!(revs.len() > 1, "{revs:?}");
    let oldest = revs.last().unwrap();
    out(&console.run(&["restore", "/b", "--rev", oldest]), 0);
    assert_eq!(console.dropbox.read("/b").as_deref(), Some(&b"one"[..]));
    let said = console.run(&["revisions", "/b", "--json"]);
    let newest = of_type(&said.out, "revision")[0]["rev"]
        .as_str()
        .unwrap()
        .to_owned();
    let now = out(&console.run(&["restore", "/b", "--rev", &newest]), 0);
    assert!(now[0].ends_with("is the one there now"), "{now:?}");
}

/// What a path held before its file was moved there is found as what the file was then.
#[test]
fn a_file_that_was_moved_is_found_at_a_time_before() {
    let console = ready();
    console.dropbox.put("/a", b"one");
    let said = console.run(&["revisions", "/a", "--json"]);
    let first = of_type(&said.out, "revision")[0]["server_modified"].clone();
    console.dropbox.advance_clock(3600);
    console.dropbox.put("/a", b"two");
    console.dropbox.rename("/a", "/b");
    out(
        &console.run(&["restore", "/b", "--at", first.as_str().unwrap()]),
        0,
    );
    assert_eq!(console.dropbox.read("/b").as_deref(), Some(&b"one"[..]));
}

#[test]
fn what_cannot_be_meant_is_said_in_words_of_ours() {
    let console = ready();
    console.dropbox.put("/a", b"a");
    for args in [&["cat", "/"][..], &["mv", "/a", ""], &["revisions", "//"]] {
        refused(&console.run(args), 2, "the whole folder in Dropbox");
    }
    refused(
        &console.run(&["mv", "/a", "/typo/"]),
        1,
        "/typo: not there in Dropbox",
    );
    assert_eq!(out(&console.run(&["mv", "/a", "/made/b"]), 0).len(), 1);
    assert_eq!(
        out(&console.run(&["mv", "/made/b", "/"]), 0),
        ["moved /made/b to /b in Dropbox"]
    );
    let text = console.config_text();
    console.write_config(&text.replace("[dropbox]\n", "[dropbox]\nremote_root = \"/No/Such\"\n"));
    refused(
        &console.run(&["ls"]),
        1,
        "the folder /No/Such (dropbox.remote_root) is not there",
    );
}

/// What could not be written is no success.
#[test]
fn an_answer_that_gets_nowhere_is_a_failure() {
    let console = ready();
    console.dropbox.put("/a", b"a");
    for args in [
        &["revisions", "/a"][..],
        &["revisions", "/a", "--json"],
        &["ls"],
        &["cat", "/a"],
        &["schedule"],
        &["doctor"],
        &["man"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = console.command(args).stdout(full).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
        assert!(err.contains("cannot write"), "{args:?}: {err}");
    }
}

/// C.1.2: the versioned space.
#[test]
fn c1_2_an_older_version_can_be_had_back() {
    let (schema, console) = (Schema::read(), ready());
    let (mut revs, mut times) = (Vec::new(), Vec::new());
    for text in ["one", "two", "three"] {
        console.dropbox.put("/a", text.as_bytes());
        console.dropbox.advance_clock(3600);
        let said = console.run(&["revisions", "/a", "--json"]);
        let lines = schema.check(&said.out);
        revs.push(lines[0]["rev"].as_str().unwrap().to_owned());
        times.push(lines[0]["server_modified"].as_str().unwrap().to_owned());
        assert_eq!(lines[0]["current"], true);
    }
    let listed = out(&console.run(&["revisions", "/a"]), 0);
    assert_eq!(listed.len(), 4, "{listed:?}");
    assert!(
        listed[0].contains(&revs[2]) && listed[0].contains("there now"),
        "{listed:?}"
    );
    assert!(listed[3].contains("3 versions of /a"), "{listed:?}");
    out(&console.run(&["restore", "/a", "--rev", &revs[0]]), 0);
    assert_eq!(console.dropbox.read("/a").as_deref(), Some(&b"one"[..]));
    out(&console.run(&["restore", "/a", "--at", &times[1]]), 0);
    assert_eq!(console.dropbox.read("/a").as_deref(), Some(&b"two"[..]));
    refused(&console.run(&["restore", "/a"]), 2, "say which version");
    refused(
        &console.run(&["restore", "/a", "--rev", "0123456789"]),
        1,
        "no version 0123456789",
    );
    refused(
        &console.run(&["restore", "/a", "--at", "soon"]),
        2,
        "--at soon: write a time",
    );
    refused(
        &console.run(&["restore", "/a", "--at", "2001-01-01"]),
        1,
        "the oldest it has is of",
    );
    refused(
        &console.run(&["restore", "/gone"]),
        1,
        "/gone: not there in Dropbox",
    );
    console.dropbox.mkdir("/d");
    refused(
        &console.run(&["revisions", "/d"]),
        1,
        "is a folder, of which",
    );
}

#[test]
fn the_next_pass_is_told_of_what_was_changed_and_sends_nothing_twice() {
    let console = Console::new();
    console.authenticate();
    console.put("a", "a");
    console.put("b", "b");
    assert_eq!(console.run(&["sync"]).code, 0);
    out(&console.run(&["mv", "/a", "/moved/a"]), 0);
    out(&console.run(&["rm", "/b"]), 0);
    console.dropbox.clear_requests();
    assert_eq!(console.run(&["sync"]).code, 0);
    let content = console.content();
    assert_eq!(fs::read_to_string(content.join("moved/a")).unwrap(), "a");
    assert!(!content.join("b").exists());
    let routes: Vec<_> = console
        .dropbox
        .requests()
        .into_iter()
        .map(|call| call.route)
        .collect();
    let contents = |route: &&String| route.contains("upload") || route.contains("download");
    assert_eq!(routes.iter().find(contents), None, "{routes:?}");
}

#[test]
fn nobody_signed_in_is_4_and_says_what_to_do() {
    let console = Console::new();
    for args in [
        &["ls"][..],
        &["cat", "/a"],
        &["rm", "/a"],
        &["revisions", "/a"],
    ] {
        refused(&console.run(args), 4, "startAuthentication");
    }
}
