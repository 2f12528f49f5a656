//! The pure core: what is decided, without any I/O, clock, log or randomness.

pub mod arrived_content;
pub mod conflict_name;
pub mod content_hash;
pub mod decide;
pub mod filter;
pub mod guard;
mod java_pattern;
pub mod names;
pub mod own_names;
pub mod path;
pub mod remote;
pub mod schedule;
