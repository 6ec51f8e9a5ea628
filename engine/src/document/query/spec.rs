//! What can be asked.

use std::ops::{Bound, RangeBounds};

use serde_json::Value;

use crate::document::ordered::{self, Span};
use crate::document::path::Path;
use crate::error::{Error, Result};
use crate::keyspace::Direction;

/// A condition on documents. Values are compared within their kind: numbers by size, texts by their bytes, false before true.
/// Arrays and objects are equal to nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Where(pub(super) Condition);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    /// The value at a path lies in one of these, which are sorted and apart.
    Within(Path, Vec<Span>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
}

impl Where {
    /// Everything.
    pub fn all() -> Self {
        Where(Condition::And(Vec::new()))
    }

    /// The value at a path is this one; null also stands for one that is missing.
    pub fn equal(path: &str, value: impl Into<Value>) -> Result<Self> {
        Self::any_of(path, [value.into()])
    }

    /// The value at a path is one of these.
    pub fn any_of(path: &str, values: impl IntoIterator<Item = Value>) -> Result<Self> {
        let mut spans = Vec::new();
        for value in values {
            if value.is_array() || value.is_object() {
                return Err(Error::invalid(format!("{path:?} cannot be compared with {value}: compare the values in it")));
            }
            spans.push(ordered::equal(Some(&value)));
            if value.is_null() {
                spans.push(ordered::equal(None));
            }
        }
        spans.sort_by(|a, b| start(a).cmp(start(b)));
        spans.dedup();
        Ok(Where(Condition::Within(Path::parse(path)?, spans)))
    }

    /// The value at a path lies within a range of numbers, of texts, or of false and true.
    ///
    /// ```
    /// # use alluvium::Where;
    /// # use serde_json::json;
    /// Where::range("kw", json!(1.5)..=json!(3))?;
    /// Where::range("serial", json!("B")..)?;
    /// # Ok::<(), alluvium::Error>(())
    /// ```
    pub fn range(path: &str, range: impl RangeBounds<Value>) -> Result<Self> {
        let (start, end) = (range.start_bound().cloned(), range.end_bound().cloned());
        let odd = || Error::invalid(format!("a range for {path:?} goes from one number to another, or from text to text"));
        let span = ordered::between(&start, &end).ok_or_else(odd)?;
        Ok(Where(Condition::Within(Path::parse(path)?, vec![span])))
    }

    /// The value at a path is a text that begins so.
    pub fn begins(path: &str, beginning: &str) -> Result<Self> {
        Ok(Where(Condition::Within(Path::parse(path)?, vec![ordered::beginning(beginning)])))
    }

    /// There is a value at a path, be it null.
    pub fn exists(path: &str) -> Result<Self> {
        Ok(Where(Condition::Within(Path::parse(path)?, vec![ordered::present()])))
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Where) -> Self {
        let mut all = match self.0 {
            Condition::And(all) => all,
            one => vec![one],
        };
        match other.0 {
            Condition::And(more) => all.extend(more),
            one => all.push(one),
        }
        Where(Condition::And(all))
    }

    /// One, or both.
    #[must_use]
    pub fn or(self, other: Where) -> Self {
        let mut any = match self.0 {
            Condition::Or(any) => any,
            one => vec![one],
        };
        match other.0 {
            Condition::Or(more) => any.extend(more),
            one => any.push(one),
        }
        Where(Condition::Or(any))
    }

    /// Everything else.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "beside `and` and `or`")]
    pub fn not(self) -> Self {
        Where(Condition::Not(Box::new(self.0)))
    }
}

pub(super) fn start(span: &Span) -> &[u8] {
    match &span.0 {
        Bound::Included(bytes) | Bound::Excluded(bytes) => bytes,
        Bound::Unbounded => &[],
    }
}

/// Which documents of a collection, in which order.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentQuery {
    pub(super) filter: Condition,
    pub(super) order: Vec<(Path, Direction)>,
    /// Of ids, where all else is equal.
    pub(super) last: Direction,
    pub(super) limit: usize,
    pub(super) after: Option<String>,
}

/// Documents in an answer, unless the query says otherwise.
const LIMIT: usize = 1_000;
/// Documents in an answer, at most: they are in memory together.
const MOST: usize = 100_000;

impl Default for DocumentQuery {
    fn default() -> Self {
        DocumentQuery { filter: Where::all().0, order: Vec::new(), last: Direction::Forward, limit: LIMIT, after: None }
    }
}

impl DocumentQuery {
    /// All documents, by id, the first thousand of them.
    pub fn new() -> Self {
        DocumentQuery::default()
    }

    /// Only those that satisfy this too.
    #[must_use]
    pub fn filter(self, filter: Where) -> Self {
        DocumentQuery { filter: Where(self.filter).and(filter).0, ..self }
    }

    /// By the value at a path, smallest first; where that is equal by the next one that is asked for, and in the end by id.
    /// Missing values come first, then null, false, true, numbers, texts, and arrays and objects.
    pub fn ascending(self, path: &str) -> Result<Self> {
        self.ordered(path, Direction::Forward)
    }

    /// The same, largest first.
    pub fn descending(self, path: &str) -> Result<Self> {
        self.ordered(path, Direction::Backward)
    }

    fn ordered(mut self, path: &str, direction: Direction) -> Result<Self> {
        self.order.push((Path::parse(path)?, direction));
        self.last = direction;
        Ok(self)
    }

    /// At most so many documents, and at most 100,000. [`Page::cursor`](crate::Page::cursor) says where to go on.
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        DocumentQuery { limit: limit.min(MOST), ..self }
    }

    /// Only what comes behind the page that gave this cursor.
    #[must_use]
    pub fn after(self, cursor: &str) -> Self {
        DocumentQuery { after: Some(cursor.to_owned()), ..self }
    }
}
