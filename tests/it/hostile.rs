//! Hostile input: arbitrary bytes in every parser, damaged state, and servers that lie.

mod corpus;
mod journal;
mod seeds;
mod server;
mod state;
mod story;
mod targets;
