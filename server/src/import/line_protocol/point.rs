//! One line of Influx line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.
//!
//! By hand: the crates for it are no longer kept. A pure function from text to borrowed parts, fit for fuzzing.

use std::borrow::Cow;

/// The parts of a line. Text is unescaped.
#[derive(Debug, PartialEq)]
pub(crate) struct Point<'a> {
    /// What was measured.
    pub(crate) measurement: Cow<'a, str>,
    /// Tags, as written: a key may appear twice.
    pub(crate) tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Fields, as written; at least one.
    pub(crate) fields: Vec<(Cow<'a, str>, FieldValue<'a>)>,
    /// The time, an integer.
    pub(crate) time: Option<i64>,
}

/// The value of a field, numbers as they are written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FieldValue<'a> {
    /// `1.5`, `1`, `1e3`
    Float(&'a str),
    /// `1i`
    Int(&'a str),
    /// `1u`
    UInt(&'a str),
    /// `t`, `true`, …
    Bool(bool),
    /// `"text"`
    Text(Cow<'a, str>),
}

/// Reads a line. `None` if it is blank or a comment. An error says what is wrong, and at which byte.
pub(crate) fn parse_line(line: &str) -> Result<Option<Point<'_>>, String> {
    let mut rest = Rest { line, at: 0 };
    rest.skip_spaces();
    if matches!(rest.peek(), None | Some(b'#')) {
        return Ok(None);
    }
    let measurement = rest.name(b", ");
    if measurement.is_empty() {
        return Err(rest.error("a measurement"));
    }
    let mut tags = Vec::new();
    while rest.take(b',') {
        let key = rest.name(b",= ");
        if key.is_empty() || !rest.take(b'=') {
            return Err(rest.error("tag=value"));
        }
        let value = rest.name(b",= ");
        if value.is_empty() {
            return Err(rest.error("the value of a tag"));
        }
        tags.push((key, value));
    }
    rest.spaces("a space and fields")?;
    let mut fields = Vec::new();
    loop {
        let key = rest.name(b",= ");
        if key.is_empty() || !rest.take(b'=') {
            return Err(rest.error("field=value"));
        }
        fields.push((key, rest.value()?));
        if !rest.take(b',') {
            break;
        }
    }
    let time =
        if rest.spaces("a comma, or a space and a time").is_ok() && rest.peek().is_some() { Some(rest.time()?) } else { None };
    rest.skip_spaces();
    match rest.peek() {
        Some(_) if time.is_some() => Err(rest.error("the end of the line")),
        Some(_) => Err(rest.error("a comma, or a space and a time")),
        None => Ok(Some(Point { measurement, tags, fields, time })),
    }
}

/// What is left of a line.
struct Rest<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    fn bytes(&self) -> &'a [u8] {
        self.line.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes().first().copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn skip_spaces(&mut self) {
        self.at += self.bytes().iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    }

    /// At least one space.
    fn spaces(&mut self, expected: &str) -> Result<(), String> {
        let before = self.at;
        self.skip_spaces();
        if self.at == before { Err(self.error(expected)) } else { Ok(()) }
    }

    fn error(&self, expected: &str) -> String {
        match self.peek() {
            None => format!("line protocol: {expected} is expected, but the line ends"),
            Some(_) => format!("line protocol: {expected} is expected at byte {}", self.at + 1),
        }
    }

    /// The text from `from` to here.
    fn since(&self, from: usize) -> &'a str {
        self.line.get(from..self.at).unwrap_or_default()
    }

    /// Text up to one of `ends`, each of which, and `=`, loses its meaning behind a backslash. Other backslashes are themselves.
    fn name(&mut self, ends: &[u8]) -> Cow<'a, str> {
        let (mut from, mut unescaped) = (self.at, None::<String>);
        loop {
            match (self.peek(), self.bytes().get(1)) {
                (Some(b'\\'), Some(b',' | b'=' | b' ')) => {
                    let text = self.since(from);
                    unescaped.get_or_insert_default().push_str(text);
                    from = self.at + 1;
                    self.at += 2;
                }
                (Some(byte), _) if !ends.contains(&byte) => self.at += 1,
                _ => break,
            }
        }
        joined(unescaped, self.since(from))
    }

    /// The value of a field.
    fn value(&mut self) -> Result<FieldValue<'a>, String> {
        if self.take(b'"') {
            return self.text().map(FieldValue::Text);
        }
        let start = self.at;
        self.at += self.bytes().iter().take_while(|byte| !matches!(byte, b',' | b' ' | b'\t' | b'\r')).count();
        let word = self.since(start);
        let value = match word {
            "t" | "T" | "true" | "True" | "TRUE" => Some(FieldValue::Bool(true)),
            "f" | "F" | "false" | "False" | "FALSE" => Some(FieldValue::Bool(false)),
            _ => match (word.strip_suffix('i'), word.strip_suffix('u')) {
                (Some(digits), _) => digits.parse::<i64>().ok().map(|_| FieldValue::Int(digits)),
                (_, Some(digits)) => digits.parse::<u64>().ok().map(|_| FieldValue::UInt(digits)),
                _ => word.parse::<f64>().ok().map(|_| FieldValue::Float(word)),
            },
        };
        value.ok_or_else(|| {
            self.at = start;
            self.error("a number, 5i, 5u, true, false or \"text\"")
        })
    }

    /// Text behind an opening quote, in which `\"` and `\\` are escapes.
    fn text(&mut self) -> Result<Cow<'a, str>, String> {
        let (mut from, mut unescaped) = (self.at, None::<String>);
        loop {
            match (self.peek(), self.bytes().get(1)) {
                (Some(b'\\'), Some(b'"' | b'\\')) => {
                    let text = self.since(from);
                    unescaped.get_or_insert_default().push_str(text);
                    from = self.at + 1;
                    self.at += 2;
                }
                (Some(b'"'), _) => break,
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(self.error("a closing quote")),
            }
        }
        let tail = self.since(from);
        self.at += 1;
        Ok(joined(unescaped, tail))
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

