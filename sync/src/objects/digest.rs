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

/// What an object's bytes come to, as they pass: no more than its store can be asked about, since MD5 takes more than all else.
pub(super) struct Digests {
    blake3: blake3::Hasher,
    mark: Mark,
}

/// By what a store may say what it got.
enum Mark {
    /// By nothing that is known here.
    None,
    /// By the MD5 of an object that was put in one.
    Whole(Md5),
    /// By those of its parts.
    Parts {
        /// Of those that are whole.
        parts: Vec<Sum>,
        part: Md5,
        in_part: usize,
        part_bytes: usize,
    },
}

impl Digests {
    /// For a store that says nothing.
    pub(super) fn hash_alone() -> Self {
        Digests { blake3: blake3::Hasher::new(), mark: Mark::None }
    }

    /// For an object that is put in one.
    pub(super) fn in_one() -> Self {
        Digests { blake3: blake3::Hasher::new(), mark: Mark::Whole(Md5::new()) }
    }

    /// For one that is put in parts.
    pub(super) fn in_parts(part_bytes: usize) -> Self {
        let mark = Mark::Parts { parts: Vec::new(), part: Md5::new(), in_part: 0, part_bytes };
        Digests { blake3: blake3::Hasher::new(), mark }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.blake3.update(bytes);
        match &mut self.mark {
            Mark::None => {}
            Mark::Whole(whole) => whole.update(bytes),
            Mark::Parts { parts, part, in_part, part_bytes } => {
                while !bytes.is_empty() {
                    let (now, later) = bytes.split_at(bytes.len().min(*part_bytes - *in_part));
                    part.update(now);
                    *in_part += now.len();
                    if *in_part == *part_bytes {
                        parts.push(Sum(part.finalize_reset().into()));
                        *in_part = 0;
                    }
                    bytes = later;
                }
            }
        }
    }

    /// The MD5 of the part that was passed last, whole or not.
    pub(super) fn last_part(&self) -> Sum {
        match &self.mark {
            Mark::Parts { parts, in_part: 0, .. } if let Some(last) = parts.last() => *last,
            Mark::Parts { part, .. } | Mark::Whole(part) => Sum(part.clone().finalize().into()),
            Mark::None => Sum::of(&[]),
        }
    }

    pub(super) fn conclude(self) -> Concluded {
        let (mut whole, mut in_parts) = (None, None);
        match self.mark {
            Mark::None => {}
            Mark::Whole(md5) => whole = Some(Sum(md5.finalize().into())),
            Mark::Parts { mut parts, part, in_part, .. } => {
                if in_part > 0 {
                    parts.push(Sum(part.finalize().into()));
                }
                in_parts = Some(Sum::of_parts(&parts));
            }
        }
        let hash = crate::remote::Hash(*self.blake3.finalize().as_bytes());
        Concluded { hash, bytes: self.blake3.count(), whole, in_parts }
    }
}

/// What an object's bytes came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Concluded {
    pub(super) hash: crate::remote::Hash,
    pub(super) bytes: u64,
    /// Of what is put in one.
    pub(super) whole: Option<Sum>,
    /// The ETag that S3 gives to what is put in parts.
    pub(super) in_parts: Option<String>,
}

impl Concluded {
    /// Where nothing but the hash is known.
    pub(super) fn hash_alone(hash: crate::remote::Hash, bytes: u64) -> Self {
        Concluded { hash, bytes, whole: None, in_parts: None }
    }

    /// Whether an ETag says that the store has these bytes.
    pub(super) fn is(&self, etag: &str) -> bool {
        let in_parts = self.in_parts.as_ref().is_some_and(|ours| etag.trim_matches('"').eq_ignore_ascii_case(ours));
        self.is_sum(Sum::of_etag(etag)) || in_parts
    }

    /// Whether an MD5 says so.
    pub(super) fn is_sum(&self, sum: Option<Sum>) -> bool {
        self.whole.is_some() && self.whole == sum
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

    const PIECES: [&[u8]; 3] = [b"abc", b"de", b"fghi"];

    fn concluded(mut digests: Digests) -> Concluded {
        PIECES.iter().for_each(|bytes| digests.update(bytes));
        let concluded = digests.conclude();
        assert_eq!((concluded.hash, concluded.bytes), (crate::remote::Hash::of(b"abcdefghi"), 9));
        concluded
    }

    #[test]
    fn etags_are_those_of_s3() {
        let whole = concluded(Digests::in_one());
        let in_parts = concluded(Digests::in_parts(4));
        let etag = Sum::of_parts(&[Sum::of(b"abcd"), Sum::of(b"efgh"), Sum::of(b"i")]);
        assert_eq!((&in_parts.in_parts, in_parts.whole), (&Some(etag.clone()), None));
        assert_eq!((&whole.in_parts, whole.whole), (&None, Some(Sum::of(b"abcdefghi"))));
        // As md5sum says.
        assert!(whole.is("\"8aa99b1f439ff71293e95357bac6fd94\"") && in_parts.is(&format!("\"{}\"", etag.to_uppercase())));
        assert!(whole.is_sum(Some(Sum::of(b"abcdefghi"))) && !whole.is_sum(Some(Sum::of(b"abcdefgh"))) && !whole.is_sum(None));
        for other in
            ["", "\"8aa99b1f439ff71293e95357bac6fd95\"", "0x8DCFCD0BA26F7C0", "8aa99b1f439ff71293e95357bac6fd94-1", "W/\"1\""]
        {
            assert!(!whole.is(other) && !in_parts.is(other), "{other}");
        }
        for other in ["\"8aa99b1f439ff71293e95357bac6fd95\"", "\"8aa99b1f439ff71293e95357bac6fd94-1\""] {
            assert!(whole.is_not(other) && in_parts.is_not(other), "{other}");
        }
        for none in ["", "0x8DCFCD0BA26F7C0"] {
            assert!(!whole.is_not(none) && !in_parts.is_not(none), "{none}");
        }
        assert!(!whole.is_not("\"8aa99b1f439ff71293e95357bac6fd94\"") && !in_parts.is_not(&format!("\"{etag}\"")));
        // Who knows nothing of MD5 believes none.
        let unmarked = concluded(Digests::hash_alone());
        assert!(!unmarked.is("\"8aa99b1f439ff71293e95357bac6fd94\"") && !unmarked.is("") && !unmarked.is_sum(None));
    }

    #[test]
    fn the_last_part_is_known_before_all_is_over() {
        let mut digests = Digests::in_parts(4);
        for (bytes, part) in [(b"ab".as_slice(), b"ab".as_slice()), (b"cd", b"abcd"), (b"efghi", b"i")] {
            digests.update(bytes);
            assert_eq!(digests.last_part(), Sum::of(part));
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
