//! A Dropbox that lies: nothing outside the content dir is touched, no memory is spent on it, and
//! what can be brought in step is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};

use ferrybox::commands::sync::SyncArgs;
use ferrybox::engine::collected::KEPT_MAX;
use ferrybox::engine::pull::PAGES_MAX;
use ferrybox::engine::{Seams, run_on};
use ferrybox::error::{Error, ExitCode};
use ferrybox::io::dirs::RealDisks;
use ferrybox::io::http::{Body, Http, HttpError, Request, Response};
use ferrybox::report::{Report, ReportKind};
use serde_json::{Value, json};

use crate::world::{World, world};

/// What one request is answered: a status, headers and a body.
type Answer = (u16, Vec<(&'static str, String)>, Box<dyn Read>);

/// Answers by route; everything else is a plain Dropbox with nothing in it.
struct Liar<'a> {
    answer: &'a dyn Fn(&str, u32) -> Option<Answer>,
    calls: RefCell<Vec<String>>,
    counts: RefCell<BTreeMap<String, u32>>,
}

impl Http for Liar<'_> {
    fn send(&self, request: Request<'_>) -> Result<Response, HttpError> {
        let route = request.path.trim_start_matches("/2/").to_owned();
        let mut counts = self.counts.borrow_mut();
        let before = counts.entry(route.clone()).or_default();
        *before += 1;
        self.calls.borrow_mut().push(route.clone());
        let answer = (self.answer)(&route, *before - 1);
        Ok(response(answer.unwrap_or_else(|| usual(&route))))
    }
}

fn response((status, headers, body): Answer) -> Response {
    let headers = headers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Response {
        status,
        headers: headers.collect(),
        body,
    }
}

