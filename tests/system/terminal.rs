//! A terminal on which the binary runs, and what somebody sees on it.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A command at work on a terminal.
pub struct Terminal {
    child: Child,
    master: File,
    columns: usize,
    /// All that the terminal got.
    pub got: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Seen {
    /// The exit code, or 128 and the signal, as a shell has it.
    pub code: i32,
    /// All that the terminal got.
    pub got: String,
    /// What stands on it in the end, line by line.
    pub screen: Vec<String>,
}

/// The same command, which heeds SIGINT: what is started in the background of a script does not.
fn heeding_ctrl_c(command: &Command) -> Command {
    let mut heeding = Command::new("/usr/bin/env");
    heeding
        .arg("--default-signal=INT")
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            heeding.env(name, value);
        }
    }
    heeding
}

impl Terminal {
    /// Runs a command whose stderr is a terminal this wide.
    pub fn run(command: Command, columns: usize) -> Terminal {
        let mut command = heeding_ctrl_c(&command);
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: u16::try_from(columns).unwrap(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let child = command.stderr(Stdio::from(terminal)).spawn().unwrap();
        // The other end hangs up once nobody has the terminal any more.
        drop(command);
        Terminal {
            child,
            master: File::from(master),
            columns,
            got: String::new(),
        }
    }

    /// Reads until the terminal has got this text.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        self.until_times(text, 1);
    }

    /// The same, so many times.
    #[track_caller]
    pub fn until_times(&mut self, text: &str, times: usize) {
        while self.got.matches(text).count() < times {
            assert!(self.read() > 0, "{text} did not come: {:?}", self.got);
        }
    }

    fn read(&mut self) -> usize {
        let mut bytes = [0; 4096];
        let count = self.master.read(&mut bytes).unwrap_or(0);
        // Some bytes of a letter may come with the next ones; no test asks for such letters.
        self.got.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count
    }

    /// What Ctrl-C does.
    pub fn interrupt(&self) {
        rustix::process::kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Waits for its end.
    pub fn end(mut self) -> Seen {
        while self.read() > 0 {}
        let status = self.child.wait().unwrap();
        let signal = || 128 + status.signal().unwrap();
        Seen {
            code: status.code().unwrap_or_else(signal),
            screen: screen(&self.got, self.columns),
            got: self.got,
        }
    }
}

/// What stands on a terminal that got this text; what it cannot mean fails the test. Letters take a
/// column, and wide ones two.
pub fn screen(got: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![Vec::new()];
    let mut at = 0;
    let mut rest = got;
    while let Some(c) = rest.chars().next() {
        let line: &mut Vec<char> = lines.last_mut().unwrap();
        if let Some(after) = rest.strip_prefix("\x1b[K") {
            line.truncate(at);
            rest = after;
            continue;
        }
        let bold = ["\x1b[1m", "\x1b[0m"];
        if let Some(after) = bold.iter().find_map(|bold| rest.strip_prefix(bold)) {
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\r' => at = 0,
            '\n' => {
                lines.push(Vec::new());
                at = 0;
            }
            '\x1b' => panic!("{rest:?}"),
            c => {
                for cell in std::iter::once(c).chain((c >= '\u{2e80}').then_some('\0')) {
                    // A line that is wiped must not have come to the next one.
                    if at == columns {
                        lines.push(Vec::new());
                        at = 0;
                    }
                    let line = lines.last_mut().unwrap();
                    line.resize(line.len().max(at + 1), ' ');
                    line[at] = cell;
                    at += 1;
                }
            }
        }
    }
    let text = |line: Vec<char>| line.into_iter().filter(|c| *c != '\0').collect();
    let mut lines: Vec<String> = lines.into_iter().map(text).collect();
    lines.retain(|line| !line.is_empty());
    lines
}
