//! From a query and a table to what is to be read.

use std::sync::Arc;

use super::cancel::Cancel;
use super::filter::Filters;
use super::projection::Projection;
use super::scan::Scan;
use super::spec::{Filter, Query};
use crate::error::{Error, Result};
use crate::model::{SeriesId, TableSchema};
use crate::principal::Scope;
use crate::record::SeriesSelection;
use crate::store::Store;
use crate::table::{Table, TableState, TagTest};

/// A query made definite.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) table: Arc<Table>,
    pub(super) scan: Scan,
    pub(super) filters: Filters,
    pub(super) projection: Projection,
    pub(super) limit: Option<u64>,
}

impl Plan {
    /// Checks a query against its table, of which a snapshot was taken before: columns and series made after it have no
    /// values in it, and it has none that they lack.
    pub(super) fn new(table: &Arc<Table>, state: TableState, store: &Arc<Store>, query: &Query) -> Result<Self> {
        let state = Arc::new(state);
        let schema = table.schema();
        let filters = Filters::new(&query.filters, &schema)?;
        let projection = Projection::new(&schema, &query.fields)?;
        let series = select(table, &filters);
        let fields = fields_read(&filters, projection.fields().iter().copied());
        let cancel = Cancel::default();
        let scan = Scan { schema, state, store: store.clone(), series, range: query.range, fields, times: true, cancel };
        Ok(Plan { table: table.clone(), scan, filters, projection, limit: query.limit })
    }

    /// Leaves out the series that are not in a scope, as if they were not there.
    pub(super) fn narrow(&mut self, scope: &Scope) {
        if !scope.is_everything() {
            self.scan.series = within(&self.table, &self.scan.schema, scope, self.scan.series.iter().copied()).into();
        }
    }

    /// Reads these fields, and those the filters look at, instead of all that are projected.
    pub(super) fn read_only(&mut self, fields: impl Iterator<Item = usize>) {
        self.scan.fields = fields_read(&self.filters, fields);
    }
}

fn fields_read(filters: &Filters, fields: impl Iterator<Item = usize>) -> Arc<[usize]> {
    let mut read: Vec<usize> = fields.chain(filters.fields.fields()).collect();
    read.sort_unstable();
    read.dedup();
    read.into()
}

/// The series that satisfy the tag filters, in tag order.
fn select(table: &Table, filters: &Filters) -> Arc<[SeriesId]> {
    if filters.tags.is_empty() {
        return table.ordered_series();
    }
    let mut found = matching(table, filters);
    let series = table.series.read();
    found.sort_unstable_by(|&a, &b| series.compare(a, b));
    found.into()
}

fn matching(table: &Table, filters: &Filters) -> Vec<SeriesId> {
    let series = table.series.read();
    let predicates: Vec<_> = filters.tags.predicates().iter().map(|predicate| (predicate.position(), predicate)).collect();
    let tests: Vec<_> = predicates
        .iter()
        .map(|(position, predicate)| match predicate.wanted() {
            Some(values) => (*position, TagTest::OneOf(values)),
            None => (*position, TagTest::Matches(Box::new(move |value| predicate.matches(value)))),
        })
        .collect();
    series.matching(&tests)
}

/// The series that a query reads, rising; `None` for all there are.
pub(crate) fn series_read(table: &Table, query: &Query) -> Result<Option<Vec<SeriesId>>> {
    let filters = Filters::new(&query.filters, &table.schema())?;
    if filters.tags.is_empty() {
        return Ok(None);
    }
    let mut series = matching(table, &filters);
    series.sort_unstable();
    Ok(Some(series))
}

/// Those of some series that are in a scope.
fn within(table: &Table, schema: &TableSchema, scope: &Scope, series: impl Iterator<Item = SeriesId>) -> Vec<SeriesId> {
    let index = table.series.read();
    let value = |series, name: &str| index.tag(series, schema.tags.iter().position(|tag| tag.name == name)?);
    series.filter(|&id| scope.holds(|name| value(id, name))).collect()
}

/// The series that a deletion names, of those in a scope if there is one, resolved now: series made later are not touched.
pub(crate) fn select_for_deletion(table: &Table, filters: &[Filter], scope: Option<&Scope>) -> Result<SeriesSelection> {
    let schema: Arc<TableSchema> = table.schema();
    let filters = Filters::new(filters, &schema)?;
    if !filters.fields.is_empty() {
        return Err(Error::invalid("a deletion selects rows by tags and time only: leave out conditions on fields"));
    }
    let scope = scope.filter(|scope| !scope.is_everything());
    if filters.tags.is_empty() && scope.is_none() {
        return Ok(SeriesSelection::All);
    }
    let named = matching(table, &filters);
    Ok(SeriesSelection::Only(match scope {
        Some(scope) => within(table, &schema, scope, named.into_iter()),
        None => named,
    }))
}
