//! Filters, compiled against a table: tags are judged once per series, fields by columns.

use arrow::array::{Array, ArrayRef, BooleanArray};

use super::compare::Test;
use super::literal::coerce;
use super::{Comparison, Filter};
use crate::error::{Error, Result};
use crate::model::{Block, FieldStatistics, FieldType, TableSchema, Value};

/// The filters of a query.
#[derive(Debug, Clone)]
pub(crate) struct Filters {
    /// Those on tags.
    pub(crate) tags: TagFilter,
    /// Those on fields.
    pub(crate) fields: FieldFilter,
}

impl Filters {
    /// Compiles filters. Unknown columns, comparisons that tags do not know and literals that cannot be of the column's
    /// type are refused.
    pub(crate) fn new(filters: &[Filter], schema: &TableSchema) -> Result<Self> {
        let mut compiled = Filters { tags: TagFilter::default(), fields: FieldFilter::default() };
        for filter in filters {
            let single = !matches!(filter.comparison, Comparison::In);
            if single && filter.values.len() != 1 {
                return Err(Error::invalid(format_args!(
                    "a comparison with {:?} takes one value, not {}",
                    filter.column,
                    filter.values.len()
                )));
            }
            if let Some(position) = schema.tag_position(&filter.column) {
                compiled.tags.predicates.push(TagPredicate { position, test: tag_test(filter)? });
            } else if let Some(position) = schema.field_position(&filter.column) {
                let kind = schema.fields[position].kind;
                let literals = field_literals(filter, kind)?;
                let test = Test::new(kind, filter.comparison, &literals)
                    .ok_or_else(|| Error::Internal(format!("literals of {kind}")))?;
                compiled.fields.predicates.push(FieldPredicate { position, test });
            } else {
                return Err(Error::NoSuchColumn {
                    table: schema.name.clone(),
                    what: "column",
                    name: filter.column.clone(),
                    known: schema.column_names(),
                });
            }
        }
        Ok(compiled)
    }
}

fn tag_test(filter: &Filter) -> Result<TagTest> {
    let mut values = Vec::with_capacity(filter.values.len());
    for value in &filter.values {
        match value {
            Value::Utf8(text) => values.push(text.clone()),
            other => return Err(unfit(&filter.column, other, "text (it is a tag)")),
        }
    }
    values.sort_unstable();
    values.dedup();
    match filter.comparison {
        Comparison::Equal | Comparison::In => Ok(TagTest::OneOf(values)),
        Comparison::NotEqual => Ok(TagTest::NoneOf(values)),
        _ => Err(Error::invalid(format_args!("{:?} is a tag: compare it with =, != or in", filter.column))),
    }
}

fn field_literals(filter: &Filter, kind: FieldType) -> Result<Vec<Value>> {
    let literal = |value| coerce(value, kind).ok_or_else(|| unfit(&filter.column, value, &kind.to_string()));
    filter.values.iter().map(literal).collect()
}

fn unfit(column: &str, value: &Value, kind: &str) -> Error {
    let shown = match value {
        Value::Float64(v) => v.to_string(),
        Value::Float32(v) => v.to_string(),
        Value::Int64(v) => v.to_string(),
        Value::UInt64(v) => v.to_string(),
        Value::Bool(v) => v.to_string(),
        Value::Utf8(v) => format!("{v:?}"),
        Value::Binary(v) => format!("{} bytes", v.len()),
        Value::Decimal(v) => format!("the unscaled decimal {v}"),
    };
    Error::invalid(format_args!("column {column:?} is {kind}: {shown} cannot be compared with it"))
}

/// Conditions on tags; all must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct TagFilter {
    predicates: Vec<TagPredicate>,
}

impl TagFilter {
    /// Whether every series passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.predicates.is_empty()
    }

    /// The conditions one by one, for looking at tag after tag.
    pub(crate) fn predicates(&self) -> &[TagPredicate] {
        &self.predicates
    }

    /// Whether a series passes.
    #[cfg(test)]
    pub(crate) fn matches(&self, key: &crate::model::SeriesKey) -> bool {
        self.predicates.iter().all(|predicate| predicate.matches(key.tag(predicate.position)))
    }
}

/// A condition on one tag.
#[derive(Debug, Clone)]
pub(crate) struct TagPredicate {
    position: usize,
    test: TagTest,
}

/// The values are sorted.
#[derive(Debug, Clone)]
enum TagTest {
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
}

impl TagPredicate {
    /// The position of the tag in the table.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The only values that pass, sorted, where they are listed (`=`, `in`).
    pub(crate) fn wanted(&self) -> Option<&[String]> {
        match &self.test {
            TagTest::OneOf(values) => Some(values),
            TagTest::NoneOf(_) => None,
        }
    }

    /// Whether a value of the tag passes. A missing one equals nothing.
    pub(crate) fn matches(&self, value: Option<&str>) -> bool {
        let listed = |values: &[String]| value.is_some_and(|value| values.binary_search_by(|v| v.as_str().cmp(value)).is_ok());
        match &self.test {
            TagTest::OneOf(values) => listed(values),
            TagTest::NoneOf(values) => !listed(values),
        }
    }
}

/// Conditions on fields; all must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldFilter {
    predicates: Vec<FieldPredicate>,
}

#[derive(Debug, Clone)]
struct FieldPredicate {
    position: usize,
    test: Test,
}

impl FieldFilter {
    /// Whether every row passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.predicates.is_empty()
    }

    /// Positions of the fields looked at, rising.
    pub(crate) fn fields(&self) -> Vec<usize> {
        let mut positions: Vec<_> = self.predicates.iter().map(|predicate| predicate.position).collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    /// Which rows pass; `None` where there are no conditions. The mask has no nulls: a missing value passes none.
    pub(crate) fn mask(&self, block: &Block) -> Result<Option<BooleanArray>> {
        let mut mask = None;
        for predicate in &self.predicates {
            let passed = match block.column(predicate.position) {
                Some(column) => predicate.mask(column)?,
                None => arrow::buffer::BooleanBuffer::new_unset(block.rows()),
            };
            mask = Some(match mask {
                Some(sofar) => &sofar & &passed,
                None => passed,
            });
        }
        Ok(mask.map(|bits| BooleanArray::new(bits, None)))
    }

    /// Whether a row whose field at `position` has these statistics could pass; what other fields hold is not asked.
    pub(crate) fn may_match(&self, position: usize, statistics: &FieldStatistics) -> bool {
        self.on(position).all(|predicate| predicate.test.may_match(statistics))
    }

    /// Whether all of `rows` rows, whose field at `position` has these statistics, surely pass the conditions on it.
    pub(crate) fn must_match(&self, position: usize, statistics: &FieldStatistics, rows: u64) -> bool {
        self.on(position).all(|predicate| statistics.count == rows && predicate.test.must_match(statistics))
    }

    fn on(&self, position: usize) -> impl Iterator<Item = &FieldPredicate> {
        self.predicates.iter().filter(move |predicate| predicate.position == position)
    }
}

impl FieldPredicate {
    fn mask(&self, column: &ArrayRef) -> Result<arrow::buffer::BooleanBuffer> {
        let passed = self
            .test
            .mask(column)
            .ok_or_else(|| Error::Internal(format!("field {} came as {} to be compared", self.position, column.data_type())))?;
        Ok(match column.nulls() {
            Some(nulls) if nulls.null_count() > 0 => &passed & nulls.inner(),
            _ => passed,
        })
    }
}

#[cfg(test)]
mod tests;
