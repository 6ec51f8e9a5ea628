//! How a database stands, for programs and for notebooks.

use std::path::Path;

use alluvium::{Status, TableStatus};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::html;

/// As dictionaries of numbers.
pub(crate) fn told<'py>(py: Python<'py>, status: &Status) -> PyResult<Bound<'py, PyDict>> {
    let (all, tables) = (PyDict::new(py), PyDict::new(py));
    for table in &status.tables {
        tables.set_item(&table.name, told_table(py, table)?)?;
    }
    all.set_item("tables", tables)?;
    all.set_item("bytes_used", status.bytes_used)?;
    all.set_item("log_bytes", status.log_bytes)?;
    all.set_item("memtable_bytes", status.memtable_bytes)?;
    all.set_item("catalog_bytes", status.catalog_bytes)?;
    all.set_item("bytes_written", status.bytes_written)?;
    all.set_item("bytes_allowed", status.bytes_allowed)?;
    all.set_item("free_bytes", status.free_bytes)?;
    all.set_item("has_room", status.has_room)?;
    Ok(all)
}

fn told_table<'py>(py: Python<'py>, table: &TableStatus) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(py);
    told.set_item("rows", table.rows)?;
    told.set_item("unsealed_rows", table.unsealed_rows)?;
    told.set_item("series", table.series)?;
    told.set_item("segments", table.segments)?;
    told.set_item("bytes_on_disk", table.bytes_on_disk)?;
    Ok(told)
}

/// As HTML.
pub(crate) fn shown(path: &Path, status: &Status) -> String {
    let row = |table: &TableStatus| {
        let numbers = [table.rows, table.series, table.segments, table.bytes_on_disk];
        let mut cells = vec![html::escaped(&table.name)];
        cells.extend(numbers.map(|number| number.to_string()));
        cells
    };
    let rows: Vec<_> = status.tables.iter().map(row).collect();
    let heads = ["table", "rows", "series", "segments", "bytes"].map(str::to_owned);
    let path = html::escaped(&path.display().to_string());
    format!("<p>Alluvium database in {path}, {} bytes</p>{}", status.bytes_used, html::table(&heads, &rows))
}
