//! The console commands: what each of them does with the configuration, once [`crate::cli`] has
//! read what was typed.

pub mod alerts;
pub mod authentication;
pub mod cat;
pub mod check_filters;
pub mod doctor;
pub mod ls;
pub mod manage;
pub mod online;
pub mod past;
pub mod remote;
pub mod status;
pub mod sync;
pub mod telling;
pub mod versions;
pub mod why;
