//! Dropbox, as the agent uses it: [`wire`] (what travels), [`retry`] (what a failure means and when
//! to try again), [`auth`] and [`tokens`] (who we are) and [`api`] (one method per route).

pub mod api;
pub mod auth;
pub mod page;
pub mod retry;
pub mod tokens;
pub mod wire;
