//! `[notify]`: pings and a webhook, told to a listener; files for Prometheus and for browsers.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dropbox_standin::{Effect, Fault, When};
use ferrybox::io::filesystem::Filesystem;
use serde_json::Value;

use crate::console::{Console, forget_told};

/// Answers every request with a status, and keeps path and body.
struct Listener {
    url: String,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Listener {
    fn new(status: &'static str) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let keeps = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                let mut length = 0;
                loop {
                    let mut header = String::new();
                    reader.read_line(&mut header).unwrap();
                    let header = header.trim().to_ascii_lowercase();
                    if let Some(value) = header.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if header.is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let body = String::from_utf8(body).unwrap();
                keeps.lock().unwrap().push((path, body));
                let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            }
        });
        Listener { url, heard }
    }

    fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    fn paths(&self) -> Vec<String> {
        self.take().into_iter().map(|(path, _)| path).collect()
    }
}

fn with_notify(keys: &str) -> Console {
    let console = Console::new();
    console.configure(&format!(
        "[dropbox]\napp_key = \"standin-key\"\n[notify]\n{keys}"
    ));
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(console.path("config.toml"), private).unwrap();
    console.authenticate();
    console
}

#[test]
fn each_run_is_pinged_as_it_begins_and_as_it_ends() {
    let listener = Listener::new("200 OK");
    let console = with_notify(&format!("ping_url = \"{}/ping/secret-uuid\"", listener.url));
    console.put("a", "a");
    assert_eq!(console.run(&["sync"]).code, 0);
    assert_eq!(
        listener.paths(),
        ["/ping/secret-uuid/start", "/ping/secret-uuid"]
    );
    console.put("back\\slash", "b");
    assert_eq!(console.run(&["sync"]).code, 3);
    let heard = listener.take();
    assert_eq!(heard[1].0, "/ping/secret-uuid/fail");
    assert_eq!(heard[1].1, "1 path has a problem");
    // A dry run is nobody's business.
    console.run(&["sync", "-n"]);
    assert_eq!(listener.paths(), [""; 0]);
    // An outage is a failure after a while only.
    fs::remove_file(console.content().join("back\\slash")).unwrap();
    let down = Effect::Status(503, "{}".to_owned());
    let fault = Fault::new("list_folder/continue", When::Always, down);
    console.dropbox.inject(fault);
    assert_eq!(console.run(&["sync", "--max-time", "1s"]).code, 7);
    assert_eq!(listener.paths(), ["/ping/secret-uuid/start"]);
}

