//! The three narrow seams to the world: [`host`] (clock, sleep, randomness), [`disk`] (the content
//! dir, by [`listing`]s of its directories, and the small state files) and [`http`]. Everything
//! above them runs unchanged in a simulator.

mod access;
mod addresses;
pub mod deadline;
pub mod dirs;
pub mod disk;
pub mod env;
mod file_ids;
pub mod filesystem;
pub mod host;
pub mod http;
pub mod interrupt;
mod interruptible;
pub mod limited_body;
pub mod listing;
pub mod name_lookup;
mod proxy;
pub mod public_file;
mod real_disk;
mod real_http;
pub mod stat;
pub mod systemd;
pub mod terminal;
pub mod throttle;
pub mod time_zone;
mod tree_identity;
mod way;

pub use interruptible::Stop;
pub use proxy::{proxy_host, proxy_text};
pub use real_disk::RealDisk;
pub use real_http::{RealHttp, TlsGround, post_notice};
