//! Values and lengths of time, as the commands for metadata take and show them.

use std::io::{self, Read, Write};
use std::time::Duration;

use alluvium::IfRevision;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::failure::{Failure, Outcome};
use crate::parse;

/// Characters of a value that a list shows.
const SHOWN: usize = 60;

/// One line for people.
pub(super) fn say(words: &str) -> Outcome {
    let mut out = io::stdout().lock();
    writeln!(out, "{words}")?;
    Ok(out.flush()?)
}

/// All of standard input.
pub(super) fn standard_input() -> Outcome<Vec<u8>> {
    let mut value = Vec::new();
    io::stdin().lock().read_to_end(&mut value).map_err(|error| Failure::io("read", "standard input", &error))?;
    Ok(value)
}

/// A length of time that a program is told, in whole seconds; nothing where there is none.
pub(super) fn told_seconds(time: Option<f64>) -> String {
    time.and_then(|time| Duration::try_from_secs_f64(time).ok()).map_or_else(String::new, seconds)
}

/// Bytes that a program is told: see [`text_or_base64`].
pub(super) fn told_bytes(text: Option<&str>, base64: Option<&str>) -> Vec<u8> {
    bytes_of(text.map(str::to_owned), base64.map(str::to_owned)).unwrap_or_default()
}

/// What has to be true of what is written.
pub(crate) fn condition(if_absent: bool, if_revision: Option<u64>) -> IfRevision {
    match if_revision {
        _ if if_absent => IfRevision::Absent,
        Some(revision) => IfRevision::Is(revision),
        None => IfRevision::Any,
    }
}

/// Bytes for programs: as text where they are that, else in base64.
pub(super) fn text_or_base64(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64_STANDARD.encode(bytes))),
    }
}

/// Bytes that a program gives: as text, or as `base64` where they are no text.
pub(crate) fn bytes_of(text: Option<String>, base64: Option<String>) -> Result<Vec<u8>, String> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(base64)) => BASE64_STANDARD.decode(base64).map_err(|error| format!("base64: {error}")),
        (Some(_), Some(_)) => Err("it is given as text and in base64: leave out one".to_owned()),
        (None, None) => Err("nothing is given, neither as text nor in base64".to_owned()),
    }
}

/// As much of a value as fits a line.
pub(super) fn shown(value: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(value) else { return format!("{} bytes", value.len()) };
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    if line.len() < text.len() { format!("{line}…") } else { line }
}

/// A length of time in whole seconds, rounded up.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f64().ceil())
}

/// Reads a length of time on the command line.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let parsed = parse::duration::duration(text)?;
    if parsed.months != 0 {
        return Err("months differ in length: write days".to_owned());
    }
    let micros = u64::try_from(parsed.nanos / 1_000).map_err(|_| "a length of time is not negative".to_owned())?;
    Ok(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_one_length() {
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert!(time("1mo").is_err() && time("soon").is_err());
    }

    #[test]
    fn a_list_shows_one_line_of_a_value() {
        assert_eq!(shown(b"a\nb"), "a b");
        assert_eq!(shown(&[0xff; 7]), "7 bytes");
        assert_eq!(shown("é".repeat(100).as_bytes()), format!("{}…", "é".repeat(60)));
    }
}
