//! The behaviour of the agent, told in scenarios that run in this process.
//!
//! Three verbs make a scenario: put something on a side, `sync`, check both sides. Names are
//! claims. `tests/system` has what takes the built binary, other programs or mounts.
//!
//! - [`world`]: one gateway and one Dropbox. Passes run against the stand-in, without a socket and
//!   with a clock that only moves when it is told to; content and state are real directories.
//! - [`sim`]: the machine in memory, and histories drawn from seeds that are played on it.
//! - [`crash`]: scenarios again on that machine, cut short at each call. It names them by their
//!   modules: what is not named there is not crashed.
//! - [`disks`]: what that machine's disk and the kernel's have in common, verb by verb.
//! - [`hostile`]: bytes, state and servers that mean harm.
//! - [`tidy`]: the style of the source.
//! - All others are scenarios.

mod sim;
mod world;

mod again;
mod answers;
mod archives;
mod batches;
mod carry_over;
mod clashes;
mod conflicts;
mod coverage;
mod crash;
mod cursors;
mod decisions;
mod deletes;
mod disks;
mod dry_run;
mod excluded;
mod exposed;
mod fallbacks;
mod filters;
mod folder_moves;
mod folders;
mod halts;
mod halves;
mod hostile;
mod identity;
mod idle;
mod instants;
mod listening;
mod listings;
mod manners;
mod moves;
mod names;
mod reality;
mod recorded;
mod refusals;
mod renames;
mod resume;
mod rights;
mod slow;
mod spelling;
mod stable;
mod state;
mod strangers;
mod tidy;
mod tokens;
mod transfers;
mod unknown;
mod weeks;