fn joined(unescaped: Option<String>, tail: &str) -> Cow<'_, str> {
    match unescaped {
        Some(text) => Cow::Owned(text + tail),
        None => Cow::Borrowed(tail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::testing::{random, random_text};
    use FieldValue::{Bool, Float, Int, Text, UInt};

    fn point<'a>(
        measurement: &'a str,
        tags: &[(&'a str, &'a str)],
        fields: &[(&'a str, FieldValue<'a>)],
        time: Option<i64>,
    ) -> Result<Option<Point<'a>>, String> {
        Ok(Some(Point {
            measurement: measurement.into(),
            tags: tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            fields: fields.iter().map(|(key, value)| ((*key).into(), value.clone())).collect(),
            time,
        }))
    }

    #[test]
    fn plain_lines() {
        assert_eq!(parse_line("m f=1"), point("m", &[], &[("f", Float("1"))], None));
        assert_eq!(
            parse_line("weather,city=Bern,site=a temp=-1.5,n=3i,u=4u,ok=t,off=FALSE,s=\"x y\" 1700000000000000000"),
            point(
                "weather",
                &[("city", "Bern"), ("site", "a")],
                &[
                    ("temp", Float("-1.5")),
                    ("n", Int("3")),
                    ("u", UInt("4")),
                    ("ok", Bool(true)),
                    ("off", Bool(false)),
                    ("s", Text("x y".into())),
                ],
                Some(1_700_000_000_000_000_000)
            )
        );
        assert_eq!(parse_line("  m   f=1e3   -5  \r"), point("m", &[], &[("f", Float("1e3"))], Some(-5)));
        for line in ["", "   ", "# a comment", "\t\r"] {
            assert_eq!(parse_line(line), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(
            parse_line(r#"my\ plant\,a=b,the\ tag\=x=v\,1\ 2\= f\,\ \=="q\"u\\o\te",g="" 1"#),
            point(
                "my plant,a=b",
                &[("the tag=x", "v,1 2=")],
                &[("f, =", Text("q\"u\\o\\te".into())), ("g", Text("".into()))],
                Some(1)
            )
        );
        assert_eq!(parse_line(r"C:\dir,p=C:\x f=1"), point(r"C:\dir", &[("p", r"C:\x")], &[("f", Float("1"))], None));
        assert_eq!(parse_line(r"\ m f=1"), point(" m", &[], &[("f", Float("1"))], None));
        assert_eq!(parse_line(r"\  f=1"), point(" ", &[], &[("f", Float("1"))], None));
        assert_eq!(
            parse_line("größe,ort=Köln höhe=\"ü, ö\""),
            point("größe", &[("ort", "Köln")], &[("höhe", Text("ü, ö".into()))], None)
        );
    }

    #[test]
    fn malformed_lines() {
        for (line, reason) in [
            ("m", "a space and fields is expected, but the line ends"),
            (",a=b f=1", "a measurement is expected at byte 1"),
            ("m,a f=1", "tag=value is expected at byte 4"),
            ("m,a= f=1", "the value of a tag is expected at byte 5"),
            ("m,=b f=1", "tag=value is expected at byte 3"),
            ("m,a=b", "a space and fields is expected, but the line ends"),
            ("m f", "field=value is expected, but the line ends"),
            ("m f=", "a number, 5i, 5u, true, false or \"text\" is expected, but the line ends"),
            ("m f=abc", "is expected at byte 5"),
            ("m f=1.5i", "is expected at byte 5"),
            ("m f=-1u", "is expected at byte 5"),
            ("m f=99999999999999999999i", "is expected at byte 5"),
            ("m f=\"abc", "a closing quote is expected, but the line ends"),
            ("m f=\"abc\\\"", "a closing quote is expected, but the line ends"),
            ("m f=\"a\"b", "a comma, or a space and a time is expected at byte 8"),
            ("m f=1,", "field=value is expected, but the line ends"),
            ("m f=1 noon", "a time as an integer of 64 bits is expected at byte 7"),
            ("m f=1 99999999999999999999", "a time as an integer of 64 bits is expected at byte 7"),
            ("m f=1 1 2", "the end of the line is expected at byte 9"),
            ("m f=1 1-2", "a time as an integer of 64 bits is expected at byte 7"),
        ] {
            let error = parse_line(line).unwrap_err();
            assert!(error.contains(reason), "{line:?}: {error}");
        }
    }

    fn escape(text: &str, special: &[char]) -> String {
        text.chars().flat_map(|letter| special.contains(&letter).then_some('\\').into_iter().chain([letter])).collect()
    }

    /// What is written by the rules of the format is read back, and no text at all makes the parser panic.
    #[test]
    fn reads_what_the_rules_write() {
        let mut random = random();
        for _ in 0..5_000 {
            // No backslashes in names: before a special character the format cannot express them.
            let mut name = |prefix: &str| format!("{prefix}{}", random_text(&mut random, "ab ,=ü\"", 4));
            let (measurement, tag, value, field) = (name("m"), name("t"), name("v"), name("f"));
            let text = random_text(&mut random, "ab ,=ü\"\\", 6);
            let time = random.u64(..).cast_signed();
            let line = format!(
                "{},{}={} {}=\"{}\" {time}",
                escape(&measurement, &[',', ' ']),
                escape(&tag, &[',', ' ', '=']),
                escape(&value, &[',', ' ', '=']),
                escape(&field, &[',', ' ', '=']),
                escape(&text, &['"', '\\']),
            );
            let expected = point(&measurement, &[(&tag, &value)], &[(&field, Text(text.as_str().into()))], Some(time));
            assert_eq!(parse_line(&line), expected, "{line}");
            let _ = parse_line(&random_text(&mut random, "mf=, \"\\1iü#", 16));
        }
    }
}
