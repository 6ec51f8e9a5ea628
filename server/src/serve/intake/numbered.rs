//! Requests that count once, as batches of a writer: `Idempotency-Key: WRITER/NUMBER`.

use std::sync::Arc;

use alluvium::WriterId;
use alluvium_protocol::code::Code;
use alluvium_protocol::message::Failed;
use arrow::array::RecordBatch;
use tokio::sync::mpsc;

use super::super::access::Caller;
use super::super::session::Server;
use super::super::writer::{Content, Job, Numbers, What, WriterKey, gone};

/// Which batch of which writer a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// The writer.
    pub(crate) writer: WriterId,
    /// Its batches are numbered from 1.
    pub(crate) number: u64,
}

impl Numbered {
    /// Reads a key. A writer is 32 hexadecimal digits, or any name, which stands for the first half of its BLAKE3.
    pub(crate) fn read(key: &str) -> Result<Numbered, Failed> {
        let wrong = || {
            let said =
                format!("Idempotency-Key {key:?} is not WRITER/NUMBER, as in pump-7-readings/1, numbered from 1 without gaps");
            Failed::new(Code::Invalid, said)
        };
        let plain = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
        let (writer, number) = plain.rsplit_once('/').ok_or_else(wrong)?;
        let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
        if writer.is_empty() {
            return Err(wrong());
        }
        Ok(Numbered { writer: WriterId(digits(writer).unwrap_or_else(|| hashed(writer))), number })
    }

    /// Applies rows as this batch, durably; answers whether that was done before. It has to be called where waiting is allowed.
    pub(super) fn apply(self, server: &Server, caller: &Caller, rows: Vec<(Arc<str>, RecordBatch)>) -> Result<bool, Failed> {
        let writer = Arc::new(WriterKey { principal: caller.principal().into(), id: self.writer });
        let lane = server.lanes.of(&writer);
        let content = if rows.is_empty() { Content::Nothing } else { Content::Rows(rows) };
        let bytes = match &content {
            Content::Rows(rows) => rows.iter().map(|(_, rows)| rows.get_array_memory_size()).sum(),
            _ => 0,
        };
        let (done, mut told) = mpsc::unbounded_channel();
        let numbers = Numbers::one(self.number);
        let job = Job { writer, numbers, begins: self.number == 1, content, bytes, done, room: None };
        lane.blocking_send(job).map_err(|_| gone())?;
        match told.blocking_recv().ok_or_else(gone)?.what {
            What::Applied { again } => Ok(again),
            What::Refused(failed) | What::HeldUp(failed) | What::Ended(failed) => Err(failed),
        }
    }
}

fn digits(text: &str) -> Option<[u8; 16]> {
    let is_hexadecimal = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hexadecimal.then(|| u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)).flatten()
}

fn hashed(name: &str) -> [u8; 16] {
    let hash = blake3::hash(name.as_bytes());
    std::array::from_fn(|at| hash.as_bytes()[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_a_writer_and_a_number() {
        let id = "000102030405060708090a0b0c0d0e0f";
        let found = Numbered::read(&format!("{id}/7")).unwrap();
        assert_eq!((found.writer.to_string().as_str(), found.number), (id, 7));
        assert_eq!(Numbered::read(&format!("\"{}/7\"", id.to_uppercase())).unwrap(), found);
        let named = Numbered::read("site/pump-7/18446744073709551615").unwrap();
        assert_eq!(named, Numbered { number: u64::MAX, ..Numbered::read("site/pump-7/1").unwrap() });
        assert_ne!(named.writer, Numbered::read("site/pump-8/1").unwrap().writer);
        // BLAKE3 of "abc" begins so, by its own test vectors.
        assert_eq!(Numbered::read("abc/1").unwrap().writer.to_string(), "6437b3ac38465133ffb63b75273a8db5");
    }

    #[test]
    fn what_is_no_key() {
        for wrong in ["", "a", "a/", "/1", "a/0", "a/-1", "a/x", "a/18446744073709551616", "a/1/"] {
            assert_eq!(Numbered::read(wrong).unwrap_err().code(), Code::Invalid, "{wrong:?}");
        }
    }
}
