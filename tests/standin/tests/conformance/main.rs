//! Claims about the stand-in, one test each, named after the rule they hold it to.
//!
//! Everything goes through the public API; `verbs` holds the few calls all tests share.

mod archive;
mod contents;
mod faults;
mod folders;
mod framing;
mod habits;
mod jobs;
mod listing;
mod metadata;
mod oauth;
mod recorded;
mod secure;
mod sessions;
mod sockets;
mod transfer;
mod verbs;
mod writing;
