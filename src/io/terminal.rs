//! The terminal that stderr is, if it is one: how wide, and what it understands.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::io::env::env;
use crate::io::host::{Host, RealHost};
use crate::report::Screen;

/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;

/// Whether somebody may be looking at stderr.
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether it is a terminal on which something can be drawn.
pub fn can_draw() -> bool {
    is_watched() && env("TERM").is_none_or(|term| term != "dumb")
}

/// Whether words are set off in it (no-color.org).
pub fn has_bold() -> bool {
    can_draw() && env("NO_COLOR").is_none()
}

/// Where a line that moves is drawn.
pub struct Terminal {
    host: RealHost,
    can_draw: bool,
}

impl Terminal {
    /// The terminal of stderr.
    pub fn new() -> Terminal {
        Terminal {
            host: RealHost::new(),
            can_draw: can_draw(),
        }
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Terminal::new()
    }
}

impl Screen for Terminal {
    fn columns(&self) -> usize {
        if !self.can_draw {
            return 0;
        }
        // Anew each time: windows change.
        let size = rustix::termios::tcgetwinsize(std::io::stderr());
        let columns = size.map_or(0, |size| usize::from(size.ws_col));
        if columns == 0 { COLUMNS } else { columns }
    }

    fn elapsed(&self) -> Duration {
        self.host.elapsed()
    }

    fn write(&self, text: &str) {
        // Nobody looks at a terminal that is gone.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}
