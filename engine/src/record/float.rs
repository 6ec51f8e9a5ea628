//! Floats as integers, where they are decimals of few places; as their bits otherwise. Exact either way.

use super::DecodeError;
use super::pack::{CALLER_BITS, CHUNK, EXCEPTIONS, Reader, Unpacker, put_chunk, put_varint};

/// Powers of ten by places: all exact doubles.
const POWERS: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// Adding and subtracting it rounds to an integer, which then stands in the low bits of the sum.
const ROUNDING: f64 = 6_755_399_441_055_744.0; // 1.5 × 2^52
/// The greatest magnitude for which that holds.
const ROUNDED_LIMIT: f64 = 2_251_799_813_685_248.0; // 2^51
/// Values looked at to guess the places.
const SAMPLE: usize = 16;

/// Single and double precision alike.
pub(super) trait Float: Copy + Default {
    fn widen(self) -> f64;
    fn narrow(value: f64) -> Self;
    fn bits(self) -> i64;
    fn from_bits(bits: i64) -> Self;
}

impl Float for f64 {
    fn widen(self) -> f64 {
        self
    }
    fn narrow(value: f64) -> Self {
        value
    }
    fn bits(self) -> i64 {
        self.to_bits().cast_signed()
    }
    fn from_bits(bits: i64) -> Self {
        f64::from_bits(bits.cast_unsigned())
    }
}

impl Float for f32 {
    fn widen(self) -> f64 {
        f64::from(self)
    }
    fn narrow(value: f64) -> Self {
        value as f32
    }
    fn bits(self) -> i64 {
        i64::from(self.to_bits())
    }
    fn from_bits(bits: i64) -> Self {
        f32::from_bits(bits as u32)
    }
}

/// `value` times `power`, rounded, and whether dividing it again gives the same bits.
fn scaled<F: Float>(value: F, power: f64) -> (i64, bool) {
    let product = value.widen() * power;
    let sum = product + ROUNDING;
    let restored = F::narrow((sum - ROUNDING) / power);
    let exact = product.abs() < ROUNDED_LIMIT && restored.bits() == value.bits();
    (sum.to_bits().wrapping_sub(ROUNDING.to_bits()).cast_signed(), exact)
}

/// The places that nearly all of a sample have, if it has any.
fn guess_places<F: Float>(values: &[F]) -> Option<usize> {
    let step = values.len().div_ceil(SAMPLE).max(1);
    let (mut places, mut misses) = (0, 0);
    for value in values.iter().step_by(step) {
        match POWERS.iter().skip(places).position(|power| scaled(*value, *power).1) {
            Some(more) => places += more,
            None => misses += 1,
        }
        if misses * 8 > SAMPLE {
            return None;
        }
    }
    Some(places)
}

/// Appends floats in chunks. A chunk's caller bits are 0 for bits, or 1 + places for decimals; the values that are not
/// such decimals follow as exceptions: their count, then position (u16) and bits (eight bytes) of each.
pub(super) fn put<F: Float>(out: &mut Vec<u8>, values: &[F]) {
    let mut lanes = [0; CHUNK];
    for chunk in values.chunks(CHUNK) {
        if !put_decimals(out, chunk, &mut lanes) {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane = value.bits();
            }
            put_chunk(out, 0, lanes.get(..chunk.len()).unwrap_or_default());
        }
    }
}

fn put_decimals<F: Float>(out: &mut Vec<u8>, chunk: &[F], lanes: &mut [i64; CHUNK]) -> bool {
    let Some(places) = guess_places(chunk) else { return false };
    let Some(&power) = POWERS.get(places) else { return false };
    let (mut misses, mut last) = (0, None);
    for (lane, value) in lanes.iter_mut().zip(chunk) {
        let (scaled, exact) = scaled(*value, power);
        // An exception repeats its neighbour, so that it widens nothing.
        *lane = if exact { scaled } else { last.unwrap_or(0) };
        if exact {
            last = Some(scaled);
        } else {
            misses += 1;
        }
    }
    let tag = 1 + places as u8;
    let lanes = lanes.get_mut(..chunk.len()).unwrap_or_default();
    if misses == 0 {
        put_chunk(out, tag, lanes);
        return true;
    }
    // An exception takes ten bytes where a decimal saves about five.
    if misses * 4 > chunk.len() {
        return false;
    }
    let is_exact = |value: &F| scaled(*value, power).1;
    if let Some(first) = chunk.iter().position(is_exact) {
        let fill = lanes.get(first).copied().unwrap_or(0);
        lanes.iter_mut().take(first).for_each(|lane| *lane = fill);
    }
    put_chunk(out, tag | EXCEPTIONS, lanes);
    put_varint(out, misses as u64);
    for (position, value) in chunk.iter().enumerate().filter(|(_, value)| !is_exact(value)) {
        out.extend_from_slice(&(position as u16).to_le_bytes());
        out.extend_from_slice(&value.bits().to_le_bytes());
    }
    true
}

/// Reads `count` floats, for which the caller has checked that they may be there.
pub(super) fn get<F: Float>(reader: &mut Reader<'_>, unpacker: &mut Unpacker, count: usize) -> Result<Vec<F>, DecodeError> {
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let start = values.len();
        let (tag, lanes) = unpacker.chunk(reader, (count - start).min(CHUNK))?;
        match tag & CALLER_BITS {
            0 => values.extend(lanes.iter().map(|lane| F::from_bits(*lane))),
            coded => {
                let Some(power) = POWERS.get(usize::from(coded) - 1) else {
                    return Err(reader.error(format!("decimals coded {coded}")));
                };
                values.extend(lanes.iter().map(|lane| F::narrow(*lane as f64 / power)));
            }
        }
        if tag & EXCEPTIONS != 0 {
            let chunk = values.get_mut(start..).unwrap_or_default();
            let exceptions = reader.varint()?;
            if exceptions > chunk.len() as u64 {
                return Err(reader.error(format!("{exceptions} exceptions of {}", chunk.len())));
            }
            for _ in 0..exceptions {
                let position = usize::from(u16::from_le_bytes(reader.array()?));
                let bits = i64::from_le_bytes(reader.array()?);
                match chunk.get_mut(position) {
                    Some(slot) => *slot = F::from_bits(bits),
                    None => return Err(reader.error(format!("an exception at {position} of {}", chunk.len()))),
                }
            }
        }
    }
    Ok(values)
}
