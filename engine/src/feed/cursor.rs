//! Named positions in the feed that outlast a restart.
//!
//! A cursor is one cell of the key space, under [`space::CURSOR`] and its name: the sequence that was acknowledged last, as eight
//! bytes, big-endian. The feed does not speak of them, so that one that moves does not feed itself.

use std::sync::Arc;

use super::Feed;
use super::read::ChangesFrom;
use crate::error::{Error, Result};
use crate::keyspace::{Access, Direction, Transaction, View, prefix, space};
use crate::model::Sequence;
use crate::record::Key;

/// Bytes of a name, at most.
const NAME_BYTES: usize = 255;

/// A named position in the change feed, kept by the database.
///
/// While there are cursors, history goes back to the slowest of them, within
/// [`Settings::history_bytes`](crate::Settings::history_bytes); so drop those that nobody reads any more.
///
/// ```
/// use alluvium::{Database, Put};
///
/// # fn main() -> alluvium::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let db = Database::open(dir.path().join("data"))?;
/// let mut cursor = db.cursor("mirror")?;
/// cursor.begin(0)?; // from the first change on, unless it was begun before
/// db.kv().put("pump/7/state", b"on", Put::default())?;
/// for change in cursor.changes()?.read()? {
///     let change = change?;
///     // ... deal with it, then:
///     cursor.acknowledge(change.sequence)?;
/// }
/// assert_eq!(cursor.changes()?.read()?.count(), 0);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Cursor<A> {
    access: A,
    feed: Arc<Feed>,
    name: String,
}

/// A cursor and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CursorState {
    /// Its name.
    pub name: String,
    /// The sequence acknowledged last.
    pub acknowledged: Sequence,
}

impl<A: Access> Cursor<A> {
    pub(crate) fn new(access: A, feed: Arc<Feed>, name: &str) -> Result<Self> {
        if name.is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) {
            let words = "the name of a cursor has 1 to 255 bytes and no control characters";
            return Err(Error::invalid(format_args!("{words}, unlike {name:?}")));
        }
        Ok(Cursor { access, feed, name: name.to_owned() })
    }

    /// Makes it, with everything up to a sequence acknowledged, unless there is one. Answers where it is.
    ///
    /// [`Error::FutureSequence`] where that is yet to come.
    pub fn begin(&mut self, after: Sequence) -> Result<Sequence> {
        self.check(after)?;
        let key = key(&self.name);
        let begin = move |transaction: &mut Transaction| match position(transaction, &key)? {
            Some(position) => Ok(position),
            None => {
                transaction.put(key, Arc::from(after.to_be_bytes()));
                Ok(after)
            }
        };
        self.access.write(begin).map(|(position, _)| position)
    }

    /// The sequence acknowledged last. [`Error::NoSuchCursor`] where it was not begun.
    pub fn position(&self) -> Result<Sequence> {
        let found = self.access.read(|transaction| position(transaction, &key(&self.name)))?;
        found.ok_or_else(|| Error::NoSuchCursor { name: self.name.clone() })
    }

    /// The changes it has yet to acknowledge. [`Error::NoSuchCursor`] where it was not begun.
    pub fn changes(&self) -> Result<ChangesFrom> {
        Ok(ChangesFrom::new(self.feed.clone()).from(self.position()?.saturating_add(1)))
    }

    /// Notes that everything up to a sequence was dealt with; durable when it returns. It never goes back: of several
    /// acknowledgements the highest counts. Answers where it is.
    ///
    /// [`Error::NoSuchCursor`] where it was not begun, [`Error::FutureSequence`] where that is yet to come.
    pub fn acknowledge(&mut self, sequence: Sequence) -> Result<Sequence> {
        self.check(sequence)?;
        let (key, name) = (key(&self.name), self.name.clone());
        let acknowledge = move |transaction: &mut Transaction| {
            let before = position(transaction, &key)?.ok_or_else(|| Error::NoSuchCursor { name: name.clone() })?;
            if sequence > before {
                transaction.put(key.clone(), Arc::from(sequence.to_be_bytes()));
            }
            Ok(before.max(sequence))
        };
        self.access.free(acknowledge).map(|(position, _)| position)
    }

    /// Drops it. Answers whether there was one.
    pub fn remove(&mut self) -> Result<bool> {
        let key = key(&self.name);
        let remove = move |transaction: &mut Transaction| {
            let found = transaction.get(&key)?.is_some();
            if found {
                transaction.remove(key.clone());
            }
            Ok(found)
        };
        self.access.free(remove).map(|(found, _)| found)
    }

    fn check(&self, sequence: Sequence) -> Result<()> {
        let last = self.feed.visible.level()?;
        if sequence > last { Err(Error::FutureSequence { asked: sequence, last }) } else { Ok(()) }
    }
}

/// All cursors, by name.
pub(crate) fn list(view: &View) -> Result<Vec<CursorState>> {
    let cells = view.scan(&prefix(&[space::CURSOR]), Direction::Forward)?;
    let state = |cell: Result<(Key, crate::catalog::Stored)>| {
        let (key, (_, value)) = cell?;
        let name = String::from_utf8_lossy(key.get(1..).unwrap_or_default()).into_owned();
        Ok(CursorState { name, acknowledged: decode(&value)? })
    };
    cells.map(state).collect()
}

/// What every cursor has acknowledged; `None` where there are none.
pub(crate) fn slowest(view: &View) -> Result<Option<Sequence>> {
    Ok(list(view)?.into_iter().map(|cursor| cursor.acknowledged).min())
}

fn key(name: &str) -> Key {
    [space::CURSOR].iter().chain(name.as_bytes()).copied().collect()
}

fn position(transaction: &Transaction, key: &[u8]) -> Result<Option<Sequence>> {
    transaction.get(key)?.map(|(_, value)| decode(&value)).transpose()
}

fn decode(value: &[u8]) -> Result<Sequence> {
    let bytes = value.try_into().map_err(|_| Error::Internal("a cursor that is no number".to_owned()))?;
    Ok(Sequence::from_be_bytes(bytes))
}
