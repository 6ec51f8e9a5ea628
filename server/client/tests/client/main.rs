//! The client against a small server of the tests' own, which keeps to the protocol's pure half and goes wrong as it is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how tests fail")]

mod connection;
mod disk;
mod query;
mod world;
mod writer;
