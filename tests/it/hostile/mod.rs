//! Hostile input: arbitrary bytes in every parser, damaged state, and servers that lie.

mod corpus;
mod modes;
mod secrets;
mod server;
mod state;
mod story;
mod targets;
