//! The `ferrybox` program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ferrybox::cli::main()
}
