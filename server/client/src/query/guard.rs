//! Looks at the messages of an Arrow IPC stream before the decoder of it does, which believes the lengths that it reads.

use std::collections::BTreeMap;

use arrow::ipc::{MessageHeader, root_as_message};

/// What each message begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Bytes before the metadata of a message: the above, and how long that is.
const PREFIX_BYTES: usize = 8;
/// Bytes of metadata, at most.
const METADATA_BYTES: usize = 1 << 20;

/// Cuts a stream into pieces that the decoder may have: the head of a message whole, and its body as it comes.
#[derive(Debug)]
pub(super) struct Guard {
    limit: u64,
    /// Of a head, what has come so far.
    head: Vec<u8>,
    /// Bytes of a body that are yet to come.
    body: u64,
    /// Bytes of each dictionary.
    dictionaries: BTreeMap<i64, u64>,
    /// Whether the stream said that it ends.
    ended: bool,
}

impl Guard {
    /// Bodies may have so many bytes, and all dictionaries together.
    pub(super) fn new(limit: usize) -> Self {
        let (head, dictionaries) = Default::default();
        Guard { limit: limit as u64, head, body: 0, dictionaries, ended: false }
    }

    /// Takes a piece from the front of what has come; nothing if there is too little for one.
    pub(super) fn cut(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, String> {
        if self.body > 0 {
            let length = bytes.len().min(usize::try_from(self.body).unwrap_or(usize::MAX));
            self.body -= length as u64;
            return Ok(Some(take(bytes, length).to_vec()).filter(|piece| !piece.is_empty()));
        }
        if self.ended && !bytes.is_empty() {
            return Err("it goes on behind its end".to_owned());
        }
        self.fill(bytes, PREFIX_BYTES);
        let Some((prefix, _)) = self.head.split_first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let length = metadata_bytes(prefix)?;
        self.fill(bytes, PREFIX_BYTES + length);
        if self.head.len() < PREFIX_BYTES + length {
            return Ok(None);
        }
        let head = std::mem::take(&mut self.head);
        if length == 0 {
            self.ended = true;
        } else {
            self.body = self.look(&head[PREFIX_BYTES..])?;
        }
        Ok(Some(head))
    }

    /// Whether it is not in the midst of a message.
    pub(super) fn is_whole(&self) -> bool {
        self.head.is_empty() && self.body == 0
    }

    fn fill(&mut self, bytes: &mut &[u8], length: usize) {
        let missing = length.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend(take(bytes, missing));
    }

    /// Bytes of the body that belongs to the metadata of a message.
    fn look(&mut self, metadata: &[u8]) -> Result<u64, String> {
        let message = root_as_message(metadata).map_err(|error| format!("a message is none: {error}"))?;
        let body = u64::try_from(message.bodyLength()).map_err(|_| "a message of negative length".to_owned())?;
        if body > self.limit {
            return Err(format!("a message of {body} bytes, the limit is {}", self.limit));
        }
        match message.header_type() {
            MessageHeader::Schema if message.header_as_schema().is_some() => {}
            MessageHeader::RecordBatch if message.header_as_record_batch().is_some() => {}
            MessageHeader::DictionaryBatch => {
                let dictionary = message.header_as_dictionary_batch().filter(|dictionary| !dictionary.isDelta());
                let id = dictionary.ok_or("a dictionary that is none, or adds to another")?.id();
                self.dictionaries.insert(id, body);
                let all = self.dictionaries.values().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
                if all > self.limit {
                    return Err(format!("dictionaries of {all} bytes, the limit is {}", self.limit));
                }
            }
            other => return Err(format!("a message of a kind that has no place here: {other:?}")),
        }
        Ok(body)
    }
}

fn metadata_bytes(prefix: &[u8; PREFIX_BYTES]) -> Result<usize, String> {
    let [a, b, c, d, length @ ..] = *prefix;
    if [a, b, c, d] != CONTINUATION {
        return Err("a message does not begin like one".to_owned());
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > METADATA_BYTES {
        return Err(format!("a message of {length} bytes of metadata, the limit is {METADATA_BYTES}"));
    }
    Ok(length)
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> &'b [u8] {
    let (piece, rest) = bytes.split_at(length.min(bytes.len()));
    *bytes = rest;
    piece
}
