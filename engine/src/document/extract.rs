//! Some values of a JSON text, without the rest of it being made.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::path::Path;
use crate::error::{Error, Result};

/// The values at some paths of a stored document, in their order: what [`Path::find`] finds in all of it.
pub(super) fn extract<'p>(text: &[u8], paths: impl Iterator<Item = &'p Path>) -> Result<Vec<Option<Value>>> {
    let wanted: Vec<_> = paths.enumerate().map(|(place, path)| Wanted { rest: path.as_str(), place }).collect();
    let mut found = vec![None; wanted.len()];
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = Within { wanted: &wanted, found: &mut found }.deserialize(&mut reader).and_then(|()| reader.end());
    read.map_err(|error| Error::Internal(format!("a stored document is no JSON: {error}")))?;
    Ok(found)
}

/// A value that is asked for.
#[derive(Clone, Copy)]
struct Wanted<'p> {
    /// The JSON Pointer from here.
    rest: &'p str,
    /// Where it goes.
    place: usize,
}

impl<'p> Wanted<'p> {
    /// The first step of the way, and the rest.
    fn split(&self) -> (&'p str, &'p str) {
        let way = self.rest.get(1..).unwrap_or_default();
        way.split_at(way.find('/').unwrap_or(way.len()))
    }

    /// What is asked for of a part; `None` where it lies elsewhere.
    fn below(self, is_it: impl FnOnce(&str) -> bool) -> Option<Wanted<'p>> {
        let (step, rest) = self.split();
        let is_it = if step.contains('~') { is_it(&step.replace("~1", "/").replace("~0", "~")) } else { is_it(step) };
        is_it.then_some(Wanted { rest, ..self })
    }
}

/// A value within which some are asked for.
struct Within<'w, 'p> {
    wanted: &'w [Wanted<'p>],
    found: &'w mut [Option<Value>],
}

impl<'p> Within<'_, 'p> {
    fn below(&self, is_it: impl Fn(&str) -> bool) -> Vec<Wanted<'p>> {
        self.wanted.iter().filter_map(|wanted| wanted.below(&is_it)).collect()
    }
}

impl<'de> DeserializeSeed<'de> for Within<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.wanted.is_empty() {
            return serde::Deserialize::deserialize(deserializer).map(|IgnoredAny| ());
        }
        if self.wanted.iter().all(|wanted| !wanted.rest.is_empty()) {
            return deserializer.deserialize_any(self);
        }
        let value: Value = serde::Deserialize::deserialize(deserializer)?;
        self.wanted.iter().for_each(|wanted| self.found[wanted.place] = value.pointer(wanted.rest).cloned());
        Ok(())
    }
}

impl<'de> Visitor<'de> for Within<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(wanted) = fields.next_key_seed(Name(&self))? {
            // The last of several fields of one name counts.
            wanted.iter().for_each(|wanted| self.found[wanted.place] = None);
            fields.next_value_seed(Within { wanted: &wanted, found: &mut *self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let mut place = 0_usize;
        loop {
            let wanted = self.below(|step| index_of(step) == Some(place));
            if values.next_element_seed(Within { wanted: &wanted, found: &mut *self.found })?.is_none() {
                return Ok(());
            }
            place += 1;
        }
    }

    // There is nothing below any other value.

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// The place in an array that a step means.
fn index_of(step: &str) -> Option<usize> {
    let well_formed = step == "0" || !step.starts_with(['0', '+']);
    step.parse().ok().filter(|_| well_formed)
}

/// The name of a field, of which all that matters is what is asked for below it.
struct Name<'n, 'w, 'p>(&'n Within<'w, 'p>);

impl<'de, 'p> DeserializeSeed<'de> for Name<'_, '_, 'p> {
    type Value = Vec<Wanted<'p>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Name<'_, '_, 'p> {
    type Value = Vec<Wanted<'p>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.below(|step| step == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each path by itself and all at once, against the whole value.
    #[test]
    fn what_is_found_is_what_the_whole_has_there() {
        let texts = [
            r#"{"a":1,"b":{"c":[10,{"d":"x"},[true]],"":null},"e/f":2,"g~h":{"i":3},"é":"\u00e9","n":-1.5e300}"#,
            r#"{"b":{"c":{"0":"not an array","1":7}},"a":{"a":{"a":0}}}"#,
            r#"{"a":1,"a":{"b":2},"b":{"c":5},"b":6}"#,
            r#"[[1,2],{"a":3},18446744073709551615]"#,
            "7",
            "null",
            r#""text""#,
            "{}",
        ];
        let paths = [
            "/a", "/b", "/b/c", "/b/c/0", "/b/c/1/d", "/b/c/2/0", "/b/c/00", "/b/c/+1", "/b/c/9", "/b/", "/e~1f", "/g~0h/i",
            "/a/b", "/a/a/a", "/0", "/0/1", "/1/a", "/2", "/é", "/n", "/-", "/x/y/z",
        ];
        let paths: Vec<_> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
        for text in texts {
            let whole: Value = serde_json::from_str(text).unwrap();
            let expected: Vec<_> = paths.iter().map(|path| path.find(&whole).cloned()).collect();
            assert_eq!(extract(text.as_bytes(), paths.iter()).unwrap(), expected, "{text}");
            for (path, expected) in paths.iter().zip(expected) {
                assert_eq!(extract(text.as_bytes(), [path].into_iter()).unwrap(), [expected], "{path} of {text}");
            }
        }
        for wrong in ["", "{", r#"{"a":1"#, r#"{"a":1} x"#, r#"{"b":nul}"#] {
            assert!(extract(wrong.as_bytes(), paths.iter()).is_err(), "{wrong}");
        }
    }
}
