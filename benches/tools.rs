//! What the agent is compared with: `rclone`, `curl`, `openssl` and `find`.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::dropbox::Dropbox;

/// Whether a program can be started.
pub fn is_installed(program: &str) -> bool {
    let version = if program == "openssl" {
        "version"
    } else {
        "--version"
    };
    let mut command = Command::new(program);
    command.arg(version).stdout(Stdio::null());
    command.stderr(Stdio::null()).status().is_ok()
}

/// The `rclone` to compare with: `FERRYBOX_RCLONE`, or else the one on the path.
pub fn rclone_program() -> String {
    std::env::var("FERRYBOX_RCLONE").unwrap_or_else(|_| "rclone".to_owned())
}

/// `rclone` with a remote `d:`, its own state below a scratch directory, batches off: with them it
/// takes twice as long for small files.
///
/// # Errors
/// If its configuration cannot be written.
pub fn rclone(scratch: &Path, dropbox: &Dropbox, words: &[&str]) -> io::Result<Command> {
    let config = scratch.join("rclone.conf");
    let token = serde_json::json!({
        "access_token": dropbox.token,
        "token_type": "bearer",
        "refresh_token": "none",
        "expiry": "2040-01-01T00:00:00Z",
    });
    fs::write(&config, format!("[d]\ntype = dropbox\ntoken = {token}\n"))?;
    let mut command = Command::new(rclone_program());
    command
        .arg("--config")
        .arg(config)
        .args(["--dropbox-batch-mode", "off"])
        .args(words)
        .env("HTTPS_PROXY", &dropbox.proxy)
        .env("SSL_CERT_FILE", &dropbox.ca)
        .env("XDG_CACHE_HOME", scratch.join("rclone-cache"));
    Ok(command)
}

/// `curl -T`: one request with the whole file, to an address that only hashes it.
pub fn curl_up(dropbox: &Dropbox, file: &Path) -> Command {
    let mut command = curl(dropbox);
    command.arg("-T").arg(file);
    command.arg("https://content.dropboxapi.com/sink/file");
    command
}

/// `curl -o`: one download to a file.
pub fn curl_down(dropbox: &Dropbox, path: &str, file: &Path) -> Command {
    let mut command = curl(dropbox);
    command
        .arg("-o")
        .arg(file)
        .arg("-H")
        .arg(format!("Authorization: Bearer {}", dropbox.token))
        .arg("-H")
        .arg(format!("Dropbox-API-Arg: {{\"path\": \"{path}\"}}"))
        .arg("https://content.dropboxapi.com/2/files/download");
    command
}

fn curl(dropbox: &Dropbox) -> Command {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--fail", "--show-error", "--proxy"])
        .arg(&dropbox.proxy)
        .arg("--cacert")
        .arg(&dropbox.ca);
    command
}

/// `sync -f` of the filesystem of a file: what makes durable what others have written.
pub fn sync(file: &Path) -> Command {
    let mut command = Command::new("sync");
    command.arg("-f").arg(file);
    command
}

/// `openssl dgst -sha256` of a file.
pub fn openssl(file: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256"]).arg(file);
    command
}

/// `find` that stats everything below a directory.
pub fn find(below: &Path) -> Command {
    let mut command = Command::new("find");
    command.arg(below).args(["-printf", "%s %T@ %i %P\\n"]);
    command
}
