//! The database.

use std::path::PathBuf;
use std::sync::Arc;

use alluvium::{CollectionSpec, Error};
use alluvium_bindings::Shared;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::append::Appended;
use crate::changes::{Asked, Changes};
use crate::cursor::Cursor;
use crate::document::Collection;
use crate::error::{Fault, Outcome};
use crate::handle::{Handle, Via};
use crate::kv::KeyValue;
use crate::queue::{self, Queue};
use crate::sync::Sync;
use crate::table::{self, Table};
use crate::transaction::Transaction;
use crate::{convert, interrupt, settings, status, time};

/// How often `transact` tries. Whenever it is in vain, another transaction was not.
const TRIES: usize = 100;

/// Opens the database in a directory, and makes one where there is none, unless `create=False`.
///
/// Settings have the names they have in Rust: `open(path, memtable_bytes=16 << 20, seal_after="10m", profile="compact")`. A database is open in one process
/// at a time. It is closed at the end of the block, or with `close`.
///
/// >>> with alluvium.open(folder / "example") as example:
/// ...     example.tables()
/// []
#[pyfunction]
#[pyo3(signature = (path, *, create = true, **settings))]
pub(crate) fn open(py: Python<'_>, path: PathBuf, create: bool, settings: Option<&Bound<'_, PyDict>>) -> Outcome<Database> {
    let settings = settings::read(settings)?;
    if !create && !path.join(alluvium::format::names::IDENTITY).exists() {
        return Err(Error::NotADatabase { path, reason: "it has no identity file".to_owned() }.into());
    }
    let batch_bytes = settings.batch_bytes;
    let directory = path.clone();
    let shared = interrupt::run(py, move || Shared::open(&directory, settings))??;
    Ok(Database { handle: Arc::new(Handle::new(shared, path, batch_bytes)) })
}

/// An open database: tables of readings, and documents, key-value pairs and queues beside them.
///
/// >>> db.kv["pump/7/state"] = "on"
/// >>> [table.name for table in db.tables()]
/// ['air']
#[pyclass(frozen, module = "alluvium")]
pub(crate) struct Database {
    handle: Arc<Handle>,
}

impl Database {
    fn via(&self) -> Via {
        Via::Database(self.handle.clone())
    }

    fn does<T: Send>(&self, py: Python<'_>, does: impl FnOnce(&alluvium::Database) -> Result<T, Error> + Send) -> Outcome<T> {
        py.detach(|| self.handle.with(does))
    }

    /// Does what may take long, so that Ctrl-C is answered meanwhile.
    fn does_long<T: Send + 'static>(
        &self,
        py: Python<'_>,
        does: impl FnOnce(&alluvium::Database) -> Result<T, Error> + Send + 'static,
    ) -> Outcome<T> {
        let shared = self.handle.shared()?;
        Ok(interrupt::run(py, move || shared.with(does))??)
    }
}

#[pymethods]
impl Database {
    /// The directory it is in.
    #[getter]
    fn path(&self) -> PathBuf {
        self.handle.path.clone()
    }

    /// A table that is there. With `tags` or `fields` it is made, or the columns added that it lacks; those it has besides stay. Types of fields are
    /// `"float64"`, `"float32"`, `"int64"`, `"uint64"`, `"bool"`, `"utf8"`, `"binary"` and `"decimal(2)"`, or `float`, `int`, `bool`, `str` and `bytes`.
    /// `time_unit` is `"ms"`, `"us"` (the default) or `"ns"`; `partitioning` is `"auto"`, `"hour"`, `"day"`, `"month"` or `"year"`.
    ///
    /// >>> db.table("power", tags=["pump"], fields={"watts": "float64"})
    /// <alluvium.Table 'power': time (us), tags pump, fields watts float64>
    /// >>> db.table("power").name
    /// 'power'
    /// >>> db.table("water")
    /// Traceback (most recent call last):
    /// alluvium._errors.MissingError: ...
    #[pyo3(signature = (name, *, tags = None, fields = None, time_unit = None, partitioning = None))]
    fn table(
        &self,
        py: Python<'_>,
        name: &str,
        tags: Option<Vec<String>>,
        fields: Option<&Bound<'_, PyDict>>,
        time_unit: Option<&str>,
        partitioning: Option<&str>,
    ) -> Outcome<Table> {
        if tags.is_none() && fields.is_none() && time_unit.is_none() && partitioning.is_none() {
            return Table::find(py, self.via(), name);
        }
        let spec = table::spec(name, tags.unwrap_or_default(), fields, time_unit, partitioning)?;
        table::ensured(py, &self.via(), &spec)
    }

