//! The behaviour of the agent, told in scenarios.
//!
//! - [`world`]: one gateway and one Dropbox. Passes run in process against the stand-in, without a
//!   socket and with a clock that only moves when it is told to; content and state are real
//!   directories.
//! - [`console`]: the built binary against the stand-in on loopback.
//! - [`gateway`]: the same with content and state anywhere, to be killed, failed and cut off at any
//!   system call ([`strace`]) on filesystems of its own ([`images`]). [`needs`] says where a
//!   machine cannot do that. [`arm`] has the binaries for gateways run by an emulator.
//!
//! Three verbs make a scenario: put something on a side, `sync`, check both sides. Names are
//! claims.

mod console;
mod gateway;
mod histories;
mod images;
mod needs;
#[path = "../../benches/peak.rs"]
mod peak;
mod sim;
mod strace;
mod world;

mod answers;
mod archives;
mod arm;
mod authentication;
mod batches;
mod budgets;
mod commands;
mod conflicts;
mod crash;
mod decisions;
mod deletes;
mod dry_run;
mod errors;
mod excluded;
mod filters;
mod folders;
mod halts;
mod hostile;
mod identity;
mod idle;
mod instants;
mod kills;
mod mounts;
mod moves;
mod names;
mod power;
mod resume;
mod running;
mod stable;
mod state;
mod tidy;
mod transfers;
mod unknown;
