//! Documents: JSON in collections.

use std::collections::VecDeque;
use std::time::Duration;

use alluvium::{DocumentQuery, IndexSpec, PutDocument, Where};
use alluvium_bindings::condition as filter;
use parking_lot::Mutex;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::convert::{condition, from_json, to_json};
use crate::error::{Fault, Outcome};
use crate::handle::{Via, reach};
use crate::time;

/// Documents asked for at once.
const PAGE: usize = 1_000;

/// The documents of a collection.
///
/// >>> db.create_collection("devices")
/// >>> devices = db.collection("devices")
/// >>> revision = devices.put("pump-7", {"room": "cellar", "kw": 2.2})
/// >>> devices["pump-7"]["room"]
/// 'cellar'
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Collection {
    via: Via,
    name: String,
}

impl Collection {
    pub(crate) fn new(via: Via, name: String) -> Self {
        Collection { via, name }
    }
}

#[pymethods]
impl Collection {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// A document, or None. `deleted=True` finds also what was deleted and can be restored.
    ///
    /// >>> db.create_collection("devices")
    /// >>> db.collection("devices").get("pump-7") is None
    /// True
    #[pyo3(signature = (id, *, deleted = false))]
    fn get(&self, py: Python<'_>, id: &str, deleted: bool) -> Outcome<Option<Document>> {
        let name = &self.name;
        let found = match deleted {
            true => reach!(py, &self.via, |access| access.collection(name).get_deleted(id))?,
            false => reach!(py, &self.via, |access| access.collection(name).get(id))?,
        };
        Ok(found.map(Document::new))
    }

    /// Puts a document, in the place of any there; returns its revision. `ttl`, `if_revision` and `if_absent` as in `KeyValue.put`.
    ///
    /// >>> db.create_collection("devices")
    /// >>> db.collection("devices").put("pump-7", {"room": "cellar"}) > 0
    /// True
    #[pyo3(signature = (id, document, *, ttl = None, if_revision = None, if_absent = false))]
    fn put(
        &self,
        py: Python<'_>,
        id: &str,
        document: &Bound<'_, PyAny>,
        ttl: Option<&Bound<'_, PyAny>>,
        if_revision: Option<u64>,
        if_absent: bool,
    ) -> Outcome<u64> {
        let (name, content) = (&self.name, to_json(document)?);
        let put = PutDocument::default().only_if(condition(if_revision, if_absent)?);
        let how = time::optional(ttl)?.map_or(put, |time| put.time_to_live(time));
        reach!(py, &self.via, |access| access.collection(name).put(id, &content, how))
    }

    /// Puts a document under a new id, which it returns: a UUID of version 7, so that ids sort by time.
    ///
    /// >>> db.create_collection("devices")
    /// >>> len(db.collection("devices").insert({"room": "attic"}))
    /// 36
    fn insert(&self, py: Python<'_>, document: &Bound<'_, PyAny>) -> Outcome<String> {
        let (name, content) = (&self.name, to_json(document)?);
        reach!(py, &self.via, |access| access.collection(name).insert(&content))
    }

    /// Puts many documents, which are given by their ids. Returns the exceptions of those that were refused, by id; all others are stored.
    ///
    /// >>> db.create_collection("devices")
    /// >>> db.collection("devices").put_many({"pump-7": {"room": "cellar"}, "pump-8": {"room": "attic"}})
    /// {}
    fn put_many<'py>(&self, py: Python<'py>, documents: &Bound<'py, PyDict>) -> Outcome<Bound<'py, PyDict>> {
        let one =
            |(id, document): (Bound<'py, PyAny>, Bound<'py, PyAny>)| Ok((Some(id.extract::<String>()?), to_json(&document)?));
        let documents = documents.iter().map(one).collect::<Outcome<Vec<_>>>()?;
        let name = &self.name;
        let many = reach!(py, &self.via, |access| access.collection(name).put_many(documents))?;
        let failed = PyDict::new(py);
        for (id, error) in many.failed {
            failed.set_item(id, PyErr::from(Fault::from(error)).into_value(py))?;
        }
        Ok(failed)
    }

