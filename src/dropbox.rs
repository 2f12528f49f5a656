//! Dropbox, as the agent uses it: [`wire`] (what travels), [`retry`] (what a failure means and when
//! to try again), [`auth`] and [`tokens`] (who we are), [`scopes`] (what we may do), [`api`] (one
//! method per route), `call` (how each travels), [`page`] (a listing as a stream), [`batch`] (the
//! routes that do many things at once), [`files`] (those that only people ask for), [`longpoll`]
//! (the wait for changes), `verdict` (what an answer means that is no success) and `unknown` (what
//! is told once, because nothing here knows it).

pub mod api;
pub mod auth;
pub mod batch;
mod call;
pub mod files;
pub mod longpoll;
pub mod page;
pub mod retry;
pub mod scopes;
pub mod tokens;
mod unknown;
mod verdict;
pub mod wire;
