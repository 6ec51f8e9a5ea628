//! Where in a document a value lies.

use std::fmt;

use serde_json::Value;

use crate::error::{Error, Result};

/// Bytes of a path, at most.
const BYTES: usize = 512;

/// A path to a value within a document: a JSON Pointer (`/site/room`, RFC 6901), or the same with dots (`site.room`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(String);

impl Path {
    /// Reads a path. [`Error::Invalid`] if it is empty, too long, or no JSON Pointer although it begins like one.
    pub fn parse(text: &str) -> Result<Path> {
        let wrong = |why: &str| Err(Error::invalid(format!("{text:?} is no path into a document: {why}")));
        if text.is_empty() || text.len() > BYTES {
            return wrong(&format!("it has 1 to {BYTES} bytes"));
        }
        if text.chars().any(char::is_control) {
            return wrong("it holds a control character");
        }
        if !text.starts_with('/') {
            let escape = |part: &str| format!("/{}", part.replace('~', "~0").replace('/', "~1"));
            return Ok(Path(text.split('.').map(escape).collect()));
        }
        let escapes_are_right = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if escapes_are_right { Ok(Path(text.to_owned())) } else { wrong("after ~ comes 0 or 1") }
    }

    /// The value there, if there is one.
    pub(super) fn find<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        document.pointer(&self.0)
    }

    pub(super) fn find_mut<'v>(&self, document: &'v mut Value) -> Option<&'v mut Value> {
        document.pointer_mut(&self.0)
    }

    /// As a JSON Pointer.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
