//! The one line that moves while a pass works on a terminal. Without somebody who watches there is
//! none of this, and nobody asks the clock for it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::columns::fitted;
use super::progress::{Progress, clock_text};
use crate::words::{counted, part_of, printable};

/// Wipes the line.
pub const CLEAR_LINE: &str = "\r\x1b[K";

/// Time between two drawings.
const DRAWN_EVERY: Duration = Duration::from_millis(220);
/// Of things that come by the thousand, each of so many asks the clock.
const ASKS_EVERY: u64 = 16;
/// A file of fewer bytes is read without a word.
const LARGE_BYTES: u64 = 8 << 20;

/// What the line is drawn on, and the clock it goes by.
pub trait Screen {
    /// How wide it is; 0 where nothing can be drawn.
    fn columns(&self) -> usize;

    /// A clock that never goes back.
    fn elapsed(&self) -> Duration;

    /// Shows this text.
    fn write(&self, text: &str);
}

/// The beginning of a large file, of which nothing is lost if the pass is stopped.
struct Kept {
    path: String,
    bytes: u64,
    total: u64,
}

/// The line, and what it tells of.
pub struct Live {
    screen: Box<dyn Screen>,
    begun: Duration,
    drawn_at: Cell<Option<Duration>>,
    is_drawn: Cell<bool>,
    /// What is under way.
    path: RefCell<String>,
    up: RefCell<Progress>,
    down: RefCell<Progress>,
    /// All that goes up has been seen.
    has_seen_all: Cell<bool>,
    kept: RefCell<Option<Kept>>,
    listed: Cell<u64>,
    seen: Cell<u64>,
}

impl Live {
    /// A line on this screen.
    pub(super) fn on(screen: Box<dyn Screen>) -> Live {
        Live {
            begun: screen.elapsed(),
            screen,
            drawn_at: Cell::default(),
            is_drawn: Cell::default(),
            path: RefCell::default(),
            up: RefCell::default(),
            down: RefCell::default(),
            has_seen_all: Cell::default(),
            kept: RefCell::default(),
            listed: Cell::default(),
            seen: Cell::default(),
        }
    }

    /// Wipes the line, if there is one: something else is said.
    pub fn clear(&self) {
        if self.is_drawn.take() {
            self.screen.write(CLEAR_LINE);
        }
    }

    /// How long the pass has taken.
    pub(super) fn took(&self) -> String {
        clock_text(self.screen.elapsed().saturating_sub(self.begun))
    }

    /// The time, if the line is to be drawn again.
    fn due(&self) -> Option<Duration> {
        let now = self.screen.elapsed();
        let is_due = |at: Duration| now.saturating_sub(at) >= DRAWN_EVERY;
        self.drawn_at.get().is_none_or(is_due).then_some(now)
    }

    fn draw(&self, now: Duration, said: (&str, &str), path: &str) {
        self.drawn_at.set(Some(now));
        // In the last column some terminals begin another line, and before it is room for "^C".
        let columns = self.screen.columns().saturating_sub(3);
        if columns == 0 {
            return;
        }
        let path = printable(path.trim_start_matches('/'));
        let line = fitted(said, &path, columns);
        self.is_drawn.set(true);
        // What the line before had more is wiped last: so it does not flicker.
        self.screen.write(&format!("\r{line}\x1b[K"));
    }

    /// Dropbox is asked what has changed.
    pub fn asks(&self) {
        self.draw(
            self.screen.elapsed(),
            ("asking Dropbox what has changed", ""),
            "",
        );
    }

    /// An entry of a listing of everything.
    pub fn listed(&self) {
        self.say_count(&self.listed, "listing Dropbox", "entry", "entries");
    }

    /// A file here was looked at.
    pub fn looked(&self) {
        self.say_count(&self.seen, "looking at files here", "file", "files");
    }

