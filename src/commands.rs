//! The console commands.

pub mod authentication;
pub mod sync;
