//! The fleet workload: 200 devices, a row each per second, ten float64 fields of the kinds that sensors have.
//!
//! The seed alone decides every row. Values of fixed resolution are walked in integers (hundredths) and divided at the very
//! end, so that they are the doubles nearest to two-decimal numbers, as an instrument would report them.

use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, Poisson, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

use anyhow::Result;

/// How many devices report.
pub(crate) const DEVICES: usize = 200;
/// How many fields a row has.
pub(crate) const FIELDS: usize = 10;
/// Seconds of the whole workload: 1,000,000 rows, 10,000,000 points.
pub(crate) const SECONDS: u32 = 5_000;
/// 2026-01-01T00:00:00Z in microseconds.
pub(crate) const START: i64 = 1_767_225_600_000_000;
/// Bytes of one row as it lies in memory: time, device, fields.
pub(crate) const RAW_ROW_BYTES: usize = 8 + 4 + 8 * FIELDS;

/// Step of the walks `f0` to `f6`, in hundredths.
const SIGMAS: [f64; 7] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0];
/// Fields kept as integers: the walks, the counter and the level.
const EXACT: usize = 9;
const COUNTER: usize = 7;
const LEVEL: usize = 8;
/// Where walks and levels start: 10.00 to 90.00, in hundredths.
const LEVELS: std::ops::RangeInclusive<i64> = 1_000..=9_000;

/// Rows as columns, in the order they arrive: second by second, and within a second device by device.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Microseconds since the epoch.
    pub(crate) times: Vec<i64>,
    /// Device numbers.
    pub(crate) devices: Vec<u32>,
    /// `f0` to `f8`: hundredths, or units where [`divisor`] says 1.
    pub(crate) exact: [Vec<i64>; EXACT],
    /// `f9`.
    pub(crate) noise: Vec<f64>,
}

impl Rows {
    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// How many values.
    pub(crate) fn points(&self) -> u64 {
        (self.len() * FIELDS) as u64
    }

    /// The value of one field in one row.
    pub(crate) fn value(&self, field: usize, row: usize) -> f64 {
        match self.exact.get(field) {
            Some(column) => column[row] as f64 / divisor(field),
            None => self.noise[row],
        }
    }

    /// The values of one field.
    pub(crate) fn values(&self, field: usize) -> Vec<f64> {
        match self.exact.get(field) {
            Some(column) => column.iter().map(|&value| value as f64 / divisor(field)).collect(),
            None => self.noise.clone(),
        }
    }

    /// The rows as plain bytes, row by row.
    pub(crate) fn raw(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() * RAW_ROW_BYTES);
        for row in 0..self.len() {
            bytes.extend(self.times[row].to_le_bytes());
            bytes.extend(self.devices[row].to_le_bytes());
            (0..FIELDS).for_each(|field| bytes.extend(self.value(field, row).to_le_bytes()));
        }
        bytes
    }

    fn with_capacity(rows: usize) -> Self {
        Rows {
            times: Vec::with_capacity(rows),
            devices: Vec::with_capacity(rows),
            exact: std::array::from_fn(|_| Vec::with_capacity(rows)),
            noise: Vec::with_capacity(rows),
        }
    }
}

/// What the integers of a field are divided by: the counter counts, everything else is in hundredths.
pub(crate) fn divisor(field: usize) -> f64 {
    if field == COUNTER { 1.0 } else { 100.0 }
}

/// Decimals a field has: `None` for full mantissa.
pub(crate) fn decimals(field: usize) -> Option<u8> {
    match field {
        COUNTER => Some(0),
        _ if field < EXACT => Some(2),
        _ => None,
    }
}

/// The name of a field.
pub(crate) fn field_name(field: usize) -> String {
    format!("f{field}")
}

/// The name of a device, as its tag says it.
pub(crate) fn device_name(device: u32) -> String {
    format!("device-{device:03}")
}

struct Device {
    values: [i64; EXACT],
    increments: Poisson<f64>,
}

/// Makes the rows of one second after another.
pub(crate) struct Generator {
    random: Xoshiro256PlusPlus,
    devices: Vec<Device>,
    second: usize,
}

impl Generator {
    /// The beginning of the workload of this seed.
    pub(crate) fn new(seed: u64) -> Result<Self> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let devices = (0..DEVICES).map(|_| Device::new(&mut random)).collect::<Result<_>>()?;
        Ok(Generator { random, devices, second: 0 })
    }

    /// The rows of the next `seconds` seconds.
    pub(crate) fn rows(&mut self, seconds: usize) -> Rows {
        let mut rows = Rows::with_capacity(seconds * DEVICES);
        for _ in 0..seconds {
            self.next_second(&mut rows);
        }
        rows
    }

    fn next_second(&mut self, rows: &mut Rows) {
        let second = self.second;
        self.second += 1;
        let swing = 230.0 + 5.0 * (second as f64 / 300.0).sin();
        for (number, device) in self.devices.iter_mut().enumerate() {
            let jitter: i64 = self.random.random_range(-3..=3);
            rows.times.push(START + second as i64 * 1_000_000 + jitter * 1_000);
            rows.devices.push(number as u32);
            device.step(&mut self.random);
            for (column, value) in rows.exact.iter_mut().zip(device.values) {
                column.push(value);
            }
            let noise: f64 = StandardNormal.sample(&mut self.random);
            rows.noise.push(swing + noise);
        }
    }
}