    fn say_count(&self, counter: &Cell<u64>, what: &str, one: &str, many: &str) {
        let count = counter.get() + 1;
        counter.set(count);
        if count % ASKS_EVERY == 1
            && let Some(now) = self.due()
        {
            let count = counted(count, one, many);
            self.draw(now, (&format!("{what}: {count}"), ""), "");
        }
    }

    /// So many bytes of a file here are read for its hash.
    pub fn hashed(&self, path: &str, bytes: u64, total: u64) {
        if total >= LARGE_BYTES
            && let Some(now) = self.due()
        {
            let part = format!(": {}", part_of(bytes, total));
            self.draw(now, ("hashing ", &part), path);
        }
    }

    /// Nothing goes on before so much time is over.
    pub fn waits(&self, why: &str, left: Duration) {
        let seconds = left.as_millis().div_ceil(1000);
        let said = format!("{why} in {seconds} s");
        self.draw(self.screen.elapsed(), (&said, ""), "");
    }

    /// So many files with so many bytes are to come down.
    pub fn expect_down(&self, files: u64, bytes: u64) {
        if files > 0 {
            self.down.borrow_mut().expect(files, bytes, true);
        }
    }

    /// So many files with so many bytes go up now.
    pub fn expect_up(&self, files: u64, bytes: u64) {
        if files > 0 {
            let is_whole = self.has_seen_all.get();
            self.up.borrow_mut().expect(files, bytes, is_whole);
        }
    }

    /// The walk is over: what goes up is known.
    pub fn note_walk_over(&self) {
        self.has_seen_all.set(true);
    }

    /// This is what travels from now on.
    pub fn begin(&self, path: &str) {
        let mut name = self.path.borrow_mut();
        name.clear();
        name.push_str(path);
    }

    /// Bytes have left.
    pub fn sent(&self, bytes: u64) {
        self.passed(&self.up, bytes);
    }

    /// Bytes have arrived.
    pub fn received(&self, bytes: u64) {
        self.passed(&self.down, bytes);
    }

    fn passed(&self, way: &RefCell<Progress>, bytes: u64) {
        let now = self.screen.elapsed();
        way.borrow_mut().passed(now, bytes);
        if self.due().is_some() {
            let said = format!("{}: ", way.borrow().text(now));
            self.draw(now, (&said, ""), &self.path.borrow());
        }
    }

    /// Bytes have left in vain, and leave again.
    pub fn sent_in_vain(&self, bytes: u64) {
        self.up.borrow_mut().take_back(bytes);
    }

    /// Bytes were in Dropbox already.
    pub fn spare_up(&self, bytes: u64) {
        self.up.borrow_mut().spare(bytes);
    }

    /// Bytes were here already.
    pub fn spare_down(&self, bytes: u64) {
        self.down.borrow_mut().spare(bytes);
    }

    /// Files have gone up.
    pub(super) fn finish_up(&self, files: u64) {
        self.up.borrow_mut().finish(files);
    }

    /// Files have come down, or need not.
    pub(super) fn finish_down(&self, files: u64) {
        self.down.borrow_mut().finish(files);
    }

    /// So much of a file is not lost if the pass is stopped now.
    pub fn keeps(&self, path: &str, bytes: u64, total: u64) {
        let mut kept = self.kept.borrow_mut();
        match &mut *kept {
            Some(kept) if kept.path == path => kept.bytes = bytes,
            _ => {
                *kept = Some(Kept {
                    path: path.to_owned(),
                    bytes,
                    total,
                });
            }
        }
    }

    /// It is whole, or void.
    pub fn keeps_nothing(&self) {
        *self.kept.borrow_mut() = None;
    }

