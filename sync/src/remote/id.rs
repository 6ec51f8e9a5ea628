//! Hashes and incarnations, in text as lower-case hexadecimal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A BLAKE3 hash: 64 digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// The random number that a database got when it was made, cloned or restored: 32 digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub [u8; 16]);

impl Hash {
    /// The hash of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Hash(*blake3::hash(bytes).as_bytes())
    }
}

/// Text that is not as many lower-case hexadecimal digits as it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} lower-case hexadecimal digits are expected")]
pub struct NotHex {
    wanted: usize,
}

macro_rules! in_hexadecimal {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotHex;

            fn from_str(text: &str) -> Result<Self, NotHex> {
                bytes(text).map($name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

in_hexadecimal!(Hash);
in_hexadecimal!(Incarnation);

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], NotHex> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let wrong = NotHex { wanted: 2 * N };
    let mut out = [0; N];
    if text.len() != 2 * N {
        return Err(wrong);
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return Err(wrong) };
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(wrong) };
        *byte = high << 4 | low;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways_and_nothing_else_is_taken() {
        let text = "000102030405060708090a0b0c0d0eff";
        let incarnation: Incarnation = text.parse().unwrap();
        assert_eq!(incarnation.0[..3], [0, 1, 2]);
        assert_eq!(incarnation.0[15], 255);
        assert_eq!(incarnation.to_string(), text);
        for wrong in
            ["", "00", "000102030405060708090A0B0C0D0EFF", "000102030405060708090a0b0c0d0ef", "000102030405060708090a0b0c0d0egg"]
        {
            assert!(wrong.parse::<Incarnation>().is_err(), "{wrong}");
        }
        // As long in bytes, but not in digits.
        assert!("é00102030405060708090a0b0c0d0eff".parse::<Incarnation>().is_err());
    }

    #[test]
    fn the_hash_is_blake3() {
        // The hash of nothing, as the paper's reference implementation has it.
        let nothing = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Hash::of(b"").to_string(), nothing);
    }
}