impl Device {
    fn new(random: &mut impl Rng) -> Result<Self> {
        let mut values = std::array::from_fn(|_| random.random_range(LEVELS));
        values[COUNTER] = 0;
        Ok(Device { values, increments: Poisson::new(random.random_range(0.5..50.0))? })
    }

    fn step(&mut self, random: &mut impl Rng) {
        for (value, sigma) in self.values.iter_mut().zip(SIGMAS) {
            let normal: f64 = StandardNormal.sample(random);
            *value += (normal * sigma).round() as i64;
        }
        self.values[COUNTER] += self.increments.sample(random) as i64;
        if random.random_bool(0.001) {
            self.values[LEVEL] = random.random_range(LEVELS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn increments(rows: &Rows, field: usize) -> Vec<f64> {
        let column = &rows.exact[field];
        (DEVICES..rows.len()).map(|row| (column[row] - column[row - DEVICES]) as f64).collect()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn deviation(values: &[f64]) -> f64 {
        let mean = mean(values);
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn rows_come_second_by_second_in_order_of_devices_with_jitter_in_whole_milliseconds() {
        let rows = Generator::new(1).unwrap().rows(100);
        assert_eq!(rows.len(), 100 * DEVICES);
        assert_eq!(rows.points(), 200_000);
        let mut seen = [0_usize; 7];
        for row in 0..rows.len() {
            assert_eq!(rows.devices[row] as usize, row % DEVICES);
            let jitter = rows.times[row] - START - (row / DEVICES) as i64 * 1_000_000;
            assert_eq!(jitter % 1_000, 0);
            seen[usize::try_from(jitter / 1_000 + 3).unwrap()] += 1;
        }
        for count in seen {
            assert!((2_600..3_120).contains(&count), "jitter should be uniform, {seen:?} of 20,000");
        }
    }

    #[test]
    fn walks_step_by_their_sigma() {
        let rows = Generator::new(2).unwrap().rows(500);
        for (field, sigma) in SIGMAS.into_iter().enumerate() {
            let steps = increments(&rows, field);
            // Rounding to whole hundredths adds the variance of a uniform error, 1/12.
            let expected = (sigma * sigma + 1.0 / 12.0).sqrt();
            let found = deviation(&steps);
            assert!((found / expected - 1.0).abs() < 0.02, "f{field} steps by {found}, expected {expected}");
            assert!(mean(&steps).abs() < sigma * 0.02);
        }
    }

    #[test]
    fn counter_level_and_noise_are_as_described() {
        let rows = Generator::new(3).unwrap().rows(1_000);
        let counts = increments(&rows, COUNTER);
        assert!(counts.iter().all(|count| *count >= 0.0 && count.fract() == 0.0));
        // Rates are uniform in 0.5…50, so their mean over 200 devices is 25.25 ± 1.
        assert!((mean(&counts) - 25.25).abs() < 3.0, "{}", mean(&counts));
        let changes = increments(&rows, LEVEL).iter().filter(|change| **change != 0.0).count() as f64 / rows.len() as f64;
        assert!((changes - 0.001).abs() < 0.000_3, "the level changes with p = {changes}");
        let residues: Vec<_> =
            (0..rows.len()).map(|row| rows.value(9, row) - 230.0 - 5.0 * ((row / DEVICES) as f64 / 300.0).sin()).collect();
        assert!(mean(&residues).abs() < 0.01 && (deviation(&residues) - 1.0).abs() < 0.01);
    }

    #[test]
    fn values_are_the_doubles_nearest_to_their_decimals() {
        let rows = Generator::new(4).unwrap().rows(2);
        for field in 0..EXACT {
            for row in 0..rows.len() {
                let text = match decimals(field) {
                    Some(2) => format!("{}e-2", rows.exact[field][row]),
                    _ => rows.exact[field][row].to_string(),
                };
                assert_eq!(rows.value(field, row), text.parse::<f64>().unwrap());
                assert_eq!(rows.values(field)[row], rows.value(field, row));
            }
        }
    }

    /// FNV-1a over times, devices and the integer fields: `f9` hangs on the platform's sine.
    fn checksum(rows: &Rows) -> u64 {
        let integers = (0..rows.len()).flat_map(|row| {
            let fields = rows.exact.iter().map(move |column| column[row]);
            [rows.times[row], i64::from(rows.devices[row])].into_iter().chain(fields)
        });
        integers
            .flat_map(i64::to_le_bytes)
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    #[test]
    fn a_seed_always_makes_the_same_rows_however_they_are_asked_for() {
        let rows = Generator::new(42).unwrap().rows(50);
        assert_eq!(checksum(&rows), 0xb425_c01c_518f_fb74);
        let mut generator = Generator::new(42).unwrap();
        generator.rows(20);
        let rest = generator.rows(30);
        assert_eq!(rest.times, rows.times[20 * DEVICES..]);
        assert_eq!(rest.noise, rows.noise[20 * DEVICES..]);
        assert_ne!(checksum(&Generator::new(43).unwrap().rows(50)), checksum(&rows));
    }

    #[test]
    fn raw_rows_are_92_bytes() {
        let rows = Generator::new(5).unwrap().rows(1);
        let raw = rows.raw();
        assert_eq!((raw.len(), RAW_ROW_BYTES), (18_400, 92));
        assert_eq!(raw[..8], rows.times[0].to_le_bytes());
        assert_eq!(raw[92 + 8..92 + 12], 1_u32.to_le_bytes());
        assert_eq!(raw[84..92], rows.noise[0].to_le_bytes());
    }
}
