//! How the program is called here, so that every command in a message can be pasted as it stands:
//! with the configuration that was named, the state directory that systemd chose, and the user who
//! owns the state.

use std::path::Path;

/// What stands around a command of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Before the program, and after it.
    around: (String, String),
}

impl Default for Invocation {
    fn default() -> Invocation {
        Invocation::new(None, None, None)
    }
}

impl Invocation {
    /// For `user`, if it is another one than who reads; with the configuration `config`, if one was
    /// named; with the state directory `state`, if it comes from the environment.
    pub fn new(user: Option<&str>, state: Option<&Path>, config: Option<&Path>) -> Invocation {
        let mut before = String::new();
        if let Some(user) = user {
            before.push_str(&format!("sudo -u {} ", quoted(user)));
        }
        if let Some(state) = state {
            let state = quoted(&state.to_string_lossy());
            before.push_str(&format!("env STATE_DIRECTORY={state} "));
        }
        let config = config.map(|config| quoted(&config.to_string_lossy()));
        let after = config.map(|config| format!(" --config {config}"));
        Invocation {
            around: (before, after.unwrap_or_default()),
        }
    }

    /// The whole command for `what`, such as `sync --dry-run`.
    pub fn command(&self, what: &str) -> String {
        self.command_of("ferrybox", what)
    }

    /// The same for a program that goes by this name where it is called.
    pub fn command_of(&self, program: &str, what: &str) -> String {
        let (before, after) = &self.around;
        format!("{before}{program}{after} {what}")
    }
}

/// A word as a shell takes it: as it is where that is plain, else in single quotes.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B3.
    #[test]
    fn b3_a_command_names_what_it_needs_and_no_more() {
        assert_eq!(Invocation::default().command("sync"), "ferrybox sync");
        let all = Invocation::new(
            Some("ferrybox"),
            Some(Path::new("/var/lib/ferrybox")),
            Some(Path::new("/etc/my box/it's.toml")),
        );
        assert_eq!(
            all.command("sync --approve 1"),
            "sudo -u ferrybox env STATE_DIRECTORY=/var/lib/ferrybox ferrybox --config \
             '/etc/my box/it'\\''s.toml' sync --approve 1"
        );
        assert_eq!(
            Invocation::new(None, None, Some(Path::new("/c.toml")))
                .command_of("/usr/local/bin/ferrybox", "sync"),
            "/usr/local/bin/ferrybox --config /c.toml sync"
        );
        assert!(
            Invocation::new(Some("#998"), None, None)
                .command("sync")
                .starts_with("sudo -u '#998' ferrybox")
        );
    }
}
