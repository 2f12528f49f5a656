//! What somebody at a terminal sees of a pass: one line that moves, what is wrong, and a summary.

use std::fs;
use std::time::{Duration, Instant};

use dropbox_standin::{Effect, Fault, When};

use crate::console::Console;
use crate::gateway::Gateway;
use crate::terminal::{Seen, Terminal, screen};

const MIB: usize = 1 << 20;

fn ready() -> Console {
    let console = Console::new();
    console.authenticate();
    console
}

/// The same, with lines for `[network]`.
fn limited(lines: &str) -> Console {
    let console = ready();
    let text = console.config_text();
    console.write_config(&format!("{text}[network]\n{lines}\n"));
    console
}

fn begin(console: &Console, args: &[&str], columns: usize) -> Terminal {
    Terminal::run(console.command(args), columns)
}

fn see(console: &Console, args: &[&str]) -> Seen {
    begin(console, args, 80).end()
}

/// Each state of the line that moved, without what wipes it.
fn moves(got: &str) -> Vec<String> {
    let states = got.split('\r').skip(1);
    let states = states.filter(|state| state.ends_with("\x1b[K") && *state != "\x1b[K");
    states.map(|state| state.replace("\x1b[K", "")).collect()
}

#[test]
fn a_line_moves_with_the_bytes_and_is_gone_in_the_end() {
    let console = limited("upload_limit = \"16 MiB/s\"");
    fs::write(console.content().join("video.bin"), vec![7; 40 * MIB]).unwrap();
    let seen = see(&console, &["sync"]);
    assert_eq!(seen.code, 0, "{seen:?}");
    let states = moves(&seen.got);
    let sent: Vec<_> = states
        .iter()
        .filter(|state| state.contains(" of 40 MiB") && state.ends_with(": video.bin"))
        .collect();
    // Chunks have 32 MiB.
    assert!((6..=20).contains(&sent.len()), "{sent:#?}");
    let told = sent.last().unwrap();
    assert!(
        told.contains(" MiB/s, 0:0") && told.contains(" left: "),
        "{told}"
    );
    let summary = seen.screen.last().unwrap();
    assert!(
        summary.starts_with("1 uploaded (40.0 MiB in 0:0"),
        "{summary}"
    );
    assert!(!seen.got.contains("uploaded /video.bin"), "{seen:?}");
    // The line of what is kept in step may take more than one.
    let is_rest = |line: &String| line.contains("MiB/s");
    assert!(!seen.screen.iter().any(is_rest), "{seen:?}");
    // The other way the total is known from the start.
    let console = limited("download_limit = \"16 MiB/s\"");
    for name in ["/one.bin", "/two.bin"] {
        console.dropbox.put(name, &vec![8; 20 * MIB]);
    }
    let seen = see(&console, &["sync"]);
    assert_eq!(seen.code, 0, "{seen:?}");
    assert!(
        seen.got.contains("asking Dropbox what has changed"),
        "{seen:?}"
    );
    assert!(seen.got.contains("of 2 files, "), "{seen:?}");
    let summary = seen.screen.last().unwrap();
    assert!(
        summary.starts_with("2 downloaded (40.0 MiB in 0:0"),
        "{summary}"
    );
}

#[test]
fn actions_are_said_to_who_asks_for_them() {
    let console = ready();
    for number in 0..30 {
        console.put(&format!("f{number}"), "x");
    }
    let seen = see(&console, &["sync"]);
    assert!(!seen.got.contains("uploaded /f"), "{seen:?}");
    assert!(!seen.got.contains("more like this"), "{seen:?}");
    assert!(
        seen.got.contains("30 uploaded (30 bytes in 0:00)"),
        "{seen:?}"
    );
    console.put("one", "1");
    let seen = see(&console, &["sync", "-v"]);
    assert!(seen.got.contains("uploaded /one (1 byte)"), "{seen:?}");
}

#[test]
fn the_line_is_as_narrow_as_the_terminal() {
    let wide = "\u{5bb6}\u{65cf}\u{65c5}\u{884c}".repeat(12);
    for columns in [20, 40, 61] {
        let console = limited("upload_limit = \"4 MiB/s\"");
        for name in [
            &wide,
            "a_long_name_of_a_film_that_has_no_end_at_all_in_any_way.bin",
        ] {
            fs::write(console.content().join(name), vec![7; 5 * MIB]).unwrap();
        }
        let seen = begin(&console, &["sync"], columns).end();
        assert_eq!(seen.code, 0, "{seen:?}");
        let states = moves(&seen.got);
        assert!(states.len() > 4, "{states:?}");
        for state in &states {
            assert_eq!(screen(state, columns - 2).len(), 1, "{columns}: {state}");
        }
        let is_rest = |line: &String| line.contains(" of 2 files");
        assert!(!seen.screen.iter().any(is_rest), "{seen:?}");
    }
}

