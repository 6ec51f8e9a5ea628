//! Where imported rows go, with what is shown meanwhile.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium::{FieldType, TableSchema, TableSpec};
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use indicatif::ProgressBar;
use serde_json::{Value as Json, json};

use crate::commands::Place;
use crate::commands::tables::{described, unit_name};
use crate::failure::Outcome;
use crate::import::{Failure, Sink};
use crate::remote::{self, Remote};

/// Bytes of rows that a server is sent at once, more or less: fewer than any takes.
const BODY_BYTES: usize = 1 << 20;

/// Puts rows into a database, or has a server do it, and shows how far it is.
pub(super) struct Importer<'a> {
    pub(super) place: &'a Place,
    pub(super) bar: ProgressBar,
    pub(super) read: Arc<AtomicU64>,
    pub(super) acks: bool,
}

impl Sink for Importer<'_> {
    fn table(&self, name: &str) -> Result<Option<Arc<TableSchema>>, Failure> {
        match self.place {
            Place::Here(database) => match database.table(name) {
                Ok(table) => Ok(Some(table)),
                Err(alluvium::Error::NoSuchTable { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            },
            Place::There(remote) => {
                let found = remote.find(&remote::get(&["tables", name])).map_err(Failure::Server)?;
                Ok(found.map(described).transpose().map_err(Failure::Server)?.map(Arc::new))
            }
        }
    }

    fn create_table(&mut self, spec: TableSpec) -> Result<(), Failure> {
        match self.place {
            Place::Here(database) => Ok(database.create_table(spec).map(drop)?),
            Place::There(remote) => {
                let unit = unit_name(spec.time_unit);
                let body = json!({ "tags": spec.tags, "fields": typed(&spec.fields), "time_unit": unit });
                remote.order(&remote::put(&["tables", &spec.name]).body(body)).map_err(Failure::Server)
            }
        }
    }

    fn add_columns(&mut self, table: &str, tags: &[String], fields: &[(String, FieldType)]) -> Result<(), Failure> {
        match self.place {
            Place::Here(database) => Ok(database.add_columns(table, tags, fields).map(drop)?),
            Place::There(remote) => {
                let body = json!({ "tags": tags, "fields": typed(fields) });
                remote.order(&remote::patch(&["tables", table]).body(body)).map_err(Failure::Server)
            }
        }
    }

    fn append(&mut self, table: &str, rows: &RecordBatch) -> Result<(), Failure> {
        match self.place {
            Place::Here(database) => Ok(database.append(table, rows).map(drop)?),
            Place::There(remote) => send(remote, table, rows).map_err(Failure::Server),
        }
    }

    fn durable(&mut self, rows: u64) -> Result<(), Failure> {
        self.bar.set_position(self.read.load(Ordering::Relaxed));
        self.bar.set_message(format!("{rows} rows"));
        if self.acks {
            let mut out = io::stdout().lock();
            writeln!(out, "durable {rows}").and_then(|()| out.flush()).map_err(Failure::Output)?;
        }
        Ok(())
    }

    fn note(&mut self, note: &str) {
        self.bar.suspend(|| super::say(note));
    }
}

/// Fields as a server takes them.
fn typed(fields: &[(String, FieldType)]) -> Vec<Json> {
    fields.iter().map(|(name, kind)| json!({ "name": name, "type": kind.to_string() })).collect()
}

/// Sends rows, in as many pieces as it takes.
fn send(remote: &Remote, table: &str, rows: &RecordBatch) -> Outcome {
    let body = encode(rows)?;
    if body.len() > BODY_BYTES && rows.num_rows() > 1 {
        let half = rows.num_rows() / 2;
        send(remote, table, &rows.slice(0, half))?;
        return send(remote, table, &rows.slice(half, rows.num_rows() - half));
    }
    remote.order(&remote::post(&["write"]).with("table", table).arrow(body))
}

fn encode(rows: &RecordBatch) -> alluvium::Result<Vec<u8>> {
    let mut out = StreamWriter::try_new(Vec::new(), &rows.schema())?;
    out.write(rows)?;
    Ok(out.into_inner()?)
}
