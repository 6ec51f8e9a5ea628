//! Points that come in one request: each measurement is a table, made on first sight with the columns that it lacks.
//!
//! Points that are wrong, or do not fit their table, are dropped and told; the others are taken.

use std::collections::{HashMap, HashSet};

use alluvium::{FieldType, TimeUnit};

use super::point::{FieldValue, Point, Points};
use super::type_of;
use crate::import::EpochUnit;
use crate::import::column::{Misfit, Role, Typed, shorten};
use crate::import::request::{Look, MOST_BYTES, Part, too_many};
use crate::import::rows::Rows;
use crate::import::time::Moment;

/// Measurements of a request, at most.
const MEASUREMENTS: usize = 1_024;
/// Dropped points that are told one by one.
const TOLD: usize = 10;
/// Characters that are shown of a line.
const SHOWN: usize = 200;

/// The unit of integer times, and how precise the time of points without one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// One that other formats have, too.
    Epoch(EpochUnit),
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
}

/// What came of the points.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Those that are sound.
    pub(crate) parts: Vec<Part>,
    /// How many are not.
    pub(crate) dropped: u64,
    /// Why not, of the first.
    pub(crate) reasons: Vec<String>,
}

impl Precision {
    fn moment(self, count: i64) -> Result<Moment, Misfit> {
        let seconds = |each: i64| {
            let seconds = count.checked_mul(each).ok_or_else(|| Misfit::new("time", "the time is out of range"))?;
            Ok(Moment::from_epoch(seconds, EpochUnit::Second))
        };
        match self {
            Precision::Epoch(unit) => Ok(Moment::from_epoch(count, unit)),
            Precision::Minute => seconds(60),
            Precision::Hour => seconds(3_600),
        }
    }

    fn nanos(self) -> i64 {
        match self {
            Precision::Epoch(EpochUnit::Nano) => 1,
            Precision::Epoch(EpochUnit::Micro) => 1_000,
            Precision::Epoch(EpochUnit::Milli) => 1_000_000,
            Precision::Epoch(EpochUnit::Second) => 1_000_000_000,
            Precision::Minute => 60_000_000_000,
            Precision::Hour => 3_600_000_000_000,
        }
    }
}

/// Reads points. Those without a time are of `now`, in microseconds UTC.
pub(crate) fn read<E: From<alluvium::Error>>(
    body: &[u8],
    precision: Precision,
    now: i64,
    look: &mut Look<'_, E>,
) -> Result<Taken, E> {
    // New tables count microseconds, unless some of their times are finer.
    let mut finer = HashSet::new();
    loop {
        let mut reading = Reading::new(precision, now, &finer);
        reading.take_all(body, look)?;
        let cut: Vec<String> = reading.cut().map(str::to_owned).collect();
        if cut.is_empty() {
            return Ok(reading.finish()?);
        }
        finer.extend(cut);
    }
}

/// Points, as far as they are read.
struct Reading<'f> {
    precision: Precision,
    now: Moment,
    finer: &'f HashSet<String>,
    measurements: Vec<Measurement>,
    positions: HashMap<String, usize>,
    /// The measurement of the point before.
    last: usize,
    bytes: usize,
    taken: Taken,
    /// Where names and text are unescaped.
    scratch: [String; 2],
}

/// The points of a measurement.
struct Measurement {
    name: String,
    is_new: bool,
    rows: Rows,
    /// The columns of the point before, in the order of its tags and fields.
    order: Vec<usize>,
}

impl<'f> Reading<'f> {
    fn new(precision: Precision, now: i64, finer: &'f HashSet<String>) -> Self {
        let nanos = now.saturating_mul(1_000);
        let now = Moment::from_epoch(nanos - nanos.rem_euclid(precision.nanos()), EpochUnit::Nano);
        let (measurements, positions, taken, scratch) = Default::default();
        Reading { precision, now, finer, measurements, positions, last: 0, bytes: 0, taken, scratch }
    }

