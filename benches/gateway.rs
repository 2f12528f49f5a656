//! A gateway: the release binary with a directory, a state and a configuration.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::child::{Cost, run};
use crate::dropbox::Dropbox;

/// Where the agent's files are in the account.
pub const REMOTE: &str = "/ferrybox";

/// The agent, ready to run.
pub struct Gateway {
    home: PathBuf,
    /// The directory that is kept in step.
    pub content: PathBuf,
    /// In memory, as a service has it.
    runtime: PathBuf,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.runtime);
    }
}

impl Gateway {
    /// A gateway below a scratch directory; what an earlier one left there is removed.
    ///
    /// # Errors
    /// If its files cannot be written.
    pub fn new(scratch: &Path, dropbox: &Dropbox, mode: &str) -> io::Result<Self> {
        let home = scratch.join("gateway");
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        let gateway = Self {
            content: home.join("content"),
            home,
            runtime: Path::new("/dev/shm")
                .join(format!("ferrybox-bench-run-{}", std::process::id())),
        };
        let _ = fs::remove_dir_all(&gateway.runtime);
        fs::create_dir_all(&gateway.runtime)?;
        fs::create_dir_all(&gateway.content)?;
        let config = format!(
            "[dropbox]\npersonal_access_token = \"{}\"\nremote_root = \"{REMOTE}\"\n\
             [sync]\ncontent_dir = \"{}\"\nmode = \"{mode}\"\ndevice_name = \"bench\"\n\
             [sync.guard]\nmax_delete_count = 1000000\n\
             [network]\nproxy = \"{}\"\nca_file = \"{}\"\n[state]\ndir = \"{}\"\n",
            dropbox.token,
            gateway.content.display(),
            dropbox.proxy,
            dropbox.ca.display(),
            gateway.home.join("state").display(),
        );
        let file = gateway.home.join("config.toml");
        fs::write(&file, config)?;
        fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
        Ok(gateway)
    }

    /// One pass.
    ///
    /// # Errors
    /// If it fails.
    pub fn sync(&self) -> io::Result<Cost> {
        let mut command = self.command(env!("CARGO_BIN_EXE_ferrybox"));
        run(command.args(self.words()))
    }

    /// A command that asks.
    ///
    /// # Errors
    /// If it fails.
    pub fn ask(&self, words: &[&str]) -> io::Result<Cost> {
        let mut command = self.command(env!("CARGO_BIN_EXE_ferrybox"));
        let [option, config, _] = self.words();
        run(command.args([option, config]).args(words))
    }

    /// A program with the environment of a pass.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home.join("home"))
            .env("RUNTIME_DIRECTORY", &self.runtime);
        command
    }

    /// The arguments of a pass.
    pub fn words(&self) -> [OsString; 3] {
        let config = self.home.join("config.toml");
        ["--config".into(), config.into(), "sync".into()]
    }

    /// Passes until one writes nothing: what was changed is no longer young then, and its stamp
    /// can be relied on.
    ///
    /// # Errors
    /// If a pass fails, or the fifth still writes.
    pub fn settle(&self) -> io::Result<()> {
        self.sync()?;
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(2100));
            if self.sync()?.written == 0 {
                return Ok(());
            }
        }
        Err(io::Error::other("passes without a change go on writing"))
    }
}
