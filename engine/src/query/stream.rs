//! Answering a query: a stream of record batches over a snapshot.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

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
/// meanwhile.
pub struct QueryStream {
    schema: SchemaRef,
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
}

impl QueryStream {
    /// The columns of every batch.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Iterator for QueryStream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
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
    if let Some(aggregation) = &query.aggregation {
        if query.last {
            return Err(Error::invalid("a query asks either for last values or for aggregates: leave out one"));
        }
        let groups = Groups::new(&plan.scan.schema, aggregation, &plan.projection, query.order)?;
        plan.read_only(groups.reads().map(|(field, _)| field));
        plan.scan.times = groups.reads_times();
        let schema = groups.schema();
        return Ok(QueryStream { schema, batches: Box::new(Totals::new(plan, groups)) });
    }
    let schema = plan.projection.row_schema(&plan.scan.schema);
    let batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> = match (query.last, query.order) {
        (true, Order::Series) => Box::new(LastValues::new(plan)),
        (true, _) => return Err(Error::invalid("last values come in the order of tags: leave out the order")),
        (false, Order::Series) => Box::new(RowStream::new(plan)),
        (false, Order::TimeAscending) => Box::new(TimeOrdered::new(plan, false)),
        (false, Order::TimeDescending) => Box::new(TimeOrdered::new(plan, true)),
    };
    Ok(QueryStream { schema, batches })
}
