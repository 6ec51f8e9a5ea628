//! Whether a document satisfies a condition.

use std::ops::{Bound, RangeBounds};

use serde_json::Value;

use super::spec::Condition;
use crate::document::ordered::{self, Span};
use crate::document::path::Path;

impl Condition {
    /// Whether a document satisfies it.
    pub(super) fn holds(&self, content: &Value) -> bool {
        match self {
            Condition::Within(path, spans) => {
                let form = ordered::encoded(path.find(content));
                spans.iter().any(|span| contains(span, &form))
            }
            Condition::And(all) => all.iter().all(|condition| condition.holds(content)),
            Condition::Or(any) => any.iter().any(|condition| condition.holds(content)),
            Condition::Not(condition) => !condition.holds(content),
        }
    }

    /// In which spans the value at a path has to lie; `None` where it may be anything.
    pub(super) fn spans(&self, path: &Path) -> Option<Vec<Span>> {
        match self {
            Condition::Within(at, spans) if at == path => Some(spans.clone()),
            Condition::And(all) => all.iter().filter_map(|condition| condition.spans(path)).reduce(|a, b| intersection(&a, &b)),
            _ => None,
        }
    }
}

fn contains((start, end): &Span, form: &[u8]) -> bool {
    let range = (start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice));
    RangeBounds::<[u8]>::contains(&range as &(Bound<&[u8]>, Bound<&[u8]>), form)
}

/// The only form that lies in a span, if there is just one.
pub(super) fn point(span: &Span) -> Option<&[u8]> {
    match span {
        (Bound::Included(start), Bound::Included(end)) if start == end => Some(start),
        _ => None,
    }
}

/// What lies in a span of each.
fn intersection(a: &[Span], b: &[Span]) -> Vec<Span> {
    let both = |a: &Span, b: &Span| -> Option<Span> {
        let start = if order_of_start(&a.0) >= order_of_start(&b.0) { a.0.clone() } else { b.0.clone() };
        let end = if order_of_end(&a.1) <= order_of_end(&b.1) { a.1.clone() } else { b.1.clone() };
        is_possible(&start, &end).then_some((start, end))
    };
    a.iter().flat_map(|a| b.iter().filter_map(move |b| both(a, b))).collect()
}

fn order_of_start(bound: &Bound<Vec<u8>>) -> (u8, &[u8], u8) {
    match bound {
        Bound::Unbounded => (0, &[], 0),
        Bound::Included(bytes) => (1, bytes, 0),
        Bound::Excluded(bytes) => (1, bytes, 1),
    }
}

fn order_of_end(bound: &Bound<Vec<u8>>) -> (u8, &[u8], u8) {
    match bound {
        Bound::Excluded(bytes) => (0, bytes, 0),
        Bound::Included(bytes) => (0, bytes, 1),
        Bound::Unbounded => (1, &[], 0),
    }
}

fn is_possible(start: &Bound<Vec<u8>>, end: &Bound<Vec<u8>>) -> bool {
    match (start, end) {
        (Bound::Included(start), Bound::Included(end)) => start <= end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start < end,
        _ => true,
    }
}
