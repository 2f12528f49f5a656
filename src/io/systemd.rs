//! What the service manager is told (sd_notify(3)); nothing where there is none.

use std::cell::Cell;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use crate::io::env::env;
use crate::words::visible;

/// Signs of life are not sent more often than this.
const BEAT_EVERY: Duration = Duration::from_secs(30);

/// The service manager.
pub struct Systemd {
    socket: Option<(UnixDatagram, SocketAddr)>,
    last_beat: Cell<Option<Instant>>,
}

impl Systemd {
    /// The one `$NOTIFY_SOCKET` names.
    pub fn new() -> Systemd {
        Systemd::at(env("NOTIFY_SOCKET").as_deref())
    }

    fn at(name: Option<&OsStr>) -> Systemd {
        let address = name.and_then(|name| match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest).ok(),
            _ => SocketAddr::from_pathname(name).ok(),
        });
        let socket = UnixDatagram::unbound().ok();
        Systemd {
            socket: socket.zip(address),
            last_beat: Cell::new(None),
        }
    }

    /// Sends a message of lines such as `READY=1`. Nobody may be listening.
    pub fn tell(&self, message: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }

    /// One line about what is being done.
    pub fn status(&self, text: &str) {
        self.tell(&format!("STATUS={}", visible(text)));
    }

    /// A sign of life.
    pub fn beat(&self) {
        let last = self.last_beat.get();
        if self.socket.is_some() && last.is_none_or(|last| last.elapsed() >= BEAT_EVERY) {
            self.last_beat.set(Some(Instant::now()));
            self.tell("WATCHDOG=1");
        }
    }
}

impl Default for Systemd {
    fn default() -> Self {
        Systemd::new()
    }
}

/// What to do about a directory that cannot be written, where a service unit may be the reason.
pub fn read_only_advice(error: &std::io::Error) -> &'static str {
    let is_read_only = error.kind() == std::io::ErrorKind::ReadOnlyFilesystem;
    // systemd sets it for every unit.
    if is_read_only && env("INVOCATION_ID").is_some() {
        "; if the unit makes it so: systemctl edit ferrybox, and name the content dir with \
         [Service] ReadWritePaths="
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_at_named_and_abstract_sockets() {
        let name = format!("ferrybox-test-{}", std::process::id());
        let file = std::env::temp_dir().join(&name);
        let at_file = UnixDatagram::bind(&file).unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let abstract_one = UnixDatagram::bind_addr(&address).unwrap();
        let abstract_name = format!("@{name}");
        for (socket, name) in [
            (at_file, file.as_os_str()),
            (abstract_one, OsStr::new(&abstract_name)),
        ] {
            let systemd = Systemd::at(Some(name));
            systemd.status("waiting");
            systemd.beat();
            systemd.beat();
            let mut bytes = [0; 64];
            let mut next = || {
                let count = socket.recv(&mut bytes).unwrap_or(0);
                String::from_utf8_lossy(&bytes[..count]).into_owned()
            };
            assert_eq!(next(), "STATUS=waiting");
            assert_eq!(next(), "WATCHDOG=1");
            socket.set_nonblocking(true).unwrap();
            assert!(socket.recv(&mut bytes).is_err(), "one sign of life");
        }
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn nobody_needs_to_listen() {
        Systemd::at(None).tell("READY=1");
        Systemd::at(Some(OsStr::new("/nonexistent/socket"))).beat();
    }
}
