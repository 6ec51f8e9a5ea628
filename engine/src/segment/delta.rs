//! Parquet's DELTA_BINARY_PACKED: differences of neighbours, less the smallest of their block, bit packed.

use super::Malformed;
use super::bits::{Reader, pack, put_varint, unpack, width_of, zigzag};

/// Differences per block and per miniblock: what parquet-mr writes, so every reader has seen it.
const BLOCK: usize = 128;
const MINIBLOCK: usize = 32;
/// Largest block accepted.
const BLOCK_LIMIT: usize = 1 << 16;

/// How packed widths are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// As few bits as each miniblock needs.
    Tight,
    /// Whole bytes, counted from one smallest difference for the whole page: longer by itself, but the same difference is
    /// always the same byte, which is what an entropy coder behind it needs.
    Bytes,
}

/// Appends `values` (as two's complement).
pub(super) fn encode(values: &[u64], packing: Packing, out: &mut Vec<u8>) {
    put_varint(BLOCK as u64, out);
    put_varint((BLOCK / MINIBLOCK) as u64, out);
    put_varint(values.len() as u64, out);
    put_varint(zigzag(values.first().copied().unwrap_or(0).cast_signed()), out);
    let deltas: Vec<i64> = values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]).cast_signed()).collect();
    let least = deltas.iter().copied().min().unwrap_or(0);
    for block in deltas.chunks(BLOCK) {
        let base = match packing {
            Packing::Tight => block.iter().copied().min().unwrap_or(0),
            Packing::Bytes => least,
        };
        put_varint(zigzag(base), out);
        let excess = |delta: &i64| delta.wrapping_sub(base).cast_unsigned();
        let widths = out.len();
        out.resize(widths + BLOCK / MINIBLOCK, 0);
        for (place, miniblock) in block.chunks(MINIBLOCK).enumerate() {
            let needed = width_of(miniblock.iter().map(excess).fold(0, |all, one| all | one));
            let width = match packing {
                Packing::Tight => needed,
                Packing::Bytes => needed.next_multiple_of(8),
            };
            out[widths + place] = width as u8;
            let padding = MINIBLOCK - miniblock.len();
            pack(miniblock.iter().map(excess).chain(std::iter::repeat_n(0, padding)), width, out);
        }
    }
}

/// Fills `out`; the encoded count must be its length.
pub(super) fn decode(bytes: &[u8], out: &mut [u64]) -> Result<usize, Malformed> {
    let mut reader = Reader::new(bytes);
    let block = reader.varint()? as usize;
    let miniblocks = reader.varint()? as usize;
    if block == 0 || block > BLOCK_LIMIT || miniblocks == 0 || !block.is_multiple_of(miniblocks) {
        return Err(Malformed("impossible block of differences"));
    }
    let size = block / miniblocks;
    if !size.is_multiple_of(8) || reader.varint()? != out.len() as u64 {
        return Err(Malformed("another count of differences than expected"));
    }
    let mut value = reader.signed()?.cast_unsigned();
    let Some((first, mut rest)) = out.split_first_mut() else { return Ok(bytes.len() - reader.rest().len()) };
    *first = value;
    while !rest.is_empty() {
        let base = reader.signed()?.cast_unsigned();
        let widths = reader.take(miniblocks)?;
        for width in widths {
            if rest.is_empty() {
                break;
            }
            let (miniblock, after) = rest.split_at_mut(size.min(rest.len()));
            // Unpacking may look beyond the miniblock, at bytes it has no use for.
            unpack(reader.rest(), u32::from(*width), miniblock)?;
            reader.take(size / 8 * usize::from(*width))?;
            for target in miniblock {
                value = value.wrapping_add(*target).wrapping_add(base);
                *target = value;
            }
            rest = after;
        }
    }
    Ok(bytes.len() - reader.rest().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shapes_of_integers_come_back() {
        let shapes: [Vec<i64>; 7] = [
            vec![],
            vec![-5],
            (0..5000).map(|i| i * 1_000_000 + (i * 7919 % 7 - 3) * 1000).collect(),
            vec![i64::MIN, i64::MAX, 0, i64::MIN, -1, 1, i64::MAX],
            vec![42; 129],
            (0..130).rev().collect(),
            (0..999).map(|i: i64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed())).collect(),
        ];
        for shape in shapes {
            let words: Vec<u64> = shape.iter().map(|value| value.cast_unsigned()).collect();
            for packing in [Packing::Tight, Packing::Bytes] {
                let mut bytes = Vec::new();
                encode(&words, packing, &mut bytes);
                let mut out = vec![0; words.len()];
                assert_eq!(decode(&bytes, &mut out).unwrap(), bytes.len());
                assert_eq!(out, words);
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        // Parquet's own example: 7, 5, 3, 1, 2, 3, 4, 5 has the smallest difference -2 and excesses 0, 0, 0, 3, 3, 3, 3.
        let mut bytes = Vec::new();
        encode(&[7, 5, 3, 1, 2, 3, 4, 5], Packing::Tight, &mut bytes);
        assert_eq!(bytes, [0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn hostile_headers_are_refused() {
        let mut out = [0; 9];
        assert!(decode(&[], &mut out).is_err());
        assert!(decode(&[0, 4, 9, 0], &mut out).is_err());
        assert!(decode(&[0x80, 1, 0, 9, 0], &mut out).is_err());
        assert!(decode(&[0x80, 1, 4, 8, 0], &mut out).is_err());
        assert!(decode(&[0x80, 1, 4, 9, 0, 0, 65, 0, 0, 0], &mut out).is_err());
        assert!(decode(&[0xff; 30], &mut out).is_err());
    }
}
