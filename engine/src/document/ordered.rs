//! JSON values as bytes that compare as the values do: nothing, null, false, true, numbers, texts, and then arrays and objects,
//! which all count as equal here.
//!
//! | value | bytes |
//! |---|---|
//! | not there | 00 |
//! | null, false, true | 08, 10, 11 |
//! | number | 20; the nearest double, big-endian, its sign bit turned, all bits turned where it is negative; what the number is more than that double, plus 0x8000, two bytes |
//! | text | 30; its bytes, with FF behind every 00; 00 00 |
//! | array, object | 40 |
//!
//! Every form says where it ends, so several may follow each other.

use std::ops::Bound;

use serde_json::{Number, Value};

const ABSENT: u8 = 0x00;
const NULL: u8 = 0x08;
const FALSE: u8 = 0x10;
const TRUE: u8 = 0x11;
const NUMBER: u8 = 0x20;
const TEXT: u8 = 0x30;
const NESTED: u8 = 0x40;
/// What comes after every text and before everything behind texts.
const AFTER_TEXT: u8 = TEXT + 1;

/// A range of encoded values.
pub(super) type Span = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Appends the form of a value.
pub(super) fn encode(value: Option<&Value>, out: &mut Vec<u8>) {
    match value {
        None => out.push(ABSENT),
        Some(Value::Null) => out.push(NULL),
        Some(Value::Bool(false)) => out.push(FALSE),
        Some(Value::Bool(true)) => out.push(TRUE),
        Some(Value::Number(number)) => encode_number(number, out),
        Some(Value::String(text)) => {
            encode_beginning(text, out);
            out.extend([0, 0]);
        }
        Some(Value::Array(_) | Value::Object(_)) => out.push(NESTED),
    }
}

/// The form of one value.
pub(super) fn encoded(value: Option<&Value>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes);
    bytes
}

fn encode_beginning(text: &str, out: &mut Vec<u8>) {
    out.push(TEXT);
    for byte in text.bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
}

fn encode_number(number: &Number, out: &mut Vec<u8>) {
    let (double, more) = match (number.as_i64(), number.as_u64()) {
        (Some(whole), _) => nearest(i128::from(whole), whole as f64),
        (_, Some(whole)) => nearest(i128::from(whole), whole as f64),
        _ => (number.as_f64().unwrap_or(f64::NAN), 0),
    };
    // There is one zero.
    let bits = (double + 0.0).to_bits();
    let ordered = if bits >> 63 == 0 { bits ^ 1 << 63 } else { !bits };
    out.push(NUMBER);
    out.extend(ordered.to_be_bytes());
    out.extend(((more + 0x8000) as u16).to_be_bytes());
}

/// The double nearest to a whole number of 64 bits, and what the number is more than that: at most 1,024 either way.
fn nearest(whole: i128, double: f64) -> (f64, i128) {
    (double, whole - double as i128)
}

/// Bytes of the form at the beginning of `bytes`; `None` where there is none.
pub(super) fn len(bytes: &[u8]) -> Option<usize> {
    match *bytes.first()? {
        ABSENT | NULL | FALSE | TRUE | NESTED => Some(1),
        NUMBER => (bytes.len() >= 11).then_some(11),
        TEXT => {
            let mut at = 1;
            loop {
                let zero = at + bytes.get(at..)?.iter().position(|byte| *byte == 0)?;
                match bytes.get(zero + 1)? {
                    0 => return Some(zero + 2),
                    _ => at = zero + 2,
                }
            }
        }
        _ => None,
    }
}

/// Whether a form is of something that a unique index compares.
pub(super) fn is_comparable(form: &[u8]) -> bool {
    !matches!(form.first(), Some(&ABSENT | &NULL))
}

/// Whether a form is that of an array or object.
pub(super) fn is_nested(form: &[u8]) -> bool {
    form.first() == Some(&NESTED)
}

/// Everything that is equal to a value.
pub(super) fn equal(value: Option<&Value>) -> Span {
    let form = encoded(value);
    (Bound::Included(form.clone()), Bound::Included(form))
}

/// Everything but what is not there.
pub(super) fn present() -> Span {
    (Bound::Excluded(vec![ABSENT]), Bound::Unbounded)
}

/// The texts that begin so.
pub(super) fn beginning(text: &str) -> Span {
    let mut start = Vec::new();
    encode_beginning(text, &mut start);
    let mut end = start.clone();
    // The tag is no 0xff, so something remains.
    while end.pop_if(|last| *last == u8::MAX).is_some() {}
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (Bound::Included(start), Bound::Excluded(end))
}