    /// All tables, by name.
    ///
    /// >>> db.tables()
    /// [<alluvium.Table 'air': time (us), tags room, fields co2 float64>]
    fn tables(&self, py: Python<'_>) -> Outcome<Vec<Table>> {
        let schemas = self.does(py, |db| Ok(db.tables()))?;
        // A closed database has none, which is not the same as knowing of none.
        Ok(schemas.iter().map(|schema| Table::known(self.via(), schema)).collect())
    }

    /// Gives a table another name.
    ///
    /// >>> db.rename_table("air", "indoor_air").name
    /// 'indoor_air'
    fn rename_table(&self, py: Python<'_>, name: &str, new_name: &str) -> Outcome<Table> {
        let schema = self.does(py, |db| db.rename_table(name, new_name))?;
        Ok(Table::known(self.via(), &schema))
    }

    /// Drops a table with all its rows.
    ///
    /// >>> db.drop_table("air")
    fn drop_table(&self, py: Python<'_>, name: &str) -> Outcome<()> {
        let name = name.to_owned();
        self.does_long(py, move |db| db.drop_table(&name))
    }

    /// Appends rows to a table: the same as `table(name).append(data)`.
    ///
    /// >>> db.append("air", [{"time": "2024-01-05T00:00:00Z", "room": "A", "co2": 700.0}]).rows
    /// 1
    #[pyo3(signature = (table, data, *, tz = None, durable = true))]
    fn append(
        &self,
        py: Python<'_>,
        table: &str,
        data: &Bound<'_, PyAny>,
        tz: Option<String>,
        durable: bool,
    ) -> Outcome<Appended> {
        Table::find(py, self.via(), table)?.appended(data, tz, durable)
    }

    /// Key-value pairs.
    #[getter]
    fn kv(&self) -> KeyValue {
        KeyValue::new(self.via())
    }

    /// The documents of a collection, which is made with `create_collection`.
    ///
    /// >>> db.create_collection("devices")
    /// >>> db.collection("devices").count()
    /// 0
    fn collection(&self, name: String) -> Collection {
        Collection::new(self.via(), name)
    }

