//! Hashes of what is sent: BLAKE3, by which objects are named, and MD5, by which stores of S3 say what they got.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An MD5. It proves nothing against who wants to deceive; it tells what went wrong on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum(pub(super) [u8; 16]);

impl Sum {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Sum(Md5::digest(bytes).into())
    }

    /// As an ETag has it, and nothing else: digits of which a store says that they are of the content.
    pub(super) fn of_etag(etag: &str) -> Option<Self> {
        let digits = etag.trim_start_matches("W/").trim_matches('"');
        hexadecimal(digits).map(Sum)
    }

    /// As `Content-MD5` has it.
    pub(super) fn of_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Sum)
    }

    /// The ETag that S3 gives to what was put in these parts.
    pub(super) fn of_parts(parts: &[Sum]) -> String {
        let mut of_all = Md5::new();
        parts.iter().for_each(|part| of_all.update(part.0));
        format!("{}-{}", Sum(of_all.finalize().into()).text(), parts.len())
    }

    fn text(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn hexadecimal(digits: &str) -> Option<[u8; 16]> {
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        hexadecimal(&text).map(Sum).ok_or_else(|| de::Error::custom("32 hexadecimal digits are expected"))
    }
}

/// What an object's bytes come to, as they pass.
pub(super) struct Digests {
    blake3: blake3::Hasher,
    whole: Md5,
    /// Of each part of the size in which larger ones are put.
    parts: Vec<Sum>,
    part: Md5,
    in_part: usize,
    part_bytes: usize,
}

impl Digests {
    pub(super) fn new(part_bytes: usize) -> Self {
        Digests { blake3: blake3::Hasher::new(), whole: Md5::new(), parts: Vec::new(), part: Md5::new(), in_part: 0, part_bytes }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.blake3.update(bytes);
        self.whole.update(bytes);
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(self.part_bytes - self.in_part));
            self.part.update(now);
            self.in_part += now.len();
            if self.in_part == self.part_bytes {
                self.parts.push(Sum(self.part.finalize_reset().into()));
                self.in_part = 0;
            }
            bytes = later;
        }
    }

    pub(super) fn conclude(mut self) -> Concluded {
        if self.in_part > 0 {
            self.parts.push(Sum(self.part.finalize().into()));
        }
        let hash = crate::remote::Hash(*self.blake3.finalize().as_bytes());
        let bytes = self.blake3.count();
        Concluded { hash, bytes, whole: Sum(self.whole.finalize().into()), in_parts: Sum::of_parts(&self.parts) }
    }
}

/// What an object's bytes came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Concluded {
    pub(super) hash: crate::remote::Hash,
    pub(super) bytes: u64,
    pub(super) whole: Sum,
    /// The ETag of S3, had it been put in parts.
    pub(super) in_parts: String,
}

impl Concluded {
    /// Whether an ETag says that the store has these bytes.
    pub(super) fn is(&self, etag: &str) -> bool {
        Sum::of_etag(etag) == Some(self.whole) || etag.trim_matches('"').eq_ignore_ascii_case(&self.in_parts)
    }

    /// Whether an ETag that looks like one of S3 says that the store has others.
    pub(super) fn is_not(&self, etag: &str) -> bool {
        let whole = etag.split_once('-').map_or(etag, |(digits, _)| digits);
        Sum::of_etag(whole).is_some() && !self.is(etag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_are_those_of_s3() {
        let mut digests = Digests::new(4);
        for bytes in [b"abc".as_slice(), b"de", b"fghi"] {
            digests.update(bytes);
        }
        let concluded = digests.conclude();
        assert_eq!((concluded.hash, concluded.bytes), (crate::remote::Hash::of(b"abcdefghi"), 9));
        assert_eq!(concluded.whole, Sum::of(b"abcdefghi"));
        assert_eq!(concluded.in_parts, Sum::of_parts(&[Sum::of(b"abcd"), Sum::of(b"efgh"), Sum::of(b"i")]));
        assert!(concluded.is("\"8aa99b1f439ff71293e95357bac6fd94\"") && concluded.is(&format!("\"{}\"", concluded.in_parts)));
        for other in
            ["", "\"8aa99b1f439ff71293e95357bac6fd95\"", "0x8DCFCD0BA26F7C0", "8aa99b1f439ff71293e95357bac6fd94-1", "W/\"1\""]
        {
            assert!(!concluded.is(other), "{other}");
        }
        for other in ["\"8aa99b1f439ff71293e95357bac6fd95\"", "\"8aa99b1f439ff71293e95357bac6fd94-1\""] {
            assert!(concluded.is_not(other), "{other}");
        }
        for none in ["", "0x8DCFCD0BA26F7C0", "\"8aa99b1f439ff71293e95357bac6fd94\"", &format!("\"{}\"", concluded.in_parts)] {
            assert!(!concluded.is_not(none), "{none}");
        }
    }

    #[test]
    fn a_sum_is_kept_as_text() {
        // Of nothing, as everybody knows it.
        let kept = serde_json::to_string(&Sum::of(b"")).unwrap();
        assert_eq!(kept, "\"d41d8cd98f00b204e9800998ecf8427e\"");
        assert_eq!(serde_json::from_str::<Sum>(&kept).unwrap(), Sum::of(b""));
        assert_eq!(Sum::of_base64("1B2M2Y8AsgTpgAmY7PhCfg=="), Some(Sum::of(b"")));
        assert_eq!(Sum::of_base64("1B2M"), None);
    }
}