fn usual(route: &str) -> Answer {
    match route {
        "users/get_current_account" => text(json!({
            "account_id": "dbid:1", "name": {"display_name": "x"}, "email": "x",
            "root_info": {"root_namespace_id": "1"}
        })),
        "files/list_folder/continue" => text(page(&[], false)),
        _ => (
            409,
            Vec::new(),
            Box::new(&br#"{"error":{".tag":"path"}}"#[..]),
        ),
    }
}

fn text(value: Value) -> Answer {
    (
        200,
        Vec::new(),
        Box::new(io::Cursor::new(value.to_string().into_bytes())),
    )
}

fn page(entries: &[Value], has_more: bool) -> Value {
    json!({"entries": entries, "cursor": "c", "has_more": has_more})
}

fn file(path: &str, name: &str) -> Value {
    json!({".tag": "file", "name": name, "path_lower": path, "path_display": path,
        "client_modified": "2026-01-01T00:00:00Z", "rev": "0123456789", "size": 4,
        "content_hash": dropbox_standin::content_hash(b"evil")})
}

/// The download every file gets.
fn evil(name: &str, bytes: &[u8]) -> Answer {
    let metadata = file("/x", name).to_string();
    let body = io::Cursor::new(bytes.to_vec());
    (200, vec![("dropbox-api-result", metadata)], Box::new(body))
}

/// One pass against the liar: how it ended, what was called, and what the problems were.
fn pass(
    world: &World,
    answer: &dyn Fn(&str, u32) -> Option<Answer>,
) -> (Result<ExitCode, Error>, Vec<String>, Report) {
    let liar = Liar {
        answer,
        calls: RefCell::default(),
        counts: RefCell::default(),
    };
    let (result, report) = pass_on(world, &liar);
    (result, liar.calls.into_inner(), report)
}

fn pass_on(world: &World, http: &dyn Http) -> (Result<ExitCode, Error>, Report) {
    let config = world.config();
    let report = Report::new(ReportKind::Changes);
    let options = SyncArgs::default().options(&config);
    let machine = Seams {
        host: &world.clock,
        disks: &RealDisks,
        http,
        kept_max: KEPT_MAX,
        begun: &|| {},
    };
    (run_on(&machine, &config, &options, &report), report)
}

fn around(world: &World) -> Vec<String> {
    let parent = world.content().parent().unwrap().to_owned();
    let mut names: Vec<_> = fs::read_dir(parent)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn entries_that_are_no_paths_land_nowhere() {
    let long = "x".repeat(300);
    let deep = "/d".repeat(10_000);
    let odd = [
        ("/../evil", "evil"),
        ("/../../../../../../tmp/evil", "evil"),
        ("//", ""),
        ("/", ""),
        ("", "evil"),
        ("evil", "evil"),
        ("/a//evil", "evil"),
        ("/.", "."),
        ("/..", ".."),
        ("/./evil", "evil"),
        ("/d/../evil", "evil"),
        ("/nul\0", "nul\0"),
        ("/a", "../evil"),
        ("/b", "/etc/evil"),
        ("/c", ".."),
        ("/.ferrybox-root", ".ferrybox-root"),
        ("/e", ".ferrybox-root"),
        ("/.ferrybox-root", "f"),
        ("/line\nbreak", "line\nbreak"),
        ("/\u{202e}txt.exe", "\u{202e}txt.exe"),
        ("/\u{1f600}", "\u{1f600}"),
        (&format!("/{long}"), &long),
        (&format!("{deep}/evil"), "evil"),
        ("/unknown/parents/good", "good"),
    ];
    let entries: Vec<_> = odd.iter().map(|(path, name)| file(path, name)).collect();
    for mode in super::story::MODES {
        let world = World::in_mode(mode);
        let before = around(&world);
        let (result, _, _) = pass(&world, &|route, _| match route {
            "files/list_folder" => Some(text(page(&entries, false))),
            "files/download" => Some(evil("evil", b"evil")),
            _ => None,
        });
        assert!(result.is_ok(), "{result:?}");
        let after = around(&world);
        assert_eq!(
            after
                .iter()
                .filter(|name| *name != "state")
                .collect::<Vec<_>>(),
            before.iter().collect::<Vec<_>>()
        );
        let names: Vec<_> = world.local_tree().into_keys().collect();
        let expected = [
            "a",
            "b",
            "c",
            "line\nbreak",
            "unknown/",
            "unknown/parents/",
            "unknown/parents/good",
            "\u{202e}txt.exe",
            "\u{1f600}",
        ];
        if mode == "LOCAL_TO_DROPBOX" {
            assert_eq!(names.len(), 0, "{names:?}");
        } else {
            assert_eq!(names, expected);
        }
        let marker = fs::read_to_string(world.content().join(".ferrybox-root")).unwrap();
        assert_ne!(marker, "evil");
    }
}

#[test]
fn a_download_that_is_not_what_was_announced_replaces_nothing() {
    let bodies: [&[u8]; 6] = [
        b"",
        b"evi",
        b"evil and more",
        b"live",
        b"<html>",
        b"\x1f\x8b\x08\0\0\0\0\0",
    ];
    for bytes in bodies {
        let world = world();
        let (result, _, report) = pass(&world, &|route, _| match route {
            "files/list_folder" => Some(text(page(&[file("/a", "a")], false))),
            "files/download" => Some(evil("a", bytes)),
            _ => None,
        });
        assert!(
            matches!(result, Ok(ExitCode::SomeFiles)),
            "{bytes:?}: {result:?}"
        );
        assert_eq!(report.problems().len(), 1);
        let left: Vec<_> = fs::read_dir(world.content()).unwrap().collect();
        assert_eq!(
            left.len(),
            1,
            "{bytes:?}: only the marker is there: {left:?}"
        );
    }
}

#[test]
fn metadata_that_makes_no_sense_is_no_file() {
    let with = |field: &str, value: Value| {
        let mut file = file("/a", "a");
        file[field] = value;
        file
    };
    for (entry, fails) in [
        (with("size", json!(-1)), true),
        (with("size", json!(1.5)), true),
        (with("size", json!("4")), true),
        (with("rev", json!(null)), true),
        (with("name", json!(["a"])), true),
        // No disk has room for it.
        (with("size", json!(u64::MAX)), true),
        (with("content_hash", json!("zz")), false),
        (with("content_hash", json!("")), false),
        (with("rev", json!("")), false),
        (with("client_modified", json!("never")), false),
        (
            with("client_modified", json!("-9999-99-99T99:99:99Z")),
            false,
        ),
    ] {
        let world = world();
        let (result, _, _) = pass(&world, &|route, _| match route {
            "files/list_folder" => Some(text(page(std::slice::from_ref(&entry), false))),
            "files/download" => Some(evil("a", b"evil")),
            _ => None,
        });
        assert_eq!(result.is_err(), fails, "{entry}: {result:?}");
        assert!(
            matches!(result, Ok(_) | Err(Error::TryLater(_) | Error::Full(_))),
            "{entry}: {result:?}"
        );
    }
}

/// Answers every listing with more to come, in a world that was in step before or is new.
/// Says what was called.
fn endless(is_new: bool, entries: &[Value], cursor: &dyn Fn(u32) -> String) -> Vec<String> {
    let world = world();
    let answer = |more: bool| {
        move |route: &str, call: u32| match route {
            "files/list_folder" | "files/list_folder/continue" => {
                let mut page = page(entries, more);
                page["cursor"] = json!(cursor(call));
                Some(text(page))
            }
            "files/download" => Some(evil("a", b"evil")),
            _ => None,
        }
    };
    let mut before = BTreeMap::default();
    if !is_new {
        let (result, _, _) = pass(&world, &answer(false));
        assert!(matches!(result, Ok(ExitCode::Ok)), "{result:?}");
        before = world.local_tree();
    }
    let (result, calls, _) = pass(&world, &answer(true));
    assert!(matches!(result, Err(Error::TryLater(_))), "{result:?}");
    assert_eq!(world.local_tree(), before);
    calls
}

#[test]
fn a_listing_that_does_not_get_on_is_left() {
    let file = || file("/a", "a");
    let same = |_| "c".to_owned();
    for is_new in [true, false] {
        assert!(endless(is_new, &[file(), file()], &same).len() < 200);
    }
}

/// Ever new cursors and the same entries, or none: to be told from a long listing by its length
/// only.
#[test]
fn a_listing_without_end_leaves_the_rest_to_the_next_pass() {
    for (is_new, entries) in [
        (true, &[file("/a", "a")][..]),
        (false, &[file("/a", "a")]),
        (true, &[]),
        (false, &[]),
    ] {
        let calls = endless(is_new, entries, &|call| format!("c{call}"));
        let pages = calls.iter().filter(|call| call.contains("list_folder"));
        assert_eq!(pages.count(), PAGES_MAX as usize);
    }
}

/// A Dropbox whose first listing is empty, and whose news come after many pages without any. Its
/// cursors are numbers of pages.
struct Silent {
    pages: u32,
    /// Nothing comes behind them.
    is_empty: bool,
    asked: RefCell<Vec<u32>>,
}

impl Http for Silent {
    fn send(&self, request: Request<'_>) -> Result<Response, HttpError> {
        let asked = match &request.body {
            Body::Bytes(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
            Body::Empty | Body::Stream { .. } => Value::Null,
        };
        let numbered = |mut page: Value, number: u32| {
            page["cursor"] = json!(number.to_string());
            text(page)
        };
        Ok(response(match request.path {
            "/2/files/list_folder" => numbered(page(&[], false), 0),
            "/2/files/list_folder/continue" => {
                let number: u32 = asked["cursor"].as_str().unwrap().parse().unwrap();
                self.asked.borrow_mut().push(number);
                match number {
                    number if number < self.pages => numbered(page(&[], true), number + 1),
                    number if self.is_empty => numbered(page(&[], false), number),
                    number => numbered(page(&[file("/a", "a")], false), number),
                }
            }
            "/2/files/download" => evil("a", b"evil"),
            path => usual(path.trim_start_matches("/2/")),
        }))
    }
}

#[test]
fn many_pages_without_entries_are_not_read_again_by_the_next_pass() {
    let world = world();
    let silent = Silent {
        pages: PAGES_MAX + 50,
        is_empty: false,
        asked: RefCell::default(),
    };
    let (result, _) = pass_on(&world, &silent);
    assert!(matches!(result, Ok(ExitCode::Ok)), "{result:?}");
    let (result, _) = pass_on(&world, &silent);
    assert!(matches!(result, Err(Error::TryLater(_))), "{result:?}");
    let read = silent.asked.take();
    let (result, _) = pass_on(&world, &silent);
    assert!(matches!(result, Ok(ExitCode::Ok)), "{result:?}");
    world.check_local(&[("a", "evil")]);
    assert_eq!(silent.asked.borrow()[0], read.last().unwrap() + 1);
}

/// Pages that lead nowhere are read once, too.
#[test]
fn r12_pages_without_entries_are_not_read_again_though_nothing_came_behind_them() {
    let world = world();
    let silent = Silent {
        pages: 30,
        is_empty: true,
        asked: RefCell::default(),
    };
    for _ in 0..2 {
        let (result, _) = pass_on(&world, &silent);
        assert!(matches!(result, Ok(ExitCode::Ok)), "{result:?}");
    }
    silent.asked.take();
    let (result, _) = pass_on(&world, &silent);
    assert!(matches!(result, Ok(ExitCode::Ok)), "{result:?}");
    assert_eq!(silent.asked.take().len(), 1);
}

/// Bytes without end, counted.
struct Endless<'a>(&'a [u8], std::rc::Rc<Cell<u64>>);

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.0.read(buffer)? {
            0 => io::repeat(b'[').read(buffer)?,
            count => count,
        };
        self.1.set(self.1.get() + count as u64);
        assert!(self.1.get() < 64 << 20, "64 MiB were read of one answer");
        Ok(count)
    }
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let pages = [
        r#"{"cursor":""#,
        r#"{"entries":[{"name":""#,
        "[",
        r#"{"error":"#,
        "<html>",
    ];
    for start in pages {
        for status in [200, 400, 401, 403, 409, 429, 500] {
            for route in [
                "files/list_folder",
                "users/get_current_account",
                "files/download",
            ] {
                let world = world();
                let read = std::rc::Rc::new(Cell::new(0));
                let (result, _, _) = pass(&world, &|asked, _| match asked {
                    asked if asked == route => Some((
                        status,
                        Vec::new(),
                        Box::new(Endless(start.as_bytes(), read.clone())),
                    )),
                    "files/list_folder" => Some(text(page(&[file("/a", "a")], false))),
                    _ => None,
                });
                let known = matches!(result, Err(_) | Ok(ExitCode::SomeFiles));
                assert!(known, "{route}, {status}, {start}: {result:?}");
                assert_eq!(world.local_tree().len(), 0);
            }
        }
    }
}