    /// Makes a collection. `index` and `unique` are indexes by name, each over some fields; `history` is how many earlier revisions of each document are
    /// kept; with `soft_delete` what is deleted can be restored, for `keep_deleted` if that is said.
    ///
    /// >>> db.create_collection("devices", unique={"by_serial": ["serial"]}, history=3)
    /// >>> db.collections()
    /// ['devices']
    #[pyo3(signature = (name, *, index = None, unique = None, history = 0, soft_delete = false, keep_deleted = None))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn create_collection(
        &self,
        py: Python<'_>,
        name: &str,
        index: Option<&Bound<'_, PyDict>>,
        unique: Option<&Bound<'_, PyDict>>,
        history: u32,
        soft_delete: bool,
        keep_deleted: Option<&Bound<'_, PyAny>>,
    ) -> Outcome<()> {
        let mut spec = CollectionSpec::new(name).history(history);
        if soft_delete || keep_deleted.is_some() {
            spec = spec.soft_delete(time::optional(keep_deleted)?);
        }
        for (indexes, is_unique) in [(index, false), (unique, true)] {
            for (name, paths) in indexes.into_iter().flatten() {
                let (name, paths): (String, Vec<String>) = (name.extract()?, paths.extract()?);
                let paths: Vec<_> = paths.iter().map(String::as_str).collect();
                spec = if is_unique { spec.unique(&name, &paths)? } else { spec.index(&name, &paths)? };
            }
        }
        self.does(py, |db| db.collections().create(spec))
    }

    /// The names of all collections.
    ///
    /// >>> db.collections()
    /// []
    fn collections(&self, py: Python<'_>) -> Outcome<Vec<String>> {
        let specs = self.does(py, |db| db.collections().list())?;
        Ok(specs.into_iter().map(|spec| spec.name).collect())
    }

    /// Drops a collection with all its documents.
    ///
    /// >>> db.create_collection("devices")
    /// >>> db.drop_collection("devices")
    fn drop_collection(&self, py: Python<'_>, name: &str) -> Outcome<()> {
        self.does(py, |db| db.collections().drop(name))
    }

    /// A queue, which is made with `create_queue`.
    ///
    /// >>> db.create_queue("commands")
    /// >>> db.queue("commands").name
    /// 'commands'
    fn queue(&self, name: String) -> Queue {
        Queue::new(self.via(), name)
    }

    /// Makes a queue. Who pops an item has it for `lease` (30 s); after so many `tries` (5) it counts as dead; given back, it waits for `back_off` (1 s),
    /// twice as long after each further try and `back_off_limit` (1 h) at most; a key keeps the same out for `deduplication` (5 min).
    ///
    /// >>> db.create_queue("commands", tries=3, lease="1m")
    /// >>> db.queues()
    /// ['commands']
    #[pyo3(signature = (name, *, lease = None, tries = None, back_off = None, back_off_limit = None, dead_letters = true, deduplication = None))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn create_queue(
        &self,
        py: Python<'_>,
        name: &str,
        lease: Option<&Bound<'_, PyAny>>,
        tries: Option<u32>,
        back_off: Option<&Bound<'_, PyAny>>,
        back_off_limit: Option<&Bound<'_, PyAny>>,
        dead_letters: bool,
        deduplication: Option<&Bound<'_, PyAny>>,
    ) -> Outcome<()> {
        let spec = queue::spec(name, lease, tries, back_off, back_off_limit, dead_letters, deduplication)?;
        self.does(py, |db| db.create_queue(&spec))
    }

    /// The names of all queues.
    ///
    /// >>> db.queues()
    /// []
    fn queues(&self, py: Python<'_>) -> Outcome<Vec<String>> {
        Ok(self.does(py, |db| db.queues())?.into_iter().map(|spec| spec.name).collect())
    }

    /// Drops a queue with all its items.
    ///
    /// >>> db.create_queue("commands")
    /// >>> db.drop_queue("commands")
    fn drop_queue(&self, py: Python<'_>, name: &str) -> Outcome<()> {
        self.does(py, |db| db.drop_queue(name))
    }

    /// Changes of everything, in order, from the first there ever was or from the sequence `from_` on: one more than that of the last dealt with. Only
    /// what is about one of the `tables`, `collections`, `queues` or `prefixes` of keys that are named, and of one of the `kinds`. With `follow` it waits
    /// for what comes.
    ///
    /// >>> db.kv["door"] = "open"
    /// >>> [event.kind for change in db.changes(kinds=["pairs"]) for event in change.events]
    /// ['pairs']
    #[pyo3(signature = (
        *, from_ = None, tables = vec![], collections = vec![], queues = vec![], prefixes = vec![], kinds = vec![], limit = None, follow = false
    ))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn changes(
        &self,
        py: Python<'_>,
        from_: Option<u64>,
        tables: Vec<String>,
        collections: Vec<String>,
        queues: Vec<String>,
        prefixes: Vec<String>,
        kinds: Vec<String>,
        limit: Option<u64>,
        follow: bool,
    ) -> Outcome<Changes> {
        let asked = Asked { from: from_, tables, collections, queues, prefixes, kinds, limit };
        let from = asked.of(self.does(py, |db| Ok(db.changes()))?)?;
        Ok(Changes::new(py.detach(|| from.read())?, follow))
    }

    /// A named position in the change feed.
    ///
    /// >>> db.cursor("mirror").begin()
    /// 0
    fn cursor(&self, name: String) -> Cursor {
        Cursor::new(self.via(), name)
    }

    /// All cursors, and the sequence that each acknowledged last.
    ///
    /// >>> db.cursors()
    /// {}
    fn cursors<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyDict>> {
        let cursors = PyDict::new(py);
        for cursor in self.does(py, |db| db.cursors())? {
            cursors.set_item(cursor.name, cursor.acknowledged)?;
        }
        Ok(cursors)
    }

    /// Begins a transaction, for a `with` block.
    ///
    /// >>> with db.transaction() as tx:
    /// ...     tx.kv["pump/7/state"] = "on"
    /// ...     appended = tx.append("air", [{"time": "2024-02-01T00:00:00Z", "room": "A", "co2": 400.0}])
    fn transaction(&self, py: Python<'_>) -> Outcome<Transaction> {
        Transaction::begin(py, &self.handle)
    }

    /// Makes a transaction of what a function does with it, and returns what that returns. Where others changed meanwhile what it had read, it is made
    /// again, up to a hundred times; so the function should do nothing else.
    ///
    /// >>> def take(tx):
    /// ...     return tx.kv.increment("stock", -2)
    /// >>> db.transact(take)
    /// -2
    fn transact<'py>(&self, py: Python<'py>, function: &Bound<'py, PyAny>) -> Outcome<Bound<'py, PyAny>> {
        for _ in 0..TRIES {
            let tx = Bound::new(py, Transaction::begin(py, &self.handle)?)?;
            let done = function.call1((&tx,)).and_then(|answer| tx.call_method0("commit").map(|_| answer));
            tx.call_method0("rollback")?;
            match done {
                Err(error) if is_conflict(py, &error)? => py.check_signals()?,
                done => return Ok(done?),
            }
        }
        Err(Error::Conflict.into())
    }

    /// Carries what is here to a target: a folder, `s3://bucket/prefix`, `az://container/prefix` and others. `gateway` is how this database is known
    /// there; deliveries of other targets have other names. Settings are those of a target in `alluvium serve`: endpoint, region, credentials_file,
    /// bytes_per_second, …
    ///
    /// >>> with db.sync(str(folder / "bucket"), gateway="pump-house") as sync:   # at work within the block
    /// ...     sync.status()["running"]
    /// True
    #[pyo3(signature = (url, *, gateway, name = "default".to_owned(), **settings))]
    fn sync(
        &self,
        py: Python<'_>,
        url: &str,
        gateway: &str,
        name: String,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> Outcome<Sync> {
        Sync::begin(py, &self.handle, (url, gateway, name), settings)
    }

    /// How all deliveries stand.
    ///
    /// >>> db.sync_status()
    /// []
    fn sync_status<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyAny>> {
        let status = py.detach(|| {
            let db = self.handle.kept()?;
            Ok::<_, Fault>(alluvium_bindings::statuses(&db)?)
        })?;
        Ok(convert::from_json(py, &status)?)
    }

    /// Makes rows durable that were appended with `durable=False`.
    ///
    /// >>> db.flush()
    fn flush(&self, py: Python<'_>) -> Outcome<()> {
        self.does(py, alluvium::Database::flush)
    }

    /// Turns all rows that are not in segments yet into segments, now.
    ///
    /// >>> db.seal()
    fn seal(&self, py: Python<'_>) -> Outcome<()> {
        self.does_long(py, alluvium::Database::seal)
    }

    /// Folds segments together and carries out deletions, now.
    ///
    /// >>> db.compact()
    fn compact(&self, py: Python<'_>) -> Outcome<()> {
        self.does_long(py, |db| db.compact().map(drop))
    }

    /// Reads everything and checks every checksum; returns what is wrong, in words.
    ///
    /// >>> db.verify()
    /// []
    fn verify(&self, py: Python<'_>) -> Outcome<Vec<String>> {
        let report = self.does_long(py, |db| db.verify(&mut |_, _| {}))?;
        Ok(report.problems.into_iter().map(|problem| format!("{}: {}", problem.file, problem.detail)).collect())
    }

    /// How it stands: tables with rows, series, segments and bytes, and what it takes on disk and in memory.
    ///
    /// >>> db.status()["tables"]["air"]["rows"]
    /// 3
    fn status<'py>(&self, py: Python<'py>) -> Outcome<Bound<'py, PyDict>> {
        Ok(status::told(py, &self.does(py, alluvium::Database::status)?)?)
    }

    /// Makes everything durable and lets go of the directory. Closed twice nothing happens. Transactions have to end before.
    ///
    /// >>> db.close()
    /// >>> db.kv.get("a")
    /// Traceback (most recent call last):
    /// alluvium._errors.ClosedError: ...
    fn close(&self, py: Python<'_>) -> Outcome<()> {
        Ok(interrupt::run(py, self.handle.closing()?)??)
    }

    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (kind, error, traceback, /))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
        traceback: &Bound<'_, PyAny>,
    ) -> Outcome<bool> {
        let _ = (kind, error, traceback);
        match self.close(py) {
            // A child that leaves the block has nothing to close.
            Err(Fault::Forked) => Ok(false),
            closed => closed.map(|()| false),
        }
    }

    fn __repr__(&self) -> String {
        format!("<alluvium.Database in {:?}>", self.handle.path)
    }

    fn _repr_html_(&self, py: Python<'_>) -> Outcome<String> {
        Ok(status::shown(&self.handle.path, &self.does(py, alluvium::Database::status)?))
    }
}

fn is_conflict(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    let class = py.import("alluvium._errors")?.getattr("ConflictError")?;
    error.value(py).is_instance(&class)
}
