//! What `bindings/c/benches/rows.c` does, in Rust: what the C interface is measured against, by `bindings/c/bench`.
//!
//!     cargo run --release -p alluvium-bindings --example rows -- DIRECTORY

use std::error::Error;
use std::time::{Duration, Instant};

use alluvium::{Database, FieldType, RowBuilder, TableSpec};

const GROUPS: usize = 5_000;
const DEVICES: usize = 200;
const FIELDS: usize = 10;
const START: i64 = 1_767_225_600_000_000;

fn value(group: usize, device: usize, field: usize) -> f64 {
    ((group / 8 + device * 17) % 1_000 * (field + 1)) as f64 / 100.0
}

/// Makes a group's rows, a row a device, and appends them durably.
fn append(db: &Database, rows: &mut RowBuilder, names: &[String], group: usize) -> alluvium::Result<()> {
    for (device, name) in names.iter().enumerate() {
        let mut row = rows.row(START + group as i64 * 1_000_000).tag_at(0, name)?;
        for field in 0..FIELDS {
            row = row.value_at(field, value(group, device, field))?;
        }
    }
    db.append("fleet", &rows.finish()?).map(drop)
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("say in which directory")?;
    let names: Vec<String> = (0..DEVICES).map(|device| format!("device-{device:03}")).collect();
    let db = Database::open(directory)?;
    let mut spec = TableSpec::new("fleet").tag("device");
    for field in 0..FIELDS {
        spec = spec.field(format!("f{field}"), FieldType::Float64);
    }
    let mut rows = RowBuilder::new(db.create_table(spec)?);
    let begin = Instant::now();
    let mut slowest = Duration::ZERO;
    for group in 0..GROUPS {
        let begin = Instant::now();
        append(&db, &mut rows, &names, group)?;
        slowest = slowest.max(begin.elapsed());
    }
    println!("{:.6} {:.6}", begin.elapsed().as_secs_f64(), slowest.as_secs_f64());
    db.close()?;
    Ok(())
}
