//! A line chart as text, drawn by ratatui's chart widget into a buffer of its own.

use std::io::Write;

use jiff::Timestamp;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Alignment, Rect};
use ratatui_core::style::{Color, Style};
use ratatui_core::symbols::Marker;
use ratatui_core::widgets::Widget;
use ratatui_widgets::chart::{Axis, Chart, Dataset, GraphType};

use super::super::Look;
use super::super::table::readable;
use crate::failure::Outcome;

const HEIGHT: u16 = 16;
const WIDTHS: std::ops::RangeInclusive<u16> = 40..=200;

/// Colours of lines: the ANSI numbers that the escape sequence needs, and a letter for where there are no colours.
const PENS: [(Color, u8, char); 6] = [
    (Color::Cyan, 36, '•'),
    (Color::Yellow, 33, 'x'),
    (Color::Magenta, 35, '+'),
    (Color::Green, 32, 'o'),
    (Color::Red, 31, '*'),
    (Color::Blue, 34, '#'),
];

/// What to draw.
pub(super) struct Drawing<'a> {
    pub(super) title: &'a str,
    /// Names and points: seconds since 1970, value.
    pub(super) lines: &'a [(&'a str, Vec<(f64, f64)>)],
    pub(super) look: &'a Look,
    /// Columns of the terminal.
    pub(super) width: u16,
}

