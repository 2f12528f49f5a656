//! The stand-in as a server, for trying and measuring clients.

use std::process::ExitCode;

fn main() -> ExitCode {
    dropbox_standin::serve(std::env::args().skip(1))
}
