//! Sizes, as makers of devices and people write them: `1500`, `64k`, `150TB`, `8MiB`.

/// Bytes of a size. Without a unit they are bytes; `k`, `M`, `G`, `T` and `P` are powers of 1000, with an `i` of 1024, and a `B` may follow.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size: write bytes, or such as 64MiB or 150TB");
    let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.strip_suffix('B').unwrap_or(unit);
    let (letter, base) = unit.strip_suffix('i').map_or((unit, 1_000_u64), |letter| (letter, 1_024));
    let power = match letter {
        "" if base == 1_000 => 0,
        "k" | "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        _ => return Err(wrong()),
    };
    number.checked_mul(base.pow(power)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_what_is_none() {
        for (text, expected) in [
            ("0", 0),
            ("1500", 1_500),
            ("12B", 12),
            ("64k", 64_000),
            ("8MiB", 8 << 20),
            ("150TB", 150_000_000_000_000),
            ("2Pi", 2 << 50),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for odd in ["", "B", "-1", "1.5T", "1iB", "1 k", "1kk", "1X", "99999999P", "99999999999999999999"] {
            assert!(bytes(odd).is_err(), "{odd:?}");
        }
    }
}
