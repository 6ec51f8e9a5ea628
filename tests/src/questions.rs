//! Queries, and what the model answers to them.

use std::collections::BTreeMap;

use alluvium::{Aggregate, Comparison, Database, FieldType, Filter, Order, Query, Result, TimeRange, Value, Window};
use fastrand::Rng;

use crate::answers;
use crate::model::{Cell, Key, Model, Row, Table};

/// A query about one table.
#[derive(Debug, Clone)]
pub struct Question {
    table: String,
    range: TimeRange,
    /// A tag by position, whether it must be equal or not, and the value.
    tag: Option<(usize, bool, String)>,
    /// An int64 field by position, and the least value.
    at_least: Option<(usize, i64)>,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Rows(Order, Option<usize>),
    Last,
    Aggregate { field: usize, function: Aggregate, window: Option<i64>, by: Vec<usize> },
}

impl Question {
    /// A question that makes sense to a model whose writers have come to about a time, in seconds.
    pub fn random(rng: &mut Rng, model: &Model, now: i64) -> Question {
        let (name, table) = model.tables.iter().nth(rng.usize(0..model.tables.len())).expect("a table");
        let per_second = table.time_unit.per_second();
        let range = match rng.u8(0..4) {
            0 => TimeRange::ALL,
            _ => {
                let start = (now - rng.i64(0..6_000)) * per_second;
                TimeRange::new(start, start + rng.i64(1..2_000) * per_second)
            }
        };
        let tags = table.columns.tags.len();
        let tag = (tags > 0 && rng.u8(0..3) == 0).then(|| {
            let position = rng.usize(0..tags);
            let there = table.place(rng.usize(0..table.len().max(1))).and_then(|(key, _)| key[position].clone());
            (position, rng.u8(0..3) > 0, there.unwrap_or_else(|| "dev-3".to_owned()))
        });
        let integer = table.columns.fields.iter().position(|(_, kind)| *kind == FieldType::Int64);
        let at_least = integer.filter(|_| rng.u8(0..4) == 0).map(|position| (position, rng.i64(0..1_000)));
        let what = match rng.u8(0..6) {
            0..=2 => What::Rows(
                [Order::Series, Order::TimeAscending, Order::TimeDescending][rng.usize(0..3)],
                rng.bool().then(|| rng.usize(1..500)),
            ),
            3 => What::Last,
            _ => aggregate(rng, table, per_second),
        };
        Question { table: name.clone(), range, tag, at_least, what }
    }

    /// What the database answers.
    pub fn ask(&self, db: &Database) -> Result<Vec<Row>> {
        let schema = db.table(&self.table)?;
        let mut query = Query::table(&self.table).range(self.range);
        if let Some((position, equal, value)) = &self.tag {
            let comparison = if *equal { Comparison::Equal } else { Comparison::NotEqual };
            query = query.filter(Filter::new(&schema.tags[*position].name, comparison, value.as_str()));
        }
        if let Some((position, least)) = self.at_least {
            let name = &schema.fields[position].name;
            query = query.filter(Filter::new(name, Comparison::GreaterOrEqual, Value::Int64(least)));
        }
        let mut tags = schema.tags.len();
        match &self.what {
            What::Rows(order, limit) => {
                query = query.order(*order);
                query.limit = limit.map(|limit| limit as u64);
            }
            What::Last => query = query.last(),
            What::Aggregate { field, function, window, by } => {
                query = query.field(&schema.fields[*field].name).aggregate([*function]);
                if let Some(micros) = window {
                    query = query.every(Window::Fixed { micros: *micros });
                }
                for tag in by {
                    query = query.by(&schema.tags[*tag].name);
                }
                tags = by.len();
            }
        }
        let mut rows = Vec::new();
        for batch in db.query(&query)? {
            answers::read(&batch?, tags, &mut rows);
        }
        if let What::Aggregate { .. } = self.what {
            rows.iter_mut().flat_map(|row| &mut row.cells).for_each(unify);
            rows.sort_by(|a, b| (&a.key, a.time).cmp(&(&b.key, b.time)));
        }
        Ok(rows)
    }

    /// What the model answers.
    pub fn expect(&self, model: &Model) -> Vec<Row> {
        let table = &model.tables[&self.table];
        let passing = table.all().filter(|row| self.passes(row));
        match &self.what {
            What::Rows(order, limit) => {
                let mut rows: Vec<_> = passing.collect();
                match order {
                    Order::Series => {}
                    Order::TimeAscending => rows.sort_by_key(|row| row.time),
                    Order::TimeDescending => rows.sort_by_key(|row| std::cmp::Reverse(row.time)),
                }
                rows.truncate(limit.unwrap_or(usize::MAX));
                rows
            }
            What::Last => last(passing),
            What::Aggregate { field, function, window, by } => {
                let width = window.map(|micros| micros / 1_000_000 * table.time_unit.per_second());
                let mut groups: BTreeMap<(Key, i64), Vec<Cell>> = BTreeMap::new();
                for row in passing {
                    let key = by.iter().map(|&tag| row.key[tag].clone()).collect();
                    let bucket = width.map_or(0, |width| row.time.div_euclid(width) * width);
                    let group = groups.entry((key, bucket)).or_default();
                    group.extend(row.cells[*field].clone());
                }
                if window.is_none() && by.is_empty() {
                    groups.entry((Vec::new(), 0)).or_default();
                }
                let row = |((key, time), values)| Row { key, time, cells: vec![fold(*function, values)] };
                groups.into_iter().map(row).collect()
            }
        }
    }

