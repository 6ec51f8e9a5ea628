//! Literals of filters, read as the type of the column they are compared with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::{FieldType, Value};

/// `value` as a value of `kind`; `None` where it cannot be one exactly. A double becomes the nearest float32.
pub(super) fn coerce(value: &Value, kind: FieldType) -> Option<Value> {
    match kind {
        FieldType::Float64 => double(value).map(Value::Float64),
        FieldType::Float32 => single(value).map(Value::Float32),
        FieldType::Int64 => integer(value).and_then(|v| i64::try_from(v).ok()).map(Value::Int64),
        FieldType::UInt64 => integer(value).and_then(|v| u64::try_from(v).ok()).map(Value::UInt64),
        FieldType::Bool => flag(value).map(Value::Bool),
        FieldType::Utf8 => match value {
            Value::Utf8(text) => Some(Value::Utf8(text.clone())),
            _ => None,
        },
        FieldType::Binary => match value {
            Value::Binary(bytes) => Some(Value::Binary(bytes.clone())),
            Value::Utf8(text) => STANDARD.decode(text).ok().map(Value::Binary),
            _ => None,
        },
        FieldType::Decimal { scale } => decimal(value, scale).map(Value::Decimal),
    }
}

fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Float64(v) => Some(*v),
        Value::Float32(v) => Some(f64::from(*v)),
        Value::Int64(v) => Some(*v as f64).filter(|double| *double as i128 == i128::from(*v)),
        Value::UInt64(v) => Some(*v as f64).filter(|double| *double as i128 == i128::from(*v)),
        Value::Utf8(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn single(value: &Value) -> Option<f32> {
    match value {
        Value::Float32(v) => Some(*v),
        Value::Utf8(text) => text.trim().parse().ok(),
        Value::Int64(_) | Value::UInt64(_) => {
            let exact = double(value)?;
            Some(exact as f32).filter(|single| f64::from(*single) == exact)
        }
        _ => {
            let exact = double(value)?;
            Some(exact as f32).filter(|single| single.is_finite() || !exact.is_finite())
        }
    }
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int64(v) => Some(i128::from(*v)),
        Value::UInt64(v) => Some(i128::from(*v)),
        // A double past 64 bits saturates at 128, and is refused by the narrower type.
        Value::Float64(v) if v.fract() == 0.0 => Some(*v as i128),
        Value::Float32(v) if v.fract() == 0.0 => Some(*v as i128),
        Value::Utf8(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(v) => Some(*v),
        Value::Utf8(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Value::Utf8(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn decimal(value: &Value, scale: u8) -> Option<i64> {
    match value {
        Value::Decimal(unscaled) => within_digits(i128::from(*unscaled)),
        // The shortest text that reads back as the same number is what was meant.
        Value::Float64(v) => unscaled(&v.to_string(), scale),
        Value::Float32(v) => unscaled(&v.to_string(), scale),
        Value::Int64(v) => unscaled(&v.to_string(), scale),
        Value::UInt64(v) => unscaled(&v.to_string(), scale),
        Value::Utf8(text) => unscaled(text.trim(), scale),
        _ => None,
    }
}

/// Decimal text as an unscaled integer; `None` where it is none, or has too many digits before or after the point.
fn unscaled(text: &str, scale: u8) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && !digits.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > usize::from(scale) {
        return None;
    }
    let zeros = usize::from(scale) - fraction.len();
    let mut total = 0i128;
    for digit in whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', zeros)) {
        total = total.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    within_digits(if negative { -total } else { total })
}

fn within_digits(unscaled: i128) -> Option<i64> {
    let limit = 10i128.pow(u32::from(FieldType::DECIMAL_PRECISION));
    (-limit < unscaled && unscaled < limit).then(|| i64::try_from(unscaled).ok()).flatten()
}
