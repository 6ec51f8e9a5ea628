//! The centre against a real PostgreSQL, which `tests/postgres` starts, and through pgbouncer. Each test has a database of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how tests fail")]

mod chain;
mod every;
mod forks;
mod hostile;
mod lost;
mod memory;
mod metadata;
mod migrated;
mod pooled;
mod proof;
mod rights;
mod support;
mod trust;
mod views;
mod worker;
