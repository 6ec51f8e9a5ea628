//! Which rows of which source a stretch of a merge takes.

use std::ops::Range;

use super::plan::RowRef;
use crate::model::Column;

/// The rows of one source that a stretch of the result needs, and their values.
pub(super) struct Needed {
    pub(super) source: u32,
    pub(super) rows: Range<usize>,
    pub(super) values: Column,
}

/// Per source, the span of rows that the parts touch.
pub(super) fn needed_rows(parts: &[RowRef]) -> Vec<Needed> {
    let mut spans: Vec<Option<Range<usize>>> = Vec::new();
    for part in parts {
        let source = part.source as usize;
        if source >= spans.len() {
            spans.resize(source + 1, None);
        }
        let row = part.row as usize;
        match &mut spans[source] {
            Some(span) => *span = span.start.min(row)..span.end.max(row + 1),
            span => *span = Some(row..row + 1),
        }
    }
    let present = spans.into_iter().enumerate().filter_map(|(source, rows)| rows.map(|rows| (source, rows)));
    present.map(|(source, rows)| Needed { source: source as u32, rows, values: None }).collect()
}
