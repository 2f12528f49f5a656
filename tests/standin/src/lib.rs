//! A stand-in for Dropbox: one account in memory that answers like the documented HTTP API.
//!
//! [`Standin::handle`] is the whole API as a function; [`Standin::listen`] puts it on four
//! loopback ports. Nothing is read from or written to disk. The same calls give the same answers:
//! ids, revs, tokens and even the dots in error summaries come from a seed, and the clock stands
//! still unless it is moved.
//!
//! # What is modelled
//! The code flow with and without PKCE, refreshing, scopes and revocation; `users`
//! get_current_account and get_space_usage; `check`; of `files` list_folder with continue,
//! get_latest_cursor and longpoll, get_metadata, list_revisions, restore, download,
//! download_zip, upload, upload sessions one by one and in batches, folders, delete, move and
//! copy, the last four one by one and in batches, which may be jobs; path roots, rate limits,
//! quota, a team's space beside one's own, read-only shared folders, files that cannot be
//! downloaded, symbolic links. The rules are those of the public specification (`files.stone` and
//! its neighbours); where it is silent the choice is noted at the code. What the service was
//! recorded to answer comes first.
//!
//! # What is not
//! Teams, sharing, file properties, shared links, export, search, thumbnails, locks,
//! `select-user` headers, storage limits of time (every revision is kept) and simultaneous calls
//! being refused.
//!
//! # Layers
//! `http` (requests and answers), `routes` (arguments in, unions out), `tree`, `commit` and
//! `journal` (the namespace and its changes), `oauth`, `sessions`; `standin` and `person` are what
//! a test uses, `faults` what it breaks, `server`, `wire` and `tls` the
//! sockets, `traffic` what goes over them; `command` and `control` make it a program.

mod account;
mod args;
mod blob;
mod clock;
mod command;
mod commit;
mod content_hash;
mod control;
mod cursor;
mod encoding;
mod errors;
mod faults;
mod habits;
mod http;
mod jobs;
mod journal;
mod metadata;
mod names;
mod oauth;
mod person;
mod routes;
mod server;
mod sessions;
mod standin;
mod tls;
mod traffic;
mod tree;
mod wire;
mod zip;

pub use account::Access;
pub use blob::{Body, seeded_bytes};
pub use command::serve;
pub use content_hash::{BLOCK, content_hash};
pub use faults::{Effect, Fault, When};
pub use habits::{Habits, ResultHeader};
pub use http::{Delivery, Endpoint, Request, Response};
pub use jobs::Launch;
pub use server::Listeners;
pub use standin::{Hook, Logged, Node, Saved, Snapshot, Standin};
pub use traffic::{Link, Traffic};
pub use zip::{Folders, Packing, Sizes, ZipLimits, ZipStyle};