    fn take_all<E: From<alluvium::Error>>(&mut self, body: &[u8], look: &mut Look<'_, E>) -> Result<(), E> {
        let mut point = Point::default();
        for piece in Pieces(body) {
            let mut points = match piece {
                Ok(text) => Points::new(text),
                Err(line) => {
                    self.drop_line(&String::from_utf8_lossy(line), "it is not UTF-8 text");
                    continue;
                }
            };
            while let Some(outcome) = points.next(&mut point) {
                match outcome {
                    Ok(()) => self.take(&point, look)?,
                    Err(reason) => self.drop_line(points.line(), &reason),
                }
            }
        }
        Ok(())
    }

    fn take<E: From<alluvium::Error>>(&mut self, point: &Point<'_>, look: &mut Look<'_, E>) -> Result<(), E> {
        let [scratch, _] = &mut self.scratch;
        let name = point.measurement.read(scratch);
        let at = match self.measurements.get(self.last) {
            Some(last) if last.name == name => self.last,
            _ => match self.positions.get(name) {
                Some(at) => *at,
                None => {
                    let name = name.to_owned();
                    self.begin(name, look)?
                }
            },
        };
        self.last = at;
        let Some(measurement) = self.measurements.get_mut(at) else { return Ok(()) };
        let before = measurement.rows.bytes();
        let taken = measurement.take(point, self.precision, self.now, &mut self.scratch);
        if taken.is_err() {
            measurement.rows.abandon_row();
        }
        self.bytes = self.bytes - before + measurement.rows.bytes();
        if measurement.rows.is_over() || self.bytes > MOST_BYTES {
            return Err(too_many(self.bytes).into());
        }
        taken.unwrap_or_else(|misfit| self.drop(Misfit { hint: String::new(), ..misfit }.into()));
        Ok(())
    }

    /// Begins a measurement, of a table that is there or is to be made.
    fn begin<E: From<alluvium::Error>>(&mut self, name: String, look: &mut Look<'_, E>) -> Result<usize, E> {
        alluvium::format::limits::check(
            "measurements of a request",
            self.measurements.len() as u64 + 1,
            MEASUREMENTS as u64,
            "",
        )?;
        let table = look(&name)?;
        let unit = if self.finer.contains(&name) { TimeUnit::Nano } else { TimeUnit::Micro };
        let rows = table.as_ref().map_or_else(|| Rows::of_new_table(unit, MOST_BYTES), |table| Rows::of_table(table, MOST_BYTES));
        self.bytes += rows.bytes();
        self.positions.insert(name.clone(), self.measurements.len());
        self.measurements.push(Measurement { name, is_new: table.is_none(), rows, order: Vec::new() });
        Ok(self.measurements.len() - 1)
    }

    fn drop_line(&mut self, line: &str, reason: &str) {
        let shown: String = line.chars().take(SHOWN).collect();
        self.drop(format!("unable to parse '{shown}': {reason}"));
    }

    fn drop(&mut self, reason: String) {
        self.taken.dropped += 1;
        if self.taken.reasons.len() < TOLD {
            self.taken.reasons.push(reason);
        }
    }

    /// New tables whose times had digits cut.
    fn cut(&self) -> impl Iterator<Item = &str> {
        let cut = |measurement: &&Measurement| measurement.is_new && measurement.rows.times_cut > 0;
        let cut = self.measurements.iter().filter(cut).map(|measurement| measurement.name.as_str());
        cut.filter(|name| !self.finer.contains(*name))
    }

    fn finish(mut self) -> Result<Taken, alluvium::Error> {
        for mut measurement in self.measurements {
            if measurement.rows.len() > 0 {
                let tags = measurement.rows.tags();
                let batch = measurement.rows.take()?;
                self.taken.parts.push(Part { table: measurement.name, batch, tags });
            }
        }
        Ok(self.taken)
    }
}

