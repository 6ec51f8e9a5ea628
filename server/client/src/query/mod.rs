//! Queries and their answers.

mod decoder;
mod guard;
mod rows;

pub use rows::Rows;
