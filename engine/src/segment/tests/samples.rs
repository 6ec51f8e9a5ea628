//! Rows of every type, with everything that is awkward about it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal64Array, Float32Array, Float64Array, Int64Array, StringArray, UInt64Array,
};

use fastrand::Rng;

use super::fleet::normal;
use super::{Rows, SeriesRun};
use crate::model::{Column, FieldType, SeriesId, SeriesKey, TableId, TableSchema, TableSpec, TimeUnit};

/// A table with a field of every type.
pub(crate) fn schema() -> TableSchema {
    TableSpec::new("every type")
        .tag("room")
        .tag("unit")
        .field("f64", FieldType::Float64)
        .field("f32", FieldType::Float32)
        .field("i64", FieldType::Int64)
        .field("u64", FieldType::UInt64)
        .field("bool", FieldType::Bool)
        .field("text", FieldType::Utf8)
        .field("bytes", FieldType::Binary)
        .field("money", FieldType::Decimal { scale: 3 })
        .field("never", FieldType::Float64)
        .time_unit(TimeUnit::Micro)
        .into_schema(TableId(3))
        .unwrap()
}

const AWKWARD: [u64; 8] = [
    0x7ff8_0000_0000_0001, // NaN with a payload
    0xfff8_dead_beef_0000, // negative NaN
    0x7ff0_0000_0000_0001, // signalling NaN
    0x8000_0000_0000_0000, // -0.0
    0x0000_0000_0000_0000, // 0.0
    0x7ff0_0000_0000_0000, // infinity
    0x0000_0000_0000_0001, // the least subnormal
    0xffef_ffff_ffff_ffff, // the least double
];

/// Rows of series of the given lengths. One value in `nulls` is missing (0: none).
pub(crate) fn rows(lengths: &[usize], nulls: u64, seed: u64) -> Rows {
    let mut random = Rng::with_seed(seed);
    let mut runs = Vec::new();
    let mut times = Vec::new();
    for (place, rows) in lengths.iter().enumerate() {
        let room = (place % 3 > 0).then(|| format!("room {:04}", place / 3));
        let unit = (place % 2 > 0).then(|| format!("{place:05}"));
        // Numbers that do not rise with the keys.
        let series = SeriesId((place as u32 * 7_919) % 100_003);
        runs.push(SeriesRun { series, key: SeriesKey(vec![room, unit]).normalized(), rows: *rows });
        let start = 1_600_000_000_000_000 + random.i64(0..1_000_000_000);
        times.extend((0..*rows as i64).map(|row| start + row * 60_000_000));
    }
    let count = times.len();
    let mut present = |chance: u64| -> Vec<bool> { (0..count).map(|_| chance == 0 || random.u64(..chance) > 0).collect() };
    let masks: Vec<Vec<bool>> = (0..8).map(|_| present(nulls)).collect();
    let mut random = Rng::with_seed(seed ^ 1);
    let double = |random: &mut Rng| match random.u64(..20) {
        0 => f64::from_bits(AWKWARD[random.usize(..8)]),
        1..5 => normal(random),
        _ => random.u64(..500) as f64 / 10.0,
    };
    let f64s: Vec<f64> = (0..count).map(|_| double(&mut random)).collect();
    let f32s: Vec<f32> = (0..count)
        .map(|_| if random.u64(..30) == 0 { f32::from_bits(0x7fc0_1234) } else { random.u64(..3_000) as f32 / 8.0 })
        .collect();
    let i64s: Vec<i64> = (0..count).map(|_| if random.u64(..50) == 0 { i64::MIN } else { random.i64(0..99) - 50 }).collect();
    let u64s: Vec<u64> = (0..count).map(|_| random.u64(..) >> random.u64(..64)).collect();
    let bools: Vec<bool> = (0..count).map(|_| random.u64(..9) == 0).collect();
    let texts: Vec<String> = (0..count).map(|_| "état ".repeat(random.usize(..4)) + &random.u64(..40).to_string()).collect();
    let bytes: Vec<Vec<u8>> = (0..count).map(|_| random.u64(..).to_be_bytes()[..random.usize(..8)].to_vec()).collect();
    let money: Vec<i64> = (0..count).map(|row| row as i64 * 5 - random.i64(0..1_000)).collect();
    let mut masks = masks.into_iter();
    let mut mask = || masks.next().unwrap();
    let columns: Vec<Column> = vec![
        Some(Arc::new(masked(f64s, mask()).collect::<Float64Array>()) as ArrayRef),
        Some(Arc::new(masked(f32s, mask()).collect::<Float32Array>())),
        Some(Arc::new(masked(i64s, mask()).collect::<Int64Array>())),
        Some(Arc::new(masked(u64s, mask()).collect::<UInt64Array>())),
        Some(Arc::new(masked(bools, mask()).collect::<BooleanArray>())),
        Some(Arc::new(masked(texts, mask()).collect::<StringArray>())),
        Some(Arc::new(masked(bytes, mask()).collect::<BinaryArray>())),
        Some(Arc::new(masked(money, mask()).collect::<Decimal64Array>().with_precision_and_scale(18, 3).unwrap())),
        None,
    ];
    Rows { runs, times, columns }
}

fn masked<T>(values: Vec<T>, mask: Vec<bool>) -> impl Iterator<Item = Option<T>> {
    values.into_iter().zip(mask).map(|(value, present)| present.then_some(value))
}
