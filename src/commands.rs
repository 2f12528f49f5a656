//! The console commands.

pub mod authentication;
pub mod run;
pub mod schedule;
pub mod sync;
