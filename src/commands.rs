//! The console commands: what each of them does with the configuration, once [`crate::cli`] has
//! read what was typed.

pub mod alerts;
pub mod authentication;
pub mod check_filters;
pub mod doctor;
pub mod online;
pub mod past;
pub mod status;
pub mod sync;
pub mod telling;
pub mod why;
