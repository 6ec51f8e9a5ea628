//! What notebooks show.

use std::fmt::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::cell;

/// Rows shown at most.
pub(crate) const ROWS: usize = 10;

/// The first rows, with how many more there are at least.
pub(crate) fn rows(py: Python<'_>, schema: &SchemaRef, batches: &[RecordBatch], most: usize) -> PyResult<String> {
    let heads: Vec<_> = schema.fields().iter().map(|field| escaped(field.name())).collect();
    let (mut body, mut left) = (Vec::new(), most);
    for batch in batches {
        let shown = batch.slice(0, batch.num_rows().min(left));
        let columns: Vec<_> = shown.columns().iter().map(|column| cell::column(py, column)).collect::<PyResult<_>>()?;
        for row in 0..shown.num_rows() {
            body.push(columns.iter().map(|column| shown_cell(column, row)).collect::<PyResult<_>>()?);
        }
        left -= shown.num_rows();
    }
    let all: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let more = if all > body.len() { "<p>… and more</p>" } else { "" };
    Ok(format!("{}{more}", table(&heads, &body)))
}

fn shown_cell(column: &Bound<'_, PyList>, row: usize) -> PyResult<String> {
    let value = column.get_item(row)?;
    Ok(if value.is_none() { String::new() } else { escaped(&value.str()?.to_string()) })
}

/// A table of texts that are HTML already.
pub(crate) fn table(heads: &[String], rows: &[Vec<String>]) -> String {
    let mut html = String::from("<table><thead><tr>");
    // Writing to a string does not fail.
    for head in heads {
        let _ = write!(html, "<th>{head}</th>");
    }
    html.push_str("</tr></thead><tbody>");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            let _ = write!(html, "<td>{cell}</td>");
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>");
    html
}

/// A text as HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
