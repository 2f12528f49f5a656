//! What `status` says as a page for browsers: `--html`, and `notify.html_file` after each pass.
//!
//! One file, which needs no script and loads nothing. Whatever comes from outside is escaped twice:
//! as it is on the console, and for HTML. Neither the account nor a token is on it.

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::{LastPass, PairStatus, RefusalSince, StatusArgs, local, would_delete};
use crate::commands::past::done_text;
use crate::config::Config;
use crate::engine::index_at_hand;
use crate::engine::pass_record::PassRecord;
use crate::error::{Error, ExitCode, Result};
use crate::io::dirs;
use crate::io::disk::Access;
use crate::io::env::hostname;
use crate::io::filesystem::Filesystem;
use crate::io::public_file::PublicFile;
use crate::report::{counted, grouped, printable, size_text};
use crate::words::visible;

/// LIMIT: problems and refusals on the page, of each.
const LISTED_MAX: usize = 100;

/// What a page begins with; a file that does not is none of ours.
const HEAD: &str = "<!DOCTYPE html>\n<!-- ferrybox status -->\n";

/// Loaded again every five minutes; nothing on it may load or run anything.
const META: &str = "<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
    <meta name=\"robots\" content=\"noindex\">\n\
    <meta http-equiv=\"refresh\" content=\"300\">\n\
    <meta http-equiv=\"Content-Security-Policy\" \
    content=\"default-src 'none';style-src 'unsafe-inline'\">\n";