/// So many times the same bytes, counted.
struct Again {
    bytes: Vec<u8>,
    at: usize,
    left: u64,
    read: std::rc::Rc<Cell<u64>>,
}

impl Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let count = buffer.len().min(self.bytes.len() - self.at);
        buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        if self.at == self.bytes.len() {
            self.at = 0;
            self.left -= 1;
        }
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

fn zip_head(name: &str, method: u16, flags: u16, size: u32) -> Vec<u8> {
    let mut head = 0x0403_4b50_u32.to_le_bytes().to_vec();
    head.extend([20, 0]);
    head.extend(flags.to_le_bytes());
    head.extend(method.to_le_bytes());
    head.extend([0; 8]);
    head.extend(size.to_le_bytes());
    head.extend(size.to_le_bytes());
    head.extend((name.len() as u16).to_le_bytes());
    head.extend([0, 0]);
    head.extend(name.as_bytes());
    head
}

#[test]
fn an_archive_without_end_is_left() {
    let files: Vec<Value> = (0..10)
        .map(|i| file(&format!("/d/{i}"), &i.to_string()))
        .collect();
    let mut good = zip_head("d/3", 0, 0, 4);
    good.extend(b"evil");
    let empty_blocks = [0_u8, 0, 0, 0xff, 0xff].repeat(1000);
    for (first, again) in [
        (Vec::new(), zip_head("d/x", 0, 0, 0)),
        (Vec::new(), zip_head("d/x/", 0, 0, 0)),
        (Vec::new(), good),
        (zip_head("d/3", 8, 8, 0), empty_blocks),
    ] {
        let world = world();
        let read = std::rc::Rc::new(Cell::new(0));
        let (result, _, _) = pass(&world, &|asked, _| match asked {
            "files/list_folder" => Some(text(page(&files, false))),
            "files/download_zip" => {
                let body = Again {
                    bytes: again.clone(),
                    at: 0,
                    left: (8 << 20) / again.len() as u64,
                    read: read.clone(),
                };
                let body = io::Cursor::new(first.clone()).chain(body);
                Some((200, Vec::new(), Box::new(body)))
            }
            "files/download" => Some(evil("a", b"evil")),
            _ => None,
        });
        assert!(matches!(result, Ok(ExitCode::Ok)), "{result:?}");
        assert!(read.get() < 1 << 20, "{} bytes were read", read.get());
        assert_eq!(world.local_tree().len(), 11, "ten files in a folder");
    }
}

