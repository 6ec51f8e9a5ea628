//! Rows that come in one request: of several tables, in memory that is bounded.

use std::sync::Arc;

use alluvium::TableSchema;

use super::rows::{BATCH_BYTES, Batch};

/// Bytes of columns, of all tables of a request together.
pub(crate) const MOST_BYTES: usize = BATCH_BYTES;

/// Rows of one table.
#[derive(Debug)]
pub(crate) struct Part {
    /// The table.
    pub(crate) table: String,
    /// Its rows. What is added is what the table lacks; where there is no table, all of it.
    pub(crate) batch: Batch,
    /// The columns of the rows that are tags.
    pub(crate) tags: Vec<String>,
}

/// Looks up a table, if there is one.
pub(crate) type Look<'l, E> = dyn FnMut(&str) -> Result<Option<Arc<TableSchema>>, E> + 'l;

/// More rows in a request than are taken.
pub(crate) fn too_many(bytes: usize) -> alluvium::Error {
    let what = "bytes of the rows of a request, as columns,";
    // What was not taken any more is not among them.
    let found = bytes.max(MOST_BYTES + 1) as u64;
    alluvium::Error::Limit { what, found, limit: MOST_BYTES as u64, setting: "" }
}
