//! Random rows, as gateways make them: mostly in order, sometimes late, sometimes again.

use fastrand::Rng;

use crate::model::{Cell, Key, Row};

/// 2023-11-14T22:13:20Z.
pub const START: i64 = 1_700_000_000_000_000;

/// Writers of a few series.
#[derive(Debug)]
pub struct Writers {
    /// The latest time written.
    pub now: i64,
}

impl Default for Writers {
    fn default() -> Self {
        Writers { now: START }
    }
}

impl Writers {
    /// A batch of rows.
    pub fn batch(&mut self, rng: &mut Rng) -> Vec<Row> {
        let rows = match rng.u8(0..10) {
            0 => rng.usize(200..2_000),
            1..=5 => rng.usize(1..20),
            _ => rng.usize(20..200),
        };
        (0..rows).map(|_| self.row(rng)).collect()
    }

    fn row(&mut self, rng: &mut Rng) -> Row {
        let time = match rng.u8(0..20) {
            // Late, some of it onto times already written.
            0 => self.now - 1_000_000 * rng.i64(0..5_000),
            1 => self.now - 3_600_000_000 * rng.i64(0..500),
            _ => {
                self.now += 1_000_000 * rng.i64(0..3);
                self.now
            }
        };
        Row { key: key(rng), time, cells: cells(rng) }
    }
}

/// One of a few series, some with missing or empty tags.
pub fn key(rng: &mut Rng) -> Key {
    let device = match rng.u8(0..12) {
        0 => None,
        1 => Some(String::new()),
        n => Some(format!("dev-{n}")),
    };
    let site = rng.bool().then(|| "north".to_owned());
    vec![device, site]
}

fn cells(rng: &mut Rng) -> Vec<Option<Cell>> {
    let float = match rng.u8(0..20) {
        0 => f64::NAN.to_bits() | rng.u64(0..1 << 51),
        1 => (-0.0_f64).to_bits(),
        2 => f64::INFINITY.to_bits(),
        3..=12 => (f64::from(rng.i32(-5_000..5_000)) / 100.0).to_bits(),
        _ => (rng.f64() * 1e6).to_bits(),
    };
    let cells = vec![
        Cell::Float(float),
        Cell::Integer(if rng.u8(0..10) == 0 { rng.i64(..) } else { rng.i64(0..1_000) }),
        Cell::Text(["", "ok", "warn", "a longer text with, commas \"and\" quotes"][rng.usize(0..4)].to_owned()),
        Cell::Flag(rng.bool()),
        Cell::Decimal(rng.i64(-100_000..100_000)),
    ];
    cells.into_iter().map(|cell| (rng.u8(0..6) != 0).then_some(cell)).collect()
}