impl Drawing<'_> {
    pub(super) fn write(&self, out: &mut dyn Write) -> Outcome {
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let (Some(times), Some(values)) = (bounds(points().map(|point| point.0)), bounds(points().map(|point| point.1))) else {
            return Ok(writeln!(out, "{}: nothing to draw", self.title)?);
        };
        writeln!(out, "{}{}", self.title, self.legend())?;
        let (low, high) = axis(values);
        let steps = [low, low + (high - low) * 0.25, (low + high) / 2.0, low + (high - low) * 0.75, high];
        let y = Axis::default()
            .bounds([low, high])
            .labels_alignment(Alignment::Right)
            .labels(steps.map(|step| label(step, high - low)));
        let x =
            Axis::default().bounds([times.0, widened(times)]).labels_alignment(Alignment::Right).labels(self.time_labels(times));
        let datasets = self.lines.iter().zip(self.pens()).map(|((_, points), (colour, _, marker))| {
            Dataset::default().data(points).marker(marker).graph_type(GraphType::Line).style(Style::default().fg(colour))
        });
        let area = Rect::new(0, 0, self.width.clamp(*WIDTHS.start(), *WIDTHS.end()), HEIGHT);
        let mut buffer = Buffer::empty(area);
        Chart::new(datasets.collect()).x_axis(x).y_axis(y).legend_position(None).render(area, &mut buffer);
        for row in 0..HEIGHT {
            let line = self.row(&buffer, row);
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// The colour, its ANSI number and the mark of each line. Without colours, several lines need marks of their own.
    fn pens(&self) -> impl Iterator<Item = (Color, u8, Marker)> {
        let dots = self.look.colour || self.lines.len() == 1;
        PENS.into_iter()
            .map(move |(colour, ansi, letter)| (colour, ansi, if dots { Marker::Braille } else { Marker::Custom(letter) }))
    }

    fn legend(&self) -> String {
        let mut legend = String::new();
        for ((name, _), (_, ansi, marker)) in self.lines.iter().zip(self.pens()) {
            let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            if name.is_empty() {
                continue;
            }
            legend.push_str(&match marker {
                Marker::Custom(letter) => format!("   {letter} {name}"),
                _ if self.look.colour => format!("   \x1b[{ansi}m━\x1b[0m {name}"),
                _ => format!("   {name}"),
            });
        }
        legend
    }

    /// One row of the drawing, with escape sequences where the colour changes.
    fn row(&self, buffer: &Buffer, row: u16) -> String {
        let mut text = String::new();
        let mut current = Color::Reset;
        for column in 0..buffer.area().width {
            let Some(cell) = buffer.cell((column, row)) else { continue };
            let colour = if cell.symbol() == " " { current } else { cell.fg };
            if self.look.colour && colour != current {
                let ansi = PENS.iter().find(|(pen, ..)| *pen == colour).map_or(0, |(_, ansi, _)| *ansi);
                text.push_str(&format!("\x1b[{ansi}m"));
                current = colour;
            }
            text.push_str(cell.symbol());
        }
        let text = text.trim_end();
        if current == Color::Reset { text.to_owned() } else { format!("{text}\x1b[0m") }
    }

    /// First, middle and last time, as finely as their distance asks for.
    fn time_labels(&self, (first, last): (f64, f64)) -> Vec<String> {
        const HOUR: f64 = 3_600.0;
        let form = match last - first {
            ..1.0 => "%H:%M:%S%.3f",
            ..21_600.0 => "%H:%M:%S",
            span if span < 72.0 * HOUR => "%m-%d %H:%M",
            _ => "%Y-%m-%d",
        };
        let shown = |seconds: f64| {
            let nanos = (seconds.fract() * 1e9) as i32;
            Timestamp::new(seconds.trunc() as i64, nanos)
                .map_or_else(|_| String::new(), |time| time.to_zoned(self.look.zone.clone()).strftime(form).to_string())
        };
        vec![shown(first), shown(f64::midpoint(first, last)), shown(last)]
    }
}

fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |bounds, value| {
        let (low, high) = bounds.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// An axis of one moment would have no width.
fn widened((first, last): (f64, f64)) -> f64 {
    if last > first { last } else { first + 1.0 }
}

/// The span of the vertical axis: round numbers around the values, in four equal steps.
fn axis((low, high): (f64, f64)) -> (f64, f64) {
    let span = if high > low { high - low } else { low.abs().max(1.0) * 0.1 };
    let middle = f64::midpoint(low, high);
    let (low, high) = if high > low { (low, high) } else { (middle - span / 2.0, middle + span / 2.0) };
    let rough = span / 4.0;
    let magnitude = 10f64.powf(rough.log10().floor());
    for step in [1.0, 2.0, 2.5, 5.0, 10.0, 20.0].map(|factor| factor * magnitude) {
        let start = (low / step).floor() * step;
        if start + 4.0 * step >= high {
            // Rounding must not push a value over the edge.
            return (start.min(low), (start + 4.0 * step).max(high));
        }
    }
    (low, high)
}

/// A value beside the axis: no more digits than its distance to its neighbours asks for.
fn label(value: f64, span: f64) -> String {
    let digits = (2.0 - span.log10()).ceil();
    if !(1e-6..1e12).contains(&span) || !digits.is_finite() {
        return readable(value);
    }
    let places = digits.clamp(0.0, 9.0) as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    fn drawn(lines: &[(&str, Vec<(f64, f64)>)], colour: bool) -> String {
        let look = Look { colour, zone: TimeZone::UTC };
        let mut out = Vec::new();
        Drawing { title: "co2", lines, look: &look, width: 60 }.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn ramp() -> Vec<(f64, f64)> {
        (0..100).map(|at| (f64::from(at) * 36.0, f64::from(at))).collect()
    }

    #[test]
    fn a_line_with_its_axes() {
        let text = drawn(&[("", ramp())], false);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "co2");
        assert!(lines[1].trim_start().starts_with("100│"), "{text}");
        assert!(lines[14].trim_start().starts_with("0│"), "{text}");
        assert!(lines[15].trim_start().starts_with("└────"), "{text}");
        assert!(lines[16].contains("00:00:00") && lines[16].ends_with("00:59:24"), "{text}");
        assert!(text.contains('⠉') || text.contains('⣀') || text.contains('⢀'), "{text}");
        assert_eq!(lines.len(), 17);
    }

    #[test]
    fn without_colours_lines_have_marks() {
        let level = ramp().iter().map(|(time, _)| (*time, 50.0)).collect();
        let text = drawn(&[("A", ramp()), ("B", level)], false);
        assert!(text.starts_with("co2   • A   x B\n"), "{text}");
        assert!(text.lines().skip(1).any(|line| line.contains("xxx")));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn with_colours_every_row_ends_plain() {
        let text = drawn(&[("A", ramp())], true);
        assert!(text.starts_with("co2   \x1b[36m━\x1b[0m A\n"), "{text}");
        for line in text.lines().filter(|line| line.contains("\x1b[36m")) {
            assert!(line.rfind("\x1b[0m").unwrap() > line.rfind("\x1b[36m").unwrap(), "{line:?}");
        }
    }

    #[test]
    fn nothing_and_next_to_nothing() {
        assert_eq!(drawn(&[("A", vec![])], false), "co2: nothing to draw\n");
        assert!(drawn(&[("A", vec![(0.0, 7.0)])], false).contains('│'));
        assert!(drawn(&[("A", vec![(0.0, 1e300), (1.0, -1e300)])], false).contains('│'));
        assert!(drawn(&[("A", vec![(0.0, f64::MAX), (1.0, f64::MIN)])], false).contains('│'));
    }

    #[test]
    fn axes_have_round_steps_and_hold_every_value() {
        assert_eq!(axis((0.0, 99.0)), (0.0, 100.0));
        assert_eq!(axis((412.0, 988.0)), (400.0, 1_200.0));
        assert_eq!(axis((-3.0, 3.0)), (-4.0, 4.0));
        assert_eq!(axis((50.0, 50.0)), (46.0, 54.0));
        for (low, high) in [(0.123, 0.1234), (-1e-9, 5e-9), (1e9, 1e9 + 3.0), (-7.0, 1e6)] {
            let (start, end) = axis((low, high));
            assert!(start <= low && end >= high, "{low} {high} {start} {end}");
        }
    }
}