#[test]
fn files_of_one_revision_do_not_take_each_others_bytes() {
    let (a, b) = (vec![1_u8; 5 << 20], vec![2_u8; 5 << 20]);
    let of = |path: &str, name: &str, bytes: &[u8]| {
        let mut file = file(path, name);
        file["size"] = json!(bytes.len());
        file["content_hash"] = json!(dropbox_standin::content_hash(bytes));
        file
    };
    let files = [of("/a", "a", &a), of("/b", "b", &b)];
    let world = world();
    let (result, _, _) = pass(&world, &|asked, call| match asked {
        "files/list_folder" => Some(text(page(&files, false))),
        "files/download" => {
            let (file, bytes) = match call {
                0 => (&files[0], &a),
                _ => (&files[1], &b),
            };
            Some((
                200,
                vec![("dropbox-api-result", file.to_string())],
                Box::new(io::Cursor::new(bytes.clone())),
            ))
        }
        _ => None,
    });
    assert!(matches!(result, Ok(ExitCode::Ok)), "{result:?}");
    for (name, bytes) in [("a", &a), ("b", &b)] {
        let found = fs::read(world.content().join(name)).unwrap();
        assert!(found == *bytes, "{name} holds other bytes");
    }
}

/// Whatever an archive says of where its files belong, and what they are.
#[test]
fn an_archive_that_means_harm_puts_nothing_anywhere() {
    let files: Vec<Value> = (0..10)
        .map(|i| file(&format!("/d/{i}"), &i.to_string()))
        .collect();
    let long = "x".repeat(60_000);
    let stored = |name: &str, bytes: &[u8]| {
        let mut entry = zip_head(name, 0, 0, bytes.len() as u32);
        entry.extend(bytes);
        entry
    };
    let harm: Vec<Vec<u8>> = vec![
        stored("../evil", b"evil"),
        stored("d/../../evil", b"evil"),
        stored("/tmp/evil", b"evil"),
        stored("d\\..\\..\\evil", b"evil"),
        stored("d/1\0", b"evil"),
        stored("d/.ferrybox-root", b"evil"),
        stored(".ferrybox-root", b"evil"),
        stored("d/1/below a file", b"evil"),
        stored("d", b"evil"),
        stored(&long, b"evil"),
        stored("d/1", b"live"),
        stored("d/1", b"evil and more"),
        stored("not listed", b"evil"),
        vec![0xff; 4096],
        Vec::new(),
    ];
    for (at, harm) in harm.into_iter().enumerate() {
        let world = world();
        let before = around(&world);
        let good: Vec<u8> = (0..10)
            .flat_map(|i| stored(&format!("d/{i}"), b"evil"))
            .collect();
        let (result, _, _) = pass(&world, &|asked, _| match asked {
            "files/list_folder" => Some(text(page(&files, false))),
            "files/download_zip" => {
                // The harm comes twice: before what is wanted, and after it.
                let all = [&harm[..], &good, &harm].concat();
                Some((200, Vec::new(), Box::new(io::Cursor::new(all))))
            }
            "files/download" => Some(evil("a", b"evil")),
            _ => None,
        });
        assert!(matches!(result, Ok(ExitCode::Ok)), "{at}: {result:?}");
        let mut after = around(&world);
        after.retain(|name| name != "state");
        assert_eq!(after, before, "{at}");
        let tree = world.local_tree();
        let names: Vec<_> = (0..10).map(|i| format!("d/{i}")).collect();
        assert_eq!(tree.len(), 11, "{at}: {tree:?}");
        assert!(names.iter().all(|name| tree[name] == "evil"), "{at}");
        let marker = fs::read_to_string(world.content().join(".ferrybox-root")).unwrap();
        assert_ne!(marker, "evil", "{at}");
    }
}

