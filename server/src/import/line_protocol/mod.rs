//! Influx line protocol. Tags become tags, fields become fields of the type their suffix says.
//!
//! A table holds one measurement: the one named like the table, or else the first in the file. Lines of others are bad rows.

pub(super) mod point;
pub(super) mod request;
mod text;

use std::collections::HashMap;
use std::io::Read;

use alluvium::FieldType;
use alluvium::format::limits;

use super::column::{Cell, Role};
use super::infer::{Guess, Kind};
use super::lines::{LINE_LIMIT, Lines, Next};
use super::rows::{Rows, check_name};
use super::schema::{Seen, SeenColumn, Wishes, describe};
use super::source::Look;
use super::time::Moment;
use super::{BadRow, EpochUnit, Failure, Outcome, RowReader};
use point::{FieldValue, Point, parse_line};

/// What the first look found, and the measurement to take.
pub(crate) struct Found {
    pub(crate) seen: Seen,
    pub(crate) measurement: String,
}

#[derive(Default)]
struct Sight {
    columns: Vec<(String, Guess, bool)>,
    positions: HashMap<String, usize>,
    below_micros: bool,
}

/// Looks at the first rows. Tags and fields that only later rows have become columns when they come.
pub(crate) fn look(lines: &mut Lines<Look>, wishes: &Wishes) -> Result<Found, Failure> {
    lines.skip_byte_order_mark()?;
    let mut sights: HashMap<String, Sight> = HashMap::new();
    let mut first = None;
    let mut problem = None;
    loop {
        let text = match lines.next(false)? {
            Next::Text(text) => text.to_vec(),
            Next::TooLong => continue,
            Next::End => break,
        };
        if !lines.is_terminated() && lines.input().is_cut() {
            break;
        }
        // Bad rows are told when rows are read.
        let Ok(text) = std::str::from_utf8(&text) else { continue };
        let point = match parse_line(text) {
            Ok(Some(point)) => point,
            Ok(None) => continue,
            Err(reason) => {
                problem.get_or_insert_with(|| format!("line {}: {reason}", lines.line()));
                continue;
            }
        };
        let name: &str = first.get_or_insert_with(|| point.measurement.to_string());
        let measurement = point.measurement.to_string();
        if measurement == wishes.table || measurement == *name {
            sights.entry(measurement).or_default().observe(&point, wishes.unit);
        }
    }
    let Some(first) = first else {
        return Err(Failure::Input(
            problem.unwrap_or_else(|| "it is empty: each line should be `measurement field=value time`".to_owned()),
        ));
    };
    let measurement = if sights.contains_key(&wishes.table) { wishes.table.clone() } else { first };
    let sight = sights.remove(&measurement).unwrap_or_default();
    let columns = sight.columns.into_iter().map(|(name, guess, is_tag)| SeenColumn { is_tag, ..SeenColumn::new(name, &guess) });
    Ok(Found { seen: Seen { columns: columns.collect(), own_time: Some(sight.below_micros) }, measurement })
}

impl Sight {
    fn observe(&mut self, point: &Point<'_>, unit: Option<EpochUnit>) {
        for (key, _) in &point.tags {
            self.observe_column(&key.to_string(), Kind::Text, true);
        }
        for (key, value) in &point.fields {
            self.observe_column(&key.to_string(), kind_of(value), false);
        }
        if let Some(time) = point.time {
            self.below_micros |= moment(time, unit).is_below_micros();
        }
    }

    fn observe_column(&mut self, key: &str, kind: Kind, is_tag: bool) {
        let position = match self.positions.get(key) {
            Some(position) => *position,
            None if check_name(key).is_err() || self.columns.len() as u64 > limits::COLUMNS => return,
            None => {
                self.positions.insert(key.to_owned(), self.columns.len());
                self.columns.push((key.to_owned(), Guess::default(), is_tag));
                self.columns.len() - 1
            }
        };
        if let Some((_, guess, tag)) = self.columns.get_mut(position) {
            guess.observe_kind(kind);
            *tag |= is_tag;
        }
    }
}

fn moment(time: i64, unit: Option<EpochUnit>) -> Moment {
    Moment::from_epoch(time, unit.unwrap_or_else(|| EpochUnit::by_magnitude(time)))
}

