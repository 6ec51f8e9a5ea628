//! Numbers as text, read exactly.

/// Reads a decimal number as a count of `10^-scale`, if it is exactly one: digits beyond the scale must be zeroes. Knows a
/// sign, a point and an exponent. At most 18 digits fit.
pub(crate) fn parse_decimal(text: &str, scale: u8) -> Result<i64, NotDecimal> {
    let number = Literal::read(text).ok_or(NotDecimal::Form)?;
    let mut unscaled: i64 = 0;
    // The power of ten of the last digit taken so far, counted in units of the scale.
    let mut missing = number.exponent.saturating_add(i64::from(scale)).saturating_add(number.whole.len() as i64);
    for digit in number.whole.iter().chain(number.fraction).map(|byte| i64::from(byte - b'0')) {
        missing = missing.saturating_sub(1);
        if missing >= 0 {
            unscaled = unscaled.checked_mul(10).and_then(|shifted| shifted.checked_add(digit)).ok_or(NotDecimal::TooLarge)?;
            if unscaled > LARGEST {
                return Err(NotDecimal::TooLarge);
            }
        } else if digit != 0 {
            return Err(NotDecimal::TooPrecise);
        }
    }
    if unscaled != 0 && missing > 0 {
        let power = u32::try_from(missing).ok().and_then(|missing| 10_i64.checked_pow(missing)).ok_or(NotDecimal::TooLarge)?;
        unscaled = unscaled.checked_mul(power).filter(|unscaled| *unscaled <= LARGEST).ok_or(NotDecimal::TooLarge)?;
    }
    Ok(if number.negative { -unscaled } else { unscaled })
}

const LARGEST: i64 = 999_999_999_999_999_999;

/// Why a text is not a decimal of a given scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotDecimal {
    /// Not a decimal number at all.
    Form,
    /// It has digits beyond the scale.
    TooPrecise,
    /// It has more than 18 digits.
    TooLarge,
}

/// The parts of a decimal literal.
struct Literal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Literal<'a> {
    fn read(text: &'a str) -> Option<Literal<'a>> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] | rest => (false, rest),
        };
        let (whole, rest) = digits(rest);
        let (fraction, rest) = if let [b'.', rest @ ..] = rest { digits(rest) } else { (&[][..], rest) };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => std::str::from_utf8(rest).ok()?.parse().ok()?,
            _ => return None,
        };
        Some(Literal { negative, whole, fraction, exponent })
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

/// Reads an integer: plainly, or as a number without a fraction (`5.0`, `2e3`).
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| parse_decimal(text, 0).ok())
}

/// Reads an integer from zero up: plainly, or as a number without a fraction.
pub(crate) fn parse_uint(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| parse_decimal(text, 0).ok().and_then(|number| number.try_into().ok()))
}

/// Reads a truth value.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    const WORDS: [(&str, bool); 6] = [("true", true), ("false", false), ("t", true), ("f", false), ("1", true), ("0", false)];
    WORDS.into_iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let good = [
            ("0", 2, 0),
            ("1.2", 2, 120),
            ("-1.23", 2, -123),
            ("+1.2300000000000000000000000000", 2, 123),
            (".5", 1, 5),
            ("5.", 1, 50),
            ("-0.0", 0, 0),
            ("1.5e1", 0, 15),
            ("150e-2", 1, 15),
            ("1E2", 2, 10_000),
            ("0e999999", 3, 0),
            ("0.000e-99", 3, 0),
            ("9999999999999999.99", 2, 999_999_999_999_999_999),
            ("-999999999999999999", 0, -999_999_999_999_999_999),
            ("0000000000000000000000000001.5", 1, 15),
        ];
        for (text, scale, expected) in good {
            assert_eq!(parse_decimal(text, scale), Ok(expected), "{text} of scale {scale}");
        }
    }

    #[test]
    fn what_is_no_decimal() {
        for text in
            ["", "-", ".", "1,5", "abc", "1e", "1e1.5", "NaN", "inf", "1 2", "--1", "1e99999999999999999999", "0x10", "１"]
        {
            assert_eq!(parse_decimal(text, 2), Err(NotDecimal::Form), "{text}");
        }
        for text in ["1.234", "0.001", "1e-3", "123456789e-9", "1e-9223372036854775808"] {
            assert_eq!(parse_decimal(text, 2), Err(NotDecimal::TooPrecise), "{text}");
        }
        for text in ["10000000000000000", "1e17", "99999999999999999999", "1e9223372036854775807"] {
            assert_eq!(parse_decimal(text, 2), Err(NotDecimal::TooLarge), "{text}");
        }
    }

    #[test]
    fn integers_may_be_written_as_whole_floats() {
        assert_eq!(parse_int("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_int("5.0"), Some(5));
        assert_eq!(parse_int("2e3"), Some(2000));
        assert_eq!(parse_int("5.5"), None);
        assert_eq!(parse_int("9223372036854775808"), None);
        assert_eq!(parse_uint("18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_uint("-1"), None);
        assert_eq!(parse_uint("7.00"), Some(7));
    }

    #[test]
    fn truth() {
        assert_eq!(parse_bool("TRUE"), Some(true));
        assert_eq!(parse_bool("f"), Some(false));
        assert_eq!(parse_bool("0"), Some(false));
        assert_eq!(parse_bool("yes"), None);
    }
}
