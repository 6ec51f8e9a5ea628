//! Points of Influx line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`, one on a line.
//!
//! By hand: the crates for it are no longer kept. Pure functions from text to borrowed parts, fit for fuzzing; nothing is
//! allocated for a point but what the one before left.

use super::text::{Escapes, Text};

/// The parts of a point.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct Point<'a> {
    /// What was measured.
    pub(crate) measurement: Text<'a>,
    /// Tags, as written: a key may appear twice.
    pub(crate) tags: Vec<(Text<'a>, Text<'a>)>,
    /// Fields, as written; at least one.
    pub(crate) fields: Vec<(Text<'a>, FieldValue<'a>)>,
    /// The time, an integer.
    pub(crate) time: Option<i64>,
}

/// The value of a field, numbers also as they are written.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) enum FieldValue<'a> {
    /// `1.5`, `1`, `1e3`
    Float(f64, &'a str),
    /// `1i`
    Int(i64, &'a str),
    /// `1u`
    UInt(u64, &'a str),
    /// `t`, `true`, …
    Bool(bool),
    /// `"text"`
    Text(Text<'a>),
}

/// Reads a line. `None` if it is blank or a comment. An error says what is wrong, and at which byte.
pub(crate) fn parse_line(line: &str) -> Result<Option<Point<'_>>, String> {
    let mut point = Point::default();
    Points::new(line).next(&mut point).transpose().map(|found| found.map(|()| point))
}

/// Reads point after point.
#[derive(Debug)]
pub(crate) struct Points<'a> {
    text: &'a str,
    at: usize,
    /// Where the point read last begins.
    start: usize,
}

impl<'a> Points<'a> {
    /// Those of a text.
    pub(crate) fn new(text: &'a str) -> Self {
        Points { text, at: 0, start: 0 }
    }

    /// Reads the next point into what the one before leaves; `None` behind the last. An error says what is wrong with a line, and at
    /// which of its bytes; the next is read from behind it.
    pub(crate) fn next(&mut self, point: &mut Point<'a>) -> Option<Result<(), String>> {
        loop {
            self.at += self.bytes().iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
            match self.peek()? {
                b'#' => self.at = self.line_end(self.at),
                _ => break,
            }
        }
        self.start = self.line_start();
        let outcome = self.point(point);
        if outcome.is_err() {
            self.at = self.line_end(self.start);
        }
        Some(outcome)
    }

    /// The line that the point read last begins on.
    pub(crate) fn line(&self) -> &'a str {
        let end = self.line_end(self.start);
        self.text.get(self.start..end).unwrap_or_default().trim_end_matches('\r')
    }

    fn point(&mut self, point: &mut Point<'a>) -> Result<(), String> {
        point.tags.clear();
        point.fields.clear();
        point.measurement = self.name(Escapes::Measurement);
        if point.measurement.written.is_empty() {
            return Err(self.error("a measurement"));
        }
        while self.take(b',') {
            let key = self.name(Escapes::Name);
            if key.written.is_empty() || !self.take(b'=') {
                return Err(self.error("tag=value"));
            }
            let value = self.name(Escapes::Name);
            if value.written.is_empty() {
                return Err(self.error("the value of a tag"));
            }
            point.tags.push((key, value));
        }
        self.spaces("a space and fields")?;
        loop {
            let key = self.name(Escapes::Name);
            if key.written.is_empty() || !self.take(b'=') {
                return Err(self.error("field=value"));
            }
            point.fields.push((key, self.value()?));
            if !self.take(b',') {
                break;
            }
        }
        let before = self.at;
        self.skip_spaces();
        point.time = match self.line_peek() {
            Some(_) if self.at == before => return Err(self.error("a comma, or a space and a time")),
            Some(_) => Some(self.time()?),
            None => None,
        };
        self.skip_spaces();
        match self.line_peek() {
            Some(_) => Err(self.error("the end of the line")),
            None => Ok(()),
        }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte of this line.
    fn line_peek(&self) -> Option<u8> {
        self.peek().filter(|byte| *byte != b'\n')
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// At least one space.
    fn spaces(&mut self, expected: &str) -> Result<(), String> {
        let before = self.at;
        self.skip_spaces();
        if self.at == before { Err(self.error(expected)) } else { Ok(()) }
    }

    fn error(&self, expected: &str) -> String {
        match self.line_peek() {
            None => format!("line protocol: {expected} is expected, but the line ends"),
            Some(_) => format!("line protocol: {expected} is expected at byte {}", self.at - self.start + 1),
        }
    }

    /// Where the line of this place begins, of which nothing was passed yet but blanks.
    fn line_start(&self) -> usize {
        let before = self.text.as_bytes().get(..self.at).unwrap_or_default();
        memchr::memrchr(b'\n', before).map_or(0, |end| end + 1)
    }

    /// Where the line of a place ends.
    fn line_end(&self, from: usize) -> usize {
        let behind = self.text.as_bytes().get(from..).unwrap_or_default();
        from + memchr::memchr(b'\n', behind).unwrap_or(behind.len())
    }

    /// The text from `from` to here.
    fn since(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// Text up to what ends it.
    fn name(&mut self, escapes: Escapes) -> Text<'a> {
        let (from, mut found) = (self.at, None);
        let ends = if escapes == Escapes::Measurement { &ENDS_MEASUREMENT } else { &ENDS_NAME };
        loop {
            self.at += self.bytes().iter().take_while(|byte| !ends[usize::from(**byte)]).count();
            if self.peek() != Some(b'\\') {
                return Text { written: self.since(from), escapes: found };
            }
            match self.bytes().get(1) {
                Some(byte) if escapes.hold(*byte) => {
                    found = Some(escapes);
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
    }

    /// The value of a field.
    fn value(&mut self) -> Result<FieldValue<'a>, String> {
        if self.take(b'"') {
            return self.text().map(FieldValue::Text);
        }
        let start = self.at;
        self.at += self.bytes().iter().take_while(|byte| !matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n')).count();
        value_of(self.since(start)).ok_or_else(|| {
            self.at = start;
            self.error("a number, 5i, 5u, true, false or \"text\"")
        })
    }

    /// Text behind an opening quote. Lines may end within it.
    fn text(&mut self) -> Result<Text<'a>, String> {
        let (from, mut found) = (self.at, None);
        loop {
            let Some(length) = memchr::memchr2(b'"', b'\\', self.bytes()) else {
                self.at = self.line_end(from);
                return Err(self.error("a closing quote"));
            };
            self.at += length;
            if self.peek() == Some(b'"') {
                let written = self.since(from);
                self.at += 1;
                return Ok(Text { written, escapes: found });
            }
            match self.bytes().get(1) {
                Some(byte) if Escapes::Quoted.hold(*byte) => {
                    found = Some(Escapes::Quoted);
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
    }

    fn time(&mut self) -> Result<i64, String> {
        let start = self.at;
        self.at += self.bytes().iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        self.since(start).parse().map_err(|_| {
            self.at = start;
            self.error("a time as an integer of 64 bits")
        })
    }
}

/// What ends a measurement, or may not.
const ENDS_MEASUREMENT: [bool; 256] = among(b", \n\\");
/// What ends other names, or may not.
const ENDS_NAME: [bool; 256] = among(b",= \n\\");

/// By byte, whether it is one of these.
const fn among(bytes: &[u8]) -> [bool; 256] {
    let mut found = [false; 256];
    let mut at = 0;
    while at < bytes.len() {
        found[bytes[at] as usize] = true;
        at += 1;
    }
    found
}

/// A value that is no text.
fn value_of(word: &str) -> Option<FieldValue<'_>> {
    let (digits, last) = word.split_at_checked(word.len().checked_sub(1)?)?;
    Some(match (last, word) {
        ("i", _) => FieldValue::Int(digits.parse().ok()?, digits),
        ("u", _) => FieldValue::UInt(digits.parse().ok()?, digits),
        (_, "t" | "T" | "true" | "True" | "TRUE") => FieldValue::Bool(true),
        (_, "f" | "F" | "false" | "False" | "FALSE") => FieldValue::Bool(false),
        _ => FieldValue::Float(word.parse().ok()?, word),
    })
}

#[cfg(test)]
mod tests;
