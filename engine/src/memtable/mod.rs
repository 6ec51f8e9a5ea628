//! Rows not yet sealed: append-only runs with their sequences, merged when read.

mod gauge;
mod levels;
mod run;

#[cfg(test)]
mod tests;

pub(crate) use gauge::MemoryGauge;
pub(crate) use levels::Memtable;
pub(crate) use run::Run;
