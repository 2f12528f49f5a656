//! The built binary on a loopback stand-in, as a person or cron runs it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dropbox_standin::{Endpoint, Listeners, Standin};

use crate::gateway::Scratch;

/// A gateway's console.
pub struct Console {
    home: Scratch,
    pub dropbox: Standin,
    listeners: Listeners,
}

/// What a command said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Console {
    /// A console with a configuration that has no token yet.
    pub fn new() -> Console {
        let home = Scratch::new();
        let dropbox = Standin::new();
        let listeners = dropbox.listen().unwrap();
        let console = Console {
            home,
            dropbox,
            listeners,
        };
        fs::create_dir(console.content()).unwrap();
        fs::create_dir(console.path("run")).unwrap();
        console.configure("[dropbox]\napp_key = \"standin-key\"");
        console
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// The runtime directory, made as systemd makes it, where there is none.
    pub fn runtime(&self) -> PathBuf {
        made(self.path("run/ferrybox"))
    }

    pub fn content(&self) -> PathBuf {
        self.path("content")
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes the configuration: `head` before the sections that are the same in every test.
    pub fn configure(&self, head: &str) {
        let url = |endpoint| self.listeners.url(endpoint);
        let text = format!(
            "{head}\n[sync]\ncontent_dir = \"{}\"\nmode = \"BIDIRECTIONAL\"\n[state]\n\
             dir = \"{}\"\n[endpoints]\napi = \"{}\"\ncontent = \"{}\"\nnotify = \"{}\"\n\
             www = \"{}\"\n",
            self.content().display(),
            self.state().display(),
            url(Endpoint::Api),
            url(Endpoint::Content),
            url(Endpoint::Notify),
            url(Endpoint::Www),
        );
        self.write_config(&text);
    }

    pub fn write_config(&self, text: &str) {
        fs::write(self.path("config.toml"), text).unwrap();
    }

    pub fn config_text(&self) -> String {
        fs::read_to_string(self.path("config.toml")).unwrap()
    }

    /// A command with this configuration and nothing of the caller's environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferrybox"));
        command.env_clear();
        command.env("RUNTIME_DIRECTORY", self.runtime());
        command.env("HOME", self.path("home"));
        command
            .arg("--config")
            .arg(self.path("config.toml"))
            .args(args);
        command.stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Said {
        said(self.command(args).output().unwrap())
    }

    pub fn run_under_umask(&self, umask: &str, args: &[&str]) -> Said {
        let plain = self.command(args);
        let mut command = Command::new("sh");
        command
            .env_clear()
            .envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))));
        command.args(["-c", "umask \"$0\"; exec \"$@\"", umask]);
        command
            .arg(plain.get_program())
            .args(plain.get_args())
            .stdin(Stdio::null());
        said(command.output().unwrap())
    }

    pub fn run_with_stdin(&self, args: &[&str], input: &str) -> Said {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        said(child.wait_with_output().unwrap())
    }

    /// The code a person gets who opens the link of this banner.
    pub fn code_for(&self, banner: &str) -> String {
        self.dropbox.approve(&link(banner)).unwrap()
    }

    /// Goes through the whole authentication.
    #[track_caller]
    pub fn authenticate(&self) {
        let banner = self.run(&["startAuthentication"]).out;
        let said = self.run(&["finishAuthentication", &self.code_for(&banner)]);
        assert_eq!(said.code, 0, "{}", said.err);
    }

    pub fn put(&self, name: &str, content: &str) {
        fs::write(self.content().join(name), content).unwrap();
    }
}

/// What was told is told again by the next pass.
pub fn forget_told(runtime: &Path) {
    for entry in fs::read_dir(runtime).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("pass-") {
            fs::remove_file(&path).unwrap();
        }
    }
}

/// A private directory, made unless something has that name.
pub fn made(dir: PathBuf) -> PathBuf {
    let mut private = fs::DirBuilder::new();
    let _ = DirBuilderExt::mode(&mut private, 0o700).create(&dir);
    dir
}

/// The link in the banner.
pub fn link(banner: &str) -> String {
    let start = banner.find("http").expect("the banner has a link");
    banner[start..].split('\'').next().unwrap().to_owned()
}

pub fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
