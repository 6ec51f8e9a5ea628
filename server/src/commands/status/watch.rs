//! The status again and again, drawn on the whole terminal.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::symbols::bar;
use ratatui_core::text::Text;
use ratatui_core::widgets::Widget;
use ratatui_widgets::paragraph::Paragraph;
use ratatui_widgets::sparkline::Sparkline;
use tokio::signal::ctrl_c;
use tokio::time::{MissedTickBehavior, interval};

use super::{fetch, show};
use crate::commands::Context;
use crate::failure::{Failure, Outcome};
use crate::output::terminal;
use crate::status::Document;

/// Another screen, without a cursor, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the first line; and what is behind a line, or below it, goes.
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
/// Rates that are remembered: as many as fit a wide terminal.
const REMEMBERED: usize = 400;
/// Lines of a chart, and of what is said above it.
const CHART: u16 = 3;
/// Columns of a number beside its chart.
const LABEL: u16 = 24;

/// Shows it every so often, until Ctrl-C.
pub(super) fn run(context: &Context, every: Duration) -> Outcome {
    if !context.json && !io::stdout().is_terminal() {
        return Err(Failure::usage("--watch draws on a terminal: add --json for one document per line"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::io("start", "watching", &error))?;
    let _screen = if context.json { None } else { Some(Screen::enter()?) };
    let mut rates = Rates::default();
    let mut ticks = runtime.block_on(async { interval(every) });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let goes_on = runtime.block_on(async {
            tokio::select! {
                _ = ctrl_c() => false,
                _ = ticks.tick() => true,
            }
        });
        if !goes_on {
            return Ok(());
        }
        let document = fetch(context)?;
        if context.json {
            context.print_json(&document)?;
        } else {
            rates.note(&document, Instant::now());
            draw(&document, &rates)?;
        }
    }
}

/// The other screen, until it is dropped.
struct Screen;

impl Screen {
    fn enter() -> Outcome<Screen> {
        io::stdout().write_all(ENTER.as_bytes())?;
        Ok(Screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = io::stdout().write_all(LEAVE.as_bytes());
        let _ = io::stdout().flush();
    }
}

/// How much there was per second, the latest last.
#[derive(Debug, Default)]
struct Rates {
    last: Option<(Instant, u64, u64)>,
    rows: VecDeque<u64>,
    bytes: VecDeque<u64>,
}

impl Rates {
    fn note(&mut self, document: &Document, now: Instant) {
        let rows = document.server.as_ref().map_or(0, |serving| serving.rows_applied);
        let bytes = document.storage.written_bytes;
        if let Some((then, rows_then, bytes_then)) = self.last {
            let seconds = now.saturating_duration_since(then).as_secs_f64().max(1e-3);
            // A server that was started again counts anew.
            let rate = |now: u64, then: u64| (now.saturating_sub(then) as f64 / seconds).round() as u64;
            remember(&mut self.rows, rate(rows, rows_then));
            remember(&mut self.bytes, rate(bytes, bytes_then));
        }
        self.last = Some((now, rows, bytes));
    }
}

fn remember(rates: &mut VecDeque<u64>, rate: u64) {
    if rates.len() == REMEMBERED {
        rates.pop_front();
    }
    rates.push_back(rate);
}

fn draw(document: &Document, rates: &Rates) -> Outcome {
    let mut buffer = Buffer::empty(Rect::new(0, 0, terminal::width(), terminal::height()));
    render(document, rates, &mut buffer)?;
    let mut text = HOME.to_owned();
    let lines: Vec<String> = (0..buffer.area().height).map(|row| line(&buffer, row)).collect();
    // No line break behind the last, which would scroll.
    text.push_str(&lines.join(&format!("{CLEAR_LINE}\r\n")));
    text.push_str(CLEAR_BELOW);
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn line(buffer: &Buffer, row: u16) -> String {
    let cells = (0..buffer.area().width).filter_map(|column| buffer.cell((column, row)));
    let text: String = cells.map(|cell| cell.symbol()).collect();
    text.trim_end().to_owned()
}

fn render(document: &Document, rates: &Rates, buffer: &mut Buffer) -> Outcome {
    let area = *buffer.area();
    let rows = rates.rows.back().map_or_else(|| "-".to_owned(), |rate| terminal::count(*rate));
    let bytes = rates.bytes.back().map_or_else(|| "-".to_owned(), |rate| terminal::bytes(*rate));
    chart(&format!("{rows} rows/s"), &rates.rows, Rect { height: CHART, ..area }.intersection(area), buffer);
    let below = Rect { y: CHART + 1, height: CHART, ..area }.intersection(area);
    chart(&format!("{bytes}/s to disk"), &rates.bytes, below, buffer);
    let mut said = Vec::new();
    show::write(document, &mut said)?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let rest = 2 * (CHART + 1);
    let below = Rect { y: rest, height: area.height.saturating_sub(rest), ..area }.intersection(area);
    Paragraph::new(Text::raw(said)).render(below, buffer);
    Ok(())
}

/// A number, and how it went.
fn chart(label: &str, rates: &VecDeque<u64>, area: Rect, buffer: &mut Buffer) {
    Paragraph::new(label).render(Rect { width: LABEL.min(area.width), ..area }, buffer);
    let right = Rect { x: area.x + LABEL.min(area.width), width: area.width.saturating_sub(LABEL), ..area };
    let shown: Vec<u64> = rates.iter().copied().skip(rates.len().saturating_sub(right.width.into())).collect();
    Sparkline::default().data(shown).bar_set(bar::NINE_LEVELS).render(right, buffer);
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::document;
    use super::*;

    fn shown(rates: &Rates, width: u16, height: u16) -> Vec<String> {
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        render(&document(), rates, &mut buffer).unwrap();
        (0..height).map(|row| line(&buffer, row)).collect()
    }

    #[test]
    fn rates_are_per_second_and_begin_anew_with_the_server() {
        let (mut rates, start, mut document) = (Rates::default(), Instant::now(), document());
        for (seconds, rows, bytes) in [(0, 1_000, 5_000), (2, 1_500, 5_000), (4, 100, 9_000)] {
            document.server.as_mut().unwrap().rows_applied = rows;
            document.storage.written_bytes = bytes;
            rates.note(&document, start + Duration::from_secs(seconds));
        }
        assert_eq!((Vec::from(rates.rows.clone()), Vec::from(rates.bytes.clone())), (vec![250, 0], vec![0, 2_000]));
        let lines = shown(&rates, 80, 30);
        assert!(lines[0].starts_with("0 rows/s") && lines[4].starts_with("2.0 KiB/s to disk"), "{lines:?}");
        // The higher of two rates fills the chart, the other none of it.
        assert_eq!((lines[0].chars().nth(24), lines[0].chars().nth(25)), (Some('█'), None));
        assert!(lines[8].starts_with("server         gateway-1"), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("air")), "{lines:?}");
    }

    #[test]
    fn any_terminal_will_do() {
        let mut rates = Rates::default();
        for rate in 0..1_000 {
            remember(&mut rates.rows, rate);
        }
        assert_eq!(rates.rows.len(), REMEMBERED);
        for (width, height) in [(1, 1), (10, 3), (24, 9), (30, 200), (500, 5)] {
            assert_eq!(shown(&rates, width, height).len(), usize::from(height));
        }
    }
}
