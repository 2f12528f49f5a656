//! The behaviour of the agent, told in scenarios.
//!
//! - [`world`]: one gateway and one Dropbox. Passes run in process against the stand-in, without a
//!   socket and with a clock that only moves when it is told to; content and state are real
//!   directories.
//! - [`console`]: the built binary against the stand-in on loopback.
//!
//! Three verbs make a scenario: put something on a side, `sync`, check both sides. Names are
//! claims.

mod console;
mod sim;
mod world;

mod authentication;
mod commands;
mod conflicts;
mod crash;
mod decisions;
mod deletes;
mod dry_run;
mod filters;
mod folders;
mod idle;
mod names;
mod state;
mod tidy;
mod transfers;