    /// What is kept of a file for the next run.
    pub(super) fn kept(&self) -> Option<String> {
        let kept = self.kept.borrow();
        let kept = kept.as_ref().filter(|kept| kept.bytes > 0)?;
        let part = part_of(kept.bytes, kept.total);
        Some(format!("{part} of {}", printable(&kept.path)))
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    /// Keeps what it is to show, on a clock that is set by hand.
    #[derive(Clone, Default)]
    struct Paper {
        now_ms: Rc<Cell<u64>>,
        shown: Rc<RefCell<Vec<String>>>,
        asked: Rc<Cell<u32>>,
    }

    impl Screen for Paper {
        fn columns(&self) -> usize {
            60
        }
        fn elapsed(&self) -> Duration {
            self.asked.set(self.asked.get() + 1);
            Duration::from_millis(self.now_ms.get())
        }
        fn write(&self, text: &str) {
            self.shown.borrow_mut().push(text.to_owned());
        }
    }

    impl Paper {
        fn line(&self) -> (Live, Paper) {
            (Live::on(Box::new(self.clone())), self.clone())
        }
        fn last(&self) -> String {
            self.shown.borrow().last().cloned().unwrap_or_default()
        }
    }

    #[test]
    fn the_line_moves_with_the_bytes_and_not_more_than_five_times_a_second() {
        let (live, paper) = Paper::default().line();
        live.expect_down(3, 30 << 20);
        live.begin("/far/away/from/here/in/a/folder/of/its/own/video.bin");
        for step in 0..1000 {
            paper.now_ms.set(step * 10);
            live.received(10 << 10);
        }
        let drawn = paper.shown.borrow().len();
        assert!((40..=50).contains(&drawn), "{drawn}");
        let line = "\r0 of 3 files, 9 of 30 MiB, 1002 KiB/s, 0:21 left\x1b[K";
        assert_eq!(paper.last(), line);
        let longest = paper.shown.borrow().iter().map(String::len).max();
        assert!(longest.unwrap() <= 57 + 4, "{longest:?}");
        live.clear();
        assert_eq!(paper.last(), CLEAR_LINE);
        // There is nothing to wipe.
        live.clear();
        assert_eq!(paper.shown.borrow().len(), drawn + 1);
    }

    #[test]
    fn what_takes_its_time_is_said() {
        let (live, paper) = Paper::default().line();
        for _ in 0..12_400 {
            paper.now_ms.set(paper.now_ms.get() + 1);
            live.looked();
        }
        assert!(
            paper.last().starts_with("\rlooking at files here: 12,"),
            "{}",
            paper.last()
        );
        assert!(
            paper.asked.get() < 1000,
            "a clock is not asked for each file"
        );
        paper.now_ms.set(99_000);
        live.listed();
        assert_eq!(paper.last(), "\rlisting Dropbox: 1 entry\x1b[K");
        paper.now_ms.set(100_000);
        live.hashed("/video.bin", 64 << 20, 286 << 20);
        assert_eq!(paper.last(), "\rhashing video.bin: 64 of 286 MiB\x1b[K");
        live.hashed("/small", 1, 2);
        live.waits(
            "Dropbox asks to wait; going on",
            Duration::from_millis(7100),
        );
        assert_eq!(
            paper.last(),
            "\rDropbox asks to wait; going on in 8 s\x1b[K"
        );
    }

    #[test]
    fn names_steer_no_terminal() {
        let (live, paper) = Paper::default().line();
        live.begin("/\x1b[2J\r");
        live.sent(1);
        assert_eq!(paper.last(), "\r0 files, 1 byte: \\u{1b}[2J\\r\x1b[K");
    }

    #[test]
    fn what_is_kept_of_a_file_is_said_until_it_is_whole() {
        let (live, _) = Paper::default().line();
        assert_eq!(live.kept(), None);
        live.keeps("/video.bin", 0, 114 << 20);
        assert_eq!(live.kept(), None);
        live.keeps("/video.bin", 64 << 20, 114 << 20);
        assert_eq!(live.kept().as_deref(), Some("64 of 114 MiB of /video.bin"));
        live.keeps_nothing();
        assert_eq!(live.kept(), None);
    }
}
