//! What the libraries do not tell of a certificate: its names, all of them, even those that are no text, and whether it is an
//! authority's. Whoever asks has had the certificate checked before.

/// Object identifiers of extensions (RFC 5280 §4.2.1), as they are encoded.
const SUBJECT_ALTERNATIVE_NAME: [u8; 3] = [0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];

const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// A name that is a URI.
const URI: u8 = 0x86;
/// Where the extensions of a certificate are.
const EXTENSIONS: u8 = 0xa3;

/// Bytes that are not what they have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// A value: its tag, what it holds, and both with its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Value<'a> {
    /// The first value of some bytes, and what is behind it.
    fn first(bytes: &'a [u8]) -> Result<(Value<'a>, &'a [u8]), Broken> {
        let [tag, first, rest @ ..] = bytes else { return Err(Broken) };
        // No tag of several bytes is in a certificate.
        if tag & 0x1f == 0x1f {
            return Err(Broken);
        }
        let (length, head) = match *first {
            short @ 0..=0x7f => (usize::from(short), 2),
            more @ 0x81..=0x83 => {
                let digits = rest.get(..usize::from(more & 0x7f)).ok_or(Broken)?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), 2 + digits.len())
            }
            _ => return Err(Broken),
        };
        let whole = bytes.get(..head + length).ok_or(Broken)?;
        Ok((Value { tag: *tag, content: &whole[head..], whole }, &bytes[head + length..]))
    }

    /// The only value of some bytes.
    fn only(bytes: &'a [u8], tag: u8) -> Result<Value<'a>, Broken> {
        match Value::first(bytes)? {
            (value, []) if value.tag == tag => Ok(value),
            _ => Err(Broken),
        }
    }

    /// The values that it holds.
    fn parts(self) -> Result<Vec<Value<'a>>, Broken> {
        let (mut parts, mut rest) = (Vec::new(), self.content);
        while !rest.is_empty() {
            let (part, behind) = Value::first(rest)?;
            parts.push(part);
            rest = behind;
        }
        Ok(parts)
    }
}

/// What stands first in a signed thing: what is signed.
fn signed(bytes: &[u8]) -> Result<Vec<Value<'_>>, Broken> {
    let (signed, _) = Value::first(Value::only(bytes, SEQUENCE)?.content)?;
    signed.parts()
}

/// The value of an extension of a certificate.
fn extension<'a>(certificate: &'a [u8], id: &[u8]) -> Result<Option<Value<'a>>, Broken> {
    let signed = signed(certificate)?;
    let Some(extensions) = signed.iter().find(|part| part.tag == EXTENSIONS) else { return Ok(None) };
    for extension in Value::only(extensions.content, SEQUENCE)?.parts()? {
        let parts = extension.parts()?;
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return Err(Broken) };
        if first.tag == OBJECT_IDENTIFIER && first.content == id {
            let value = if last.tag == OCTET_STRING { last.content } else { return Err(Broken) };
            return Value::only(value, SEQUENCE).map(Some);
        }
    }
    Ok(None)
}

/// The URIs among the names of a certificate, as they are.
pub(super) fn uris(certificate: &[u8]) -> Result<Vec<&[u8]>, Broken> {
    let Some(names) = extension(certificate, &SUBJECT_ALTERNATIVE_NAME)? else { return Ok(Vec::new()) };
    Ok(names.parts()?.into_iter().filter(|name| name.tag == URI).map(|name| name.content).collect())
}

/// Whether a certificate says that it is an authority's.
pub(super) fn is_authority(certificate: &[u8]) -> Result<bool, Broken> {
    let Some(constraints) = extension(certificate, &BASIC_CONSTRAINTS)? else { return Ok(false) };
    Ok(constraints.parts()?.first().is_some_and(|first| first.tag == BOOLEAN && first.content == [0xff]))
}

/// The public key in a signing request (RFC 2986 §4), as it is.
pub(super) fn requested_key(request: &[u8]) -> Result<&[u8], Broken> {
    signed(request)?.get(2).map(|key| key.whole).ok_or(Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_as_long_as_they_say() {
        let (value, rest) = Value::first(&[0x04, 2, 7, 8, 9]).unwrap();
        assert_eq!((value.tag, value.content, value.whole, rest), (4, &[7, 8][..], &[4, 2, 7, 8][..], &[9][..]));
        let long = [&[0x30, 0x82, 1, 0][..], &[0; 256]].concat();
        assert_eq!(Value::only(&long, SEQUENCE).unwrap().content.len(), 256);
        for odd in [&[][..], &[0x30], &[0x30, 1], &[0x30, 0x80, 0, 0], &[0x30, 0x82, 0], &[0x30, 0x84, 0, 0, 0, 0], &[0x1f, 0]] {
            assert_eq!(Value::first(odd), Err(Broken), "{odd:?}");
        }
        assert_eq!(Value::only(&[0x30, 0, 0], SEQUENCE), Err(Broken), "bytes left over");
        assert_eq!(Value::only(&[0x31, 0], SEQUENCE), Err(Broken), "another tag");
    }

    #[test]
    fn what_is_no_certificate_is_broken() {
        for odd in [&[][..], &[0x30, 0], b"-----BEGIN", &[0x30, 2, 0x30, 1]] {
            assert_eq!(uris(odd), Err(Broken), "{odd:?}");
            assert_eq!(requested_key(odd), Err(Broken), "{odd:?}");
        }
    }
}
