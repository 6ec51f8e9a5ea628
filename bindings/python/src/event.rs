//! One thing that happened.

use alluvium::Event as Happened;
use alluvium_bindings::Here;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::changes::kind_name;
use crate::convert::from_json;
use crate::error::{Fault, Outcome};
use crate::stream::Batch;

/// One thing that happened. What it is about is in `table`, `collection`, `queue` or `key`; what it led to in `batch()`, `document` or `value`.
///
/// >>> _ = db.kv.put("pump/7/state", "on")
/// >>> event = next(db.changes(prefixes=["pump/"])).events[0]
/// >>> event.what, event.key, event.value, event.removed
/// ('pair', 'pump/7/state', b'on', False)
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Event {
    event: Here<Happened>,
}

impl Event {
    pub(crate) fn new(event: Happened) -> Self {
        Event { event: Here::new(event) }
    }

    fn here(&self) -> Outcome<&Happened> {
        self.event.get().ok_or(Fault::Forked)
    }
}

fn what(event: &Happened) -> &'static str {
    match event {
        Happened::TableCreated(_) => "table_created",
        Happened::TableChanged(_) => "table_changed",
        Happened::TableDropped(_) => "table_dropped",
        Happened::SeriesAdded { .. } => "series_added",
        Happened::Rows(_) => "rows",
        Happened::Sealed(_) => "sealed_rows",
        Happened::RowsDeleted { .. } => "rows_deleted",
        Happened::Seal { .. } => "seal",
        Happened::Compacted { .. } => "compacted",
        Happened::Evicted { .. } => "evicted",
        Happened::Receipt(_) => "receipt",
        Happened::Pair { .. } => "pair",
        Happened::Collection { .. } => "collection",
        Happened::Schema { .. } => "schema",
        Happened::Document { .. } => "document",
        Happened::Queue { .. } => "queue",
        Happened::Item { .. } => "item",
        Happened::ItemState { .. } => "item_state",
        Happened::Audited { .. } => "audited",
        Happened::Principal { .. } => "principal",
        Happened::Role { .. } => "role",
        _ => "other",
    }
}

#[pymethods]
impl Event {
    /// What it is about: tables, series, rows, deletions, segments, receipts, pairs, collections, documents, queues, items, audit, principals, other.
    #[getter]
    fn kind(&self) -> Outcome<String> {
        Ok(kind_name(self.here()?.kind()))
    }

    /// What happened, in a word: rows, sealed_rows, rows_deleted, pair, document, item, item_state, table_created, …
    #[getter]
    fn what(&self) -> Outcome<&'static str> {
        Ok(what(self.here()?))
    }

    /// The name of the table it is about, or None.
    #[getter]
    fn table(&self) -> Outcome<Option<&str>> {
        Ok(self.here()?.table())
    }

    /// The name of the collection it is about, or whose document, or None.
    #[getter]
    fn collection(&self) -> Outcome<Option<&str>> {
        Ok(self.here()?.collection())
    }

    /// The name of the queue it is about, or whose item, or None.
    #[getter]
    fn queue(&self) -> Outcome<Option<&str>> {
        Ok(self.here()?.queue())
    }

    /// The key of the pair it is about, or None.
    #[getter]
    fn key(&self) -> Outcome<Option<&str>> {
        Ok(self.here()?.key())
    }

    /// The id of the document it is about, or None.
    #[getter]
    fn id(&self) -> Outcome<Option<&str>> {
        Ok(match self.here()? {
            Happened::Document { id, .. } => Some(id),
            _ => None,
        })
    }

    /// The number of the queue's item it is about, or None.
    #[getter]
    fn item(&self) -> Outcome<Option<u64>> {
        Ok(match self.here()? {
            Happened::Item { item, .. } | Happened::ItemState { item, .. } => Some(*item),
            _ => None,
        })
    }

    /// What was put under a key, or pushed to a queue; None where it was removed.
    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> Outcome<Option<Bound<'py, PyBytes>>> {
        let value = match self.here()? {
            Happened::Pair { value: Some(value), .. } => Some(&value.value),
            Happened::Item { content: Some(content), .. } => Some(&content.payload),
            _ => None,
        };
        Ok(value.map(|value| PyBytes::new(py, value)))
    }

    /// The document that was put; None where it was removed.
    #[getter]
    fn document<'py>(&self, py: Python<'py>) -> Outcome<Option<Bound<'py, PyAny>>> {
        match self.here()? {
            Happened::Document { state: Some(state), .. } => Ok(Some(from_json(py, &state.content()?)?)),
            _ => Ok(None),
        }
    }

    /// How many rows were written, as they came; None where it is not about that.
    #[getter]
    fn rows(&self) -> Outcome<Option<u64>> {
        Ok(match self.here()? {
            Happened::Rows(rows) => Some(rows.rows()),
            Happened::Sealed(rows) => Some(rows.rows),
            _ => None,
        })
    }

    /// Whether what it is about was removed, dropped or deleted.
    #[getter]
    fn removed(&self) -> Outcome<bool> {
        Ok(match self.here()? {
            Happened::TableDropped(_) | Happened::RowsDeleted { .. } => true,
            Happened::Pair { value, .. } => value.is_none(),
            Happened::Document { state, .. } => state.as_ref().is_none_or(|state| state.deleted_at.is_some()),
            Happened::Item { content, .. } => content.is_none(),
            Happened::Collection { state, .. } => state.is_none(),
            Happened::Queue { state, .. } => state.is_none(),
            _ => false,
        })
    }

    /// The rows that were written; None where it is not about that, or they lie in segments by now, where a query finds them as they are.
    ///
    /// >>> next(db.changes(tables=["air"], kinds=["rows"])).events[0].batch().num_rows
    /// 3
    fn batch(&self, py: Python<'_>) -> Outcome<Option<Batch>> {
        match self.here()? {
            Happened::Rows(rows) => Ok(Some(Batch::new(py.detach(|| rows.batch())?))),
            _ => Ok(None),
        }
    }

    fn __repr__(&self) -> String {
        let Ok(event) = self.here() else { return "Event()".to_owned() };
        let about = event.table().or(event.collection()).or(event.queue()).or(event.key());
        about.map_or_else(|| format!("Event({})", what(event)), |about| format!("Event({} of {about:?})", what(event)))
    }
}
