//! What the engine reaches in process.

use std::path::Path;
use std::time::{Duration, Instant};

use alluvium::{Database, WriterId, WriterPast};
use anyhow::Result;
use arrow::array::RecordBatch;

use crate::fleet::Generator;
use crate::stores::{TABLE, batch_of, table_of};

/// Batches made at once, outside of what is timed.
const MADE: usize = 250;

/// Rows a second, appended.
pub(super) fn appended(data: &Path, seconds: u64) -> Result<f64> {
    let db = open(data)?;
    let rows = rate(&db, seconds, |batch| Ok(db.append(TABLE, batch).map(|_| ())?))?;
    db.close()?;
    Ok(rows)
}

/// The same as batches of a writer, which count once.
pub(super) fn counted(data: &Path, seconds: u64) -> Result<f64> {
    let db = open(data)?;
    let id = WriterId([7; 16]);
    db.writers().open("bench", id, WriterPast::New)?;
    let mut number = 0;
    let rows = rate(&db, seconds, |batch| {
        number += 1;
        db.transaction(|transaction| {
            transaction.writers().advance("bench", id, number)?;
            transaction.append(TABLE, batch)
        })?;
        Ok(())
    })?;
    db.close()?;
    Ok(rows)
}

fn open(data: &Path) -> Result<Database> {
    let db = Database::open(data)?;
    db.create_table(table_of(false))?;
    Ok(db)
}

fn rate(db: &Database, seconds: u64, mut append: impl FnMut(&RecordBatch) -> Result<()>) -> Result<f64> {
    let (mut generator, schema) = (Generator::new(1)?, db.table(TABLE)?.arrow());
    let (mut rows, mut time) = (0, Duration::ZERO);
    while time < Duration::from_secs(seconds) {
        let batches = (0..MADE).map(|_| batch_of(&schema, &generator.rows(1))).collect::<Result<Vec<_>>>()?;
        let began = Instant::now();
        batches.iter().try_for_each(&mut append)?;
        time += began.elapsed();
        rows += batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    }
    Ok(rows as f64 / time.as_secs_f64())
}
