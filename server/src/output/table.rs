//! Tables for people: aligned columns, numbers flush right, nothing that could confuse a terminal.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthStr;

use super::value::{self, Value};
use super::{Look, Sink, timestamp};
use crate::failure::Outcome;

/// Rows measured before the first is printed. Later ones keep these widths.
const SAMPLE_ROWS: usize = 1_000;
/// No cell is shown wider.
const CELL_WIDTH: usize = 60;
const GAP: &str = "  ";
/// What stands for a missing value.
const MISSING: &str = "-";

/// On which side a column lines up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

#[derive(Debug)]
struct Heading {
    name: String,
    align: Align,
    width: usize,
}

/// Lays out lines of cells.
#[derive(Debug)]
struct Layout {
    headings: Vec<Heading>,
    colour: bool,
}

impl Layout {
    fn new(headings: impl IntoIterator<Item = (String, Align)>, colour: bool) -> Self {
        let heading = |(name, align): (String, Align)| {
            let name = clean(&name);
            Heading { width: name.width(), name, align }
        };
        Layout { headings: headings.into_iter().map(heading).collect(), colour }
    }

    fn measure(&mut self, cells: &[String]) {
        for (heading, cell) in self.headings.iter_mut().zip(cells) {
            heading.width = heading.width.max(cell.width());
        }
    }

    fn write_head(&self, out: &mut dyn Write) -> Outcome {
        let names: Vec<_> = self.headings.iter().map(|heading| heading.name.clone()).collect();
        let (bold, plain) = if self.colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        writeln!(out, "{bold}{}{plain}", self.line(&names))?;
        let rules: Vec<_> = self.headings.iter().map(|heading| "─".repeat(heading.width)).collect();
        Ok(writeln!(out, "{}", rules.join(GAP))?)
    }

    fn line(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (position, (heading, cell)) in self.headings.iter().zip(cells).enumerate() {
            if position > 0 {
                line.push_str(GAP);
            }
            let padding = " ".repeat(heading.width.saturating_sub(cell.width()));
            match heading.align {
                Align::Left => line.extend([cell.as_str(), &padding]),
                Align::Right => line.extend([padding.as_str(), cell]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A table that is known whole.
#[derive(Debug)]
pub(crate) struct Table {
    layout: Layout,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(headings: [(&str, Align); N]) -> Self {
        let headings = headings.map(|(name, align)| (name.to_owned(), align));
        Table { layout: Layout::new(headings, super::terminal::colour()), rows: Vec::new() }
    }

    pub(crate) fn push<const N: usize>(&mut self, cells: [String; N]) {
        let cells: Vec<_> = cells.iter().map(|cell| clean(cell)).collect();
        self.layout.measure(&cells);
        self.rows.push(cells);
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> Outcome {
        self.layout.write_head(out)?;
        for row in &self.rows {
            writeln!(out, "{}", self.layout.line(row))?;
        }
        Ok(())
    }
}

/// The rows of a result as they come, in columns as wide as the first thousand rows need.
pub(crate) struct Rows<W> {
    out: W,
    layout: Layout,
    zone: TimeZone,
    /// Rows not printed yet, until the widths are known.
    sample: Option<Vec<Vec<String>>>,
}

impl<W: Write> Rows<W> {
    pub(crate) fn new(out: W, schema: &SchemaRef, look: Look) -> Self {
        let headings = schema.fields().iter().map(|field| {
            let align = if value::is_number(field.data_type()) { Align::Right } else { Align::Left };
            (field.name().clone(), align)
        });
        Rows { layout: Layout::new(headings, look.colour), out, zone: look.zone, sample: Some(Vec::new()) }
    }

    fn print_sample(&mut self) -> Outcome {
        let Some(sample) = self.sample.take() else { return Ok(()) };
        self.layout.write_head(&mut self.out)?;
        for cells in sample {
            writeln!(self.out, "{}", self.layout.line(&cells))?;
        }
        Ok(())
    }
}

impl<W: Write> Sink for Rows<W> {
    fn write(&mut self, batch: &RecordBatch) -> Outcome {
        value::with_columns(batch, |columns| {
            for row in 0..batch.num_rows() {
                let cells: Vec<_> = columns.iter().map(|column| cell(column.get(row), &self.zone)).collect();
                match &mut self.sample {
                    Some(sample) => {
                        self.layout.measure(&cells);
                        sample.push(cells);
                        if sample.len() == SAMPLE_ROWS {
                            self.print_sample()?;
                        }
                    }
                    None => writeln!(self.out, "{}", self.layout.line(&cells))?,
                }
            }
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> Outcome {
        self.print_sample()?;
        Ok(self.out.flush()?)
    }
}

fn cell(value: Option<Value<'_>>, zone: &TimeZone) -> String {
    match value {
        None => MISSING.to_owned(),
        Some(Value::Text(text)) => clean(text),
        Some(Value::Bytes(bytes)) => clip(STANDARD.encode(bytes.get(..CELL_WIDTH).unwrap_or(bytes))),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Time(ticks, unit)) => timestamp::local(ticks, unit, zone),
        Some(Value::Float64(value)) => readable(value),
        Some(number) => {
            let mut text = Vec::new();
            value::write_number(&mut text, number);
            String::from_utf8_lossy(&text).into_owned()
        }
    }
}

/// A float for people: as it is where that is short, else rounded to ten digits.
pub(crate) fn readable(value: f64) -> String {
    const SHORT: usize = 12;
    const DIGITS: i32 = 10;
    let exact = format!("{value:?}");
    let size = value.abs();
    if exact.len() <= SHORT || !value.is_finite() {
        return exact;
    }
    if !(1e-4..1e15).contains(&size) {
        return format!("{value:.9e}");
    }
    let places = (DIGITS - 1 - size.log10().floor() as i32).clamp(1, 15) as usize;
    let rounded = format!("{value:.places$}");
    let trimmed = rounded.trim_end_matches('0');
    if trimmed.ends_with('.') { format!("{trimmed}0") } else { trimmed.to_owned() }
}

/// Text as one short line: control characters, which a terminal would obey, are spelled out.
fn clean(text: &str) -> String {
    let mut out = String::new();
    // Enough characters to fill a cell; the rest would be clipped.
    for c in text.chars().take(CELL_WIDTH + 1) {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    clip(out)
}

fn clip(mut text: String) -> String {
    if text.width() <= CELL_WIDTH {
        return text;
    }
    while text.width() >= CELL_WIDTH {
        text.pop();
    }
    text.push('…');
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::super::value::tests::every_type;
    use super::*;

    fn shown(batches: &[RecordBatch], look: Look) -> String {
        let mut out = Vec::new();
        let mut sink = Box::new(Rows::new(&mut out, &batches[0].schema(), look));
        for batch in batches {
            sink.write(batch).unwrap();
        }
        sink.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    fn plain() -> Look {
        Look { colour: false, zone: TimeZone::UTC }
    }

    #[test]
    fn every_type_as_a_table() {
        assert_eq!(
            shown(&[every_type()], plain()),
            "\
time                    room     f64  f32                   i64                   u64  bool  text  bytes    dec
──────────────────────  ──────  ────  ───  ────────────────────  ────────────────────  ────  ────  ─────  ─────
1970-01-01T00:00:01.5Z  A, \"b\"  21.0  0.1  -9223372036854775808  18446744073709551615  true        AP8=   -0.05
1970-01-01T00:00:02Z    -          -    -                     -                     -  -     -     -          -
"
        );
    }

    #[test]
    fn times_in_a_zone() {
        let look = Look { colour: false, zone: TimeZone::get("Asia/Tokyo").unwrap() };
        assert!(shown(&[every_type().project(&[0]).unwrap()], look).contains("\n1970-01-01T09:00:01.5+09:00\n"));
    }

    #[test]
    fn later_rows_keep_the_widths_of_the_first_thousand() {
        let first = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![7; 1_000])) as _)]).unwrap();
        let later = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![123, 4])) as _)]).unwrap();
        let text = shown(&[first, later], plain());
        assert!(text.starts_with("n\n─\n7\n7\n"));
        assert!(text.ends_with("7\n123\n4\n"), "{text}");
        assert_eq!(text.lines().count(), 1_004);
    }