fn kind_of(value: &FieldValue<'_>) -> Kind {
    match value {
        FieldValue::Float(..) => Kind::Float,
        FieldValue::Int(number, _) if *number < 0 => Kind::Negative,
        FieldValue::Int(..) => Kind::Natural,
        FieldValue::UInt(..) => Kind::Unsigned,
        FieldValue::Bool(_) => Kind::Bool,
        FieldValue::Text(_) => Kind::Text,
    }
}

/// Reads rows.
pub(crate) struct Reader<R> {
    lines: Lines<R>,
    measurement: String,
    unit: Option<EpochUnit>,
    tags: Vec<String>,
}

impl<R: Read + Send> Reader<R> {
    pub(crate) fn new(input: R, measurement: String, wishes: &Wishes) -> Result<Self, Failure> {
        let mut lines = Lines::new(input);
        lines.skip_byte_order_mark()?;
        Ok(Reader { lines, measurement, unit: wishes.unit, tags: wishes.tags.clone() })
    }
}

impl<R: Read + Send> RowReader for Reader<R> {
    fn read_row(&mut self, rows: &mut Rows) -> Result<Outcome, Failure> {
        loop {
            let taken = match self.lines.next(false)? {
                Next::Text(text) => match std::str::from_utf8(text) {
                    Ok(line) => match parse_line(line) {
                        Ok(None) => continue,
                        Ok(Some(point)) => take_point(&point, &self.measurement, self.unit, &self.tags, rows),
                        Err(reason) => Err(reason),
                    },
                    Err(error) => Err(format!("not UTF-8 text (at byte {})", error.valid_up_to() + 1)),
                },
                Next::TooLong => Err(format!("more than {} MiB", LINE_LIMIT >> 20)),
                Next::End => return Ok(Outcome::End),
            };
            return Ok(match taken {
                Ok(()) => Outcome::Row,
                Err(reason) => {
                    rows.abandon_row();
                    Outcome::Bad(BadRow { line: self.lines.line(), reason })
                }
            });
        }
    }
}

fn take_point(
    point: &Point<'_>,
    measurement: &str,
    unit: Option<EpochUnit>,
    wished_tags: &[String],
    rows: &mut Rows,
) -> Result<(), String> {
    let mut scratch = String::new();
    if point.measurement.read(&mut scratch) != measurement {
        let other = point.measurement.to_string();
        return Err(format!("measurement {other:?} among {measurement:?}: import it into a table of its own (--table {other})"));
    }
    let mut guess = 0;
    for (key, value) in &point.tags {
        let key = key.read(&mut scratch);
        let column = rows.find_or_add(key, guess, Role::Tag)?;
        guess = column + 1;
        match rows.spec(column).map_or(Role::Tag, |spec| spec.role) {
            Role::Tag => rows.set(column, Cell { text: value.read(&mut scratch), quoted: true })?,
            role => return Err(format!("{key:?} is a tag here and elsewhere {}", describe(role))),
        }
    }
    for (key, value) in &point.fields {
        let key = key.read(&mut scratch);
        let column = rows.find_or_add(key, guess, Role::Field(type_of(value)))?;
        guess = column + 1;
        if rows.spec(column).is_some_and(|spec| spec.role == Role::Tag) && !wished_tags.iter().any(|tag| tag == key) {
            return Err(format!("{key:?} is a field here and elsewhere a tag (--tag {key} makes it one everywhere)"));
        }
        let (text, quoted) = match value {
            FieldValue::Float(_, digits) | FieldValue::Int(_, digits) | FieldValue::UInt(_, digits) => (*digits, false),
            FieldValue::Bool(true) => ("true", false),
            FieldValue::Bool(false) => ("false", false),
            FieldValue::Text(text) => (text.read(&mut scratch), true),
        };
        rows.set(column, Cell { text, quoted })?;
    }
    if let Some(time) = point.time {
        rows.set_time(moment(time, unit))?;
    }
    Ok(rows.end_row()?)
}

fn type_of(value: &FieldValue<'_>) -> FieldType {
    match value {
        FieldValue::Float(..) => FieldType::Float64,
        FieldValue::Int(..) => FieldType::Int64,
        FieldValue::UInt(..) => FieldType::UInt64,
        FieldValue::Bool(_) => FieldType::Bool,
        FieldValue::Text(_) => FieldType::Utf8,
    }
}

#[cfg(test)]
mod tests;
