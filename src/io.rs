//! The three narrow seams to the world: [`host`] (clock, sleep, randomness), [`disk`] (the content
//! dir, by [`listing`]s of its directories, and the small state files) and [`http`]. Everything
//! above them runs unchanged in a simulator.

pub mod disk;
pub mod host;
pub mod http;
pub mod listing;
mod patience;
mod real_disk;
mod real_http;
pub mod systemd;
pub mod zone;

pub use patience::Stop;
pub use real_disk::RealDisk;
pub use real_http::RealHttp;
