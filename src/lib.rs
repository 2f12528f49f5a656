//! Ferrybox.

pub mod cli;
pub mod commands;
pub mod config;
pub mod core;
pub mod cursor;
pub mod download;
pub mod dropbox;
pub mod error;
pub mod index;
pub mod io;
pub mod places;
pub mod pull;
pub mod read;
pub mod reconcile;
pub mod remove;
pub mod report;
pub mod root;
pub mod scan;
pub mod sync;
pub mod time;
pub mod upload;
