//! An entry and its cell: the entry's hash, then what it says.

use std::ops::Bound;
use std::sync::Arc;

use crate::catalog::KeyRange;
use crate::error::{Error, Result};
use crate::keyspace::space;
use crate::record::Key;

/// What begins the bytes that are hashed, so that they are taken for nothing else.
const DOMAIN: &[u8] = b"alluvium audit 1";
/// Bytes of each text of an entry, at most.
const TEXT_BYTES: usize = 512;

/// BLAKE3.
pub(super) type Hash = [u8; 32];

/// What is said in the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditEntry {
    /// A principal, or what stands for someone who is none.
    pub who: String,
    /// What was asked for, as `write` or `token.issue`.
    pub what: String,
    /// Of what, as `table:air`; may be empty.
    pub object: String,
    /// What came of it.
    pub outcome: AuditOutcome,
    /// Why, or anything else worth knowing; may be empty.
    pub detail: String,
    /// How often, where the same happened many times in a short while.
    pub times: u32,
}

/// What came of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was not allowed.
    Refused,
    /// It was allowed, and did not succeed.
    Failed,
}

/// An entry of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audited {
    /// From 1, without gaps.
    pub number: u64,
    /// When it was appended, in microseconds UTC by the wall clock.
    pub at: i64,
    /// What it says.
    pub entry: AuditEntry,
    /// BLAKE3 over all of it, its number, and the hash of the entry before.
    pub hash: [u8; 32],
}

impl AuditEntry {
    /// Who did what, and what came of it.
    pub fn new(who: impl Into<String>, what: impl Into<String>, outcome: AuditOutcome) -> Self {
        let (object, detail) = Default::default();
        AuditEntry { who: who.into(), what: what.into(), object, outcome, detail, times: 1 }
    }

    /// Says what it was done to.
    #[must_use]
    pub fn object(self, object: impl Into<String>) -> Self {
        AuditEntry { object: object.into(), ..self }
    }

    /// Says more.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        AuditEntry { detail: detail.into(), ..self }
    }

    /// Says that it happened so often.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        AuditEntry { times, ..self }
    }
}

impl AuditOutcome {
    /// All there are.
    pub const ALL: [AuditOutcome; 3] = [AuditOutcome::Done, AuditOutcome::Refused, AuditOutcome::Failed];

    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            AuditOutcome::Done => "done",
            AuditOutcome::Refused => "refused",
            AuditOutcome::Failed => "failed",
        }
    }

    fn code(self) -> u8 {
        match self {
            AuditOutcome::Done => 0,
            AuditOutcome::Refused => 1,
            AuditOutcome::Failed => 2,
        }
    }
}

/// The cell of an entry.
pub(super) fn key(number: u64) -> Key {
    [space::AUDIT].into_iter().chain(number.to_be_bytes()).collect()
}

/// The cells of all entries from one on.
pub(super) fn range(from: u64) -> KeyRange {
    (Bound::Included(key(from)), Bound::Excluded(Key::from([space::AUDIT + 1])))
}

/// What is said after the hash: when, what came of it, how often, and four texts, each behind its length.
pub(super) fn encode(at: i64, entry: &AuditEntry) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(at.to_be_bytes());
    bytes.push(entry.outcome.code());
    bytes.extend(entry.times.to_be_bytes());
    for text in [&entry.who, &entry.what, &entry.object, &entry.detail] {
        let text = clean(text);
        // No more than TEXT_BYTES.
        bytes.extend((text.len() as u16).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The hash of an entry that says this.
pub(super) fn hash(number: u64, before: &Hash, said: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(DOMAIN).update(&number.to_be_bytes()).update(before).update(said);
    *hasher.finalize().as_bytes()
}

/// The value of the cell of an entry.
pub(super) fn cell(hash: &Hash, said: &[u8]) -> Arc<[u8]> {
    hash.iter().chain(said).copied().collect()
}

/// Hash, and what is said after it.
pub(super) fn split(cell: &[u8]) -> Result<(&Hash, &[u8])> {
    cell.split_first_chunk().ok_or_else(wrong)
}

/// An entry from its cell.
pub(super) fn read(key: &[u8], cell: &[u8]) -> Result<Audited> {
    let number = number(key).ok_or_else(wrong)?;
    let (hash, said) = split(cell)?;
    let (at, entry) = decode(said).ok_or_else(wrong)?;
    Ok(Audited { number, at, entry, hash: *hash })
}

/// The number in the key of an entry.
pub(super) fn number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.strip_prefix(&[space::AUDIT])?.try_into().ok()?))
}

/// What a cell of the trail says, for the change feed: the number of an entry, and the entry unless it went; `None` where it is
/// no entry.
pub(crate) fn told(key: &[u8], value: Option<&[u8]>) -> Option<(u64, Option<Audited>)> {
    let entry = value.map(|cell| read(key, cell)).transpose().ok()?;
    Some((number(key)?, entry))
}

fn decode(said: &[u8]) -> Option<(i64, AuditEntry)> {
    let (at, rest) = said.split_first_chunk()?;
    let (code, rest) = rest.split_first()?;
    let (times, mut rest) = rest.split_first_chunk()?;
    let outcome = AuditOutcome::ALL.into_iter().find(|outcome| outcome.code() == *code)?;
    let mut text = || {
        let (length, after) = rest.split_first_chunk()?;
        let (text, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
        rest = after;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    };
    let (who, what, object, detail) = (text()?, text()?, text()?, text()?);
    let entry = AuditEntry { who, what, object, outcome, detail, times: u32::from_be_bytes(*times) };
    rest.is_empty().then_some((i64::from_be_bytes(*at), entry))
}

fn wrong() -> Error {
    Error::Internal("an entry of the audit trail of a form that is not known".to_owned())
}

/// One line of bounded length, whatever it was.
fn clean(text: &str) -> String {
    let mut clean = String::new();
    for c in text.chars() {
        let c = if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        if clean.len() + c.len_utf8() > TEXT_BYTES {
            break;
        }
        clean.push(c);
    }
    clean
}
