//! What is not synced is said, once, and `check-filters` says why.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use crate::console::Console;
use crate::json::Schema;

fn with_keys(keys: &str) -> Console {
    let console = Console::new();
    console.configure(&format!(
        "[dropbox]\napp_key = \"standin-key\"\n[sync]\n{keys}"
    ));
    let text = console.config_text();
    // One section: the second heading of it goes.
    let at = text.rfind("[sync]\n").unwrap();
    console.write_config(&(text[..at].to_owned() + &text[at + 7..]));
    console.authenticate();
    console
}

fn fill(console: &Console) {
    fs::create_dir_all(console.content().join("cache/deep")).unwrap();
    for file in 0..211 {
        console.put(&format!("cache/deep/{file}"), "c");
    }
    console.put("a.tmp", "t");
    console.put("b.bak", "b");
    console.put("note", "n");
    fs::create_dir(console.content().join(".storage")).unwrap();
    console.put(".storage/auth", "a");
    symlink("/etc", console.content().join("etc")).unwrap();
    symlink("/tmp", console.content().join("tmp")).unwrap();
    UnixListener::bind(console.content().join("socket")).unwrap();
}

#[test]
fn a_first_pass_says_in_one_line_what_is_not_synced_and_then_never_again() {
    let keys = "exclude = ['/cache']\nignore = [\"*.tmp\", \"*.bak\"]";
    let console = with_keys(keys);
    fill(&console);
    let expected = "not synced: 213 files (3 patterns), 2 links, 1 socket; which: ";
    let dry = console.run(&["sync", "-n"]);
    assert!(dry.err.contains(expected), "{}", dry.err);
    let first = console.run(&["sync"]);
    assert_eq!(first.code, 0, "{}", first.err);
    let lines: Vec<_> = first.err.lines().collect();
    assert_eq!(lines.len(), 1, "{}", first.err);
    assert!(lines[0].starts_with(expected), "{}", first.err);
    assert!(lines[0].ends_with("check-filters"), "{}", first.err);
    assert_eq!(console.dropbox.read("/.storage/auth").unwrap(), b"a");
    let second = console.run(&["sync"]);
    assert_eq!(second.err, "", "told once");
    // Other filters are told of again.
    let text = console
        .config_text()
        .replace("\"*.bak\"", "\"*.bak\", \"note\"");
    console.write_config(&text);
    let third = console.run(&["sync"]);
    assert!(
        third.err.contains("not synced: 214 files (4 patterns)"),
        "{}",
        third.err
    );
    assert!(
        console.dropbox.read("/note").is_some(),
        "nothing is deleted"
    );
}

#[test]
fn links_and_sockets_are_said_without_any_filter() {
    let console = with_keys("");
    fill(&console);
    let first = console.run(&["sync"]);
    assert_eq!(first.err, "not synced: 2 links, 1 socket\n");
    assert_eq!(console.run(&["sync"]).err, "");
}

#[test]
fn filters_that_match_nothing_are_warned_of_with_the_reason() {
    let keys = "upload_filter = ['/Items/.*']\nexclude = ['/logs/*.log']\n\
                ignore = [\"*.TMP\", \"nowhere\"]";
    let console = with_keys(keys);
    for dir in ["items", "logs"] {
        fs::create_dir(console.content().join(dir)).unwrap();
    }
    console.put("items/a", "a");
    console.put("logs/a.log", "a");
    console.put("x.tmp", "a");
    let said = console.run(&["sync", "--dry-run"]);
    for expected in [
        "warning: sync.upload_filter lets none of 3 files here through; to see why: ",
        "sync.upload_filter: '/Items/.*' matches no file here: upper and lower case count (see \
         /items/a)",
        "sync.exclude: '/logs/*.log' matches no file here: as a glob it belongs into sync.ignore",
        "sync.ignore: '*.TMP' matches no file here: upper and lower case count (see /x.tmp)",
        "sync.ignore: 'nowhere' matches no file here\n",
    ] {
        assert!(said.err.contains(expected), "{expected}\n{}", said.err);
    }
}

#[test]
fn check_filters_counts_by_pattern_and_says_which_decides() {
    let keys = "exclude = ['/cache']\nignore = [\"*.tmp\", \"*.Bak\"]";
    let console = with_keys(keys);
    fill(&console);
    console.put(".ferryboxignore", "note\n");
    let said = console.run(&["check-filters"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    for expected in [
        "      215  sync.upload_filter    /.*\n",
        "      211  sync.exclude          /cache\n",
        "        1  sync.ignore           *.tmp\n",
        "        0  sync.ignore           *.Bak  upper and lower case count (see /b.bak)\n",
        "        1  .ferryboxignore:1     note\n",
        "synced: 2 files\n",
        "not synced: 213 files (3 patterns), 2 links, 1 socket\n",
    ] {
        assert!(said.out.contains(expected), "{expected}\n{}", said.out);
    }
    let local = console.content().join("cache/deep/7").display().to_string();
    let asked = [
        "check-filters",
        &local,
        "a.tmp",
        "/note",
        ".storage/auth",
        "etc",
        "new/",
    ];
    let said = console.run(&asked);
    let wanted = "\
/cache/deep/7: not synced: sync.exclude '/cache' matches it or a folder it lies in
/a.tmp: not synced: sync.ignore '*.tmp' matches it or a folder it lies in
/note: not synced: .ferryboxignore:1 'note' matches it or a folder it lies in
/.storage/auth: synced both ways as far as the mode goes (sync.upload_filter '/.*')
/etc: not synced: it is a symbolic link
/new: synced both ways as far as the mode goes (sync.upload_filter '/.*')
";
    assert_eq!((said.out.as_str(), said.code), (wanted, 0));
    let schema = Schema::read();
    let lines = schema.check(&console.run(&["check-filters", "--json"]).out);
    assert_eq!(lines.len(), 7, "{lines:?}");
    assert_eq!(lines[4]["advice"]["path"], "/b.bak", "{lines:?}");
    assert_eq!(lines[6]["skipped"]["excluded"], 211);
    let lines = schema.check(&console.run(&["check-filters", "--json", "a.tmp"]).out);
    assert_eq!(lines[0]["pattern"], "*.tmp", "{lines:?}");
    let said = console.run(&["check-filters", "../x"]);
    assert_eq!(said.code, 2, "{}", said.err);
}

#[test]
fn a_file_of_globs_that_is_gone_is_told() {
    let console = with_keys("");
    console.put(".ferryboxignore", "*.tmp\n");
    console.put("a.tmp", "t");
    console.put("b", "b");
    assert_eq!(console.run(&["sync"]).code, 0);
    fs::remove_file(console.content().join(".ferryboxignore")).unwrap();
    let said = console.run(&["sync"]);
    assert!(
        said.err.contains(".ferryboxignore is gone or empty"),
        "{}",
        said.err
    );
    assert!(console.dropbox.read("/a.tmp").is_some());
    assert_eq!(console.run(&["sync"]).err, "");
}
