//! Series drawn in the terminal: one chart per field, one line per series.
//!
//! Memory is bounded: every line is thinned as it comes ([`trace`]), and only so many lines and charts are kept.

mod chart;
mod trace;

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};

use self::trace::Trace;
use super::value::{self, Column, Value};
use super::{Look, Sink};
use crate::failure::{Failure, Outcome};

/// Charts drawn below one another.
const CHARTS: usize = 4;
/// Lines in one chart: as many as there are colours that can be told apart.
const LINES: usize = 6;

/// One chart: the values of a field.
#[derive(Debug)]
struct Chart {
    field: String,
    column: usize,
    /// In the order of [`Plot::names`].
    lines: Vec<Trace>,
}

/// Draws a result once it is complete.
pub(crate) struct Plot<W> {
    out: W,
    look: Look,
    charts: Vec<Chart>,
    /// Position of the time column, then its ticks per second.
    time: usize,
    per_second: f64,
    /// Positions of the tags.
    tags: Vec<usize>,
    names: Vec<String>,
    left_out: LeftOut,
}

/// What there was no room for.
#[derive(Debug, Default)]
struct LeftOut {
    fields: Vec<String>,
    series: bool,
}

impl<W: Write> Plot<W> {
    /// Prepares to draw a result with a time column, `tags` and at least one field of numbers.
    pub(crate) fn new(out: W, schema: &SchemaRef, tags: &[String], look: Look) -> Outcome<Self> {
        let position = |kind: fn(&DataType) -> bool| schema.fields().iter().position(|field| kind(field.data_type()));
        let Some(time) = position(|kind| matches!(kind, DataType::Timestamp(..))) else {
            return Err(Failure::usage("--plot draws over time: add --every, such as --every 1h"));
        };
        let tags: Vec<_> =
            (0..schema.fields().len()).filter(|at| *at != time && tags.contains(schema.field(*at).name())).collect();
        let drawable = |at: &usize| {
            let kind = schema.field(*at).data_type();
            *at != time && !tags.contains(at) && (value::is_number(kind) || *kind == DataType::Boolean)
        };
        let chart = |column: usize| Chart { field: schema.field(column).name().clone(), column, lines: Vec::new() };
        let mut charts: Vec<_> = (0..schema.fields().len()).filter(drawable).map(chart).collect();
        if charts.is_empty() {
            return Err(Failure::usage("--plot draws numbers and this result has none: choose another --field"));
        }
        let fields = charts.drain(charts.len().min(CHARTS)..).map(|chart| chart.field).collect();
        let per_second = match schema.field(time).data_type() {
            DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, _) => 1e3,
            DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, _) => 1e9,
            _ => 1e6,
        };
        let left_out = LeftOut { fields, series: false };
        Ok(Plot { out, look, charts, time, per_second, tags, names: Vec::new(), left_out })
    }

    /// The line that belongs to a name, if there is room for it.
    fn line(&mut self, name: &str) -> Option<usize> {
        if let Some(known) = self.names.iter().position(|other| other == name) {
            return Some(known);
        }
        if self.names.len() == LINES {
            self.left_out.series = true;
            return None;
        }
        self.names.push(name.to_owned());
        for chart in &mut self.charts {
            chart.lines.push(Trace::default());
        }
        Some(self.names.len() - 1)
    }

    fn take(&mut self, columns: &[Column<'_>], rows: usize) {
        let mut name = String::new();
        for row in 0..rows {
            name.clear();
            for (position, tag) in self.tags.iter().enumerate() {
                if position > 0 {
                    name.push('/');
                }
                match columns.get(*tag).and_then(|column| column.get(row)) {
                    Some(Value::Text(text)) => name.push_str(text),
                    _ => name.push('-'),
                }
            }
            let time = columns.get(self.time).and_then(|column| column.get(row));
            let (Some(Value::Time(ticks, _)), Some(line)) = (time, self.line(&name)) else { continue };
            for chart in &mut self.charts {
                let number = columns.get(chart.column).and_then(|column| column.get(row)).and_then(number);
                if let (Some(trace), Some(number)) = (chart.lines.get_mut(line), number) {
                    trace.push(ticks as f64 / self.per_second, number);
                }
            }
        }
    }
}

impl<W: Write> Sink for Plot<W> {
    fn write(&mut self, batch: &RecordBatch) -> Outcome {
        value::with_columns(batch, |columns| {
            self.take(columns, batch.num_rows());
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> Outcome {
        for chart in &self.charts {
            let lines: Vec<_> = self.names.iter().map(String::as_str).zip(chart.lines.iter().map(Trace::points)).collect();
            let drawing =
                chart::Drawing { title: &chart.field, lines: &lines, look: &self.look, width: super::terminal::width() };
            drawing.write(&mut self.out)?;
        }
        if self.left_out.series {
            writeln!(self.out, "only the first {LINES} series are drawn: choose others with --where, or draw fewer with --by")?;
        }
        if !self.left_out.fields.is_empty() {
            writeln!(self.out, "not drawn: {} (choose with --field)", self.left_out.fields.join(", "))?;
        }
        Ok(self.out.flush()?)
    }
}

/// A value as a height; infinities and NaN have none.
fn number(value: Value<'_>) -> Option<f64> {
    let number = match value {
        Value::Float64(value) => value,
        Value::Float32(value) => value.into(),
        Value::Int64(value) => value as f64,
        Value::UInt64(value) => value as f64,
        Value::Decimal(unscaled, scale) => unscaled as f64 / 10f64.powi(scale.into()),
        Value::Bool(value) => f64::from(u8::from(value)),
        Value::Time(..) | Value::Text(_) | Value::Bytes(_) => return None,
    };
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMillisecondArray};
    use jiff::tz::TimeZone;

    use super::*;

    fn look() -> Look {
        Look { colour: false, zone: TimeZone::UTC }
    }

    fn batch(series: usize) -> RecordBatch {
        let rows = series * 10;
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("time", Arc::new(TimestampMillisecondArray::from_iter_values((0..rows).map(|row| (row % 10) as i64 * 1_000)))),
            ("room", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("R{}", row / 10))))),
            ("co2", Arc::new(Float64Array::from_iter_values((0..rows).map(|row| 400.0 + row as f64)))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn drawn(batch: &RecordBatch) -> String {
        let mut out = Vec::new();
        let mut plot = Box::new(Plot::new(&mut out, &batch.schema(), &["room".to_owned()], look()).unwrap());
        plot.write(batch).unwrap();
        plot.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_plot_names_its_field_and_series() {
        let text = drawn(&batch(2));
        assert!(text.contains("co2"), "{text}");
        assert!(text.contains("R0") && text.contains("R1"), "{text}");
        assert!(text.contains("00:00:00") && text.contains("00:00:09"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn there_is_room_for_so_many_series() {
        assert!(!drawn(&batch(LINES)).contains("only the first"));
        let text = drawn(&batch(LINES + 1));
        assert!(text.contains("only the first 6 series"), "{text}");
        assert!(!text.contains("R6"));
    }

    #[test]
    fn a_plot_needs_times_and_numbers() {
        let batch = batch(1);
        let no_time = batch.project(&[1, 2]).unwrap().schema();
        let no_number = batch.project(&[0, 1]).unwrap().schema();
        assert!(matches!(Plot::new(Vec::new(), &no_time, &[], look()), Err(Failure::Usage(_))));
        assert!(matches!(Plot::new(Vec::new(), &no_number, &[], look()), Err(Failure::Usage(_))));
    }
}
