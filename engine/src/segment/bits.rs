//! Bit packing, least significant bit first, as all of Parquet's integer encodings use it; and variable-length integers.

use super::Malformed;

/// An unsigned integer that packed bits are widened to.
pub(super) trait Lane: Copy + Default {
    /// The low bits of `bits`.
    fn of(bits: u64) -> Self;
}

impl Lane for u32 {
    fn of(bits: u64) -> Self {
        bits as u32
    }
}

impl Lane for u64 {
    fn of(bits: u64) -> Self {
        bits
    }
}

/// Bits that `value` needs.
pub(super) fn width_of(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// Appends `values`, `width` bits each, padded to a whole byte. Every value must fit.
pub(super) fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let (mut bits, mut filled) = (0u64, 0u32);
    for value in values {
        bits |= value << filled;
        if filled + width >= 64 {
            out.extend_from_slice(&bits.to_le_bytes());
            bits = if filled == 0 { 0 } else { value >> (64 - filled) };
            filled = filled + width - 64;
        } else {
            filled += width;
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..filled.div_ceil(8) as usize]);
}

/// Fills `out` with values of `width` bits each; `bytes` may be longer than they need, which makes it faster.
pub(super) fn unpack<T: Lane>(bytes: &[u8], width: u32, out: &mut [T]) -> Result<(), Malformed> {
    if bytes.len() < (out.len() * width as usize).div_ceil(8) {
        return Err(Malformed("packed integers are cut short"));
    }
    macro_rules! dispatch {
        ($($width:literal)*) => {
            match width {
                0 => out.fill(T::of(0)),
                $($width => unpack_all::<$width, T>(bytes, out),)*
                _ => return Err(Malformed("packed integers wider than 64 bits")),
            }
        };
    }
    dispatch!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40
        41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64);
    Ok(())
}

/// Bytes that unpacking a group of eight may look at beyond its end.
const SLACK: usize = 8;

/// A constant width lets the compiler turn the shifts of each group of eight into constants.
fn unpack_all<const WIDTH: usize, T: Lane>(bytes: &[u8], out: &mut [T]) {
    let mut groups = out.chunks_exact_mut(8);
    let mut at = 0;
    for group in &mut groups {
        match bytes.get(at..at + WIDTH + SLACK) {
            Some(window) => unpack_group::<WIDTH, T>(window, group),
            None => unpack_tail::<WIDTH, T>(&bytes[at..], group),
        }
        at += WIDTH;
    }
    let rest = groups.into_remainder();
    if !rest.is_empty() {
        let mut group = [T::default(); 8];
        unpack_tail::<WIDTH, T>(&bytes[at..], &mut group);
        rest.copy_from_slice(&group[..rest.len()]);
    }
}

/// As [`unpack_group`], from bytes that may end with the group or within it.
#[inline(never)]
fn unpack_tail<const WIDTH: usize, T: Lane>(bytes: &[u8], group: &mut [T]) {
    let mut padded = [0u8; 64 + SLACK];
    let taken = bytes.len().min(WIDTH);
    padded[..taken].copy_from_slice(&bytes[..taken]);
    unpack_group::<WIDTH, T>(&padded[..WIDTH + SLACK], group);
}

/// Unpacks eight values from `WIDTH` bytes with [`SLACK`] behind them.
#[inline(always)]
fn unpack_group<const WIDTH: usize, T: Lane>(window: &[u8], group: &mut [T]) {
    let window = &window[..WIDTH + SLACK];
    let mask = if WIDTH == 64 { u64::MAX } else { (1u64 << WIDTH) - 1 };
    for (place, target) in group.iter_mut().enumerate() {
        let (byte, shift) = (place * WIDTH / 8, place * WIDTH % 8);
        let mut word = [0u8; 8];
        word.copy_from_slice(&window[byte..byte + 8]);
        let mut bits = u64::from_le_bytes(word) >> shift;
        if shift + WIDTH > 64 {
            bits |= u64::from(window[byte + 8]) << (64 - shift);
        }
        *target = T::of(bits & mask);
    }
}

/// Appends an unsigned LEB128 integer.
pub(super) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Maps small magnitudes of either sign to small unsigned integers.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Undoes [`zigzag`].
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Reads bytes from front to back and never past the end.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed("the bytes end early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed("the bytes end early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("an integer has more than 64 bits"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, Malformed> {
        Ok(unzigzag(self.varint()?))
    }

    /// A count of things that take at least one byte each, so that it cannot exceed what is left.
    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.varint()?).map_err(|_| Malformed("a count is too large"))?;
        if count > self.rest.len() { Err(Malformed("a count exceeds the bytes there are")) } else { Ok(count) }
    }

    /// An integer of at most 32 bits.
    pub(super) fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.varint()?).map_err(|_| Malformed("an integer has more than 32 bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_integers_of_every_width_come_back() {
        for width in 0..=64u32 {
            let mask = if width == 64 { u64::MAX } else { (1u64 << width) - 1 };
            for count in [0usize, 1, 7, 8, 9, 31, 64, 100] {
                let values: Vec<u64> =
                    (0..count as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(7) & mask).collect();
                let mut bytes = Vec::new();
                pack(values.iter().copied(), width, &mut bytes);
                assert_eq!(bytes.len(), (count * width as usize).div_ceil(8));
                let mut out = vec![0u64; count];
                unpack(&bytes, width, &mut out).unwrap();
                assert_eq!(out, values, "width {width}, {count} values");
                if width <= 32 {
                    let mut narrow = vec![0u32; count];
                    unpack(&bytes, width, &mut narrow).unwrap();
                    assert!(narrow.iter().zip(&values).all(|(a, b)| u64::from(*a) == *b));
                }
                if let Some(short) = bytes.len().checked_sub(1) {
                    assert!(unpack(&bytes[..short], width, &mut out).is_err());
                }
            }
        }
    }

    #[test]
    fn packing_is_least_significant_bit_first() {
        // The example of the Parquet specification: 0 to 7 in three bits each.
        let mut bytes = Vec::new();
        pack(0..8, 3, &mut bytes);
        assert_eq!(bytes, [0b1000_1000, 0b1100_0110, 0b1111_1010]);
    }

    #[test]
    fn varints_come_back_and_overlong_ones_do_not() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(value, &mut bytes);
            assert_eq!(Reader::new(&bytes).varint().unwrap(), value);
        }
        assert!(Reader::new(&[0xff; 11]).varint().is_err());
        assert!(Reader::new(&[0x80]).varint().is_err());
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
