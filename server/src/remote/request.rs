//! What a server is asked.

use std::fmt::{Display, Write};

use serde::Serialize;
use serde_json::Value as Json;

use super::ARROW_STREAM;
use crate::failure::{Failure, Outcome};

const JSON: &str = "application/json";

/// A request below `/api/v1`.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
    /// What that is.
    pub(super) content_type: &'static str,
    /// What the answer is to be, over HTTP, if not JSON.
    pub(super) accept: Option<&'static str>,
}

/// Reads. A path is given by its parts, which may hold anything.
pub(crate) fn get(parts: &[&str]) -> Request {
    Request::new("GET", parts)
}

/// Puts something in its place.
pub(crate) fn put(parts: &[&str]) -> Request {
    Request::new("PUT", parts)
}

/// Has something done.
pub(crate) fn post(parts: &[&str]) -> Request {
    Request::new("POST", parts)
}

/// Changes something.
pub(crate) fn patch(parts: &[&str]) -> Request {
    Request::new("PATCH", parts)
}

/// Removes something.
pub(crate) fn delete(parts: &[&str]) -> Request {
    Request::new("DELETE", parts)
}

impl Request {
    fn new(method: &'static str, parts: &[&str]) -> Self {
        let mut path = String::new();
        for part in parts {
            path.push('/');
            escape(&mut path, part);
        }
        Request { method, path, body: Vec::new(), content_type: JSON, accept: None }
    }

    /// Asks for it in some way.
    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        escape(&mut self.path, name);
        self.path.push('=');
        escape(&mut self.path, &value.to_string());
        self
    }

    /// The same, if there is a value.
    pub(crate) fn with_any(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Says what, as it is described.
    pub(crate) fn said(self, what: &impl Serialize) -> Outcome<Self> {
        Ok(self.body(serde_json::to_value(what).map_err(Failure::failed)?))
    }

    /// Says what.
    pub(crate) fn body(self, body: Json) -> Self {
        Request { body: body.to_string().into_bytes(), ..self }
    }

    /// Says rows, as an Arrow IPC stream.
    pub(crate) fn arrow(self, body: Vec<u8>) -> Self {
        Request { body, content_type: ARROW_STREAM, ..self }
    }

    /// Wants the answer in another form than JSON.
    pub(super) fn accept(self, accept: &'static str) -> Self {
        Request { accept: Some(accept), ..self }
    }
}

/// Escapes all that could mean something in an address.
fn escape(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // A String takes all of it.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let asked = get(&["kv", "a/b?c d=é%"]).with("after", "x&y").with("limit", 7).with_any("none", None::<u8>);
        assert_eq!(asked.path, "/kv/a%2Fb%3Fc%20d%3D%C3%A9%25?after=x%26y&limit=7");
    }
}
