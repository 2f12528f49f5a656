//! When passes start: expressions, when they fire, and what is due.

pub mod agenda;
mod crontab;
mod field;
mod fires;
#[cfg(test)]
mod fires_tests;
#[cfg(test)]
mod grammar_tests;
pub mod quartz;
