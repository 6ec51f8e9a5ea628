//! What `bench.py` measures, done in Rust with the same rows: `same_in_rust append|scan DIRECTORY TIMES` prints how many seconds each time took.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use alluvium::{Database, FieldType, Query, TableSpec};
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROWS: i64 = 1_000_000;
const SERIES: i64 = 10;
const FIRST_SECOND: i64 = 1_700_000_000;

/// Rows of one record of the log, as the binding has them.
const PIECE_ROWS: usize = 1 << 16;
/// Records that are written together: about as many as a batch may have bytes.
const PIECES_AT_ONCE: usize = 4;

fn main() -> Outcome<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [what, directory, times] = &arguments[..] else { return Err("usage: same_in_rust append|scan DIRECTORY TIMES".into()) };
    let db = Database::open(directory)?;
    alluvium_bindings::ensure(&db, &TableSpec::new("air").tag("room").field("co2", FieldType::Float64))?;
    for turn in 0..times.parse()? {
        let seconds = if what == "append" { append(&db, turn)? } else { scan(&db)? };
        println!("{seconds}");
    }
    Ok(db.close()?)
}

/// One field, ten series, a reading a second of each.
fn readings(begin: i64) -> Outcome<RecordBatch> {
    let each = ROWS / SERIES;
    let times = TimestampMicrosecondArray::from_iter_values((0..ROWS).map(|row| (begin + row % each) * 1_000_000));
    let rooms = StringArray::from_iter_values((0..ROWS).map(|row| format!("room-{}", row / each)));
    let values = Float64Array::from_iter_values((0..ROWS).map(|row| 400.0 + (row % 977) as f64 / 8.0));
    let columns: [(&str, ArrayRef, bool); 3] =
        [("time", Arc::new(times.with_timezone("UTC")), false), ("room", Arc::new(rooms), true), ("co2", Arc::new(values), true)];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn append(db: &Database, turn: i64) -> Outcome<f64> {
    let batch = readings(FIRST_SECOND + turn * ROWS / SERIES)?;
    let begin = Instant::now();
    let rows = batch.num_rows();
    let pieces = (0..rows).step_by(PIECE_ROWS).map(|start| batch.slice(start, PIECE_ROWS.min(rows - start)));
    let pieces: Vec<_> = pieces.collect();
    for some in pieces.chunks(PIECES_AT_ONCE) {
        let some: Vec<_> = some.iter().map(|piece| ("air", piece)).collect();
        db.append_all(&some)?;
    }
    Ok(begin.elapsed().as_secs_f64())
}

fn scan(db: &Database) -> Outcome<f64> {
    let begin = Instant::now();
    let batches = db.query(&Query::table("air"))?.collect::<Result<Vec<_>, _>>()?;
    let seconds = begin.elapsed().as_secs_f64();
    assert!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() > 0, "the table has rows");
    Ok(seconds)
}
