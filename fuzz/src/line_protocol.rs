//! Line protocol as it is imported. See `imports` for what must hold; besides, a line that is read and written by the rules of the
//! format is read as the same point.

use alluvium_server::internals::{Form, Point, point};

/// One input: a file.
pub fn run(data: &[u8]) {
    crate::imports::check(Form::LineProtocol, data);
    for line in data.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
        if let Ok(Some(found)) = point(line) {
            assert!(!found.measurement.is_empty() && !found.fields.is_empty());
            if let Some(text) = written(&found) {
                assert_eq!(point(&text), Ok(Some(found)), "{text}");
            }
        }
    }
}

/// The line of a point. The format cannot say a name that ends in a backslash or has one before a special character, and takes a
/// measurement's first `#` for a comment.
fn written(point: &Point) -> Option<String> {
    let names = point.tags.iter().flat_map(|(key, value)| [key, value]).chain(point.fields.iter().map(|(key, _)| key));
    let blank = |name: &str| name.contains(['\t', '\r']);
    if names.clone().chain([&point.measurement]).any(|name| name.contains('\\') || blank(name)) {
        return None;
    }
    if point.measurement.starts_with('#') {
        return None;
    }
    let mut line = escaped(&point.measurement, &[',', ' ']);
    for (key, value) in &point.tags {
        line += &format!(",{}={}", escaped(key, &[',', '=', ' ']), escaped(value, &[',', '=', ' ']));
    }
    let fields = point.fields.iter().map(|(key, value)| format!("{}={value}", escaped(key, &[',', '=', ' '])));
    line += &format!(" {}", fields.collect::<Vec<_>>().join(","));
    Some(point.time.map_or(line.clone(), |time| format!("{line} {time}")))
}

fn escaped(text: &str, special: &[char]) -> String {
    text.chars().flat_map(|letter| special.contains(&letter).then_some('\\').into_iter().chain([letter])).collect()
}
