//! The pure core: what is decided. It imports no I/O, no clock and no log, and draws no random
//! numbers.

pub mod amounts;
pub mod arrived_content;
pub mod category;
pub mod conflict_name;
pub mod content_hash;
pub mod decide;
pub mod filter;
pub mod globs;
pub mod guard;
pub mod invocation;
mod java_pattern;
pub mod names;
pub mod near_miss;
pub mod own_names;
pub mod pace;
pub mod path;
pub mod remote;
pub mod schedule;
pub mod when;