/// What Dropbox calls a revision or a cursor goes back to it as it came, in one header or body.
#[test]
fn a_revision_or_a_cursor_makes_no_file_and_no_header() {
    for odd in ["../../x", "a\r\nx-evil: 1", "a\0b", "\u{1b}[31m"] {
        let world = world();
        let before = around(&world);
        let mut entry = file("/a", "a");
        entry["rev"] = json!(odd);
        let headers = RefCell::new(Vec::new());
        let noting = Noting {
            headers: &headers,
            answer: &|route| match route {
                "files/list_folder" => {
                    let mut page = page(std::slice::from_ref(&entry), false);
                    page["cursor"] = json!(odd);
                    Some(text(page))
                }
                "files/download" => Some(evil("a", b"evil")),
                _ => None,
            },
        };
        let (result, _) = pass_on(&world, &noting);
        assert!(result.is_ok(), "{odd:?}: {result:?}");
        let headers = headers.into_inner();
        assert!(!headers.is_empty());
        for value in headers {
            let plain = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            assert!(plain, "{odd:?}: {value:?}");
        }
        let mut after = around(&world);
        after.retain(|name| name != "state");
        assert_eq!(after, before, "{odd:?}");
    }
}

/// Answers by route, and notes what the headers of the requests hold.
struct Noting<'a> {
    headers: &'a RefCell<Vec<String>>,
    answer: &'a dyn Fn(&str) -> Option<Answer>,
}

impl Http for Noting<'_> {
    fn send(&self, request: Request<'_>) -> Result<Response, HttpError> {
        let values = request.headers.iter().map(|(_, value)| value.clone());
        self.headers.borrow_mut().extend(values);
        let route = request.path.trim_start_matches("/2/");
        let answer = (self.answer)(route).unwrap_or_else(|| usual(route));
        Ok(response(answer))
    }
}