/// What lies between two values of one kind. Where there is only one of them, the rest of its kind. `None` if they are of
/// different kinds, or of one that has no order.
pub(super) fn between(start: &Bound<Value>, end: &Bound<Value>) -> Option<Span> {
    let kind = |bound: &Bound<Value>| match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(first_of_kind(value)),
        Bound::Unbounded => None,
    };
    let (first, after) = match (kind(start), kind(end)) {
        (Some(first), Some(second)) if first != second => return None,
        (Some(kind), _) | (_, Some(kind)) => kind?,
        (None, None) => return Some((Bound::Excluded(vec![ABSENT]), Bound::Unbounded)),
    };
    let form = |value: &Value| encoded(Some(value));
    let start = match start {
        Bound::Unbounded => Bound::Included(vec![first]),
        bound => bound.as_ref().map(form),
    };
    let end = match end {
        Bound::Unbounded => Bound::Excluded(vec![after]),
        bound => bound.as_ref().map(form),
    };
    Some((start, end))
}

/// The tags between which a kind of value lies; `None` for what has no order.
fn first_of_kind(value: &Value) -> Option<(u8, u8)> {
    match value {
        Value::Bool(_) => Some((FALSE, TRUE + 1)),
        Value::Number(_) => Some((NUMBER, NUMBER + 1)),
        Value::String(_) => Some((TEXT, AFTER_TEXT)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_compare_as_values_do() {
        let ascending = [
            None,
            Some(json!(null)),
            Some(json!(false)),
            Some(json!(true)),
            Some(json!(-1e300)),
            Some(json!(i64::MIN)),
            Some(json!(i64::MIN + 1)),
            Some(json!(-2)),
            Some(json!(-1.5)),
            Some(json!(0)),
            Some(json!(5e-324)),
            Some(json!(1)),
            Some(json!(9_007_199_254_740_992_u64)),
            Some(json!(9_007_199_254_740_993_u64)),
            Some(json!(9_007_199_254_740_994_u64)),
            Some(json!(i64::MAX - 1)),
            Some(json!(i64::MAX)),
            Some(json!(u64::MAX - 1)),
            Some(json!(u64::MAX)),
            Some(json!(1e300)),
            Some(json!("")),
            Some(json!("\0")),
            Some(json!("\0\0")),
            Some(json!("\0a")),
            Some(json!("a")),
            Some(json!("a\0")),
            Some(json!("a\u{1}")),
            Some(json!("ab")),
            Some(json!("b")),
            Some(json!("\u{10ffff}")),
            Some(json!([])),
        ];
        for pair in ascending.windows(2) {
            let (less, more) = (encoded(pair[0].as_ref()), encoded(pair[1].as_ref()));
            assert!(less < more, "{pair:?}: {less:x?} {more:x?}");
        }
        for value in &ascending {
            let form = encoded(value.as_ref());
            assert_eq!(len(&[&form[..], b"more"].concat()), Some(form.len()), "{value:?}");
            (1..form.len()).for_each(|cut| assert_eq!(len(&form[..cut]), None, "{value:?} cut to {cut}"));
        }
    }

    #[test]
    fn numbers_that_are_equal_have_one_form() {
        for (a, b) in
            [(json!(0), json!(-0.0)), (json!(1), json!(1.0)), (json!(9_007_199_254_740_992_u64), json!(9.007199254740992e15))]
        {
            assert_eq!(encoded(Some(&a)), encoded(Some(&b)));
        }
    }

    #[test]
    fn the_bytes_of_values_are_frozen() {
        let values = json!([null, true, -1, 1.5, 9_007_199_254_740_993_u64, "a\0b", {}]);
        let mut bytes = Vec::new();
        values.as_array().unwrap().iter().for_each(|value| encode(Some(value), &mut bytes));
        let expected = [
            &b"\x08\x11"[..],
            b"\x20\x40\x0f\xff\xff\xff\xff\xff\xff\x80\x00",
            b"\x20\xbf\xf8\x00\x00\x00\x00\x00\x00\x80\x00",
            b"\x20\xc3\x40\x00\x00\x00\x00\x00\x00\x80\x01",
            b"\x30a\x00\xffb\x00\x00",
            b"\x40",
        ];
        assert_eq!(bytes, expected.concat());
    }
}
