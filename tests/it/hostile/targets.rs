//! What must hold for arbitrary bytes, once per parser.
//!
//! The bodies of the fuzz targets in `fuzz/`, which [`super::corpus`] also runs as tests. None
//! may panic, and each asserts more than that.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ferrybox::config::{Config, Secret};
use ferrybox::core::filter::Filter;
use ferrybox::core::own_names::is_own_name;
use ferrybox::core::path::{Key, RelPath, fold, nfc, split};
use ferrybox::core::remote::Cursor;
use ferrybox::core::schedule;
use ferrybox::dropbox::page::read_page;
use ferrybox::dropbox::retry::{Failure, Retry, retry_after_s};
use ferrybox::dropbox::tokens::{AccessTokens, Credential, StoredToken, TokenFiles, hash_hex};
use ferrybox::dropbox::wire::{ApiError, FileMetadata, Metadata, one_line};
use ferrybox::engine::cursor::CursorFile;
use ferrybox::engine::remote_root::{Location, RemoteRoot};
use ferrybox::error::Error;
use ferrybox::index::{DirPath, Index, Row, SyncIdentity, carry_over};
use ferrybox::io::RealDisk;
use ferrybox::io::deadline::Deadline;
use ferrybox::io::host::Host;
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

/// A target: a name, which is also the name of its corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 8] = [
    ("list_page", list_page),
    ("result_header", result_header),
    ("config", config),
    ("path_mapping", path_mapping),
    ("retry_after", retry_after),
    ("state_file", state_file),
    ("index_file", index_file),
    ("schedule_and_filter", schedule_and_filter),
];

/// The page a parser that holds all of it in memory sees.
#[derive(Deserialize)]
struct WholePage {
    entries: Vec<Metadata>,
    cursor: Cursor,
    has_more: bool,
}

/// A page read as a stream is the page read whole, or none.
pub fn list_page(data: &[u8]) {
    let streamed = |bytes: &[u8]| {
        let mut seen = Vec::new();
        let end = read_page::<()>(bytes, &mut |entry| {
            seen.push(format!("{entry:?}"));
            Ok(())
        });
        end.ok().map(|end| (seen, end.cursor, end.has_more))
    };
    let shown = |page: WholePage| {
        let entries: Vec<_> = page.entries.iter().map(|e| format!("{e:?}")).collect();
        (entries, page.cursor, page.has_more)
    };
    let whole = serde_json::from_slice::<WholePage>(data).ok().map(shown);
    assert_eq!(streamed(data), whole);
    // Two parsers of different make must not be told different things.
    if let (Some((entries, cursor, _)), Ok(value)) =
        (&whole, serde_json::from_slice::<serde_json::Value>(data))
    {
        assert_eq!(
            value["entries"].as_array().map(Vec::len),
            Some(entries.len())
        );
        assert_eq!(value["cursor"].as_str(), Some(cursor.as_str()));
    }
}

/// `Dropbox-API-Result` and error bodies: numbers in range, hashes well formed, texts one line.
pub fn result_header(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(file) = serde_json::from_str::<FileMetadata>(&text)
        && let Some(hash) = file.hash()
    {
        let stated = file.content_hash.as_deref().unwrap_or_default();
        assert!(hash.to_string().eq_ignore_ascii_case(stated));
    }
    if let Ok(error) = serde_json::from_slice::<ApiError>(data) {
        let tags = error.tags();
        assert!(error.is(&tags));
        let _ = (error.number("retry_after"), error.has("x"), error.text());
    }
    let line = one_line(&text);
    assert!(line.chars().count() <= 300 && !line.chars().any(char::is_control));
}

/// A configuration is read the same twice; whatever is wrong is one line with a place.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let file = Path::new("/etc/f.toml");
    match Config::parse(file, &text) {
        Ok(config) => {
            let again = Config::parse(file, &text).map(|again| format!("{again:?}"));
            assert_eq!(again, Ok(format!("{config:?}")));
            assert!(config.sync.content_dir.is_absolute());
            assert!(config.sync.content_dir != Path::new("/"));
            let inside = |part| matches!(part, Component::RootDir | Component::Normal(_));
            assert!(config.sync.content_dir.components().all(inside));
            assert!((0.0..=1.0).contains(&config.guard.max_delete_share));
            assert!((5..=600).contains(&config.network.timeout_s));
            for name in config.dropbox.remote_root.split('/').skip(1) {
                assert!(!name.is_empty() && name != "." && name != "..");
            }
        }
        Err(error) => {
            assert!(error.line.is_some() || error.key.is_some(), "{error}");
            let lines = text.lines().count().max(1);
            assert!(
                error
                    .line
                    .is_none_or(|line| (1..=lines + 1).contains(&line))
            );
            // A line for each fault.
            let is_one = |line: &str| !line.is_empty() && !line.contains(char::is_control);
            assert!(error.to_string().split('\n').all(is_one), "{error}");
            assert!(!error.what.is_empty() && !error.remedy.is_empty());
        }
    }
}

