//! What lies in the cell of a document: flags; where it expires, when, by the engine's clock; where it was deleted, when, by the
//! wall clock; and the document as JSON text.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::keyspace::revision;
use crate::model::Sequence;
use crate::record::Moment;

const EXPIRES: u8 = 1;
const DELETED: u8 = 2;

/// A document as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form<'d> {
    /// In microseconds of the engine's clock.
    pub(super) expires_at: Option<u64>,
    /// In microseconds UTC by the wall clock.
    pub(super) deleted_at: Option<i64>,
    /// JSON.
    pub(super) text: &'d [u8],
}

impl<'d> Form<'d> {
    pub(super) fn encode(self) -> Arc<[u8]> {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let mut bytes = Vec::with_capacity(1 + 2 * size_of::<u64>() + self.text.len());
        bytes.push(flag(self.expires_at.is_some(), EXPIRES) | flag(self.deleted_at.is_some(), DELETED));
        bytes.extend(self.expires_at.map(u64::to_be_bytes).into_iter().flatten());
        bytes.extend(self.deleted_at.map(i64::to_be_bytes).into_iter().flatten());
        bytes.extend(self.text);
        bytes.into()
    }

    pub(super) fn decode(cell: &'d [u8]) -> Result<Self> {
        let wrong = || Error::Internal("a document of a form that is not known".to_owned());
        let (&flags, mut rest) = cell.split_first().ok_or_else(wrong)?;
        if flags & !(EXPIRES | DELETED) != 0 {
            return Err(wrong());
        }
        let mut number = |flag: u8| match flags & flag {
            0 => Ok(None),
            _ => rest.split_first_chunk().map(|(number, after)| (rest = after, Some(*number)).1).ok_or_else(wrong),
        };
        let expires_at = number(EXPIRES)?.map(u64::from_be_bytes);
        let deleted_at = number(DELETED)?.map(i64::from_be_bytes);
        Ok(Form { expires_at, deleted_at, text: rest })
    }

    /// Whether it is there for readers.
    pub(super) fn is_live(&self, at: Moment) -> bool {
        self.deleted_at.is_none() && !self.has_expired(at)
    }

    /// Whether its time is over.
    pub(super) fn has_expired(&self, at: Moment) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= at.engine_micros)
    }

    /// Its content.
    pub(super) fn content(&self) -> Result<Value> {
        content(self.text)
    }

    /// The same for callers.
    pub(super) fn document(&self, id: &str, sequence: Sequence, at: Moment) -> Result<Document> {
        let left = self.expires_at.map(|expires_at| Duration::from_micros(expires_at.saturating_sub(at.engine_micros)));
        Ok(Document {
            id: id.to_owned(),
            revision: revision(sequence),
            content: self.content()?,
            deleted_at: self.deleted_at,
            expires_in: left,
        })
    }
}

/// The document of a text that was made of one.
pub(super) fn content(text: &[u8]) -> Result<Value> {
    serde_json::from_slice(text).map_err(|error| Error::Internal(format!("a stored document is no JSON: {error}")))
}

/// A JSON document, and what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Tells it from the others of its collection.
    pub id: String,
    /// Changes with every write. 0 for what the same transaction has written.
    pub revision: Sequence,
    /// The document.
    pub content: Value,
    /// When it was deleted, in microseconds UTC, if it was and can be restored.
    pub deleted_at: Option<i64>,
    /// How much longer it lasts, by the engine's clock; `None` if it does not expire.
    pub expires_in: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_document_are_frozen() {
        let form = Form { expires_at: Some(7), deleted_at: Some(-2), text: b"{}" };
        let bytes = b"\x03\0\0\0\0\0\0\0\x07\xff\xff\xff\xff\xff\xff\xff\xfe{}";
        assert_eq!(&*form.encode(), bytes);
        assert_eq!(Form::decode(bytes).unwrap(), form);
        let plain = Form { expires_at: None, deleted_at: None, text: b"[1]" };
        assert_eq!(&*plain.encode(), b"\0[1]");
        assert_eq!(Form::decode(b"\0[1]").unwrap(), plain);
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for bytes in [&b""[..], b"\x04{}", b"\x01\0\0\0\0\0\0\0", b"\x03\0\0\0\0\0\0\0\x07\0\0"] {
            assert!(Form::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
