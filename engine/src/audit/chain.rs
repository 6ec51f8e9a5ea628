//! How entries hang together.

use super::entry::{self, AuditEntry, Hash};
use crate::error::{Error, Result};
use crate::keyspace::{Direction, Transaction, space};
use crate::record::Key;

/// Entries that go with one append at most, where fewer are to be kept than before.
const MOST_DROPPED: usize = 64;

/// Both ends of the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AuditHead {
    /// The number of the last entry; 0 before the first.
    pub number: u64,
    /// Its hash; zeros before the first.
    pub hash: [u8; 32],
    /// How many went because they were too many. The first that is kept has the number behind it.
    pub dropped: u64,
    /// The hash of the last of those; zeros if none went.
    pub dropped_hash: [u8; 32],
}

impl AuditHead {
    /// Number and hash of the last, then of the last that went.
    fn encode(&self) -> Vec<u8> {
        let end = |number: u64, hash: &Hash| number.to_be_bytes().into_iter().chain(*hash).collect::<Vec<_>>();
        [end(self.number, &self.hash), end(self.dropped, &self.dropped_hash)].concat()
    }

    fn decode(cell: &[u8]) -> Result<Self> {
        let end = |bytes: &[u8]| {
            let (number, hash) = bytes.split_first_chunk()?;
            Some((u64::from_be_bytes(*number), hash.try_into().ok()?))
        };
        let read = || {
            let (last, dropped) = cell.split_at_checked(40)?;
            let ((number, hash), (dropped, dropped_hash)) = (end(last)?, end(dropped)?);
            Some(AuditHead { number, hash, dropped, dropped_hash })
        };
        read().ok_or_else(|| Error::Internal("the head of the audit trail is of a form that is not known".to_owned()))
    }
}

fn head_key() -> Key {
    Key::from([space::AUDIT_HEAD])
}

/// Where the trail ends.
pub(crate) fn head(transaction: &Transaction) -> Result<AuditHead> {
    transaction.get(&head_key())?.map_or(Ok(AuditHead::default()), |(_, cell)| AuditHead::decode(&cell))
}

/// Appends an entry behind all others and lets go of the oldest beyond so many. Answers its number.
pub(super) fn append(transaction: &mut Transaction, entry: &AuditEntry, keep: u64) -> Result<u64> {
    let mut head = head(transaction)?;
    let said = entry::encode(transaction.at().wall_micros, entry);
    head.number += 1;
    head.hash = entry::hash(head.number, &head.hash, &said);
    transaction.put(entry::key(head.number), entry::cell(&head.hash, &said));
    for _ in 0..MOST_DROPPED {
        if head.number - head.dropped <= keep.max(1) {
            break;
        }
        let oldest = entry::key(head.dropped + 1);
        // One that is not there is left to the check to tell of.
        if let Some((_, cell)) = transaction.get(&oldest)? {
            head.dropped_hash = *entry::split(&cell)?.0;
            transaction.remove(oldest);
        }
        head.dropped += 1;
    }
    transaction.put(head_key(), head.encode().into());
    Ok(head.number)
}

/// The first thing that is wrong with the trail.
pub(crate) fn check(transaction: &Transaction) -> Result<Option<String>> {
    let head = head(transaction)?;
    let (mut last, mut before) = (head.dropped, head.dropped_hash);
    for cell in transaction.scan(entry::range(0), Direction::Forward)? {
        let (key, (_, cell)) = cell?;
        let number = entry::number(&key).unwrap_or(0);
        if number != last + 1 {
            return Ok(Some(format!("entry {} is followed by {number}", last)));
        }
        let (hash, said) = entry::split(&cell)?;
        if *hash != entry::hash(number, &before, said) {
            return Ok(Some(format!("entry {number} or the one before it is not what was written")));
        }
        (last, before) = (number, *hash);
    }
    let ends = (last, before) == (head.number, head.hash);
    Ok((!ends).then(|| format!("it ends with entry {last}, and should with {} of another hash", head.number)))
}