/// Where a listed entry lands: strictly beneath the root, and never under a name of our own.
/// `data` is `path_lower`, `path_display` and `name`, separated by record separators.
pub fn path_mapping(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut fields = text.splitn(3, '\u{1e}').map(str::to_owned);
    let mut next = || fields.next().unwrap_or_default();
    let (lower, display, name) = (next(), next(), next());
    for text in [&lower, &display, &name] {
        check_folding(text);
    }
    for remote_root in ["", "/Gateways/Küche"] {
        let file = FileMetadata {
            name: name.clone(),
            path_lower: Some(format!("{}{lower}", fold(remote_root))),
            path_display: Some(format!("{remote_root}{display}")),
            client_modified: String::new(),
            rev: "0".into(),
            size: 0,
            content_hash: None,
            is_downloadable: true,
            symlink_info: None,
            id: None,
            server_modified: None,
            sharing_info: None,
        };
        let located = RemoteRoot::new(remote_root).locate(Metadata::File(file));
        let Location::Entry(entry) = located else {
            continue;
        };
        assert!(entry.key.path().len() <= 4096);
        // Deeper ones are the same over and over.
        if entry.key.depth() > 64 {
            continue;
        }
        let index = Index::temporary("fuzz", None).unwrap();
        let filter = Filter::everything();
        index.transaction(|| index.apply(&entry, &filter)).unwrap();
        for_each_row(&index, &mut |index, row| check_row(index, row, &filter));
    }
}

/// Names that are equal to a person have one key, and a key is its own key.
fn check_folding(name: &str) {
    let folded = fold(name);
    assert_eq!(fold(&folded), folded, "{name:?}");
    let (composed, decomposed): (String, String) = (name.nfc().collect(), name.nfd().collect());
    assert_eq!(fold(&composed), folded, "{name:?}");
    assert_eq!(fold(&decomposed), folded, "{name:?}");
    assert_eq!(nfc(&decomposed), composed);
    let path = name.trim_start_matches('/');
    assert_eq!(Key::of(path).path(), fold(path), "{name:?}");
}

/// The local path of a row, put together as a pass does.
fn local_path(index: &Index, key: &Key) -> Option<RelPath> {
    let mut path = RelPath::root();
    let mut dir = String::new();
    for component in key.path().split('/') {
        let at = Key {
            dir: dir.clone(),
            name: component.to_owned(),
        };
        let name = match index.row(&at).ok()? {
            Some(row) => row.local_name().to_owned(),
            None => component.to_owned(),
        };
        path = path.join(&name).ok()?;
        dir = at.path();
    }
    Some(path)
}

/// A row's path is refused or lies strictly beneath the root, each component within its bounds.
pub fn check_beneath(path: &RelPath) {
    let root = Path::new("/srv/content");
    let local = root.join(path.as_str());
    let below: Vec<_> = local.strip_prefix(root).unwrap().components().collect();
    assert!(!below.is_empty(), "{path:?} is the root");
    assert_eq!(below.len(), path.as_str().split('/').count(), "{path:?}");
    for component in below {
        let Component::Normal(name) = component else {
            panic!("{path:?} leaves the root");
        };
        let bytes = name.as_encoded_bytes();
        assert!(!bytes.is_empty() && bytes.len() <= 255, "{path:?}");
        assert!(!bytes.contains(&0) && !bytes.contains(&b'/'), "{path:?}");
        assert!(name != OsStr::new(".") && name != OsStr::new(".."));
    }
}

