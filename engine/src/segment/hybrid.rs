//! Parquet's hybrid of run lengths and bit packing: dictionary indexes, definition levels and booleans.

use super::Malformed;
use super::bits::{Reader, pack, put_varint, unpack};

/// Appends `values` as runs where they repeat and packed in between.
pub(super) fn encode(values: &[u32], width: u32, out: &mut Vec<u8>) {
    // A run costs its header, its value and the header of the packed stretch after it: about six bytes.
    let worthwhile = (48 / width.max(1) as usize).max(8);
    let (mut start, mut at) = (0, 0);
    while at < values.len() {
        let value = values[at];
        let run = values[at..].iter().take_while(|next| **next == value).count();
        // A packed stretch must hold a multiple of eight values, so it takes its missing ones from the run.
        let missing = (8 - (at - start) % 8) % 8;
        if run >= worthwhile + missing {
            encode_packed(&values[start..at + missing], width, out);
            put_varint(((run - missing) as u64) << 1, out);
            out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
            start = at + run;
        }
        at += run;
    }
    encode_packed(&values[start..], width, out);
}

/// Appends one run of a single value.
pub(super) fn encode_run(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    put_varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

fn encode_packed(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    put_varint((groups as u64) << 1 | 1, out);
    let padding = groups * 8 - values.len();
    pack(values.iter().map(|value| u64::from(*value)).chain(std::iter::repeat_n(0, padding)), width, out);
}

/// Fills `out`; what follows the last value is ignored.
pub(super) fn decode(bytes: &[u8], width: u32, out: &mut [u32]) -> Result<(), Malformed> {
    if width > 32 {
        return Err(Malformed("indexes wider than 32 bits"));
    }
    let mut reader = Reader::new(bytes);
    let mut filled = 0;
    while filled < out.len() {
        let header = reader.varint()?;
        let left = out.len() - filled;
        let count = usize::try_from(header >> 1).map_err(|_| Malformed("a run is too long"))?;
        if count == 0 {
            return Err(Malformed("an empty run"));
        }
        if header & 1 == 1 {
            let taken = count.saturating_mul(8).min(left);
            unpack(reader.rest(), width, &mut out[filled..filled + taken])?;
            let stored = count.checked_mul(width as usize).ok_or(Malformed("a run is too long"))?;
            reader.take(stored.min(reader.rest().len()))?;
            filled += taken;
        } else {
            let mut value = [0; 4];
            let stored = reader.take(width.div_ceil(8) as usize)?;
            value[..stored.len()].copy_from_slice(stored);
            let taken = count.min(left);
            out[filled..filled + taken].fill(u32::from_le_bytes(value));
            filled += taken;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(values: &[u32], width: u32) -> usize {
        let mut bytes = Vec::new();
        encode(values, width, &mut bytes);
        let mut out = vec![0; values.len()];
        decode(&bytes, width, &mut out).unwrap();
        assert_eq!(out, values);
        bytes.len()
    }

    #[test]
    fn mixtures_of_runs_and_noise_come_back() {
        let mut values = Vec::new();
        for round in 0..60u32 {
            values.extend(std::iter::repeat_n(round % 5, (round as usize * 7) % 41));
            values.extend((0..round % 13).map(|i| (i * 37 + round) % 1000));
        }
        for width in [10, 11, 16, 24, 32] {
            round_trip(&values, width);
        }
        for length in 0..40 {
            round_trip(&values[..length], 10);
        }
    }

    #[test]
    fn a_constant_column_takes_a_few_bytes() {
        assert!(round_trip(&[3; 5000], 2) <= 4);
        assert_eq!(round_trip(&[0; 5000], 0), 2);
    }

    #[test]
    fn hostile_runs_are_refused() {
        let mut out = [0; 16];
        assert!(decode(&[], 1, &mut out).is_err());
        assert!(decode(&[0x00], 1, &mut out).is_err());
        assert!(decode(&[0x03], 8, &mut out).is_err());
        assert!(decode(&[0xff; 20], 8, &mut out).is_err());
        assert!(decode(&[0x02, 0x01], 33, &mut out).is_err());
    }
}
