//! Whether rows are of series that somebody may write to.

use alluvium::{Action, Scope, Target};
use alluvium_protocol::message::Failed;
use arrow::array::{Array, AsArray, RecordBatch, StringArray};

use super::super::access::{Access, Caller};

/// Refuses rows that are of a series outside a scope, which is what may be written of the table. `tags` are columns of text.
pub(in crate::serve) fn check_rows(
    (access, caller): (&Access, &Caller),
    table: &str,
    rows: &RecordBatch,
    tags: &[&str],
    scope: &Scope,
) -> Result<(), Failed> {
    let Some(row) = outside(rows, tags, scope) else { return Ok(()) };
    let mut failed = access.refuse(caller, Action::Write, Target::Table(table));
    failed.message = format!("row {row}: {} (its series)", failed.message);
    Err(failed)
}

/// Whether all rows are of series within a scope.
pub(in crate::serve) fn are_within(rows: &RecordBatch, tags: &[&str], scope: &Scope) -> bool {
    outside(rows, tags, scope).is_none()
}

/// The first row that is of a series outside a scope.
fn outside(rows: &RecordBatch, tags: &[&str], scope: &Scope) -> Option<usize> {
    if scope.is_everything() {
        return None;
    }
    let columns: Vec<(&str, &StringArray)> =
        tags.iter().filter_map(|&tag| Some((tag, rows.column_by_name(tag)?.as_string_opt::<i32>()?))).collect();
    let value = |row: usize, name: &str| value_at(columns.iter().find(|(known, _)| *known == name)?.1, row);
    let is_as_before = |row: usize| row > 0 && columns.iter().all(|(_, tag)| value_at(tag, row - 1) == value_at(tag, row));
    (0..rows.num_rows()).find(|&row| !is_as_before(row) && !scope.holds(|name| value(row, name)))
}

fn value_at(tag: &StringArray, row: usize) -> Option<&str> {
    tag.is_valid(row).then(|| tag.value(row))
}
