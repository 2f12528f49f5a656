//! The built binary as a process: at a console, under strace, on filesystems of its own, on an
//! emulated ARM gateway. `tests/it` has what can be told within one process.
//!
//! - [`console`]: the binary as a person or cron runs it, against the stand-in on loopback:
//!   [`commands`], [`doctor`], [`authentication`], [`modes`], [`secrets`], [`unreadable`];
//!   [`watched`] at a [`terminal`].
//! - [`gateway`]: the same with content and state anywhere; [`running`] is `ferrybox run` on it,
//!   [`network`] what stands between it and Dropbox.
//! - [`histories`] are disturbed on it at any system call ([`strace`]): [`kills`], [`errors`],
//!   [`power`]; the last and [`mounts`] on filesystems of their own ([`images`]).
//! - [`budgets`]: what a pass may cost ([`peak`] measures its memory); [`flat`]: the same of many.
//! - Somebody means harm: [`root`] at work in his directory, [`exchange`] of what is looked at,
//!   [`planted`] files, links, names and codes, [`impostor`]s for Dropbox and its proxy.
//! - [`arm`]: the binaries for gateways, run by an emulator.
//! - [`needs`] says where a machine cannot do one of these.

mod console;
mod coverage;
mod gateway;
mod histories;
mod images;
mod needs;
#[path = "../../benches/peak.rs"]
mod peak;
mod strace;
mod terminal;

mod alerts;
mod arm;
mod authentication;
mod budgets;
mod card;
mod commands;
mod doctor;
mod errors;
mod exchange;
mod files;
mod flat;
mod impostor;
mod json;
mod kills;
mod modes;
mod mounts;
mod network;
mod planted;
mod power;
mod root;
mod running;
mod secrets;
mod told;
mod unknown;
mod unreadable;
mod watched;
