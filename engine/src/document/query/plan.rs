//! Which way to the documents is the shortest.

use std::fmt;
use std::ops::Bound;

use super::filter::point;
use super::spec::{Condition, DocumentQuery};
use crate::catalog::KeyRange;
use crate::document::definition::{Definition, Index};
use crate::document::key;
use crate::document::ordered::Span;
use crate::document::path::Path;
use crate::error::Result;
use crate::keyspace::{Direction, prefix};
use crate::record::Key;

/// Combinations of values for which an index is looked up one by one.
const MOST_COMBINATIONS: usize = 1_024;

/// How a query is answered: [`Display`](fmt::Display) tells people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The indexes that are read, each for one part of an `or`; none if all documents are read.
    pub indexes: Vec<String>,
    /// Whether the documents come in the order that is asked for; if not, they are sorted in memory.
    pub is_ordered: bool,
    pub(super) ways: Vec<Way>,
}

/// One way to documents that may satisfy a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// The number of the index; `None` for the documents themselves.
    pub(super) index: Option<u32>,
    /// What to read, in ascending order and apart.
    pub(super) ranges: Vec<KeyRange>,
    /// Read in this direction, the ranges come in the order that is asked for. Then every key is the beginning, the values
    /// of that order, and the id.
    pub(super) ordered: Option<Direction>,
    pub(super) beginning: Key,
    /// Columns with one value each, and whether the next one has a range: what makes a way short.
    score: (usize, bool),
    told: String,
}

/// The shortest way to the answer of a query.
pub(in crate::document) fn plan(of: &Definition, query: &DocumentQuery) -> Result<Plan> {
    let ways = ways(of, query, &query.filter);
    // Only one way can be in order.
    let is_ordered = matches!(&ways[..], [way] if way.ordered.is_some());
    let indexes = ways.iter().filter_map(|way| Some(of.index(way.index?)?.name.clone())).collect();
    Ok(Plan { indexes, is_ordered, ways })
}

impl Plan {
    /// The only way, and the direction in which it is read, where the documents come in order.
    pub(super) fn in_order(&self) -> Option<(&Way, Direction)> {
        let way = self.ways.first().filter(|_| self.is_ordered)?;
        Some((way, way.ordered?))
    }
}

fn ways(of: &Definition, query: &DocumentQuery, filter: &Condition) -> Vec<Way> {
    let indexed = of.indexes.iter().filter(|index| index.is_built).filter_map(|index| by_index(of, query, filter, index));
    let best = indexed.max_by_key(|way| (way.score, way.ordered.is_some())).filter(|way| is_worth_it(way, query));
    match (best, alternatives(filter)) {
        (Some(way), _) if way.score > (0, false) => vec![way],
        // Each part of an `or` has a way of its own, or none helps.
        (best, Some(parts)) => {
            let each: Vec<_> = parts.iter().flat_map(|part| ways(of, query, part)).collect();
            let all_short = each.iter().all(|way| way.index.is_some() && way.score > (0, false));
            if all_short { each } else { vec![best.unwrap_or_else(|| by_id(of, query))] }
        }
        (best, None) => vec![best.unwrap_or_else(|| by_id(of, query))],
    }
}

/// The parts of an `or` that has to hold.
fn alternatives(filter: &Condition) -> Option<&[Condition]> {
    match filter {
        Condition::Or(any) => Some(any),
        Condition::And(all) => all.iter().find_map(alternatives),
        _ => None,
    }
}

/// An index that narrows nothing down is still worth it for an order that ids do not have.
fn is_worth_it(way: &Way, query: &DocumentQuery) -> bool {
    way.score > (0, false) || (way.ordered.is_some() && !query.order.is_empty())
}

fn by_id(of: &Definition, query: &DocumentQuery) -> Way {
    let ordered = query.order.is_empty().then_some(query.last);
    let beginning = key::document(of.number, "");
    Way { index: None, ranges: vec![prefix(&beginning)], ordered, beginning, score: (0, false), told: String::new() }
}

fn by_index(of: &Definition, query: &DocumentQuery, filter: &Condition, index: &Index) -> Option<Way> {
    let (mut beginnings, mut points) = (vec![Vec::new()], 0);
    let mut last: Option<Vec<Span>> = None;
    for path in &index.paths {
        let Some(spans) = filter.spans(path) else { break };
        let values: Option<Vec<&[u8]>> = spans.iter().map(point).collect();
        match values {
            Some(values) if values.len() * beginnings.len() <= MOST_COMBINATIONS => {
                let longer = |beginning: &Vec<u8>| values.iter().map(|value| [beginning, *value].concat()).collect::<Vec<_>>();
                beginnings = beginnings.iter().flat_map(longer).collect();
                points += 1;
            }
            _ => {
                last = Some(spans);
                break;
            }
        }
    }
    beginnings.sort();
    beginnings.dedup();
    let (whole, is_one) = (vec![(Bound::Unbounded, Bound::Unbounded)], beginnings.len() <= 1);
    let spans = last.as_ref().unwrap_or(&whole);
    let range = |beginning: &Vec<u8>, span: &Span| range(&key::index(of.number, index.number, beginning), span);
    let ranges = beginnings.iter().flat_map(|beginning| spans.iter().map(|span| range(beginning, span))).collect();
    let ordered = if is_one { order(query, &index.paths[points..]) } else { None };
    let score = (points, last.is_some());
    let told = format!("{} of {} values given{}", points, index.paths.len(), if last.is_some() { ", and a range" } else { "" });
    let beginning = key::index(of.number, index.number, beginnings.first().map_or(&[], Vec::as_slice));
    Some(Way { index: Some(index.number), ranges, ordered, beginning, score, told })
}

/// In which direction these columns, and then ids, come in the order that is asked for.
fn order(query: &DocumentQuery, columns: &[Path]) -> Option<Direction> {
    let asked = query.order.iter().map(|(path, _)| path);
    let same_columns = asked.eq(columns);
    let one_direction = query.order.iter().all(|(_, direction)| *direction == query.last);
    (same_columns && one_direction).then_some(query.last)
}

/// The keys with a beginning, and behind it something in a span.
fn range(beginning: &Key, (start, end): &Span) -> KeyRange {
    let with = |bytes: &[u8]| -> Key { beginning.iter().chain(bytes).copied().collect() };
    let (first, behind) = prefix(beginning);
    // Behind the value in the span comes more: the rest of the columns and the id.
    let start = match start {
        Bound::Included(bytes) => Bound::Included(with(bytes)),
        Bound::Excluded(bytes) => match prefix(&with(bytes)).1 {
            Bound::Excluded(after) => Bound::Included(after),
            other => other,
        },
        Bound::Unbounded => first,
    };
    let end = match end {
        Bound::Included(bytes) => prefix(&with(bytes)).1,
        Bound::Excluded(bytes) => Bound::Excluded(with(bytes)),
        Bound::Unbounded => behind,
    };
    (start, end)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = if self.is_ordered { "in order" } else { "sorted in memory" };
        if self.indexes.is_empty() {
            return write!(f, "all documents, {order}");
        }
        for (name, way) in self.indexes.iter().zip(&self.ways) {
            write!(f, "index {name:?} ({}), ", way.told)?;
        }
        f.write_str(order)
    }
}
