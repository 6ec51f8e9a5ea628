//! Reads the lines of objects with metadata that were fetched: as many of them as their manifests say.

use std::fs::File;
use std::path::Path;

use super::error::NotRestored;
use super::lineage::Source;
use crate::metadata::{Line, Lines, NotRead};

/// Reads all lines of an object that was fetched.
pub(super) fn each(source: &Source, path: &Path, take: &mut dyn FnMut(Line) -> Result<(), Refused>) -> Result<(), NotRestored> {
    let failed = |line: u64, why: String| NotRestored::Line { key: source.key.to_string(), line, why };
    let unreadable = |NotRead { line, why }| failed(line, why);
    let file = File::open(path).map_err(NotRestored::file("open", path))?;
    let mut number = 0;
    for line in Lines::new(file).map_err(unreadable)? {
        let line = line.map_err(unreadable)?;
        number += 1;
        if number > source.lines {
            return Err(failed(number, format!("there are more lines than the {} that its manifest says", source.lines)));
        }
        match take(line) {
            Ok(()) => {}
            Err(Refused::Line(why)) => return Err(failed(number, why)),
            Err(Refused::Restore(not)) => return Err(*not),
        }
    }
    if number < source.lines {
        return Err(failed(number, format!("it ends there, and its manifest says that there are {} lines", source.lines)));
    }
    Ok(())
}

/// A line was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// It says what cannot be.
    Line(String),
    /// Something else is wrong.
    Restore(Box<NotRestored>),
}

impl Refused {
    /// Of a line that says what cannot be.
    pub(super) fn line(why: impl ToString) -> Self {
        Refused::Line(why.to_string())
    }
}

impl From<NotRestored> for Refused {
    fn from(not: NotRestored) -> Self {
        Refused::Restore(Box::new(not))
    }
}