    /// Changes parts of a document: what `patch` holds takes the place of what is there, None takes it away. Returns its revision.
    ///
    /// >>> db.create_collection("devices")
    /// >>> devices = db.collection("devices")
    /// >>> _ = devices.put("pump-7", {"room": "cellar", "kw": 2.2})
    /// >>> _ = devices.merge("pump-7", {"kw": None, "floor": -1})
    /// >>> devices["pump-7"].content
    /// {'room': 'cellar', 'floor': -1}
    #[pyo3(signature = (id, patch, *, if_revision = None))]
    fn merge(&self, py: Python<'_>, id: &str, patch: &Bound<'_, PyAny>, if_revision: Option<u64>) -> Outcome<u64> {
        let (name, patch, condition) = (&self.name, to_json(patch)?, condition(if_revision, false)?);
        reach!(py, &self.via, |access| access.collection(name).merge(id, &patch, condition))
    }

    /// Deletes a document; returns whether there was one.
    ///
    /// >>> db.create_collection("devices")
    /// >>> db.collection("devices").delete("pump-7")
    /// False
    #[pyo3(signature = (id, *, if_revision = None))]
    fn delete(&self, py: Python<'_>, id: &str, if_revision: Option<u64>) -> Outcome<bool> {
        let (name, condition) = (&self.name, condition(if_revision, false)?);
        reach!(py, &self.via, |access| access.collection(name).delete(id, condition))
    }

    /// Brings back a document that was deleted, where its collection was made with `soft_delete`. Returns its revision.
    ///
    /// >>> db.create_collection("devices", soft_delete=True)
    /// >>> devices = db.collection("devices")
    /// >>> _ = devices.put("pump-7", {"room": "cellar"})
    /// >>> devices.delete("pump-7"), devices.restore("pump-7") > 0
    /// (True, True)
    fn restore(&self, py: Python<'_>, id: &str) -> Outcome<u64> {
        let name = &self.name;
        reach!(py, &self.via, |access| access.collection(name).restore(id))
    }

    /// Deletes a document for good, with its history; returns whether there was anything of it.
    ///
    /// >>> db.create_collection("devices")
    /// >>> db.collection("devices").purge("pump-7")
    /// False
    fn purge(&self, py: Python<'_>, id: &str) -> Outcome<bool> {
        let name = &self.name;
        reach!(py, &self.via, |access| access.collection(name).purge(id))
    }

    /// What a document was before, newest first, as far as its collection keeps that.
    ///
    /// >>> db.create_collection("devices", history=5)
    /// >>> devices = db.collection("devices")
    /// >>> _ = devices.put("pump-7", {"kw": 2}), devices.put("pump-7", {"kw": 3})
    /// >>> [before.content for before in devices.history("pump-7")]
    /// [{'kw': 2}]
    fn history(&self, py: Python<'_>, id: &str) -> Outcome<Vec<Document>> {
        let name = &self.name;
        let found = reach!(py, &self.via, |access| access.collection(name).history(id))?;
        Ok(found.into_iter().map(Document::new).collect())
    }

