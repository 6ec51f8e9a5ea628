//! Rows that come in requests: of several tables, all or nothing, durable before the answer.
//!
//! What writes them is asked of whoever sends them, as for writer streams: to write to the table, to its series in particular, and to
//! define it where something is made.

mod numbered;
mod room;
mod scope;
mod table;

use std::sync::Arc;

use alluvium::{Action, Error, TableSchema, Target};
use alluvium_protocol::code::Code;
use alluvium_protocol::message::Failed;
use arrow::array::RecordBatch;

use super::access::Caller;
use super::session::Server;
use crate::import::{Look, Part};
pub(crate) use numbered::Numbered;
pub(super) use room::STEP;
pub(crate) use room::Share;
pub(super) use scope::{are_within, check_rows};
use table::fits;
pub(super) use table::make;
pub(crate) use table::spec_of;

/// How often rows are read anew because tables were changed by others meanwhile.
const TRIES: usize = 5;

/// What came of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Put {
    /// How many there are.
    pub(crate) rows: u64,
    /// Whether they were put before, under the same number; nothing was done then.
    pub(crate) again: bool,
}

/// Puts rows. `read` reads them for the tables as they stand, again if others change those meanwhile; what else it answers is handed
/// on. It has to be called where waiting is allowed.
pub(crate) fn put<T, E: From<Failed> + From<Error>>(
    server: &Server,
    caller: &Caller,
    numbered: Option<Numbered>,
    mut read: impl FnMut(&mut Look<'_, E>) -> Result<(Vec<Part>, T), E>,
) -> Result<(Put, T), E> {
    for _ in 0..TRIES {
        let (parts, told) = read(&mut |table| look(server, caller, table))?;
        check(server, caller, &parts)?;
        if !make_all(server, &parts)? {
            continue;
        }
        let rows = parts.iter().map(|part| part.batch.rows.num_rows() as u64).sum();
        let batches = parts.into_iter().map(|part| (part.table.into(), part.batch.rows)).collect();
        let again = match numbered {
            Some(numbered) => numbered.apply(server, caller, batches)?,
            None => append(server, &batches).map(|()| false)?,
        };
        return Ok((Put { rows: if again { 0 } else { rows }, again }, told));
    }
    Err(Failed::new(Code::Conflict, "others go on changing the tables: send it again").into())
}

fn look<E: From<Failed> + From<Error>>(server: &Server, caller: &Caller, table: &str) -> Result<Option<Arc<TableSchema>>, E> {
    server.access.scope(caller, Action::Write, table)?;
    match server.db.table(table) {
        Ok(schema) => Ok(Some(schema)),
        Err(Error::NoSuchTable { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether all of it is allowed.
fn check(server: &Server, caller: &Caller, parts: &[Part]) -> Result<(), Failed> {
    for Part { table, batch, tags } in parts {
        let scope = server.access.scope(caller, Action::Write, table)?;
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        check_rows((&server.access, caller), table, &batch.rows, &tags, &scope)?;
        if !batch.added.is_empty() || server.db.table(table).is_err() {
            server.access.permit(caller, Action::Define, Target::Table(table))?;
        }
    }
    Ok(())
}

/// Makes what is missing of tables; answers whether they are then what the rows were read for.
fn make_all(server: &Server, parts: &[Part]) -> Result<bool, Error> {
    for Part { table, batch, .. } in parts {
        let schema = server.db.table(table).ok();
        if schema.is_some() && batch.added.is_empty() {
            continue;
        }
        let spec = spec_of(table, batch);
        match make(&server.db, &spec) {
            // Others made columns of the same names.
            Err(Error::Invalid(_)) if server.db.table(table).ok() != schema => return Ok(false),
            outcome => outcome?,
        }
        if !fits(&*server.db.table(table)?, &spec, schema.is_none()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Appends rows in one record, or in none.
fn append(server: &Server, batches: &[(Arc<str>, RecordBatch)]) -> Result<(), Error> {
    match batches {
        [] => Ok(()),
        [(table, rows)] => server.db.append(table, rows).map(drop),
        several => {
            server.db.transaction(|transaction| several.iter().try_for_each(|(table, rows)| transaction.append(table, rows)))
        }
    }
}