#[test]
fn who_does_not_watch_gets_no_line_that_moves() {
    for args in [&["sync", "--json"][..], &["sync", "-q"], &["-q", "sync"]] {
        let console = ready();
        fs::write(console.content().join("video.bin"), vec![7; 9 * MIB]).unwrap();
        let seen = see(&console, args);
        assert_eq!(seen.code, 0, "{seen:?}");
        assert!(moves(&seen.got).is_empty(), "{args:?} {seen:?}");
        assert!(args.contains(&"--json") || seen.got.is_empty(), "{seen:?}");
    }
    let console = ready();
    fs::write(console.content().join("video.bin"), vec![7; 9 * MIB]).unwrap();
    let said = console.run(&["sync", "-v"]);
    assert!(!said.err.contains(['\r', '\x1b']), "{}", said.err);
}

#[test]
fn who_wants_quiet_hears_of_problems_and_halts_alone() {
    let console = ready();
    console.put("good", "g");
    console.put("back\\slash", "x");
    let seen = begin(&console, &["sync", "-q"], 200).end();
    assert_eq!((seen.code, seen.screen.len()), (3, 1), "{seen:?}");
    assert!(
        seen.screen[0].starts_with("warning: /back\\\\slash"),
        "{seen:?}"
    );
    console.put("good", "better");
    let said = console.run(&["sync", "--quiet"]);
    assert_eq!((said.code, said.err.as_str()), (3, ""), "told once");
    for number in 0..40 {
        console.put(&format!("f{number}"), &format!("file {number}"));
    }
    console.run(&["sync", "-q"]);
    for number in 0..40 {
        fs::remove_file(console.content().join(format!("f{number}"))).unwrap();
    }
    let said = console.run(&["sync", "-q"]);
    assert_eq!(said.code, 5, "{}", said.err);
    assert!(
        said.err.contains("would delete in Dropbox /f"),
        "{}",
        said.err
    );
    assert!(!said.err.contains("with a problem"), "{}", said.err);
    assert_eq!(console.run(&["sync", "-q", "-v"]).code, 2);
}

#[test]
fn words_are_set_off_where_that_is_wanted() {
    let console = ready();
    console.put("back\\slash", "x");
    let got = |name: &str, value: &str| {
        let mut command = console.command(&["sync"]);
        command.env(name, value);
        Terminal::run(command, 80).end().got
    };
    let bold = "\x1b[1mwarning:\x1b[0m /back";
    assert!(got("NO_COLOR", "").contains(bold));
    let plain = got("NO_COLOR", "1");
    assert!(
        plain.contains("warning: /back") && !plain.contains("\x1b[1m"),
        "{plain:?}"
    );
    assert!(plain.contains("\x1b[K"), "lines still move");
    let dumb = got("TERM", "dumb");
    assert!(
        dumb.contains("warning: /back") && !dumb.contains('\x1b'),
        "{dumb:?}"
    );
    fs::remove_dir_all(console.content()).unwrap();
    let seen = see(&console, &["sync"]);
    assert!(seen.got.contains("\x1b[1mferrybox:\x1b[0m "), "{seen:?}");
}

#[test]
fn a_wait_is_named_and_the_longer_one_is_not_put_into_dropboxs_mouth() {
    let console = ready();
    let limit = || {
        let effect = Effect::TooManyRequests {
            retry_after: Some(3),
            as_text: false,
        };
        Fault::new("files/list_folder", When::Nth(1), effect)
    };
    console.dropbox.inject(limit());
    let seen = see(&console, &["sync"]);
    assert_eq!(seen.code, 0, "{seen:?}");
    let waits = "Dropbox asks to wait; going on in ";
    assert!(
        seen.got.contains(&format!("\r{waits}3 s\x1b[K")),
        "{seen:?}"
    );
    assert!(
        seen.got.contains(&format!("\r{waits}1 s\x1b[K")),
        "{seen:?}"
    );
    assert!(
        !seen.screen.iter().any(|line| line.contains(waits)),
        "{seen:?}"
    );
}

