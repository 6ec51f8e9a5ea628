//! Walking over the Thrift compact protocol without building anything, to see whether the lengths it declares can be true.
//!
//! <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

use std::fmt;

/// Types of the compact protocol.
pub(super) mod kind {
    pub(in super::super) const STOP: u8 = 0;
    pub(in super::super) const TRUE: u8 = 1;
    pub(in super::super) const FALSE: u8 = 2;
    pub(in super::super) const BYTE: u8 = 3;
    pub(in super::super) const I16: u8 = 4;
    pub(in super::super) const I32: u8 = 5;
    pub(in super::super) const I64: u8 = 6;
    pub(in super::super) const DOUBLE: u8 = 7;
    pub(in super::super) const BINARY: u8 = 8;
    pub(in super::super) const LIST: u8 = 9;
    pub(in super::super) const SET: u8 = 10;
    pub(in super::super) const MAP: u8 = 11;
    pub(in super::super) const STRUCT: u8 = 12;
    pub(in super::super) const UUID: u8 = 13;
}

/// Structures nest no deeper than this in any Parquet file.
const DEPTH: usize = 24;

/// What a value has to be.
#[derive(Debug)]
pub(super) enum Shape {
    /// Any of the whole numbers that are written as a varint.
    Integer,
    Byte,
    Double,
    Bool,
    Binary,
    List(&'static Shape),
    /// Fields by their numbers. Others may be anything.
    Struct(&'static [(i16, Shape)]),
}

/// The bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// They end too early.
    Short,
    /// A declared length is more than the bytes there are, a type is unknown or has no place there, or structures nest too deep.
    Implausible,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Broken::Short => "it ends too early",
            Broken::Implausible => "it declares impossible lengths",
        })
    }
}

