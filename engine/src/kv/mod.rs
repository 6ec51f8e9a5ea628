//! Key-value pairs: with time to live, counters, compare-and-set and scans by prefix.
//!
//! A pair is one cell of the key space, under [`space::KEY_VALUE`](crate::keyspace::space::KEY_VALUE) and its key. Where it expires, a second, derived one says so
//! in the order of expiry, so that what has expired is found without looking for it.

mod expiry;
mod pair;
mod scan;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use expiry::{has_expired, reclaim};
pub use pair::Pair;
pub(crate) use pair::{name_of, read_cell};
pub use scan::Scan;

use crate::error::{Error, Result};
use crate::keyspace::{Access, IfRevision, Transaction};
use crate::model::Sequence;
use crate::shared::check_text;
use pair::Form;

/// Bytes of a key, at most.
const KEY_BYTES: usize = 1_024;

/// Key-value pairs, of a database or as a transaction sees them.
///
/// Keys are text without control characters, values any bytes. Every write gives its pair a new revision: the sequence of its
/// record, which no other write of anything has.
///
/// ```
/// use alluvium::{Database, IfRevision, Put, Scan};
/// use std::time::Duration;
///
/// # fn main() -> alluvium::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let db = Database::open(dir.path().join("data"))?;
/// let revision = db.kv().put("pump/7/state", b"on", Put::default())?;
/// db.kv().put("pump/7/seen", b"yes", Put::default().time_to_live(Duration::from_secs(60)))?;
/// assert_eq!(db.kv().increment("pump/7/starts", 1)?, 1);
///
/// let off = Put::default().only_if(IfRevision::Is(revision));
/// db.kv().put("pump/7/state", b"off", off)?;
/// assert!(db.kv().put("pump/7/state", b"on", off).is_err()); // it has another revision now
/// assert_eq!(db.kv().scan(&Scan::of("pump/7/"))?.len(), 3);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct KeyValue<A> {
    access: A,
}

/// How a pair is put.
#[derive(Debug, Clone, Copy, Default)]
pub struct Put {
    time_to_live: Option<Duration>,
    condition: IfRevision,
}

impl Put {
    /// Lets the pair expire after so long, by the engine's clock: time during which the machine is off does not count.
    #[must_use]
    pub fn time_to_live(self, time: Duration) -> Self {
        Put { time_to_live: Some(time), ..self }
    }

    /// Refuses with [`Error::Stale`] unless this is true.
    #[must_use]
    pub fn only_if(self, condition: IfRevision) -> Self {
        Put { condition, ..self }
    }
}

impl<A: Access> KeyValue<A> {
    pub(crate) fn new(access: A) -> Self {
        KeyValue { access }
    }

    /// The pair of a key, unless there is none or it has expired.
    pub fn get(&self, key: &str) -> Result<Option<Pair>> {
        check(key)?;
        let pair = self.access.read(|transaction| pair::get(transaction, key))?;
        self.access.shared().counters.kv_read(pair.is_some());
        Ok(pair)
    }

    /// Puts a pair, in the place of any there. Answers its revision, which within a transaction is known only once that is
    /// committed: until then it is 0.
    pub fn put(&mut self, key: &str, value: &[u8], how: Put) -> Result<Sequence> {
        check(key)?;
        self.access.shared().check_value("bytes of a value", value)?;
        let (key, value) = (key.to_owned(), value.to_owned());
        let put = move |transaction: &mut Transaction| {
            let before = pair::get(transaction, &key)?;
            how.condition.check(|| describe(&key), || Ok(before.as_ref().map(|pair| pair.revision)))?;
            let now = transaction.at().engine_micros;
            let expires_at = how.time_to_live.map(|time| now.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)));
            pair::put(transaction, &key, Form { expires_at, value: &value })
        };
        self.access.write(put).map(|((), sequence)| sequence)
    }

    /// Removes a pair. Answers whether there was one.
    pub fn delete(&mut self, key: &str, condition: IfRevision) -> Result<bool> {
        check(key)?;
        let key = key.to_owned();
        let delete = move |transaction: &mut Transaction| {
            let before = pair::get(transaction, &key)?;
            condition.check(|| describe(&key), || Ok(before.as_ref().map(|pair| pair.revision)))?;
            pair::remove(transaction, &key)?;
            Ok(before.is_some())
        };
        self.access.free(delete).map(|(removed, _)| removed)
    }

    /// Adds to a counter, which begins at 0, and answers what it comes to. It is a pair like others, its value the number in
    /// decimal digits, and keeps its time to live.
    pub fn increment(&mut self, key: &str, by: i64) -> Result<i64> {
        check(key)?;
        let key = key.to_owned();
        let increment = move |transaction: &mut Transaction| {
            let before = pair::get(transaction, &key)?;
            let expires_at = before.as_ref().and_then(|pair| pair.expires_at);
            let count = before.map_or(Ok(0), |pair| number(&key, &pair.value))?;
            let sum = count.checked_add(by).ok_or_else(|| Error::invalid(format!("{key:?} cannot count beyond 64 bits")))?;
            pair::put(transaction, &key, Form { expires_at, value: sum.to_string().as_bytes() })?;
            Ok(sum)
        };
        self.access.write(increment).map(|(sum, _)| sum)
    }

    /// Pairs with their keys, in the order of these.
    pub fn scan(&self, scan: &Scan) -> Result<Vec<(String, Pair)>> {
        self.access.read(|transaction| {
            let mut pairs = Vec::new();
            for cell in transaction.scan(scan.range(), scan.direction)? {
                if pairs.len() == scan.limit {
                    break;
                }
                let (key, stored) = cell?;
                pairs.extend(pair::open(transaction, &key, &stored)?);
            }
            Ok(pairs)
        })
    }
}

fn describe(key: &str) -> String {
    format!("key {key:?}")
}

/// Refuses what cannot be a key.
fn check(key: &str) -> Result<()> {
    check_text("key", key, KEY_BYTES)
}

fn number(key: &str, value: &[u8]) -> Result<i64> {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Error::invalid(format!("key {key:?} holds no whole number, so it cannot be counted up")))
}