/// What finds another run at work is none of its own.
#[test]
fn who_is_pinged_hears_nothing_of_a_run_that_finds_another_at_work() {
    let listener = Listener::new("200 OK");
    let console = with_notify(&format!("ping_url = \"{}/ping\"", listener.url));
    assert_eq!(console.run(&["sync"]).code, 0);
    listener.take();
    let state = fs::File::open(console.state()).unwrap();
    rustix::fs::flock(&state, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_eq!(console.run(&["sync"]).code, 6);
    assert_eq!(listener.paths(), [""; 0]);
    drop(state);
    assert_eq!(console.run(&["sync"]).code, 0);
    assert_eq!(listener.paths(), ["/ping/start", "/ping"]);
}

#[test]
fn a_webhook_is_called_when_runs_begin_to_fail_and_when_they_work_again() {
    let listener = Listener::new("204 No Content");
    let console = with_notify(&format!("webhook_url = \"{}/hook\"", listener.url));
    console.put("a", "a");
    let state = |body: &str| serde_json::from_str::<Value>(body).unwrap()["state"].clone();
    // Nobody knows what was told before a restart.
    for _ in 0..2 {
        let restarted = fs::remove_dir_all(console.runtime());
        restarted.unwrap();
        crate::console::made(console.runtime());
        for _ in 0..2 {
            assert_eq!(console.run(&["sync"]).code, 0);
        }
        let heard = listener.take();
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert_eq!(state(&heard[0].1), "ok");
    }
    console.put("back\\slash", "b");
    for _ in 0..3 {
        assert_eq!(console.run(&["sync"]).code, 3);
    }
    let heard = listener.take();
    assert_eq!(heard.len(), 1, "{heard:?}");
    let told: Value = serde_json::from_str(&heard[0].1).unwrap();
    assert_eq!(told["state"], "failing");
    assert_eq!(told["code"], "some_files");
    assert_eq!(told["pair"], "config");
    fs::remove_file(console.content().join("back\\slash")).unwrap();
    for _ in 0..2 {
        assert_eq!(console.run(&["sync"]).code, 0);
    }
    let heard = listener.take();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(state(&heard[0].1), "ok");
}

#[test]
fn nobody_who_cannot_be_told_fails_a_run_or_learns_a_secret() {
    let refusing = Listener::new("404 Not Found");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/hush-hush", silent.local_addr().unwrap());
    for url in [format!("{}/hush-hush", refusing.url), silent] {
        let console = with_notify(&format!("ping_url = \"{url}\"\nwebhook_url = \"{url}\""));
        console.put("a", "a");
        let began = Instant::now();
        let said = console.run(&["sync", "-vv"]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(began.elapsed() < Duration::from_secs(40));
        assert!(
            said.err.contains("notify.ping_url: nobody could be told: "),
            "{}",
            said.err
        );
        assert!(!said.err.contains("hush-hush"), "{}", said.err);
        assert_eq!(console.dropbox.read("/a").unwrap(), b"a");
    }
}

#[test]
fn metrics_are_replaced_by_each_run_and_never_synced() {
    let console = with_notify("");
    let file = console.content().join("ferrybox.prom");
    let text = console.config_text();
    let keys = format!("[notify]\nmetrics_file = \"{}\"\n", file.display());
    console.write_config(&text.replace("[notify]\n", &keys));
    console.put("a", "abc");
    assert_eq!(console.run(&["sync"]).code, 0);
    let metrics = fs::read_to_string(&file).unwrap();
    for line in [
        "ferrybox_problems{pair=\"config\"} 0\n",
        "ferrybox_exit_code{pair=\"config\"} 0\n",
        "ferrybox_pass_files{pair=\"config\",direction=\"up\"} 1\n",
        "ferrybox_pass_bytes{pair=\"config\",direction=\"up\"} 3\n",
        "# TYPE ferrybox_last_success_timestamp_seconds gauge\n",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert_eq!(console.run(&["sync"]).code, 0);
    assert!(console.dropbox.read("/ferrybox.prom").is_none());
    assert_ne!(fs::read_to_string(&file).unwrap(), metrics);
    let gone = keys.replace("content", "nowhere/at/all");
    console.write_config(&console.config_text().replace(&keys, &gone));
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 0);
    assert!(
        said.err.contains("notify.metrics_file: cannot write"),
        "{}",
        said.err
    );
    assert_eq!(console.run(&["sync"]).err, "", "told once");
}

/// Gives the configuration a page of its own, in the content dir; returns where it is.
fn with_page(console: &Console) -> PathBuf {
    let file = console.content().join("status.html");
    let keys = format!("[notify]\nhtml_file = \"{}\"\n", file.display());
    console.write_config(&console.config_text().replace("[notify]\n", &keys));
    file
}

#[test]
fn a_page_for_browsers_follows_the_runs_and_is_never_synced() {
    let console = with_notify("");
    let file = with_page(&console);
    console.put("a", "a");
    // That of the units, for whom what is synced is private.
    assert_eq!(console.run_under_umask("077", &["sync"]).code, 0);
    let page = fs::read_to_string(&file).unwrap();
    assert!(
        page.contains("> The backup is alive and complete</h1>"),
        "{page}"
    );
    assert!(page.contains(": 1 uploaded, 1 byte sent"), "{page}");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o644);
    // An idle run leaves it alone on a medium, but for the date in it.
    let inode = || fs::metadata(&file).unwrap().ino();
    let before = inode();
    assert_eq!(console.run(&["sync"]).code, 0);
    let date = |page: &str| page.split("As of ").nth(1).map(|at| at[..14].to_owned());
    let is_today = date(&fs::read_to_string(&file).unwrap()) == date(&page);
    let in_memory = Filesystem::under(&file).unwrap().is_in_memory;
    assert_eq!(inode() == before, !in_memory && is_today);
    // A hostile name that Dropbox does not take.
    let name = "<script>alert('\"&')<\\script>\n\u{202e}gnp";
    console.put(name, "b");
    assert_eq!(console.run(&["sync"]).code, 3);
    let page = fs::read_to_string(&file).unwrap();
    assert!(page.contains("> Alive, but not complete</h1>"), "{page}");
    let shown = "&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;\\\\script&gt;\\n\\u{202e}gnp</bdi>";
    assert!(page.contains(shown), "{page}");
    assert!(!page.contains("<script"), "{page}");
    fs::remove_file(console.content().join(name)).unwrap();
    assert_eq!(console.run(&["sync"]).code, 0);
    assert!(console.dropbox.read("/status.html").is_none());
    assert!(console.dropbox.read("/status.html.new").is_none());
}

#[test]
fn a_page_that_cannot_be_written_fails_no_run_and_is_told_once() {
    let console = with_notify("");
    let file = with_page(&console);
    console.put("a", "a");
    for (what, why) in [
        ("directory", "it is no regular file"),
        ("link", "it is no regular file"),
        ("other", "it holds something else"),
    ] {
        match what {
            "directory" => fs::create_dir(&file).unwrap(),
            "link" => std::os::unix::fs::symlink("a", &file).unwrap(),
            _ => fs::write(&file, "precious").unwrap(),
        }
        let said = console.run(&["sync"]);
        assert_eq!(said.code, 0, "{}", said.err);
        let told = format!("notify.html_file: cannot write {}: {why}", file.display());
        assert!(said.err.contains(&told), "{}", said.err);
        assert_eq!(console.run(&["sync"]).err, "", "told once");
        match what {
            "directory" => fs::remove_dir(&file).unwrap(),
            "link" => fs::remove_file(&file).unwrap(),
            _ => assert_eq!(fs::read_to_string(&file).unwrap(), "precious"),
        }
        forget_told(&console.runtime());
    }
    assert_eq!(fs::read(console.content().join("a")).unwrap(), b"a");
}

#[test]
fn status_writes_its_page_where_it_is_told_to_and_only_when_it_says_something_else() {
    let console = with_notify("");
    console.put("a", "a");
    assert_eq!(console.run(&["sync"]).code, 0);
    let file = console.path("page.html");
    let path = file.display().to_string();
    let said = console.run(&["status", "--html", &path]);
    assert_eq!(
        (said.code, said.out.as_str(), said.err.as_str()),
        (0, "", "")
    );
    let is_there = || {
        let found = fs::metadata(&file).unwrap();
        (found.ino(), found.mtime_nsec(), found.mtime())
    };
    let (page, before) = (fs::read_to_string(&file).unwrap(), is_there());
    let said = console.run(&["status", "--html", &path, "--json"]);
    assert_eq!(said.code, 0);
    assert!(said.out.contains("\"type\":\"status\""), "{}", said.out);
    assert_eq!(is_there(), before, "nothing has changed");
    // The exit code is the one of "status".
    console.put("back\\slash", "b");
    assert_eq!(console.run(&["sync"]).code, 3);
    assert_eq!(console.run(&["status", "--html", &path]).code, 3);
    assert_ne!(is_there(), before);
    let said = console.run(&["status", "--html", "-"]);
    assert!(said.out.starts_with("<!DOCTYPE html>\n"), "{}", said.out);
    assert!(said.out.contains("back\\\\slash"), "{}", said.out);
    assert_ne!(said.out, page);
    let said = console.run(&["status", "--html", "-", "--json"]);
    assert_eq!(said.code, 2, "{}", said.err);
    for (wrong, why) in [
        ("nowhere/page.html", "cannot open "),
        ("config.toml", "it holds "),
    ] {
        let wrong = console.path(wrong).display().to_string();
        let said = console.run(&["status", "--html", &wrong]);
        assert_eq!(said.code, 1, "{}", said.err);
        let told = format!("cannot write {wrong}: {why}");
        assert!(
            said.err.contains(&told) && said.err.lines().count() == 1,
            "{}",
            said.err
        );
    }
}
