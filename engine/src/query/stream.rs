//! Answering a query: a stream of record batches over a snapshot.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::cancel::Cancel;
use super::group::Groups;
use super::last::LastValues;
use super::plan::Plan;
use super::rows::RowStream;
use super::spec::{Order, Query};
use super::time_order::TimeOrdered;
use super::totals::Totals;
use crate::error::{Error, Result};
use crate::principal::Scope;
use crate::store::Store;
use crate::table::{Table, TableState};

/// The answer to a query, batch by batch, in bounded memory. It reads from a snapshot, untouched by what is written
/// meanwhile. It ends behind an error.
pub struct QueryStream {
    schema: SchemaRef,
    cancel: Cancel,
    failed: bool,
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
}

impl QueryStream {
    /// The columns of every batch.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// What ends it from elsewhere, while somebody waits for its next batch.
    ///
    /// ```
    /// use alluvium::{Aggregate, Database, Error, FieldType, Query, RowBuilder, TableSpec};
    ///
    /// # fn main() -> alluvium::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = Database::open(dir.path().join("data"))?;
    /// let mut rows = RowBuilder::new(db.create_table(TableSpec::new("air").field("co2", FieldType::Float64))?);
    /// rows.row(1).value("co2", 612.5)?;
    /// db.append("air", &rows.finish()?)?;
    /// let mut answer = db.query(&Query::table("air").aggregate([Aggregate::Mean]))?;
    /// let cancel = answer.cancel();
    /// std::thread::spawn(move || cancel.cancel()).join().unwrap();
    /// assert!(matches!(answer.next(), Some(Err(Error::Cancelled))));
    /// # Ok(()) }
    /// ```
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }
}

impl Iterator for QueryStream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.batches.next();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

impl fmt::Debug for QueryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Plans a query and begins to answer it.
pub(crate) fn run(table: &Arc<Table>, store: &Arc<Store>, query: &Query) -> Result<QueryStream> {
    run_on(table, table.snapshot(), store, query)
}

/// The same over a snapshot that was taken before.
pub(crate) fn run_on(table: &Arc<Table>, state: TableState, store: &Arc<Store>, query: &Query) -> Result<QueryStream> {
    answer(Plan::new(table, state, store, query)?, query)
}

/// The same over the series of a scope, as if there were no others.
pub(crate) fn run_within(table: &Arc<Table>, store: &Arc<Store>, query: &Query, scope: &Scope) -> Result<QueryStream> {
    let mut plan = Plan::new(table, table.snapshot(), store, query)?;
    plan.narrow(scope);
    answer(plan, query)
}

fn answer(mut plan: Plan, query: &Query) -> Result<QueryStream> {
    let cancel = plan.scan.cancel.clone();
    if let Some(aggregation) = &query.aggregation {
        if query.last {
            return Err(Error::invalid("a query asks either for last values or for aggregates: leave out one"));
        }
        let groups = Groups::new(&plan.scan.schema, aggregation, &plan.projection, query.order)?;
        plan.read_only(groups.reads().map(|(field, _)| field));
        plan.scan.times = groups.reads_times();
        let schema = groups.schema();
        return Ok(QueryStream { schema, cancel, failed: false, batches: Box::new(Totals::new(plan, groups)) });
    }
    let schema = plan.projection.row_schema(&plan.scan.schema);
    let batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> = match (query.last, query.order) {
        (true, Order::Series) => Box::new(LastValues::new(plan)),
        (true, _) => return Err(Error::invalid("last values come in the order of tags: leave out the order")),
        (false, Order::Series) => Box::new(RowStream::new(plan)),
        (false, Order::TimeAscending) => Box::new(TimeOrdered::new(plan, false)),
        (false, Order::TimeDescending) => Box::new(TimeOrdered::new(plan, true)),
    };
    Ok(QueryStream { schema, cancel, failed: false, batches })
}
