//! What the page for browsers says, and that whatever stands on it is only text there.

use std::collections::BTreeMap;

use super::*;
use crate::engine::pass_record::{Failing, PassEnd, ProblemNote};
use crate::report::{Counts, HaltNote, Traffic};

const HOSTILE: &str = "/\u{202e}<script>alert(\"1\" & '2')</script>\n\u{1b}[2J\\";

fn run(started: &str, seconds: f64, uploaded: u64) -> PassEnd {
    let counts = Counts {
        uploaded,
        ..Counts::default()
    };
    PassEnd {
        started: started.to_owned(),
        seconds: Some(seconds),
        exit_code: Some(0),
        ..PassEnd::so_far(counts, Traffic { up: 4096, down: 0 })
    }
}

fn well() -> PassRecord {
    PassRecord {
        last_success: Some(1_795_281_910),
        last_pass: Some(run("2026-11-21T17:25:10Z", 0.4, 0)),
        last_change: Some(run("2026-11-20T02:00:00Z", 12.0, 3)),
        ..PassRecord::default()
    }
}

fn status_of(record: PassRecord) -> PairStatus {
    let text = "[dropbox]\napp_key = 'abc'\n[sync]\ncontent_dir = '/srv/<b>&co'\n\
                [state]\ndir = '/nowhere'\n";
    let config = Config::parse(Path::new("/etc/kitchen.toml"), text).unwrap();
    let args = StatusArgs::default();
    let mut status = PairStatus::of_record(&config, &args, None, &record).unwrap();
    status.is_signed_in = true;
    status
}

fn page_of(record: PassRecord) -> String {
    status_of(record).page("Sun 2026-11-22 02:00:00 +00 (up)")
}

#[test]
fn whatever_comes_from_outside_is_a_text_and_stays_in_its_line() {
    let note = |text: &str| ProblemNote {
        code: "other".to_owned(),
        text: text.to_owned(),
        since: 1_795_281_910,
    };
    let page = page_of(PassRecord {
        problems: BTreeMap::from([(HOSTILE.to_owned(), note(HOSTILE))]),
        problem_count: 1,
        ..well()
    });
    let path = "<li><code><bdi>/\\u{202e}&lt;script&gt;alert(&quot;1&quot; &amp; \
                &#39;2&#39;)&lt;/script&gt;\\n\\u{1b}[2J\\\\</bdi></code>\n";
    assert!(page.contains(path), "{page}");
    assert!(page.contains("[2J\\</p>\n"), "{page}");
    assert!(page.contains("<bdi>/srv/&lt;b&gt;&amp;co</bdi>"), "{page}");
    assert!(!page.contains(['\u{202e}', '\u{1b}']) && !page.contains("<script"));
    for outside in ["<script", "<link", "src=", "url(", "@import", "<a ", "href"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn the_first_thing_it_says_is_whether_the_backup_is_alive_and_complete() {
    let page = page_of(well());
    let first = page.find("<h1>").unwrap();
    assert!(page[first..].starts_with(
        "<h1><span aria-hidden=\"true\">\u{2713}</span> The backup is alive and complete</h1>"
    ));
    for said in [
        "<header class=\"good\">",
        "<dd class=\"t\">Sat 2026-11-21 ",
        ": nothing to do, 4.0 KiB sent, 0.4 s, exit code 0</dd>",
        ": 3 uploaded, 4.0 KiB sent</dd>",
        "<dt>Next run</dt>\n<dd class=\"t\">Sun 2026-11-22 02:00:00 +00 (up)</dd>",
        "<dt>Mode</dt>\n<dd>LOCAL_TO_DROPBOX</dd>",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    let failing = |code: &str, text: &str| PassRecord {
        failing: Some(Failing {
            code: code.to_owned(),
            text: text.to_owned(),
            since: 1_795_281_910,
            up: true,
            down: true,
            passes: 3,
            told: None,
            was_told: false,
            was_told_unwatched: false,
        }),
        ..well()
    };
    let mut halted = failing("halted", "50 of 60 files would be deleted in Dropbox");
    halted.halts = vec![HaltNote {
        id: "1a2b".to_owned(),
        direction: "up".to_owned(),
        count: 50,
    }];
    let page = page_of(halted);
    for said in [
        "<header class=\"bad\">",
        "\u{2715}</span> It waits for your decision</h1>",
        "<h2>50 files and folders would be deleted in Dropbox</h2>",
        "<p>Keeps them:</p>\n<pre><code>ferrybox sync --keep 1a2b</code></pre>",
        "<p>Deletes them:</p>\n<pre><code>ferrybox sync --approve 1a2b</code></pre>",
    ] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    let page = page_of(failing("try_later", "cannot reach Dropbox"));
    assert!(!page.contains("complete</h1>") && page.contains(": cannot reach Dropbox</p>"));
    let mut unknown = status_of(PassRecord::default());
    unknown.unknown = Some("no run has been made yet");
    assert_eq!(unknown.headline().0, "open");
    unknown.is_signed_in = false;
    let page = unknown.page("");
    assert!(page.contains("<pre><code>ferrybox startAuthentication</code></pre>"));
    assert!(!page.contains("Next run"));
}

#[test]
fn on_a_medium_an_idle_pass_says_nothing_new_until_the_date_changes() {
    let page = page_of(well());
    let later = |at: &str, uploaded: u64| {
        page_of(PassRecord {
            last_success: at.parse::<Timestamp>().ok().map(Timestamp::as_second),
            last_pass: Some(run(at, 1.5, uploaded)),
            ..well()
        })
    };
    let idle = later("2026-11-21T17:30:10Z", 0);
    assert!(says_the_same(&page, &idle, false));
    assert!(!says_the_same(&page, &idle, true), "memory costs nothing");
    assert!(!says_the_same(
        &page,
        &later("2026-11-22T17:30:10Z", 0),
        false
    ));
    let changed = page_of(PassRecord {
        last_change: Some(run("2026-11-21T17:30:10Z", 1.5, 1)),
        ..well()
    });
    assert!(!says_the_same(&page, &changed, false));
    assert!(!says_the_same("", &page, false) && !says_the_same("", &page, true));
    // When it was written is no news of its own.
    let now = page.lines().find(|line| line.starts_with(WRITTEN));
    let moved = now.unwrap().replace("</p>", " later</p>");
    assert!(says_the_same(
        &page,
        &page.replace(now.unwrap(), &moved),
        true
    ));
}
