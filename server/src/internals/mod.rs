//! Doors to the parsers, for fuzzing. Nothing is promised about them.

mod import;
mod parse;

pub use import::{Form, Imported, Point, import, point, times, write};
pub use parse::{Length, condition, duration, moment, rounded_up, window, written};
