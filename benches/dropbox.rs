//! The stand-in in a process of its own: this program, started again with `stand-in` as its first
//! argument. It speaks TLS behind a proxy, as the real service would be reached.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// The argument that makes this program the stand-in.
pub const STAND_IN: &str = "stand-in";

/// A stand-in that ends with this.
pub struct Dropbox {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Where its proxy listens, as a URL.
    pub proxy: String,
    /// The CA of its certificate.
    pub ca: PathBuf,
    /// A token with all scopes, for four hours.
    pub token: String,
}

/// What went over the wire.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// How many requests were made.
    pub requests: u64,
    /// Bytes from the client, TLS included.
    pub sent: u64,
    /// Bytes to the client, TLS included.
    pub received: u64,
    /// How many connections were opened.
    pub connections: u64,
}

impl Dropbox {
    /// Starts an empty account.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(scratch: &Path) -> io::Result<Self> {
        let ca = scratch.join("ca.pem");
        let mut child = Command::new(std::env::current_exe()?)
            .args([STAND_IN, "--control", "--quota", "1000000000000", "--ca"])
            .arg(&ca)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let commands = child.stdin.take();
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut dropbox = Self {
            child,
            commands,
            answers: BufReader::new(output),
            proxy: String::new(),
            ca,
            token: String::new(),
        };
        while dropbox.token.is_empty() {
            let line = dropbox.answer()?;
            if let Some(url) = line.strip_prefix("proxy = ") {
                url.trim_matches('"').clone_into(&mut dropbox.proxy);
            }
            if let Some(token) = line.strip_prefix("# personal access token ") {
                token.clone_into(&mut dropbox.token);
            }
        }
        Ok(dropbox)
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the stand-in has ended"));
        }
        Ok(line.trim_end().to_owned())
    }

    /// Gives it a command (the stand-in's `help` lists them).
    ///
    /// # Errors
    /// If it did not understand, or has ended.
    pub fn tell(&mut self, command: &str) -> io::Result<String> {
        let commands = self.commands.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(commands, "{command}")?;
        let answer = self.answer()?;
        match answer.strip_prefix("error: ") {
            Some(error) => Err(io::Error::other(error.to_owned())),
            None => Ok(answer),
        }
    }

    /// Begins to count anew.
    ///
    /// # Errors
    /// As [`Self::tell`].
    pub fn reset(&mut self) -> io::Result<()> {
        self.tell("reset").map(drop)
    }

    /// What went over the wire since the last reset.
    ///
    /// # Errors
    /// As [`Self::tell`].
    pub fn traffic(&mut self) -> io::Result<Traffic> {
        let told: Value = serde_json::from_str(&self.tell("traffic")?)?;
        let number = |name: &str| told[name].as_u64().unwrap_or(0);
        Ok(Traffic {
            requests: number("requests"),
            sent: number("bytes_in"),
            received: number("bytes_out"),
            connections: number("connections"),
        })
    }

    /// How many files the account holds.
    ///
    /// # Errors
    /// As [`Self::tell`].
    pub fn files(&mut self) -> io::Result<u64> {
        let told: Value = serde_json::from_str(&self.tell("count")?)?;
        Ok(told["files"].as_u64().unwrap_or(0))
    }
}

impl Drop for Dropbox {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.commands.take());
        let _ = self.child.wait();
    }
}