/// A position in a buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Walker { bytes, at: 0 }
    }

    /// How many bytes have been walked over.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Calls `visit` with the number and type of each field of a structure; it has to walk over the value.
    pub(super) fn fields(&mut self, visit: &mut dyn FnMut(&mut Self, i16, u8) -> Result<(), Broken>) -> Result<(), Broken> {
        let mut id: i16 = 0;
        loop {
            let head = self.byte()?;
            let kind = head & 0x0f;
            if kind == kind::STOP {
                return Ok(());
            }
            id = match head >> 4 {
                0 => i16::try_from(self.integer()?).map_err(|_| Broken::Implausible)?,
                delta => id.checked_add(i16::from(delta)).ok_or(Broken::Implausible)?,
            };
            visit(self, id, kind)?;
        }
    }

    /// Walks over a value that has to be of a shape, with everything in it.
    pub(super) fn skip_as(&mut self, kind: u8, shape: &Shape) -> Result<(), Broken> {
        self.skip_shaped(kind, shape, DEPTH)
    }

    fn skip_shaped(&mut self, kind: u8, shape: &Shape, depth: usize) -> Result<(), Broken> {
        let within = depth.checked_sub(1).ok_or(Broken::Implausible)?;
        match (shape, kind) {
            (Shape::Integer, kind::I16 | kind::I32 | kind::I64)
            | (Shape::Byte, kind::BYTE)
            | (Shape::Double, kind::DOUBLE)
            | (Shape::Bool, kind::TRUE | kind::FALSE)
            | (Shape::Binary, kind::BINARY) => self.skip_value(kind, depth),
            (Shape::List(of), kind::LIST) => {
                let (count, kind) = self.list_head()?;
                self.elements(count, &[kind], &mut |walker, kind| walker.skip_shaped(kind, of, within))
            }
            (Shape::Struct(known), kind::STRUCT) => {
                self.fields(&mut |walker, id, kind| match known.iter().find(|(known, _)| *known == id) {
                    Some((_, shape)) => walker.skip_shaped(kind, shape, within),
                    None => walker.skip_value(kind, within),
                })
            }
            _ => Err(Broken::Implausible),
        }
    }

    /// Walks over a value.
    pub(super) fn skip(&mut self, kind: u8) -> Result<(), Broken> {
        self.skip_value(kind, DEPTH)
    }

    fn skip_value(&mut self, kind: u8, depth: usize) -> Result<(), Broken> {
        let depth = depth.checked_sub(1).ok_or(Broken::Implausible)?;
        match kind {
            // A field's type says it all.
            kind::TRUE | kind::FALSE => Ok(()),
            kind::BYTE => self.advance(1),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(|_| ()),
            kind::DOUBLE => self.advance(8),
            kind::UUID => self.advance(16),
            kind::BINARY => {
                let length = self.length()?;
                self.advance(length)
            }
            kind::LIST | kind::SET => {
                let (count, kind) = self.list_head()?;
                self.elements(count, &[kind], &mut |walker, kind| walker.skip_value(kind, depth))
            }
            kind::MAP => {
                let count = self.length()?;
                if count == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                self.elements(count, &[kinds >> 4, kinds & 0x0f], &mut |walker, kind| walker.skip_value(kind, depth))
            }
            kind::STRUCT => self.fields(&mut |walker, _, kind| walker.skip_value(kind, depth)),
            _ => Err(Broken::Implausible),
        }
    }

    /// How many elements a list has, and of what type.
    fn list_head(&mut self) -> Result<(usize, u8), Broken> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.length()? } else { usize::from(head >> 4) };
        Ok((count, head & 0x0f))
    }

    /// Calls `skip` for everything in so many elements, each of values of these types.
    fn elements(
        &mut self,
        count: usize,
        kinds: &[u8],
        skip: &mut dyn FnMut(&mut Self, u8) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        // No footer and no page header lists truth values. The format gives each a byte and parquet 60 walks over them as if they
        // took none, so it would go on elsewhere than was checked here, and perhaps through two thousand million of them.
        if kinds.iter().any(|kind| matches!(*kind, kind::TRUE | kind::FALSE)) {
            return Err(Broken::Implausible);
        }
        // Every element takes at least a byte, so that a count is never more than what is left.
        if count > self.rest().len() {
            return Err(Broken::Implausible);
        }
        for _ in 0..count {
            for kind in kinds {
                skip(self, *kind)?;
            }
        }
        Ok(())
    }

    /// A signed integer.
    pub(super) fn integer(&mut self) -> Result<i64, Broken> {
        let zigzag = self.varint()?;
        Ok((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
    }

    /// A length, which cannot exceed what is left.
    fn length(&mut self) -> Result<usize, Broken> {
        let length = usize::try_from(self.varint()?).map_err(|_| Broken::Implausible)?;
        if length > self.rest().len() { Err(Broken::Implausible) } else { Ok(length) }
    }

    /// An unsigned number in groups of seven bits, the lowest first.
    pub(super) fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Broken::Implausible)
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let byte = self.rest().first().copied().ok_or(Broken::Short)?;
        self.at += 1;
        Ok(byte)
    }

    /// So many bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let taken = self.rest().get(..count).ok_or(Broken::Short)?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn advance(&mut self, count: usize) -> Result<(), Broken> {
        self.take(count).map(|_| ())
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_held_against_what_is_left() {
        // Field 1: a list of 2^31 - 1 structures, of which there are none.
        let mut walker = Walker::new(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]);
        assert_eq!(walker.skip(kind::STRUCT), Err(Broken::Implausible));
        // Field 1: a list of two integers; the second is missing.
        assert_eq!(Walker::new(&[0x19, 0x25, 0x02]).skip(kind::STRUCT), Err(Broken::Implausible));
        assert_eq!(Walker::new(&[0x19, 0x25, 0x02, 0x04]).skip(kind::STRUCT), Err(Broken::Short));
        assert_eq!(Walker::new(&[0x19, 0x25, 0x02, 0x04, 0x00]).skip(kind::STRUCT), Ok(()));
        // Field 1: 100 bytes of text, of which there are two.
        assert_eq!(Walker::new(&[0x18, 0x64, 0x41, 0x42]).skip(kind::STRUCT), Err(Broken::Implausible));
        // Truth values in a list or map, which readers do not agree on.
        for bools in [&[0x19, 0x21, 1, 1, 0][..], &[0x19, 0x22, 1, 1, 0], &[0x1b, 1, 0x31, 1, 1, 0], &[0x1b, 1, 0x13, 1, 1, 0]] {
            assert_eq!(Walker::new(bools).skip(kind::STRUCT), Err(Broken::Implausible), "{bools:?}");
        }
        // Lists in lists without end.
        let mut nested = vec![0x19];
        nested.extend([0x19; 100]);
        assert_eq!(Walker::new(&nested).skip(kind::STRUCT), Err(Broken::Implausible));
    }

    #[test]
    fn integers_are_zigzag() {
        assert_eq!(Walker::new(&[0x00]).integer(), Ok(0));
        assert_eq!(Walker::new(&[0x01]).integer(), Ok(-1));
        assert_eq!(Walker::new(&[0xac, 0x02]).integer(), Ok(150));
        assert_eq!(Walker::new(&[0xff; 11]).integer(), Err(Broken::Implausible));
    }

    #[test]
    fn booleans_lie_in_the_type() {
        // Fields 1 (true) and 2 (i32 3), then the end.
        let mut seen = Vec::new();
        let mut walker = Walker::new(&[0x11, 0x15, 0x06, 0x00]);
        let outcome = walker.fields(&mut |walker, id, kind| {
            seen.push((id, kind));
            walker.skip(kind)
        });
        assert_eq!((outcome, seen), (Ok(()), vec![(1, kind::TRUE), (2, kind::I32)]));
        assert_eq!(walker.position(), 4);
    }
}
