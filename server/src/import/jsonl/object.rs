//! JSON objects of plain values, and arrays of them. Numbers are handed on as they are written, so that no digit is lost on the way.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::import::column::{Cell, Misfit};

/// Calls `visit` with each key and value of an object; `null` is left out. An error says what is wrong.
pub(crate) fn visit_object(line: &str, visit: &mut dyn FnMut(&str, Cell<'_>) -> Result<(), Misfit>) -> Result<(), Misfit> {
    let mut refusal = None;
    let mut reader = serde_json::Deserializer::from_str(line);
    let outcome = (&mut reader).deserialize_map(ObjectVisitor { visit, refusal: &mut refusal }).and_then(|()| reader.end());
    match (refusal, outcome) {
        (Some(reason), _) => Err(reason),
        (None, Err(error)) => Err(Misfit::new("", describe(&error))),
        (None, Ok(())) => Ok(()),
    }
}

/// Calls `visit` with the text of each element of an array.
pub(crate) fn visit_array<E>(array: &str, visit: &mut dyn FnMut(&str) -> Result<(), E>) -> Result<(), Refused<E>> {
    let mut refusal = None;
    let mut reader = serde_json::Deserializer::from_str(array);
    let outcome = (&mut reader).deserialize_seq(ArrayVisitor { visit, refusal: &mut refusal }).and_then(|()| reader.end());
    match (refusal, outcome) {
        (Some(refusal), _) => Err(Refused::ByVisit(refusal)),
        (None, Err(error)) => Err(Refused::NoArray(error.to_string())),
        (None, Ok(())) => Ok(()),
    }
}

/// Why an array was not read to its end.
#[derive(Debug)]
pub(crate) enum Refused<E> {
    /// An element was not wanted.
    ByVisit(E),
    /// It is none.
    NoArray(String),
}

struct ArrayVisitor<'a, E> {
    visit: &'a mut dyn FnMut(&str) -> Result<(), E>,
    refusal: &'a mut Option<E>,
}

impl<'de, E> Visitor<'de> for ArrayVisitor<'_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if let Err(refusal) = (self.visit)(element.get()) {
                *self.refusal = Some(refusal);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

/// serde_json counts lines within what it was given, which is one line of many.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("not a JSON object of plain values: {what} at byte {}", error.column())
}

struct ObjectVisitor<'a> {
    visit: &'a mut dyn FnMut(&str, Cell<'_>) -> Result<(), Misfit>,
    refusal: &'a mut Option<Misfit>,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            let value = map.next_value::<&RawValue>()?.get();
            if let Err(reason) = visit_value(&key, value, self.visit) {
                *self.refusal = Some(reason);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

fn visit_value(key: &str, value: &str, visit: &mut dyn FnMut(&str, Cell<'_>) -> Result<(), Misfit>) -> Result<(), Misfit> {
    match value.as_bytes().first() {
        Some(b'n') => Ok(()),
        Some(b'"') => match value.get(1..value.len().saturating_sub(1)) {
            Some(text) if !text.contains('\\') => visit(key, Cell { text, quoted: true }),
            _ => {
                let text: String = serde_json::from_str(value).map_err(|error| Misfit::new(key, describe(&error)))?;
                visit(key, Cell { text: &text, quoted: true })
            }
        },
        Some(b'{') => Err(Misfit::new(key, "an object, not a plain value")),
        Some(b'[') => Err(Misfit::new(key, "a list, not a plain value")),
        _ => visit(key, Cell { text: value, quoted: false }),
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(line: &str) -> Result<Vec<(String, String, bool)>, String> {
        let mut found = Vec::new();
        visit_object(line, &mut |key, cell| {
            found.push((key.to_owned(), cell.text.to_owned(), cell.quoted));
            Ok(())
        })
        .map(|()| found)
        .map_err(String::from)
    }

    #[test]
    fn plain_values_as_they_are_written() {
        let found =
            visit(r#" {"a":1.50,"b\u00e4":-3e2,"c":"x\n\"y\"","d":true,"e":null,"f":"","g":123456789012345678901234567890} "#);
        let expected = [
            ("a", "1.50", false),
            ("bä", "-3e2", false),
            ("c", "x\n\"y\"", true),
            ("d", "true", false),
            ("f", "", true),
            ("g", "123456789012345678901234567890", false),
        ];
        assert_eq!(found, Ok(expected.map(|(key, text, quoted)| (key.to_owned(), text.to_owned(), quoted)).to_vec()));
        assert_eq!(visit("{}"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_object_of_plain_values() {
        for (line, part) in [
            ("", "EOF"),
            ("[1]", "expected an object"),
            ("5", "expected an object"),
            ("{\"a\":1", "EOF"),
            ("{\"a\":1}}", "trailing characters at byte 8"),
            ("{\"a\":NaN}", "expected value at byte 6"),
            ("{\"a\":{\"b\":1}}", "column \"a\": an object"),
            ("{\"a\":[1]}", "column \"a\": a list"),
            ("{\"a\":\"\\ud800\"}", "hex escape"),
            ("{a:1}", "key must be a string"),
        ] {
            let reason = visit(line).unwrap_err();
            assert!(reason.contains(part), "{line}: {reason}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(visit(&deep).unwrap_err().contains("EOF"));
    }

    #[test]
    fn a_refusal_is_handed_on() {
        let no = || Misfit::new("b", "no");
        let refused = visit_object("{\"a\":1,\"b\":2}", &mut |key, _| if key == "b" { Err(no()) } else { Ok(()) });
        assert_eq!(refused, Err(no()));
    }
}
