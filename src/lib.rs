//! Ferrybox keeps a directory and a Dropbox folder in step: one thread, blocking, small.
//!
//! This page is the architecture in reading order; [`cli`] is where the program starts.
//!
//! ```text
//! config -> auth -> lock -> pull (remote pages -> index, then cursor) -> download
//!        -> scan + upload -> guarded deletes -> what waited for a name -> report
//! ```
//!
//! # Words
//! One word per idea, everywhere. *content dir*: the local directory. *remote root*: the Dropbox
//! folder it mirrors. *key*: Dropbox's case-folded relative path, what both sides are matched by.
//! *base*: what both sides last agreed on. *local*: what a scan sees. *remote*: what the cursor
//! has told. *stamp*: size, mtime, ctime and inode, cheap evidence that a file is unchanged.
//! *rev*, *cursor*, *content_hash*: as Dropbox uses them. *settle*: record that both sides agree.
//! *pending*: remote differs from base. *pass*: one run of the engine. *problem*: one path that
//! could not be handled; the pass goes on. *halt*: the pass stops before anything destructive and
//! asks a person. *conflict copy*: the local version that lost its name, kept beside it.
//! *display path*: the real-case path filters are matched against.
//!
//! # Three trees, one decision
//! Base, local and remote are compared key by key, and [`core::decide`] says what follows: a pure
//! match, and the design's tables word for word. Everything in [`core`] is pure: it imports no
//! I/O, clock, log or randomness.
//!
//! What is saved is what was *seen* and what was *settled*, never what is intended. The plan is
//! made anew in each pass, so a crash at any point heals by running again, and being killed is an
//! ordinary way to stop.
//!
//! # A pass, in order
//! 1. [`commands::sync`] assembles what a pass works with and takes the locks; [`sync`] runs it.
//! 2. [`root`] asks whether the content dir is the one we know.
//! 3. [`pull`] writes what Dropbox tells into the [`index`], then the cursor into [`cursor`]'s
//!    file. A full listing is staged (`index::listing`) and causes nothing before it is complete
//!    and merged (`index::merge`).
//! 4. [`scan`] walks twice: the pending rows first, then the whole tree, merging each directory
//!    with its rows. [`io::listing`] packs the names of a directory, and `index::brief` reads no
//!    more of a row than it takes to see that a file is in step. [`reconcile`] observes one key,
//!    decides, and acts.
//! 5. [`download`] fetches and verifies, [`landing`] puts in place and keeps conflict copies.
//!    Folders of small files come as archives (`download::archives`, read as they arrive by
//!    `download::zip`), the beginning of a large file waits for the rest (`download::part`), and
//!    what only has another name now is renamed (`download::moved`).
//! 6. [`upload`] sends, each write naming what it may replace; [`read`] reads one version of a file
//!    or none. Small files wait in `upload::outbox` until a batch is full, which `upload::joined`
//!    strings together; large ones go in a session that a later run takes up
//!    (`upload::session`); what was renamed is copied by Dropbox (`upload::moved`).
//!    [`remote_folders`] makes what that does not.
//! 7. [`remove`] deletes last, under guard ([`core::guard`], which [`core::arrived_content`] tells what
//!    was only moved); whole trees are looked into and deleted together (`remove::trees`). What
//!    waited for a freed name comes in a second round.
//! 8. [`report`] says what was done. Its problems and [`error`] give the exit code.
//!
//! [`daemon`] is `ferrybox run`, which starts passes by a schedule. [`core::schedule`] says how one
//! is written (`schedule::quartz`, `schedule::crontab`, both of `schedule::field`s) and when it
//! fires (`schedule::fires`); [`core::schedule::scheduler`] keeps what is due.
//! [`daemon::gateway`] is the machine it runs on, and [`daemon::wakeup`] what ends a wait: SIGHUP,
//! the clock, or inotify ([`daemon::watcher`]); Dropbox tells by `files/list_folder/longpoll`
//! ([`dropbox::longpoll`]). [`io::systemd`] speaks to the service manager. [`daemon::timetable`]
//! has the times of a configuration, for `run` and for `schedule`. [`logging`] says where lines go.
//!
//! [`pass`] holds what these phases share. [`dropbox`] is the API, [`dropbox::batch`] its calls for
//! many things at once; [`io`] has the three seams to the world, which a simulator replaces.
//!
//! # What always holds
//! - **Unknown is not absent.** A directory that cannot be read, a listing that is not complete, a
//!   disk that is not mounted any more: no delete follows from it.
//! - **Every destructive act names the version it destroys.** `update(rev)` and `parent_rev` in
//!   Dropbox; locally a fresh look right before the rename or unlink. `RACE:` marks the windows
//!   that cannot be closed.
//! - **Verify before replace.** Length and content hash, both ways, before anything is renamed into
//!   place or settled.
//! - **Our own work proves nothing.** What a pass brought before it was broken off does not count
//!   as a file that was there: it neither hides an emptied side nor dilutes a share of deletes.
//! - **The cursor never runs ahead of the index**, and both are caches: losing, damaging or
//!   exchanging them costs a listing and hashing, nothing else.
//! - **Nothing outside the content dir** is opened, created or removed; links are not followed.
//! - **Clocks never decide.** Rev, hash and stamp do.
//! - **No secret** leaves the private token files: not in logs, not in arguments, not in errors.
//! - **An idle pass is one request and writes nothing.** What a pass may cost at most, in memory,
//!   requests, bytes and syncs, is held by tests (`tests/system/budgets.rs`).
//!
//! Bounds are marked `LIMIT:` where they stand, with their reason.

pub mod cli;
pub mod commands;
pub mod config;
pub mod core;
pub mod daemon;
pub mod dropbox;
pub mod engine;
pub mod error;
pub mod index;
pub mod io;
pub mod logging;
pub mod report;
pub mod timestamp;
