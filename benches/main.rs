//! What the agent costs, beside what others need for the same, against the Dropbox stand-in.
//!
//! `cargo bench` runs everything, `cargo bench -- idle restore` the cases that are named,
//! `cargo bench -- --quick` smaller sizes. The agent is the release binary; the stand-in runs in a
//! process of its own and speaks TLS; agent, `curl` and `rclone` reach it through the same proxy,
//! in the same run. Latency is added to every request. Seconds are wall or CPU (user and system),
//! MiB and KiB are powers of two, sent and received count every byte on the socket, written is
//! what went to block devices.

mod cases;
mod child;
mod dropbox;
mod files;
mod gateway;
mod options;
mod peak;
mod runs;
mod table;
mod tools;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use options::Options;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    if words.peek().is_some_and(|word| word == dropbox::STAND_IN) {
        return dropbox_standin::serve(words.skip(1));
    }
    let cases = cases::all();
    let Some(options) = Options::read(words, &cases) else {
        eprintln!("{}", options::usage(&cases));
        return ExitCode::from(2);
    };
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    let mut failed = false;
    table::head();
    for case in &cases {
        if !options.selects(case.name) {
            continue;
        }
        // What an earlier run left is of no use.
        let _ = fs::remove_dir_all(&scratch);
        let bench = cases::Bench::new(&scratch, &options);
        let result = fs::create_dir_all(&scratch).and_then(|()| (case.run)(&bench));
        if let Err(error) = result {
            eprintln!("{}: {error}", case.name);
            failed = true;
        }
    }
    let _ = fs::remove_dir_all(&scratch);
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