/// `--b` is the background, `--c` that of cards, `--i` ink, `--d` dim ink, `--r` rules, and `--m`
/// the colour of how it looks.
const STYLE: &str = "<style>
:root{color-scheme:light dark;--b:#f5f6f7;--c:#fff;--i:#1b1f24;--d:#57606a;--r:#e1e4e8}
.good{--m:#1a7f37}.check{--m:#9a6700}.bad{--m:#cf222e}.open{--m:var(--d)}
@media(prefers-color-scheme:dark){:root{--b:#101418;--c:#181d23;--i:#e6e9ec;--d:#9aa4af;\
--r:#2c333b}
.good{--m:#46b95a}.check{--m:#d8a021}.bad{--m:#ff6b61}}
body{margin:0 auto;max-width:46rem;padding:1rem;background:var(--b);color:var(--i);\
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
header,section{background:var(--c);border:1px solid var(--r);border-radius:.6rem;\
padding:1rem 1.2rem;margin-bottom:1rem}
header{border-left:.4rem solid var(--m)}
h1{font-size:1.4rem;line-height:1.25;margin:.2rem 0 .5rem;color:var(--m)}
h2{font-size:1.05rem;margin:0 0 .5rem}
p{margin:.3rem 0}
small,footer,dt,.s{color:var(--d);font-size:.875rem}
dl{display:grid;grid-template-columns:8rem 1fr;gap:.35rem 1rem;margin:0}
dd{margin:0;grid-column:2}
@media(max-width:30rem){dl{display:block}dt{margin-top:.6rem}}
ul{list-style:none;margin:0;padding:0}
li+li{border-top:1px solid var(--r);margin-top:.6rem;padding-top:.6rem}
code{font:.875rem/1.45 monospace}
pre{background:var(--b);border:1px solid var(--r);border-radius:.4rem;padding:.5rem .7rem;\
margin:.2rem 0 .7rem;white-space:pre-wrap}
</style>
";

/// When it was written.
const WRITTEN: &str = "<p class=\"s\">As of ";
/// What begins with a time that moves from pass to pass.
const MOVING: &str = "<dd class=\"t\">";
/// What keeps passes from ending well; numbers in it may move.
const FAILING: &str = "<p class=\"n\">Since ";
const FOOT: &str = concat!(
    "<footer>What has happened since then is not on this page; where its date is not today's, \
     no run has renewed it. Ferrybox ",
    env!("CARGO_PKG_VERSION"),
    "</footer>\n</html>\n"
);

/// How it looks, and a sign for who sees no colours.
type Mark = (&'static str, &'static str);
const GOOD: Mark = ("good", "\u{2713}");
const CHECK: Mark = ("check", "!");
const BAD: Mark = ("bad", "\u{2715}");
const OPEN: Mark = ("open", "?");

/// Writes the page of a status to `file`, if that says something else; gives it back for `-`.
/// `next` is when the next passes are, one line each.
///
/// # Errors
/// [`Error::Failed`] if it cannot be written, and why.
pub fn write(status: &PairStatus, file: &Path, next: &str) -> Result<String> {
    let page = status.page(next);
    if file == Path::new("-") {
        return Ok(page);
    }
    put(file, Access::Shared, &page).map(|()| String::new())
}

/// Writes the page of `notify.html_file` for what a pass leaves. Returns why that was not possible.
pub fn renew(config: &Config, record: &PassRecord, next: &str) -> Option<String> {
    let file = config.notify.html_file.as_ref()?;
    let written = || {
        // It tells of a damaged index, too.
        let index = index_at_hand(&dirs::state_dir(config)?).unwrap_or_default();
        let args = StatusArgs::default();
        let status = PairStatus::of_record(config, &args, index.as_ref(), record)?;
        put(file, Access::Public, &status.page(next))
    };
    let error = written().err()?;
    Some(format!("notify.html_file: {error}"))
}

fn put(file: &Path, access: Access, page: &str) -> Result<()> {
    let written = || -> io::Result<()> {
        let on = PublicFile::open(file, HEAD)?;
        let is_in_memory = Filesystem::under(file)?.is_in_memory;
        match says_the_same(on.found(), page, is_in_memory) {
            true => Ok(()),
            false => on.replace(access, page),
        }
    };
    written().map_err(|error| {
        let file = printable(&file.display().to_string());
        Error::Failed(format!("cannot write {file}: {error}"))
    })
}

/// Whether the page that is there need not be replaced. In memory it is only when it was written
/// that may differ; on a medium, to spare it, any time that belongs to a pass as long as its date
/// does not, and numbers in what keeps passes from ending well.
fn says_the_same(found: &str, page: &str, is_in_memory: bool) -> bool {
    let (mut found, mut page) = (found.lines(), page.lines());
    loop {
        match (found.next(), page.next()) {
            (None, None) => return true,
            (Some(found), Some(page))
                if found == page || lasting(found, is_in_memory) == lasting(page, is_in_memory) => {
            }
            _ => return false,
        }
    }
}

/// What of a line has to be the same.
fn lasting(line: &str, is_in_memory: bool) -> String {
    // As far as the date of a time.
    let words = match () {
        () if line.starts_with(WRITTEN) && is_in_memory => 0,
        () if is_in_memory => usize::MAX,
        () if line.starts_with(WRITTEN) => 4,
        () if line.starts_with(MOVING) => 2,
        () => usize::MAX,
    };
    let end = line.match_indices(' ').nth(words);
    let mut text = line[..end.map_or(line.len(), |(at, _)| at)].to_owned();
    if line.starts_with(FAILING) && !is_in_memory {
        text.retain(|c| !c.is_ascii_digit());
    }
    text
}

/// The page as it grows.
struct Page(String);

impl Page {
    /// What is HTML.
    fn html(&mut self, html: &str) {
        self.0.push_str(html);
    }

    /// A text, whoever wrote it: on this line, and no HTML.
    fn text(&mut self, text: &str) {
        for c in visible(text).chars() {
            match c {
                '&' => self.html("&amp;"),
                '<' => self.html("&lt;"),
                '>' => self.html("&gt;"),
                '"' => self.html("&quot;"),
                '\'' => self.html("&#39;"),
                c => self.0.push(c),
            }
        }
    }

    fn between(&mut self, before: &str, text: &str, after: &str) {
        self.html(before);
        self.text(text);
        self.html(after);
    }

    /// A name, as [`printable`] has it, apart from the direction of the letters around it.
    fn name(&mut self, name: &str) {
        self.between("<code><bdi>", &printable(name), "</bdi></code>");
    }

    fn paragraph(&mut self, text: &str) {
        self.between("<p>", text, "</p>\n");
    }

    fn begin(&mut self, heading: &str) {
        self.between("<section>\n<h2>", heading, "</h2>\n");
    }

    fn command(&mut self, command: &str) {
        self.between("<pre><code>", command, "</code></pre>\n");
    }

    fn term(&mut self, what: &str) {
        self.between("<dt>", what, "</dt>\n");
    }

    /// A line of the table.
    fn fact(&mut self, what: &str, text: &str) {
        self.term(what);
        self.between("<dd>", text, "</dd>\n");
    }

    fn named(&mut self, what: &str, name: &str) {
        self.term(what);
        self.html("<dd>");
        self.name(name);
        self.html("</dd>\n");
    }

    /// One that begins with a time that moves from pass to pass.
    fn moving(&mut self, text: &str) {
        self.between(MOVING, text, "</dd>\n");
    }

    /// What is not as it should be with a path.
    fn item(&mut self, path: &str, text: &str, since: &str, next: Option<&String>) {
        self.html("<li>");
        self.name(path);
        self.between("\n<p>", text, "</p>\n<p class=\"s\">since ");
        self.text(&local_text(since));
        if let Some(next) = next {
            self.html("; again from ");
            self.text(&local_text(next));
        }
        self.html("</p></li>\n");
    }

    /// How many are not listed.
    fn end_list(&mut self, count: u64, listed: usize) {
        self.html("</ul>\n");
        let more = count.saturating_sub(listed as u64);
        if more > 0 {
            self.paragraph(&format!("... and {} more", grouped(more)));
        }
        self.html("</section>\n");
    }
}

impl PairStatus {
    /// All of it; `next` is when the next passes are, one line each.
    fn page(&self, next: &str) -> String {
        let mut page = Page(HEAD.to_owned());
        page.html(META);
        self.add_head(&mut page);
        self.add_halts(&mut page);
        self.add_problems(&mut page);
        self.add_passes(&mut page, next);
        self.add_pair(&mut page);
        page.html(FOOT);
        page.0
    }

    fn add_head(&self, page: &mut Page) {
        let (class, sign, says) = self.headline();
        let pair = format!("{} on {}", self.pair, hostname());
        page.between("<title>", sign, " ");
        page.html(says);
        page.between(" (", &pair, ")</title>\n");
        page.html(STYLE);
        page.html("<body>\n<header class=\"");
        page.html(class);
        page.between("\">\n<small>Ferrybox: ", &pair, "</small>\n");
        page.between("<h1><span aria-hidden=\"true\">", sign, "</span> ");
        page.html(says);
        page.html("</h1>\n");
        if !self.is_signed_in {
            page.paragraph("Nothing is synced until somebody signs in:");
            page.command(&self.invocation.command("startAuthentication"));
        } else if let Some(failing) = &self.failing {
            page.between(
                FAILING,
                &local_text(&failing.since),
                "; the last run says: ",
            );
            page.between("", &failing.text, "</p>\n");
        } else if let Some(unknown) = self.unknown {
            page.paragraph(&capitalized(unknown));
        } else if self.problem_count == 0 {
            page.paragraph("The last run found both sides in step, or made them so.");
        } else {
            page.paragraph(&capitalized(&self.verdict()));
        }
        let now = local(Timestamp::now().as_second());
        page.between(WRITTEN, &now, "</p>\n</header>\n");
    }

    /// How it looks, a sign, and a sentence: whether the backup is alive and complete.
    fn headline(&self) -> (&'static str, &'static str, &'static str) {
        let failing = self.failing.as_ref().map(|failing| failing.code.as_str());
        let is_late = self.exit == ExitCode::TryLater;
        let online = self.online.as_ref();
        let is_unreachable = online.is_some_and(|online| online.error.is_some());
        let is_halted = failing.map_or(!self.halts.is_empty(), |code| code == "halted");
        let (class, says) = match failing {
            _ if !self.is_signed_in => (BAD, "Not signed in to Dropbox"),
            _ if self.unknown.is_some() => (OPEN, "Not known yet"),
            _ if is_halted => (BAD, "It waits for your decision"),
            Some("try_later") if !is_late => (CHECK, "Dropbox is out of reach for now"),
            Some(_) => (BAD, "The backup does not get on"),
            None if is_late && self.success_s.is_none() => (CHECK, "No whole run yet"),
            None if is_late && is_unreachable => (CHECK, "Dropbox is out of reach"),
            None if is_late => (BAD, "The last success is too long ago"),
            None if self.problem_count > 0 => (CHECK, "Alive, but not complete"),
            None if self.pending_files() > 0 => (CHECK, "Alive; not all has come down yet"),
            None if self.put_off().next().is_some() => {
                (GOOD, "Alive, and complete but for what is put off")
            }
            None => (GOOD, "The backup is alive and complete"),
        };
        (class.0, class.1, says)
    }

    fn pending_files(&self) -> u64 {
        self.pending.as_ref().map_or(0, |pending| pending.files)
    }

    fn add_halts(&self, page: &mut Page) {
        for halt in &self.halts {
            page.begin(&would_delete(halt));
            page.between("<p class=\"s\">halt ", &halt.id, "</p>\n");
            for (what, command) in self.answers(halt) {
                page.between("<p>", &capitalized(what), ":</p>\n");
                page.command(&command);
            }
            page.html("</section>\n");
        }
    }

    fn add_problems(&self, page: &mut Page) {
        if !self.problems.is_empty() {
            let count = self.problem_count.max(self.problems.len() as u64);
            page.begin(&counted(count, "problem", "problems"));
            page.html("<ul>\n");
            for one in self.problems.iter().take(LISTED_MAX) {
                page.item(&one.path, &one.text, &one.since, None);
            }
            page.end_list(count, self.problems.len().min(LISTED_MAX));
        }
        let put_off: Vec<&RefusalSince> = self.put_off().collect();
        if !put_off.is_empty() {
            page.begin("Put off or refused before");
            page.html("<ul>\n");
            for one in put_off.iter().take(LISTED_MAX) {
                page.item(&one.path, &one.text, &one.since, one.next.as_ref());
            }
            page.end_list(put_off.len() as u64, LISTED_MAX);
        }
    }

    fn add_passes(&self, page: &mut Page, next: &str) {
        page.begin("Runs");
        page.html("<dl>\n");
        page.term("Last success");
        let success = self.success_s.map(local);
        page.moving(success.as_deref().unwrap_or("not known"));
        if let Some(pass) = &self.last_pass {
            page.term("Last run");
            page.moving(&pass.whole_line());
        }
        if let Some(pass) = &self.last_change {
            page.fact("Last change", &pass.done_line());
        }
        if let Some(pending) = self.pending.as_ref().filter(|due| due.files > 0) {
            let files = counted(pending.files, "file", "files");
            page.fact("To come", &format!("{files}, {}", size_text(pending.bytes)));
        }
        if !next.is_empty() {
            page.term("Next run");
            next.lines().for_each(|start| page.moving(start));
        }
        if let Some(pass) = &self.last_pass {
            if pass.counts.deferred > 0 {
                page.fact(
                    "Left for later",
                    &counted(pass.counts.deferred, "path", "paths"),
                );
            }
            if let Some(left_out) = pass.skipped.text(0) {
                page.fact("Not synced", &left_out);
            }
        }
        page.html("</dl>\n</section>\n");
    }

    fn add_pair(&self, page: &mut Page) {
        page.begin("What is kept in step");
        page.html("<dl>\n");
        page.fact("Pair", &self.pair);
        page.named("Content dir", &self.content_dir);
        page.named("In Dropbox", &format!("{}/", self.remote_root));
        page.fact("Mode", self.mode);
        if let Some(online) = &self.online {
            page.fact("Dropbox", online.error.as_deref().unwrap_or("answers"));
            if let (Some(used), Some(allocated)) = (online.used, online.allocated) {
                let (used, allocated) = (size_text(used), size_text(allocated));
                page.fact("Quota", &format!("{used} of {allocated} used"));
            }
            if let Some(scopes) = &online.scopes {
                page.fact("Permissions", &scopes.text());
            }
        }
        page.html("</dl>\n</section>\n");
    }
}

impl LastPass {
    /// When it was and what it did.
    fn done_line(&self) -> String {
        let mut text = local_text(&self.started);
        text.push_str(": ");
        text.push_str(&done_text(&self.counts, self.error.is_some()));
        for (bytes, done) in [(self.bytes_up, " sent"), (self.bytes_down, " received")] {
            if bytes > 0 {
                text.push_str(", ");
                text.push_str(&size_text(bytes));
                text.push_str(done);
            }
        }
        text
    }

    /// The same, how long it took, and how it ended.
    fn whole_line(&self) -> String {
        let (seconds, code) = (self.seconds.unwrap_or(0.0), self.exit_code.unwrap_or(0));
        let mut text = self.done_line();
        text.push_str(&format!(", {seconds:.1} s, exit code {code}"));
        if let Some(error) = &self.error {
            text.push_str(": ");
            text.push_str(&error.text);
        }
        text
    }
}

/// The beginning of a sentence.
fn capitalized(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    [&first.to_ascii_uppercase(), rest].concat()
}

/// A time of RFC 3339 as people read it.
fn local_text(at: &str) -> String {
    local(at.parse::<Timestamp>().unwrap_or_default().as_second())
}
