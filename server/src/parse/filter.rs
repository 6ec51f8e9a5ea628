//! Conditions: `NAME=V`, `NAME!=V`, `NAME in (A,B)`, `FIELD>=N`.
//!
//! A name ends at the first operator; a value is the rest. Blanks around either do not count. A name or value that would
//! be misread goes in single or double quotes, in which a doubled quote stands for one.

use alluvium::{Comparison, Filter};

/// The operators; longer ones before those they begin with.
const OPERATORS: [(&str, Comparison); 7] = [
    ("!=", Comparison::NotEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<=", Comparison::LessOrEqual),
    ("==", Comparison::Equal),
    ("=", Comparison::Equal),
    (">", Comparison::Greater),
    ("<", Comparison::Less),
];

/// Reads one condition. Values stay text: the engine reads them as the column's type.
pub(crate) fn filter(text: &str) -> Result<Filter, String> {
    read(text).ok_or_else(|| {
        format!(
            "cannot read the condition {text:?}: use NAME=VALUE, NAME!=VALUE, 'NAME in (A,B)' or 'FIELD>=NUMBER', with quotes around a name or value that contains operators or commas"
        )
    })
}

fn read(text: &str) -> Option<Filter> {
    let (name, rest) = match quoted(text.trim()) {
        Some((name, rest)) => (name, rest.trim_start()),
        None => {
            let end = (0..text.len()).find(|at| text.is_char_boundary(*at) && starts_comparison(text, *at))?;
            let (name, rest) = text.split_at(end);
            (name.trim().to_owned(), rest.trim_start())
        }
    };
    if name.is_empty() {
        return None;
    }
    if let Some(list) = after_in(rest) {
        let items = items(list.trim().strip_prefix('(')?.strip_suffix(')')?)?;
        return Some(Filter::one_of(name, items));
    }
    let (operator, comparison) = OPERATORS.into_iter().find(|(operator, _)| rest.starts_with(operator))?;
    Some(Filter::new(name, comparison, value(rest.get(operator.len()..)?)?))
}

/// Whether a comparison begins at a byte: an operator, or the word `in` between a blank and a parenthesis.
fn starts_comparison(text: &str, at: usize) -> bool {
    let rest = &text[at..];
    if OPERATORS.iter().any(|(operator, _)| rest.starts_with(operator)) {
        return true;
    }
    rest.starts_with(char::is_whitespace) && after_in(rest.trim_start()).is_some_and(|list| list.trim_start().starts_with('('))
}

fn after_in(text: &str) -> Option<&str> {
    text.strip_prefix("in").or_else(|| text.strip_prefix("IN"))
}

/// A whole value, quoted or not.
fn value(text: &str) -> Option<String> {
    let text = text.trim();
    if text.starts_with(['"', '\'']) {
        let (value, rest) = quoted(text)?;
        return rest.trim().is_empty().then_some(value);
    }
    Some(text.to_owned())
}

/// Comma-separated values, at least one.
fn items(text: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    loop {
        let (item, after) = match quoted(rest) {
            Some((item, after)) => (item, after.trim_start()),
            None if rest.starts_with(['"', '\'']) => return None,
            None => {
                let (item, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                (item.trim().to_owned(), after)
            }
        };
        found.push(item);
        match after.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None if after.is_empty() => return Some(found),
            None => return None,
        }
    }
}

/// Text in quotes at the start, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut value = String::new();
    let mut rest = &text[1..];
    loop {
        let (before, after) = rest.split_once(quote)?;
        value.push_str(before);
        match after.strip_prefix(quote) {
            Some(next) => {
                value.push(quote);
                rest = next;
            }
            None => return Some((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use alluvium::Value;

    use super::*;

    fn parts(text: &str) -> (String, Comparison, Vec<String>) {
        let filter = filter(text).unwrap();
        let values = filter.values.into_iter().map(|value| match value {
            Value::Utf8(text) => text,
            other => panic!("{other:?}"),
        });
        (filter.column, filter.comparison, values.collect())
    }

    #[track_caller]
    fn check(text: &str, name: &str, comparison: Comparison, values: &[&str]) {
        let expected = (name.to_owned(), comparison, values.iter().map(|v| (*v).to_owned()).collect());
        assert_eq!(parts(text), expected, "{text}");
    }

    #[test]
    fn plain_conditions() {
        check("room=A", "room", Comparison::Equal, &["A"]);
        check("room == A", "room", Comparison::Equal, &["A"]);
        check("room!=A B", "room", Comparison::NotEqual, &["A B"]);
        check("co2>=400.5", "co2", Comparison::GreaterOrEqual, &["400.5"]);
        check("co2 <= -3", "co2", Comparison::LessOrEqual, &["-3"]);
        check("co2>400", "co2", Comparison::Greater, &["400"]);
        check("co2 < 1e3", "co2", Comparison::Less, &["1e3"]);
        check("Indoor Temp>=20", "Indoor Temp", Comparison::GreaterOrEqual, &["20"]);
        check("größe=ä", "größe", Comparison::Equal, &["ä"]);
        check("wow!=x", "wow", Comparison::NotEqual, &["x"]);
        check("hey!there=x", "hey!there", Comparison::Equal, &["x"]);
        check("room=", "room", Comparison::Equal, &[""]);
        check("room=''", "room", Comparison::Equal, &[""]);
    }

    #[test]
    fn lists() {
        check("room in (A,B)", "room", Comparison::In, &["A", "B"]);
        check("room IN(A , B C)", "room", Comparison::In, &["A", "B C"]);
        check("room in ('A, B', \"C)\", D (old))", "room", Comparison::In, &["A, B", "C)", "D (old)"]);
        check("room in (A)", "room", Comparison::In, &["A"]);
        check("room in (A,)", "room", Comparison::In, &["A", ""]);
        check("made in china=yes", "made in china", Comparison::Equal, &["yes"]);
        check("in=1", "in", Comparison::Equal, &["1"]);
        check("\"in\" in (1)", "in", Comparison::In, &["1"]);
    }

    #[test]
    fn quotes() {
        check("\"a=b\"=c", "a=b", Comparison::Equal, &["c"]);
        check("'p in (x)' >= 3", "p in (x)", Comparison::GreaterOrEqual, &["3"]);
        check("name='it''s'", "name", Comparison::Equal, &["it's"]);
        check("name=\"say \"\"x\"\"\"", "name", Comparison::Equal, &["say \"x\""]);
        check("name=a>=b", "name", Comparison::Equal, &["a>=b"]);
        check("name=' padded '", "name", Comparison::Equal, &[" padded "]);
        check("name=5'", "name", Comparison::Equal, &["5'"]);
    }

    #[test]
    fn what_is_no_condition() {
        for wrong in [
            "",
            "room",
            "=A",
            "''=A",
            "room in ()",
            "room in A",
            "room in (A",
            "room in ('A)",
            "room='A",
            "room='A'B",
            "'room",
            "room in ('A' B)",
            "room!A",
        ] {
            assert!(filter(wrong).is_err(), "{wrong:?}");
        }
    }
}