    #[test]
    fn a_result_without_rows_has_a_head() {
        assert_eq!(shown(&[every_type().slice(0, 0).project(&[0, 1]).unwrap()], plain()), "time  room\n────  ────\n");
    }

    #[test]
    fn text_cannot_command_the_terminal() {
        let texts = vec!["\u{1b}[31mred\n".to_owned(), "ä".repeat(100), "日".repeat(40)];
        let batch = RecordBatch::try_from_iter([("t", Arc::new(StringArray::from(texts)) as _)]).unwrap();
        let text = shown(&[batch], plain());
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(lines, ["\\u{1b}[31mred\\n".to_owned(), "ä".repeat(59) + "…", "日".repeat(29) + "…"]);
    }

    #[test]
    fn floats_for_people() {
        assert_eq!(readable(21.0), "21.0");
        assert_eq!(readable(417.25), "417.25");
        assert_eq!(readable(64.0 / 3.0), "21.33333333");
        assert_eq!(readable(0.1 + 0.2), "0.3");
        assert_eq!(readable(-1_234_567.000_000_000_1), "-1234567.0");
        assert_eq!(readable(123_456_789_012_345.0), "123456789012345.0");
        assert_eq!(readable(1.234_567_890_123_45e-7), "1.234567890e-7");
        assert_eq!(readable(1e300), "1e300");
        assert_eq!(readable(f64::NAN), "NaN");
        assert_eq!(readable(f64::NEG_INFINITY), "-inf");
    }

    #[test]
    fn whole_tables() {
        let mut table = Table::new([("name", Align::Left), ("rows", Align::Right)]);
        table.push(["air".to_owned(), "12".to_owned()]);
        table.push(["occupancy".to_owned(), "3".to_owned()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "name       rows\n─────────  ────\nair          12\noccupancy     3\n");
    }
}