    /// The documents that satisfy a condition, read a page at a time. `{"room": "cellar", "kw": {"gt": 2}}` holds where all of it does; there are `gt`,
    /// `ge`, `lt`, `le`, `eq`, `ne`, `in`, `begins`, `exists`, and `{"or": […]}`, `{"and": […]}`, `{"not": {…}}`. `order` is a field or several, each with
    /// `-` for the largest first.
    ///
    /// >>> db.create_collection("devices", index={"by_room": ["room"]})
    /// >>> devices = db.collection("devices")
    /// >>> _ = devices.put_many({"a": {"room": "attic", "kw": 1}, "b": {"room": "cellar", "kw": 3}, "c": {"room": "cellar", "kw": 2}})
    /// >>> [document.id for document in devices.find({"room": "cellar"}, order="-kw")]
    /// ['b', 'c']
    #[pyo3(signature = (r#where = None, *, order = None, limit = None))]
    fn find(&self, r#where: Option<&Bound<'_, PyAny>>, order: Option<&Bound<'_, PyAny>>, limit: Option<usize>) -> Outcome<Found> {
        let query = DocumentQuery::new().filter(asked(r#where)?);
        let query = ordered(query, order)?;
        let pages = Pages { query, left: limit.unwrap_or(usize::MAX), page: VecDeque::new(), is_over: false };
        Ok(Found { via: self.via.clone(), name: self.name.clone(), pages: Mutex::new(pages) })
    }

    /// How many documents satisfy a condition.
    ///
    /// >>> db.create_collection("devices")
    /// >>> db.collection("devices").count()
    /// 0
    #[pyo3(signature = (r#where = None))]
    fn count(&self, py: Python<'_>, r#where: Option<&Bound<'_, PyAny>>) -> Outcome<u64> {
        let (name, filter) = (&self.name, asked(r#where)?);
        reach!(py, &self.via, |access| access.collection(name).count(filter))
    }

    /// Sets the JSON Schema that documents have to satisfy from now on; returns its version.
    ///
    /// >>> db.create_collection("devices")
    /// >>> devices = db.collection("devices")
    /// >>> devices.set_schema({"type": "object", "required": ["serial"]})
    /// 1
    /// >>> devices.put("pump-7", {})
    /// Traceback (most recent call last):
    /// alluvium._errors.InvalidDocumentError: ...
    fn set_schema(&self, py: Python<'_>, schema: &Bound<'_, PyAny>) -> Outcome<u32> {
        let (name, schema) = (&self.name, to_json(schema)?);
        reach!(py, &self.via, |access| access.collections().set_schema(name, &schema))
    }

    /// The schema that holds, or None.
    ///
    /// >>> db.create_collection("devices")
    /// >>> db.collection("devices").schema() is None
    /// True
    fn schema<'py>(&self, py: Python<'py>) -> Outcome<Option<Bound<'py, PyAny>>> {
        let name = &self.name;
        let versions = reach!(py, &self.via, |access| access.collections().schemas(name))?;
        Ok(versions.last().map(|version| from_json(py, &version.schema)).transpose()?)
    }

    /// Makes an index over fields of documents that are there, while others go on.
    ///
    /// >>> db.create_collection("devices")
    /// >>> db.collection("devices").create_index("by_serial", ["serial"], unique=True)
    #[pyo3(signature = (name, paths, *, unique = false))]
    fn create_index(&self, py: Python<'_>, name: &str, paths: Vec<String>, unique: bool) -> Outcome<()> {
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        let index = IndexSpec { unique, ..IndexSpec::new(name, &paths)? };
        match &self.via {
            Via::Database(handle) => py.detach(|| handle.with(|db| db.create_index(&self.name, index))),
            Via::Transaction(..) => Err(Fault::invalid("indexes are made outside transactions, since that may take long")),
        }
    }

    fn __getitem__(&self, py: Python<'_>, id: &str) -> Outcome<Document> {
        Ok(self.get(py, id, false)?.ok_or_else(|| PyKeyError::new_err(id.to_owned()))?)
    }

    fn __setitem__(&self, py: Python<'_>, id: &str, document: &Bound<'_, PyAny>) -> Outcome<()> {
        self.put(py, id, document, None, None, false).map(|_| ())
    }

    fn __delitem__(&self, py: Python<'_>, id: &str) -> Outcome<()> {
        match self.delete(py, id, None)? {
            true => Ok(()),
            false => Err(PyKeyError::new_err(id.to_owned()).into()),
        }
    }

    fn __contains__(&self, py: Python<'_>, id: &str) -> Outcome<bool> {
        Ok(self.get(py, id, false)?.is_some())
    }

    fn __iter__(&self) -> Outcome<Found> {
        self.find(None, None, None)
    }

    fn __repr__(&self) -> String {
        format!("<alluvium.Collection {:?}>", self.name)
    }
}

fn asked(condition: Option<&Bound<'_, PyAny>>) -> Outcome<Where> {
    condition.map_or(Ok(Where::all()), |condition| Ok(filter(&to_json(condition)?)?))
}

fn ordered(mut query: DocumentQuery, order: Option<&Bound<'_, PyAny>>) -> Outcome<DocumentQuery> {
    let Some(order) = order else { return Ok(query) };
    let paths: Vec<String> = match order.cast::<PyString>() {
        Ok(path) => vec![path.to_cow()?.into_owned()],
        Err(_) => order.extract()?,
    };
    for path in paths {
        query = match path.strip_prefix('-') {
            Some(path) => query.descending(path)?,
            None => query.ascending(&path)?,
        };
    }
    Ok(query)
}

/// Documents that were asked for, an iterator.
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Found {
    via: Via,
    name: String,
    pages: Mutex<Pages>,
}

struct Pages {
    query: DocumentQuery,
    left: usize,
    page: VecDeque<alluvium::Document>,
    is_over: bool,
}

impl Pages {
    fn is_to_be_read(&self) -> bool {
        self.page.is_empty() && !self.is_over && self.left > 0
    }
}

impl Found {
    /// Reads the next page. Not to be called while attached to Python.
    fn read(&self, pages: &mut Pages) -> Outcome<()> {
        let query = pages.query.clone().limit(PAGE.min(pages.left));
        let page = match &self.via {
            Via::Database(handle) => handle.with(|db| db.collection(&self.name).query(&query)),
            Via::Transaction(_, tx) => tx.with(|tx| tx.collection(&self.name).query(&query)),
        }?;
        pages.left -= page.documents.len();
        pages.page = page.documents.into();
        match page.cursor {
            Some(cursor) => pages.query = query.after(&cursor),
            None => pages.is_over = true,
        }
        Ok(())
    }
}

#[pymethods]
impl Found {
    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> Outcome<Option<Document>> {
        // In a child nobody may be there to let go of the lock.
        self.via.handle().check()?;
        let next = py.detach(|| {
            let mut pages = self.pages.lock();
            while pages.is_to_be_read() {
                self.read(&mut pages)?;
            }
            Ok::<_, Fault>(pages.page.pop_front())
        })?;
        Ok(next.map(Document::new))
    }

    fn __repr__(&self) -> String {
        format!("<alluvium.Found of collection {:?}>", self.name)
    }
}

/// A document, and what goes with it. Its fields are had as from a dict.
///
/// >>> db.create_collection("devices")
/// >>> revision = db.collection("devices").put("pump-7", {"room": "cellar"})
/// >>> document = db.collection("devices")["pump-7"]
/// >>> document.id, document["room"], document.content, document.revision == revision
/// ('pump-7', 'cellar', {'room': 'cellar'}, True)
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Document {
    document: alluvium::Document,
}

impl Document {
    fn new(document: alluvium::Document) -> Self {
        Document { document }
    }
}

#[pymethods]
impl Document {
    /// Tells it from the others of its collection.
    #[getter]
    fn id(&self) -> &str {
        &self.document.id
    }

    /// Changes with every write; 0 for what the same transaction has written.
    #[getter]
    fn revision(&self) -> u64 {
        self.document.revision
    }

    /// The document, a new object each time.
    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_json(py, &self.document.content)
    }

    /// When it was deleted, if it was and can be restored.
    #[getter]
    fn deleted_at<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.document.deleted_at.map(|at| time::instant(py, at.into())).transpose()
    }

    /// How much longer it lasts, or None.
    #[getter]
    fn expires_in<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.document.expires_in.map(|left: Duration| time::length(py, left.as_micros().cast_signed())).transpose()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, field: &str) -> PyResult<Bound<'py, PyAny>> {
        let found = self.document.content.get(field).ok_or_else(|| PyKeyError::new_err(field.to_owned()))?;
        from_json(py, found)
    }

    fn __contains__(&self, field: &str) -> bool {
        self.document.content.get(field).is_some()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Document(id={:?}, revision={}, content={})",
            self.document.id,
            self.document.revision,
            self.content(py)?.repr()?
        ))
    }
}
