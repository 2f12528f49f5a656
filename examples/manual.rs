//! Writes the manual pages and the completions for bash, zsh and fish, as the packages carry them,
//! into a directory: `cargo run --example manual -- DIR`.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap_complete::Shell;

fn main() -> Result<(), Box<dyn Error>> {
    let dir: PathBuf = std::env::args_os()
        .nth(1)
        .ok_or("usage: manual DIR")?
        .into();
    fs::create_dir_all(&dir)?;
    clap_mangen::generate_to(ferrybox::cli::command(), &dir)?;
    let mut command = ferrybox::cli::command();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, "ferrybox", &dir)?;
    }
    Ok(())
}
