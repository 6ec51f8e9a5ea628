//! The fleet workload: devices with ten fields, one row each second.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal64Array, Float64Array, Int64Array};

use fastrand::Rng;

use super::{Rows, SeriesRun};
use crate::model::{FieldType, SeriesId, SeriesKey, TableId, TableSchema, TableSpec};

/// Box and Muller's method.
pub(crate) fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

/// Knuth's method.
fn poisson(random: &mut Rng, rate: f64) -> i64 {
    let limit = (-rate).exp();
    let (mut count, mut product) = (0, random.f64());
    while product > limit {
        count += 1;
        product *= random.f64();
    }
    count
}

const SIGMAS: [f64; 7] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0];

/// Whether fields are declared as what they are, or all as doubles.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Declared {
    Doubles,
    Exactly,
}

pub(crate) fn schema(declared: Declared) -> TableSchema {
    let mut spec = TableSpec::new("fleet").tag("device");
    for field in 0..10 {
        let kind = match (declared, field) {
            (Declared::Doubles, _) | (_, 9) => FieldType::Float64,
            (Declared::Exactly, 7) => FieldType::Int64,
            (Declared::Exactly, _) => FieldType::Decimal { scale: 2 },
        };
        spec = spec.field(format!("f{field}"), kind);
    }
    spec.into_schema(TableId(1)).unwrap()
}

/// Rows of all devices, sorted by device, then time.
pub(crate) fn rows(devices: usize, seconds: usize, declared: Declared) -> Rows {
    let mut random = Rng::with_seed(42);
    let mut runs = Vec::new();
    let mut times = Vec::new();
    let mut integers: Vec<Vec<i64>> = vec![Vec::new(); 9];
    let mut noise = Vec::new();
    for device in 0..devices {
        let key = SeriesKey(vec![Some(format!("device-{device:05}"))]);
        runs.push(SeriesRun { series: SeriesId(device as u32), key, rows: seconds });
        let mut levels: Vec<i64> = (0..9).map(|_| random.i64(0..10_000)).collect();
        levels[7] = 0;
        let rate = 0.5 + 49.5 * random.f64();
        for second in 0..seconds {
            times.push(1_700_000_000_000_000 + second as i64 * 1_000_000 + (random.i64(0..7) - 3) * 1_000);
            for (field, sigma) in SIGMAS.iter().enumerate() {
                levels[field] += (normal(&mut random) * sigma).round() as i64;
            }
            levels[7] += poisson(&mut random, rate);
            if random.f64() < 0.001 {
                levels[8] = random.i64(0..10_000);
            }
            integers.iter_mut().zip(&levels).for_each(|(all, level)| all.push(*level));
            noise.push(230.0 + 5.0 * (second as f64 / 300.0).sin() + normal(&mut random));
        }
    }
    let mut columns: Vec<Option<ArrayRef>> = Vec::new();
    for (field, values) in integers.into_iter().enumerate() {
        let array: ArrayRef = match (declared, field) {
            (Declared::Exactly, 7) => Arc::new(Int64Array::from(values)),
            (Declared::Exactly, _) => Arc::new(Decimal64Array::from(values).with_precision_and_scale(18, 2).unwrap()),
            (Declared::Doubles, 7) => Arc::new(Float64Array::from_iter_values(values.iter().map(|v| *v as f64))),
            (Declared::Doubles, _) => Arc::new(Float64Array::from_iter_values(values.iter().map(|v| *v as f64 / 100.0))),
        };
        columns.push(Some(array));
    }
    columns.push(Some(Arc::new(Float64Array::from(noise))));
    Rows { runs, times, columns }
}
