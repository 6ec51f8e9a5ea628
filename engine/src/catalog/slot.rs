//! The place of the catalog, which may be empty for a while: the log holds everything it has not yet been told.

use std::sync::Arc;

use parking_lot::RwLock;

use super::{Catalog, Change};
use crate::error::{Error, Result};
use crate::model::Sequence;

/// The catalog, unless it was set aside.
#[derive(Debug)]
pub(crate) struct CatalogSlot(RwLock<Option<Arc<Catalog>>>);

impl CatalogSlot {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        CatalogSlot(RwLock::new(Some(catalog)))
    }

    /// The catalog, unless the disk was too full for it to go on.
    pub(crate) fn get(&self) -> Option<Arc<Catalog>> {
        self.0.read().clone()
    }

    /// Applies changes. On a full disk the catalog is set aside, to be reopened and replayed when there is room.
    pub(crate) fn apply(&self, through: Sequence, changes: &[Change]) -> Result<()> {
        let Some(catalog) = self.get() else { return Ok(()) };
        match catalog.apply(through, changes) {
            Err(Error::DiskFull { .. }) => {
                self.0.write().take();
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Sets the catalog aside.
    pub(crate) fn take(&self) {
        self.0.write().take();
    }

    /// Puts a catalog in its place.
    pub(crate) fn put(&self, catalog: Arc<Catalog>) {
        *self.0.write() = Some(catalog);
    }
}