impl Measurement {
    /// Takes a point, or says why not. What there is of it in the rows then is to be abandoned.
    fn take(&mut self, point: &Point<'_>, precision: Precision, now: Moment, scratch: &mut [String; 2]) -> Result<(), Misfit> {
        let [scratch, text] = scratch;
        let mut at = 0;
        for (key, value) in &point.tags {
            let key = key.read(scratch);
            let column = self.column(at, key, Role::Tag)?;
            at += 1;
            if self.rows.spec(column).is_none_or(|spec| spec.role != Role::Tag) {
                let name = &self.name;
                let reason = format!("input tag {key:?} on measurement {name:?} is a tag, already exists as a field");
                return Err(Misfit::new("", reason));
            }
            self.rows.put(column, Typed::Text(value.read(text)))?;
        }
        for (key, value) in &point.fields {
            let key = key.read(scratch);
            let column = self.column(at, key, Role::Field(type_of(value)))?;
            at += 1;
            let role = self.rows.spec(column).map_or(Role::Undecided, |spec| spec.role);
            if !fits(value, role) {
                return Err(Misfit::new("", conflict(&self.name, key, value, role)));
            }
            self.rows.put(column, typed(value, text))?;
        }
        self.rows.set_time(point.time.map_or(Ok(now), |time| precision.moment(time))?)?;
        self.rows.end_row()
    }

    /// The column of the tag or field at a place of a point.
    fn column(&mut self, at: usize, key: &str, role: Role) -> Result<usize, Misfit> {
        let guess = self.order.get(at).copied().unwrap_or(usize::MAX);
        let column = self.rows.find_or_add(key, guess, role)?;
        match self.order.get_mut(at) {
            Some(place) => *place = column,
            None => self.order.push(column),
        }
        Ok(column)
    }
}

fn typed<'t>(value: &FieldValue<'t>, scratch: &'t mut String) -> Typed<'t> {
    match value {
        FieldValue::Float(value, digits) => Typed::Float(*value, digits),
        FieldValue::Int(value, _) => Typed::Int(*value),
        FieldValue::UInt(value, _) => Typed::UInt(*value),
        FieldValue::Bool(value) => Typed::Bool(*value),
        FieldValue::Text(text) => Typed::Text(text.read(scratch)),
    }
}

/// Whether a column holds such values.
fn fits(value: &FieldValue<'_>, role: Role) -> bool {
    let Role::Field(kind) = role else { return false };
    match value {
        FieldValue::Float(..) => matches!(kind, FieldType::Float64 | FieldType::Float32 | FieldType::Decimal { .. }),
        FieldValue::Int(..) => kind == FieldType::Int64,
        FieldValue::UInt(..) => kind == FieldType::UInt64,
        FieldValue::Bool(_) => kind == FieldType::Bool,
        FieldValue::Text(_) => kind == FieldType::Utf8,
    }
}

/// In Influx's words, which its clients look for.
fn conflict(measurement: &str, field: &str, value: &FieldValue<'_>, role: Role) -> String {
    let word = |kind| match kind {
        FieldType::Float64 | FieldType::Float32 | FieldType::Decimal { .. } => "float",
        FieldType::Int64 => "integer",
        FieldType::UInt64 => "unsigned",
        FieldType::Bool => "boolean",
        FieldType::Utf8 | FieldType::Binary => "string",
    };
    let exists = match role {
        Role::Field(FieldType::Binary) => "binary",
        Role::Field(kind) => word(kind),
        _ => "tag",
    };
    let (measurement, field) = (shorten(measurement), shorten(field));
    let input = word(type_of(value));
    format!(
        "field type conflict: input field {field} on measurement {measurement} is type {input}, already exists as type {exists}"
    )
}

/// What of a body is text, and the lines that are not.
struct Pieces<'a>(&'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = Result<&'a str, &'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let sound = match std::str::from_utf8(self.0) {
            Ok(text) => {
                self.0 = &[];
                return Some(Ok(text));
            }
            Err(error) => self.0.get(..error.valid_up_to()).unwrap_or_default(),
        };
        let start = memchr::memrchr(b'\n', sound).map_or(0, |end| end + 1);
        if start > 0 {
            let (text, rest) = self.0.split_at(start);
            self.0 = rest;
            return Some(std::str::from_utf8(text).map_err(|_| text));
        }
        let end = memchr::memchr(b'\n', self.0).map_or(self.0.len(), |end| end + 1);
        let (line, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(Err(line.trim_ascii_end()))
    }
}

#[cfg(test)]
mod tests;