#[test]
fn ctrl_c_says_what_is_kept_and_the_next_run_takes_it_up() {
    let console = limited("upload_limit = \"8 MiB/s\"\nupload_chunk_mib = 4");
    fs::write(console.content().join("video.bin"), vec![7; 32 * MIB]).unwrap();
    let mut terminal = begin(&console, &["sync"], 80);
    terminal.until("\r14 of 32 MiB");
    let asked = Instant::now();
    terminal.interrupt();
    let seen = terminal.end();
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(seen.code, 130, "{seen:?}");
    let last = seen.screen.last().unwrap();
    let kept = last.strip_prefix("stopped; ").unwrap_or_default();
    let kept = kept.strip_suffix(" of 32 MiB of /video.bin are kept for the next run");
    let kept: u64 = kept.and_then(|kept| kept.parse().ok()).expect(last);
    assert!((8..=20).contains(&kept), "{last}");
    assert!(!seen.got.contains("warning"), "{seen:?}");
    let seen = see(&console, &["sync"]);
    let goes_on = format!("going on with /video.bin at {kept} of 32 MiB");
    assert!(seen.screen.contains(&goes_on), "{seen:?}");
    assert_eq!(console.dropbox.read("/video.bin").unwrap().len(), 32 * MIB);
    // The other way.
    fs::remove_file(console.content().join("video.bin")).unwrap();
    let text = console
        .config_text()
        .replace("upload_limit", "download_limit");
    console.write_config(&text);
    console.dropbox.put("/other.bin", &vec![9; 32 * MIB]);
    let args = ["sync", "--download-only"];
    let mut terminal = begin(&console, &args, 80);
    terminal.until("\r14 of 32 MiB");
    terminal.interrupt();
    let seen = terminal.end();
    assert_eq!(seen.code, 130, "{seen:?}");
    let last = seen.screen.last().unwrap();
    assert!(last.contains("of 32 MiB of /other.bin are kept"), "{last}");
    let seen = see(&console, &args);
    assert!(
        seen.got.contains("going on with /other.bin at 1"),
        "{seen:?}"
    );
}

#[test]
fn ctrl_c_ends_a_wait_and_a_run() {
    let console = ready();
    let effect = Effect::TooManyRequests {
        retry_after: Some(60),
        as_text: false,
    };
    console
        .dropbox
        .inject(Fault::new("files/list_folder", When::Nth(1), effect));
    let mut terminal = begin(&console, &["sync"], 80);
    terminal.until("asks to wait");
    let asked = Instant::now();
    terminal.interrupt();
    let seen = terminal.end();
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(seen.code, 130, "{seen:?}");
    let text = "stopped; what was done is kept, the next run goes on from there";
    assert_eq!(seen.screen.last().unwrap(), text);
    // Without a pass there is nothing to say.
    let mut terminal = begin(&console, &["run"], 80);
    terminal.until("next pass at ");
    terminal.interrupt();
    let seen = terminal.end();
    assert_eq!(seen.code, 130, "{seen:?}");
}

/// Over TLS a wait is cut into short ones, too, and goes on behind each.
#[test]
fn an_answer_is_waited_for_and_ctrl_c_ends_that() {
    let stall = |seconds| Effect::Stall(Duration::from_secs(seconds));
    for (seconds, code) in [(3, 0), (40, 130)] {
        let gateway = Gateway::new().over_tls();
        gateway.put("a", "a");
        let fault = Fault::new("files/list_folder", When::Nth(1), stall(seconds));
        gateway.dropbox.inject(fault);
        let mut terminal = Terminal::run(gateway.command(&[], &["sync"]), 80);
        terminal.until("asking Dropbox");
        let asked = Instant::now();
        if code != 0 {
            std::thread::sleep(Duration::from_secs(1));
            terminal.interrupt();
        }
        let seen = terminal.end();
        assert_eq!(seen.code, code, "{seen:?}");
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
        assert_eq!(gateway.dropbox.read("/a").is_some(), code == 0);
    }
}

#[test]
fn run_says_what_it_keeps_in_step_and_when_the_next_pass_is() {
    let console = ready();
    let text = console.config_text();
    let schedule = "[schedule]\nupload_interval = '0 0 0 1 1 ? 2099'\n\
                    download_interval = '0 0 0 1 1 ? 2098'\nwatch = true\nsettle_s = 1";
    console.write_config(&format!("{text}{schedule}\n"));
    fs::create_dir(console.content().join("d")).unwrap();
    let mut terminal = begin(&console, &["run"], 200);
    terminal.until("watching 2 folders\r\n");
    fs::write(console.content().join("d/a"), "a").unwrap();
    terminal.until("1 uploaded (1 byte in 0:0");
    // Once more after a pass that did something.
    let text = "next pass at 2098-01-01 00:00:00 (down), 2099-01-01 00:00:00 (up)";
    terminal.until_times(text, 2);
    terminal.interrupt();
    let seen = terminal.end();
    let head = format!(
        "{} <-> Dropbox / (BIDIRECTIONAL)",
        console.content().display()
    );
    assert_eq!(seen.screen[0], head, "{seen:?}");
}
