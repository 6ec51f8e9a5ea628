//! Integers in few bits: chunks of values as a base plus differences of fixed width.
//!
//! A chunk is: a tag byte (low four bits for the caller, 0x10 = differences of consecutive values, 0x20 = exceptions follow,
//! the caller's), a width byte, the base as a zig-zag varint, for differences the first value as a zig-zag varint, then the
//! values less the base, `width` bits each, least significant bit first.

use super::DecodeError;

/// Values in a full chunk; only the last of a column is shorter.
pub(super) const CHUNK: usize = 1024;
/// The fewest bytes a chunk takes.
const CHUNK_LEAST_BYTES: usize = 3;
/// Tag bits that are the caller's.
pub(super) const CALLER_BITS: u8 = 0x0f;
/// Set where the chunk holds differences of consecutive values.
const DELTA: u8 = 0x10;
/// Set by the caller where it adds something after the chunk.
pub(super) const EXCEPTIONS: u8 = 0x20;
/// Room for the bits of a chunk, and for reading eight bytes at the last of them.
const PACKED_ROOM: usize = CHUNK * 8 + 16;

/// Bytes being read. Every read is checked.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Reader { what, rest: bytes }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn error(&self, detail: impl Into<String>) -> DecodeError {
        DecodeError::new(self.what, detail)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.error(format!("{len} bytes wanted, {} left", self.rest.len()))),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(self.error(format!("{N} bytes wanted, {} left", self.rest.len()))),
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            value |= bits << shift;
            if byte < 0x80 {
                return if (bits << shift) >> shift == bits { Ok(value) } else { Err(self.error("a varint beyond 64 bits")) };
            }
        }
        Err(self.error("a varint without end"))
    }

    pub(crate) fn zigzag(&mut self) -> Result<i64, DecodeError> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A count of values that are still to come as chunks, so that room may be reserved for them.
    pub(super) fn check_chunks(&self, values: usize) -> Result<(), DecodeError> {
        if values.div_ceil(CHUNK) > self.rest.len() / CHUNK_LEAST_BYTES {
            return Err(self.error(format!("{values} values in {} bytes", self.rest.len())));
        }
        Ok(())
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// The least value and the width of the rest, of values or of their differences.
#[derive(Clone, Copy)]
struct Frame {
    base: i64,
    width: u32,
}

impl Frame {
    fn of(values: impl Iterator<Item = i64>) -> Frame {
        let (mut min, mut max) = (i64::MAX, i64::MIN);
        for value in values {
            min = min.min(value);
            max = max.max(value);
        }
        if min > max {
            return Frame { base: 0, width: 0 };
        }
        // Modulo 2^64 the distance of any two values fits.
        Frame { base: min, width: 64 - max.wrapping_sub(min).leading_zeros() }
    }
}

/// Appends a chunk of at most [`CHUNK`] values, `tag` in its caller's bits.
pub(super) fn put_chunk(out: &mut Vec<u8>, tag: u8, values: &[i64]) {
    let Some((&first, later)) = values.split_first() else { return };
    let differences = || values.iter().zip(later).map(|(a, b)| b.wrapping_sub(*a));
    let plain = Frame::of(values.iter().copied());
    let delta = Frame::of(differences());
    // A difference must save at least the bytes of its first value.
    let delta_pays = (plain.width as usize).saturating_sub(delta.width as usize) * values.len() > 64;
    let frame = if delta_pays { delta } else { plain };
    out.push(if delta_pays { tag | DELTA } else { tag });
    out.push(frame.width as u8);
    put_zigzag(out, frame.base);
    if delta_pays {
        put_zigzag(out, first);
        put_bits(out, frame, differences());
    } else {
        put_bits(out, frame, values.iter().copied());
    }
}

fn put_bits(out: &mut Vec<u8>, frame: Frame, values: impl Iterator<Item = i64>) {
    if frame.width == 0 {
        return;
    }
    let (mut word, mut filled) = (0u64, 0u32);
    for value in values {
        let bits = value.wrapping_sub(frame.base).cast_unsigned();
        word |= bits << filled;
        let room = 64 - filled;
        if frame.width >= room {
            out.extend_from_slice(&word.to_le_bytes());
            word = bits.checked_shr(room).unwrap_or(0);
            filled = frame.width - room;
        } else {
            filled += frame.width;
        }
    }
    let used = filled.div_ceil(8) as usize;
    out.extend(word.to_le_bytes().into_iter().take(used));
}

/// Memory that reading a chunk needs, made once for many.
pub(super) struct Unpacker {
    values: Vec<i64>,
    packed: Vec<u8>,
}

impl Unpacker {
    pub(super) fn new() -> Self {
        Unpacker { values: vec![0; CHUNK], packed: vec![0; PACKED_ROOM] }
    }

    /// Reads the next chunk of `count` (at most [`CHUNK`]) values; returns its tag too.
    pub(super) fn chunk(&mut self, reader: &mut Reader<'_>, count: usize) -> Result<(u8, &mut [i64]), DecodeError> {
        let tag = reader.byte()?;
        let width = u32::from(reader.byte()?);
        if width > 64 || tag & !(CALLER_BITS | DELTA | EXCEPTIONS) != 0 {
            return Err(reader.error(format!("a chunk of tag {tag:#x} and width {width}")));
        }
        let base = reader.zigzag()?;
        let Some(values) = self.values.get_mut(..count) else { return Err(reader.error("a chunk too long")) };
        if tag & DELTA == 0 {
            unpack(reader, &mut self.packed, base, width, values)?;
        } else {
            let mut value = reader.zigzag()?;
            if let Some((first, later)) = values.split_first_mut() {
                *first = value;
                unpack(reader, &mut self.packed, base, width, later)?;
                for slot in later {
                    value = value.wrapping_add(*slot);
                    *slot = value;
                }
            }
        }
        Ok((tag, values))
    }
}

fn unpack(reader: &mut Reader<'_>, packed: &mut [u8], base: i64, width: u32, out: &mut [i64]) -> Result<(), DecodeError> {
    let width = width as usize;
    let bytes = reader.take((out.len() * width).div_ceil(8))?;
    let Some(room) = packed.get_mut(..bytes.len()) else { return Err(reader.error("a chunk too long")) };
    room.copy_from_slice(bytes);
    // Stale bytes after those copied are masked away.
    let loads = packed.windows(16);
    if width <= 56 {
        let mask = (1u64 << width) - 1;
        for (i, slot) in out.iter_mut().enumerate() {
            let bit = i * width;
            let word = loads.clone().nth(bit / 8).and_then(|bytes| bytes.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b));
            *slot = base.wrapping_add(((word >> (bit % 8)) & mask).cast_signed());
        }
    } else {
        let mask = u64::MAX >> (64 - width);
        for (i, slot) in out.iter_mut().enumerate() {
            let bit = i * width;
            let word = loads.clone().nth(bit / 8).and_then(|bytes| bytes.first_chunk()).map_or(0, |b| u128::from_le_bytes(*b));
            *slot = base.wrapping_add(((word >> (bit % 8)) as u64 & mask).cast_signed());
        }
    }
    Ok(())
}