fn check_row(index: &Index, row: &Row, filter: &Filter) {
    let Some(path) = local_path(index, &row.key) else {
        return;
    };
    let DirPath::Open(shown) = index.dir_path(&row.key.dir, filter).unwrap() else {
        return;
    };
    // Filters are asked about both spellings.
    let shown = ferrybox::core::path::join(&shown, &row.display_name);
    if filter.prunes(&format!("/{shown}")) || filter.prunes(&path.slashed()) {
        return;
    }
    check_beneath(&path);
    assert!(
        !path.components().any(is_own_name),
        "{path:?} is one of ours"
    );
    // What comes down is found again under its own key.
    assert_eq!(fold(path.name()), row.key.name, "{row:?}");
}

/// Every row of the index, directory by directory, each directory found by its key.
fn for_each_row(index: &Index, visit: &mut dyn FnMut(&Index, &Row)) {
    let mut dirs = vec![String::new()];
    while let Some(dir) = dirs.pop() {
        let mut rows = index.rows_in_dir(&dir);
        while let Ok(Some(row)) = rows.next() {
            visit(index, &row);
            if row.may_have_children() {
                dirs.push(row.key.path());
            }
        }
    }
}

/// A host whose time passes by sleeping only.
struct Asleep(std::cell::Cell<std::time::Duration>);

impl Host for Asleep {
    fn now_ns(&self) -> i128 {
        0
    }
    fn elapsed(&self) -> std::time::Duration {
        self.0.get()
    }
    fn sleep(&self, time: std::time::Duration) {
        self.0.set(self.0.get() + time);
    }
    fn random(&self, bytes: &mut [u8]) {
        bytes.fill(255);
    }
    fn is_root(&self) -> bool {
        false
    }
}

/// Whatever Dropbox asks for: at least a second each time, ten minutes in all, and an end.
pub fn retry_after(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let asked = retry_after_s(Some(&text));
    let digits = text.trim().strip_prefix('+').unwrap_or(text.trim());
    let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    assert!(asked.is_none() || numeric, "{text:?}");
    let host = Asleep(std::cell::Cell::default());
    let mut tries = 0;
    let answer: Result<(), _> =
        Retry::new(&host, &Deadline::none(&host)).run(&|| Ok(()), &mut || {
            tries += 1;
            Err(Failure::RateLimited(asked))
        });
    assert!(answer.is_err());
    let waited = host.elapsed().as_secs();
    assert!(waited <= 600 && tries <= 601, "{tries} tries, {waited} s");
    assert!(waited + 1 >= tries, "{tries} tries within {waited} s");
}

