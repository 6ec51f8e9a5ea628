//! Alluvium in Python, in process: the module `alluvium._alluvium`, which `alluvium` shows.
//!
//! - `database`, `table`, `append`, `query`, `stream`, `kv`, `document`, `queue`, `changes`, `event`, `cursor`, `transaction`, `sync`: the classes that users meet;
//! - `handle`: the database that they share, reached directly or through a transaction;
//! - `capsule`, `foreign`, `own`, `pandas`, `rows`: rows that come in, as Arrow or as objects of Python; `answer`, `shape`, `cell`, `html`, `status`: rows and numbers that go out;
//! - `time`, `convert`, `settings`: what Python says, in the engine's words; `error`: what fails, as Python's exceptions;
//! - `interrupt`: waiting without Python's lock, and looking for Ctrl-C.
//!
//! Python's lock is never held while something is waited for: whoever holds what is waited for may need it to go on.

mod answer;
mod append;
mod capsule;
mod cell;
mod changes;
mod convert;
mod cursor;
mod database;
mod document;
mod error;
mod event;
mod foreign;
mod handle;
mod html;
mod interrupt;
mod kv;
mod own;
mod pandas;
mod query;
mod queue;
mod rows;
mod settings;
mod shape;
mod status;
mod stream;
mod sync;
mod table;
mod time;
mod transaction;

/// The module that Python loads.
#[pyo3::pymodule]
mod _alluvium {
    #[pymodule_export]
    use crate::append::Appended;
    #[pymodule_export]
    use crate::changes::{Change, Changes};
    #[pymodule_export]
    use crate::cursor::Cursor;
    #[pymodule_export]
    use crate::database::{Database, open};
    #[pymodule_export]
    use crate::document::{Collection, Document, Found};
    #[pymodule_export]
    use crate::event::Event;
    #[pymodule_export]
    use crate::kv::{KeyValue, Pair};
    #[pymodule_export]
    use crate::query::Query;
    #[pymodule_export]
    use crate::queue::{Item, Pushed, Queue};
    #[pymodule_export]
    use crate::stream::{Batch, Stream};
    #[pymodule_export]
    use crate::sync::Sync;
    #[pymodule_export]
    use crate::table::Table;
    #[pymodule_export]
    use crate::transaction::Transaction;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