    fn passes(&self, row: &Row) -> bool {
        let tag = |(position, equal, value): &(usize, bool, String)| (row.key[*position].as_ref() == Some(value)) == *equal;
        let field =
            |(position, least): &(usize, i64)| matches!(row.cells[*position], Some(Cell::Integer(value)) if value >= *least);
        self.range.contains(row.time) && self.tag.as_ref().is_none_or(tag) && self.at_least.as_ref().is_none_or(field)
    }
}

fn aggregate(rng: &mut Rng, table: &Table, per_second: i64) -> What {
    let field = rng.usize(0..table.columns.fields.len());
    let kind = table.columns.fields[field].1;
    let exact = matches!(kind, FieldType::Int64 | FieldType::UInt64 | FieldType::Decimal { .. });
    let function = match rng.u8(0..6) {
        0 => Aggregate::Count,
        1 => Aggregate::Min,
        2 => Aggregate::Max,
        3 if exact => Aggregate::Sum,
        3 | 4 => Aggregate::First,
        _ => Aggregate::Last,
    };
    let by = (0..table.columns.tags.len()).filter(|_| rng.bool()).collect();
    let window = rng.bool().then(|| rng.i64(1..5_000) * 1_000_000).filter(|micros| micros / 1_000_000 * per_second > 0);
    // The first and the last of several series at one time is any of them: ask series by series.
    match function {
        Aggregate::First | Aggregate::Last => {
            What::Aggregate { field, function, window, by: (0..table.columns.tags.len()).collect() }
        }
        _ => What::Aggregate { field, function, window, by },
    }
}

fn last(rows: impl Iterator<Item = Row>) -> Vec<Row> {
    let mut series: BTreeMap<Key, Row> = BTreeMap::new();
    for row in rows {
        let latest = series.entry(row.key.clone()).or_insert_with(|| row.clone());
        latest.time = row.time;
        for (old, new) in latest.cells.iter_mut().zip(row.cells) {
            if new.is_some() {
                *old = new;
            }
        }
    }
    series.into_values().collect()
}

/// A function over the values of a group, in the order of series and time.
fn fold(function: Aggregate, values: Vec<Cell>) -> Option<Cell> {
    let cells = values.iter().cloned();
    let mut found = match function {
        Aggregate::Count => Some(Cell::Integer(values.len() as i64)),
        Aggregate::Min => cells.min_by(|a, b| rank(a).total_cmp(&rank(b)).then_with(|| a.cmp(b))),
        Aggregate::Max => {
            let number = |cell: &Cell| !rank(cell).is_nan();
            let numbers = values.iter().any(number);
            cells.filter(|cell| !numbers || number(cell)).max_by(|a, b| rank(a).total_cmp(&rank(b)).then_with(|| a.cmp(b)))
        }
        Aggregate::Sum => (!values.is_empty()).then(|| Cell::Wide(cells.map(|cell| whole(&cell)).sum())),
        Aggregate::First => values.first().cloned(),
        Aggregate::Last => values.last().cloned(),
        Aggregate::Mean | Aggregate::Stddev => unreachable!("not asked"),
    };
    unify(&mut found);
    found
}

/// Floating-point numbers by size, NaN above all; everything else by itself.
fn rank(cell: &Cell) -> f64 {
    match cell {
        Cell::Float(bits) if f64::from_bits(*bits).is_nan() => f64::NAN,
        Cell::Float(bits) => f64::from_bits(*bits) + 0.0,
        Cell::Single(bits) if f32::from_bits(*bits).is_nan() => f64::NAN,
        Cell::Single(bits) => f64::from(f32::from_bits(*bits)) + 0.0,
        _ => 0.0,
    }
}

fn whole(cell: &Cell) -> i128 {
    match cell {
        Cell::Integer(value) | Cell::Decimal(value) => i128::from(*value),
        Cell::Unsigned(value) => i128::from(*value),
        other => panic!("no sum of {other:?}"),
    }
}

/// Of equal numbers with different bits any may be answered.
fn unify(cell: &mut Option<Cell>) {
    match cell {
        Some(Cell::Float(bits)) if f64::from_bits(*bits) == 0.0 => *bits = 0,
        Some(Cell::Float(bits)) if f64::from_bits(*bits).is_nan() => *bits = f64::NAN.to_bits(),
        _ => {}
    }
}