/// A directory of its own.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ferrybox-hostile-{}-{count}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&dir).unwrap();
        Scratch(dir)
    }

    fn put(&self, name: &str, data: &[u8]) {
        use std::os::unix::fs::PermissionsExt;
        let file = self.0.join(name);
        std::fs::write(&file, data).unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The JSON files of the state: whole or nothing, and an error repeats none of their content.
pub fn state_file(data: &[u8]) {
    let scratch = Scratch::new();
    let cached = format!("access-{}.json", &hash_hex("fuzz")[..16]);
    let names = [
        "cursor.json",
        "token.json",
        "pending-auth.json",
        "personal-account.json",
    ];
    for name in names.into_iter().chain([cached.as_str()]) {
        scratch.put(name, data);
    }
    let disk = RealDisk::open(&scratch.0).unwrap();
    let index = Index::temporary("id", None).unwrap();
    let text = |name: &str| name.to_owned();
    let now = SyncIdentity {
        account_id: text("account"),
        app_key: text("app"),
        root_namespace: text("1"),
        remote_root: text(""),
        filters: text("f"),
    };
    let value = serde_json::from_slice::<serde_json::Value>(data).ok();
    let cursor = CursorFile::new(Some(&disk), Some(&disk), None, Path::new("state"))
        .unwrap()
        .load(&index, &now)
        .unwrap();
    if let Some(cursor) = cursor {
        let value = value.expect("a cursor comes from valid JSON only");
        // The fields may also stand in a list, in their order.
        let field = |name, at: usize| value.get(name).or(value.get(at));
        assert_eq!(field("cursor", 0).unwrap(), cursor.as_str());
        assert_eq!(field("account_id", 1).unwrap(), "account");
        assert_eq!(field("index_id", 6).unwrap(), "id");
    }
    let files = TokenFiles::new(&disk, "state".to_owned());
    match files.token() {
        Ok(token) => {
            let whole = serde_json::from_slice::<StoredToken>(data).unwrap();
            assert_eq!(token.unwrap().refresh_token, whole.refresh_token);
        }
        Err(error) => quiet(&error),
    }
    if let Err(error) = files.pending() {
        quiet(&error);
    }
    if let Err(error) = files.personal_account() {
        quiet(&error);
    }
    let refresh_token = Secret::new("fuzz");
    let credential = Credential::Refresh {
        app_key: text("app"),
        app_secret: None,
        refresh_token,
        account_id: text("account"),
    };
    let host = Asleep(std::cell::Cell::default());
    let _ = AccessTokens::new(credential, Some(&disk), true).token_at_hand(&host);
}

/// The whole of a complaint about a file that may hold a secret.
fn quiet(error: &Error) {
    assert!(matches!(error, Error::Authentication(_)), "{error:?}");
    let text = error.to_string();
    assert!(
        text.starts_with("state/") && text.contains(" is damaged; remove it"),
        "{text}"
    );
}

/// Any bytes as the index: an error, or rows in order whose paths stay beneath the root.
pub fn index_file(data: &[u8]) {
    let scratch = Scratch::new();
    scratch.put("index.db", data);
    let index = match Index::open(&scratch.0.join("index.db")) {
        Ok(index) => index.expect("the file is there"),
        Err(error) => return damaged(&error),
    };
    if let Err(error) = carry_over(&index) {
        return damaged(&error);
    }
    let whole = index.check_totals();
    match walk(&index) {
        // What was whole stays whole.
        Ok(()) if whole.is_ok() => index.check_totals().unwrap(),
        Ok(()) => {}
        Err(error) => damaged(&error),
    }
    if let Err(error) = whole {
        damaged(&error);
    }
}

fn walk(index: &Index) -> ferrybox::error::Result<()> {
    let (counter, _) = (index.counter()?, index.has_base()?);
    let _ = index.identity()?;
    let mut pending = None;
    for _ in 0..100 {
        pending = index.next_pending_dir(pending.as_deref())?;
        if pending.is_none() {
            break;
        }
    }
    let mut dirs = vec![String::new()];
    let mut seen = 0;
    while let Some(dir) = dirs.pop() {
        let mut rows = index.rows_in_dir(&dir);
        let mut last = String::new();
        while let Some(row) = rows.next()? {
            assert!(
                row.key.name > last && row.key.dir == dir,
                "{row:?} after {last:?}"
            );
            last.clone_from(&row.key.name);
            if let Some(path) = local_path(index, &row.key) {
                check_beneath(&path);
            }
            let _ = (row.remote_side(), row.remote_now(), row.request_path());
            // A name with a slash is no directory of its own, so this ends.
            seen += 1;
            if row.may_have_children() && split(&row.key.name).0.is_empty() && seen < 1000 {
                dirs.push(row.key.path());
            }
        }
    }
    index.transaction(|| index.merge_staged(&Filter::everything(), &|_| {}))?;
    assert!(index.counter()? >= counter);
    Ok(())
}

/// What a file can do wrong is damage, which is mended, never a failure that stays.
fn damaged(error: &Error) {
    assert!(matches!(error, Error::Damaged(_)), "{error:?}");
}

/// Schedules and filters: refused in one line, or the same again and without a panic in use.
pub fn schedule_and_filter(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    match schedule::parse(&text) {
        Ok(schedule) => {
            assert_eq!(schedule::parse(schedule.text()), Ok(schedule.clone()));
            assert!(schedule.seconds < 1 << 60 && schedule.seconds != 0);
            assert!(schedule.minutes < 1 << 60 && schedule.minutes != 0);
            assert!(schedule.hours < 1 << 24 && schedule.hours != 0);
            assert!(schedule.months & !0x1ffe == 0 && schedule.months != 0);
        }
        Err(message) => assert!(message.contains("; "), "no remedy in: {message}"),
    }
    let pattern = [text];
    if let Ok(filter) = Filter::new(&pattern, &[], &pattern, true) {
        for path in ["/", "/a", "/a/b.c", "/Küche/ﬁ", "/a\nb"] {
            let (allows, shut) = (filter.allows(path), filter.prunes(path));
            assert!(!allows.up || !allows.down);
            // One pattern in both lists: what would go up is excluded.
            assert!(!allows.up || shut, "{path}");
        }
    }
}
