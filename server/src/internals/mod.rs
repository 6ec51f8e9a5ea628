//! Doors to the parsers, for fuzzing. Nothing is promised about them.

mod body;
mod import;
mod parse;

pub use body::{Written, body};
pub use import::{Form, Imported, Point, import, point, times, write};
pub use parse::{Length, condition, duration, moment, rounded_up, window, written};
