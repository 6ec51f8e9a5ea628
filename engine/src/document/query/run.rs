//! Answering a query.

use std::collections::HashSet;
use std::ops::Bound;

use super::cursor::Place;
use super::plan::{self, Plan, Way};
use super::spec::{DocumentQuery, Where};
use crate::catalog::{KeyRange, Stored};
use crate::document::definition::Definition;
use crate::document::form::{Document, Form};
use crate::document::{index, key, store};
use crate::error::{Error, Result};
use crate::keyspace::{Direction, Transaction};
use crate::model::Sequence;
use crate::record::Key;

/// Some documents of an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The documents, in the order that was asked for.
    pub documents: Vec<Document>,
    /// What [`DocumentQuery::after`] takes to go on; `None` at the end.
    pub cursor: Option<String>,
    /// Documents that were looked at.
    pub examined: u64,
}

/// Answers a query.
pub(in crate::document) fn run(transaction: &Transaction, of: &Definition, query: &DocumentQuery) -> Result<Page> {
    let plan = plan::plan(of, query)?;
    let after = Place::decode(query)?;
    match plan.in_order() {
        Some(way) => in_order(transaction, of, query, way, after.as_ref()),
        None => sorted(transaction, of, query, &plan, after.as_ref()),
    }
}

/// How many documents satisfy a condition.
pub(in crate::document) fn count(transaction: &Transaction, of: &Definition, filter: &Where) -> Result<u64> {
    let query = DocumentQuery::new().filter(filter.clone());
    let plan = plan::plan(of, &query)?;
    let mut count = 0;
    candidates(transaction, of, &plan, &mut |_, _, form| {
        count += u64::from(query.filter.holds(&form.content()?));
        Ok(true)
    })?;
    Ok(count)
}

/// The documents come as they are asked for: no more are read than there are in the page.
fn in_order(
    transaction: &Transaction,
    of: &Definition,
    query: &DocumentQuery,
    (way, direction): (&Way, Direction),
    after: Option<&Place>,
) -> Result<Page> {
    let mut page = Page::default();
    let mut last = None;
    let ranges = after.map_or_else(|| way.ranges.clone(), |after| rest(way, direction, after));
    visit(transaction, of, (way.index, &ranges), direction, &mut |id, sequence, form| {
        if page.documents.len() == query.limit {
            page.cursor = last.take();
            return Ok(false);
        }
        page.examined += 1;
        let document = form.document(id, sequence, transaction.at())?;
        if query.filter.holds(&document.content) {
            last = Some(Place::of(query, id, &document.content).encode());
            page.documents.push(document);
        }
        Ok(true)
    })?;
    Ok(page)
}

/// What of a way lies behind a place.
fn rest(way: &Way, direction: Direction, after: &Place) -> Vec<KeyRange> {
    let parts = [&*way.beginning, &after.values.concat(), after.id.as_bytes()];
    let place: Key = parts.concat().into();
    let cut = |(start, end): &KeyRange| match direction {
        Direction::Forward if !is_behind(start, &place) => (Bound::Excluded(place.clone()), end.clone()),
        Direction::Backward if !is_before(end, &place) => (start.clone(), Bound::Excluded(place.clone())),
        _ => (start.clone(), end.clone()),
    };
    let is_possible = |(start, end): &KeyRange| match (start, end) {
        (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end)) => start < end,
        _ => true,
    };
    way.ranges.iter().map(cut).filter(is_possible).collect()
}

/// Whether a range begins behind a key.
fn is_behind(start: &Bound<Key>, key: &Key) -> bool {
    matches!(start, Bound::Included(start) | Bound::Excluded(start) if start > key)
}

/// Whether a range ends before a key, or at it.
fn is_before(end: &Bound<Key>, key: &Key) -> bool {
    matches!(end, Bound::Excluded(end) if end <= key)
}

/// All candidates are looked at, and the first of those that fit are kept.
fn sorted(transaction: &Transaction, of: &Definition, query: &DocumentQuery, plan: &Plan, after: Option<&Place>) -> Result<Page> {
    let mut page = Page::default();
    let mut found: Vec<(Place, Document)> = Vec::new();
    let keep = query.limit + 1;
    candidates(transaction, of, plan, &mut |id, sequence, form| {
        page.examined += 1;
        let document = form.document(id, sequence, transaction.at())?;
        let place = Place::of(query, id, &document.content);
        if query.filter.holds(&document.content) && after.is_none_or(|after| place.compare(after, query).is_gt()) {
            found.push((place, document));
        }
        if found.len() >= 2 * keep {
            found.sort_by(|(a, _), (b, _)| a.compare(b, query));
            found.truncate(keep);
        }
        Ok(true)
    })?;
    found.sort_by(|(a, _), (b, _)| a.compare(b, query));
    if found.len() > query.limit {
        found.truncate(query.limit);
        page.cursor = found.last().map(|(place, _)| place.encode());
    }
    page.documents = found.into_iter().map(|(_, document)| document).collect();
    Ok(page)
}

/// What is told of each document; answers whether to go on.
type Visitor<'v> = &'v mut dyn FnMut(&str, Sequence, Form<'_>) -> Result<bool>;

/// Every document that is on one of the ways of a plan, once.
fn candidates(transaction: &Transaction, of: &Definition, plan: &Plan, tell: Visitor<'_>) -> Result<()> {
    let mut seen = HashSet::new();
    for way in &plan.ways {
        let mut once = |id: &str, sequence: Sequence, form: Form<'_>| {
            let new = plan.ways.len() == 1 || seen.insert(id.to_owned());
            if new { tell(id, sequence, form) } else { Ok(true) }
        };
        visit(transaction, of, (way.index, &way.ranges), Direction::Forward, &mut once)?;
    }
    Ok(())
}

/// The documents for readers in some ranges of an index, or of the documents themselves.
fn visit(
    transaction: &Transaction,
    of: &Definition,
    (index, ranges): (Option<u32>, &[KeyRange]),
    direction: Direction,
    tell: Visitor<'_>,
) -> Result<()> {
    let index = index.and_then(|number| of.index(number));
    let mut tell_if_live = |id: &str, (sequence, cell): &Stored| {
        let form = Form::decode(cell)?;
        if form.is_live(transaction.at()) { tell(id, *sequence, form) } else { Ok(true) }
    };
    let mut visit_range = |range: &KeyRange| {
        for cell in transaction.scan(range.clone(), direction)? {
            let (key, stored) = cell?;
            let goes_on = match index {
                None => tell_if_live(key::document_id(&key)?, &stored)?,
                Some(index) => {
                    let id = index::id_of(index, &key)?;
                    match store::cell(transaction, of, id)? {
                        Some(stored) => tell_if_live(id, &stored)?,
                        None => true,
                    }
                }
            };
            if !goes_on {
                return Ok::<_, Error>(false);
            }
        }
        Ok(true)
    };
    match direction {
        Direction::Forward => ranges.iter().try_fold(true, |on, range| if on { visit_range(range) } else { Ok(false) }),
        Direction::Backward => ranges.iter().rev().try_fold(true, |on, range| if on { visit_range(range) } else { Ok(false) }),
    }
    .map(drop)
}
