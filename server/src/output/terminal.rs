//! What the reader's terminal can do, and small words for sizes and spans.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Width assumed where there is no terminal to ask.
const WIDTH: u16 = 100;
/// Height likewise.
const HEIGHT: u16 = 30;

/// Whether stdout shows colours and wants them (<https://no-color.org>).
pub(crate) fn colour() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Columns of the terminal.
pub(crate) fn width() -> u16 {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    asked.or_else(|| terminal_size::terminal_size().map(|(width, _)| width.0)).unwrap_or(WIDTH)
}

/// Lines of the terminal.
pub(crate) fn height() -> u16 {
    let asked = std::env::var("LINES").ok().and_then(|lines| lines.parse().ok());
    asked.or_else(|| terminal_size::terminal_size().map(|(_, height)| height.0)).unwrap_or(HEIGHT)
}

/// A remark for people on stderr, kept from logs and pipes.
pub(crate) fn remark(text: impl std::fmt::Display) {
    if io::stderr().is_terminal() {
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// A progress bar on stderr that shows itself only on a terminal. For templates see `indicatif`.
pub(crate) fn progress(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    }
    bar
}

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 cut`, `1,234 cuts`.
pub(crate) fn things(number: u64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `12.3 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut name = "B";
    for unit in UNITS {
        if value < 1_000.0 {
            break;
        }
        value /= 1_024.0;
        name = unit;
    }
    if name == "B" { format!("{bytes} B") } else { format!("{value:.1} {name}") }
}

/// `1.23 ms`.
pub(crate) fn span(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        ..1_000.0 => format!("{micros:.0} µs"),
        ..1_000_000.0 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_in_groups_of_three() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
    }

    #[test]
    fn one_is_one() {
        assert_eq!([0, 1, 1_000].map(|number| things(number, "cut")), ["0 cuts", "1 cut", "1,000 cuts"]);
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_024), "1.0 KiB");
        assert_eq!(bytes(1_500_000), "1.4 MiB");
        assert_eq!(bytes(1_023 * 1_024), "1.0 MiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
    }

    #[test]
    fn spans() {
        assert_eq!(span(Duration::from_micros(37)), "37 µs");
        assert_eq!(span(Duration::from_micros(1_234)), "1.23 ms");
        assert_eq!(span(Duration::from_millis(2_500)), "2.50 s");
    }

    #[test]
    fn templates_are_well_formed() {
        assert!(ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg}").is_ok());
    }
}
