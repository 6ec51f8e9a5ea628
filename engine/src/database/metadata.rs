//! What metadata there are and what they take.

use super::Database;
use crate::error::{Error, Result};
use crate::keyspace::{Direction, View, prefix, space};
use crate::queue::QueueSizes;

/// The metadata of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataInspection {
    /// Key-value pairs.
    pub pairs: Holding,
    /// The documents of each collection, by its name.
    pub collections: Vec<(String, Holding)>,
    /// The items of each queue, by its name.
    pub queues: Vec<(String, QueueSizes)>,
    /// Principals.
    pub principals: Holding,
    /// Entries of the audit trail.
    pub audit: Holding,
}

/// Things of one kind. What has expired counts until it is taken away, and what was deleted while it can be restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holding {
    /// How many.
    pub count: u64,
    /// Bytes of their keys and values, before indexes and what the catalog adds.
    pub bytes: u64,
}

impl Database {
    /// What metadata there are. Looks at every pair and document, which takes a while where there are millions; others go on
    /// meanwhile.
    ///
    /// ```
    /// use alluvium::{Database, Put};
    ///
    /// # fn main() -> alluvium::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = Database::open(dir.path().join("data"))?;
    /// db.kv().put("pump/7/state", b"on", Put::default())?;
    /// assert_eq!(db.inspect_metadata()?.pairs.count, 1);
    /// # Ok(()) }
    /// ```
    pub fn inspect_metadata(&self) -> Result<MetadataInspection> {
        self.inner.check_open()?;
        let view = self.inner.publisher.keyspace.head()?;
        let mut collections = Vec::new();
        for named in view.scan(&prefix(&[space::COLLECTION_NAME]), Direction::Forward)? {
            let (key, (_, name)) = named?;
            let name = std::str::from_utf8(&name).map_err(|_| Error::Internal("a collection's name is no text".to_owned()))?;
            let documents: Vec<u8> = [space::DOCUMENT].iter().chain(key.iter().skip(1)).copied().collect();
            collections.push((name.to_owned(), holding(&view, &documents)?));
        }
        collections.sort_by(|(one, _): &(String, Holding), (other, _)| one.cmp(other));
        let queues = self.queues()?.into_iter().map(|spec| {
            let sizes = self.queue(&spec.name).sizes()?;
            Ok((spec.name, sizes))
        });
        Ok(MetadataInspection {
            pairs: holding(&view, &[space::KEY_VALUE])?,
            collections,
            queues: queues.collect::<Result<_>>()?,
            principals: holding(&view, &[space::PRINCIPAL])?,
            audit: holding(&view, &[space::AUDIT])?,
        })
    }
}

/// What there is under all keys that begin so.
fn holding(view: &View, beginning: &[u8]) -> Result<Holding> {
    let mut holding = Holding::default();
    for cell in view.scan(&prefix(beginning), Direction::Forward)? {
        let (key, (_, value)) = cell?;
        holding.count += 1;
        holding.bytes += (key.len() + value.len()) as u64;
    }
    Ok(holding)
}
