//! The audit trail: who did what, when, and what came of it.
//!
//! Entries are appended, never changed. Each has the hash of the one before hashed with it, so that none can be altered, taken out or
//! put in between without all behind it changing, down to the hash of the last. The oldest go once there are more than
//! [`Settings::audit_entries`](crate::Settings::audit_entries); what is left still joins on to the hash of those that went.
//!
//! Whoever can write the files can make a whole new chain. What he cannot do is make one that ends in a hash that was noted
//! elsewhere before, which is what [`Trail::head`] is for.

mod chain;
mod entry;

#[cfg(test)]
mod tests;

pub use chain::AuditHead;
pub(crate) use chain::{check, head};
pub(crate) use entry::told;
pub use entry::{AuditEntry, AuditOutcome, Audited};

use crate::error::Result;
use crate::keyspace::{Access, Direction, Transaction};

/// The audit trail of a database, or as a transaction sees it.
///
/// An entry appended in a transaction is there if and only if what else that does was done.
///
/// ```
/// use alluvium::{AuditEntry, AuditOutcome, Database};
///
/// # fn main() -> alluvium::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let db = Database::open(dir.path().join("data"))?;
/// db.trail().append(AuditEntry::new("pump-7", "read", AuditOutcome::Refused).object("table:secret"))?;
/// let (entries, head) = (db.trail().read(1, 100)?, db.trail().head()?);
/// assert_eq!((entries[0].entry.who.as_str(), entries[0].hash), ("pump-7", head.hash));
/// assert_eq!(db.trail().check()?, None); // it is as it was written
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Trail<A> {
    access: A,
}

impl<A: Access> Trail<A> {
    pub(crate) fn new(access: A) -> Self {
        Trail { access }
    }

    /// Appends an entry and answers its number. Control characters in it are replaced and what is too long is cut, so that it
    /// can be whatever a stranger sent.
    pub fn append(&mut self, entry: AuditEntry) -> Result<u64> {
        let keep = self.access.shared().audit_entries;
        let append = move |transaction: &mut Transaction| chain::append(transaction, &entry, keep);
        self.access.write(append).map(|(number, _)| number)
    }

    /// Entries from a number on, at most so many.
    pub fn read(&self, from: u64, limit: usize) -> Result<Vec<Audited>> {
        self.access.read(|transaction| {
            let cells = transaction.scan(entry::range(from), Direction::Forward)?;
            cells.take(limit).map(|cell| cell.and_then(|(key, (_, value))| entry::read(&key, &value))).collect()
        })
    }

    /// Where it ends: what is noted elsewhere today proves tomorrow that nothing up to it was changed.
    pub fn head(&self) -> Result<AuditHead> {
        self.access.read(chain::head)
    }

    /// What is wrong with it, the first thing if there are several; `None` if it is as it was written.
    pub fn check(&self) -> Result<Option<String>> {
        self.access.read(check)
    }
}
