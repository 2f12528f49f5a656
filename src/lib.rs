//! Ferrybox.

pub mod config;
pub mod core;
pub mod cursor;
pub mod dropbox;
pub mod error;
pub mod index;
pub mod io;
pub mod pull;
