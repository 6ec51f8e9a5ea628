//! The whole database over a disk in memory.

mod damage;
mod full_disk;
mod panics;
mod power;
mod querying;
mod refusals;
mod sealing;
mod status;
mod tables;
mod together;
mod transaction_rows;
mod transactions;
mod writing;

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use crate::io::{Components, MemoryDisk};
use crate::{Database, Error, FieldType, OnDamage, Query, Result, RowBuilder, Settings, TableSpec};

const ROOT: &str = "/data";
/// Rows of a batch, one for each of three devices in turn.
const ROWS: i64 = 30;

fn settings() -> Settings {
    Settings { background: false, log_file_bytes: 64 << 10, ballast_bytes: 256 << 10, ..Settings::default() }
}

fn open_with(disk: &MemoryDisk, settings: Settings) -> Result<Database> {
    let components = Components { disk: Arc::new(disk.clone()), ..Components::os() };
    Database::builder().settings(settings).components(components).open(ROOT)
}

fn open(disk: &MemoryDisk) -> Database {
    open_with(disk, settings()).unwrap()
}

fn open_strict(disk: &MemoryDisk) -> Result<Database> {
    open_with(disk, Settings { on_damage: OnDamage::Refuse, ..settings() })
}

/// A database with a table, on a disk of its own.
fn begin() -> (MemoryDisk, Database) {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    db.create_table(TableSpec::new("t").tag("device").field("v", FieldType::Int64)).unwrap();
    (disk, db)
}

/// Batch number `n`: its values are the numbers of its rows, counted through all batches.
fn batch(db: &Database, n: i64) -> RecordBatch {
    let mut rows = RowBuilder::new(db.table("t").unwrap());
    for row in n * ROWS..(n + 1) * ROWS {
        let device = format!("dev-{}", row % 3);
        rows.row(row * 1_000_000).tag("device", &device).unwrap().value("v", row).unwrap();
    }
    rows.finish().unwrap()
}

/// Appends batches and answers how many were acknowledged before the first error, which has to be a full disk.
fn append(db: &Database, batches: std::ops::Range<i64>) -> i64 {
    for n in batches.clone() {
        match db.append("t", &batch(db, n)) {
            Ok(_) => {}
            Err(Error::DiskFull { .. }) => return n,
            Err(other) => panic!("batch {n}: {other}"),
        }
    }
    batches.end
}

/// All values, sorted.
fn values(db: &Database) -> Result<Vec<i64>> {
    let mut values = Vec::new();
    for batch in db.query(&Query::table("t").field("v"))? {
        values.extend_from_slice(batch?.column(2).as_primitive::<Int64Type>().values());
    }
    values.sort_unstable();
    Ok(values)
}

/// The values of the first `batches` batches.
fn expected(batches: i64) -> Vec<i64> {
    (0..batches * ROWS).collect()
}

/// The rows are those of the first `batches` batches.
#[track_caller]
fn assert_values(db: &Database, batches: i64) {
    let (found, expected) = (values(db).unwrap(), expected(batches));
    let differs = found.iter().zip(&expected).position(|(found, expected)| found != expected);
    assert!(found == expected, "{} rows instead of {}, the first other one at {differs:?}", found.len(), expected.len());
}

/// Receipts and problems, in words.
fn complaints(db: &Database) -> Vec<String> {
    let receipts = db.inspect().unwrap().receipts.into_iter();
    let mut found: Vec<String> =
        receipts.map(|receipt| format!("{:?}: {}", receipt.receipt.kind, receipt.receipt.file)).collect();
    found.extend(db.verify(&mut |_, _| {}).unwrap().problems.into_iter().map(|problem| problem.file));
    found
}

/// Every file below the root with its bytes.
fn contents(disk: &MemoryDisk) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for path in disk.paths() {
        let mut bytes = Vec::new();
        disk.corrupt(&path, |stored| bytes = stored.clone()).unwrap();
        found.push((path.display().to_string(), bytes));
    }
    found
}
