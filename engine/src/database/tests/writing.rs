//! Appending: what is accepted, what is refused, and when it is acknowledged.

use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, Decimal64Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Schema};

use super::*;
use crate::{Durability, TimeRange, TimeUnit};

/// A batch of named columns.
fn columns(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

fn times(times: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(times.to_vec()))
}

fn refusal(db: &Database, batch: &RecordBatch) -> Error {
    let error = db.append("t", batch).unwrap_err();
    assert_eq!(values(db).unwrap(), [0; 0], "a refused batch leaves nothing behind");
    error
}

/// Rows on both sides of a deletion that the catalog knows are read back from the log, so many that runs are merged.
#[test]
fn a_deletion_stands_between_rows_that_are_replayed() {
    let (disk, db) = begin();
    append(&db, 0..20);
    db.delete("t", &[], TimeRange::ALL).unwrap();
    append(&db, 10..200);
    db.close().unwrap();
    let db = open(&disk);
    let left = &expected(200)[10 * ROWS as usize..];
    assert_eq!(values(&db).unwrap(), left);
    db.seal().unwrap();
    assert_eq!(values(&db).unwrap(), left);
}

#[test]
fn batches_of_the_wrong_shape_are_refused_with_a_reason() {
    let (_disk, db) = begin();
    let good: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    for (batch, said) in [
        (columns(vec![("v", good.clone())]), "has no column \"time\""),
        (columns(vec![("time", text.clone()), ("v", good.clone())]), "takes a timestamp or int64"),
        (columns(vec![("time", times(&[1])), ("w", good.clone())]), "has no column \"w\"; it has device, v"),
        (columns(vec![("time", times(&[1])), ("v", good.clone()), ("v", good.clone())]), "two columns named \"v\""),
        (columns(vec![("time", times(&[1])), ("v", text)]), "takes int64, the batch has Utf8"),
        (columns(vec![("time", times(&[1])), ("device", good)]), "takes text, the batch has Int64"),
    ] {
        let error = refusal(&db, &batch).to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(matches!(db.append("u", &columns(vec![("time", times(&[1]))])), Err(Error::NoSuchTable { .. })));
}

#[test]
fn every_bad_row_is_named_and_none_is_written() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    db.create_table(TableSpec::new("t").tag("device").field("v", FieldType::Decimal { scale: 2 })).unwrap();
    let decimals = Decimal64Array::from(vec![1, 2, 10_i64.pow(18), 4, 5]).with_data_type(DataType::Decimal64(18, 2));
    let long = "x".repeat(4_097);
    let batch = columns(vec![
        ("time", Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(i64::MAX), Some(5)]))),
        ("device", Arc::new(StringArray::from(vec!["a", "a", "a", "a", long.as_str()]))),
        ("v", Arc::new(decimals)),
    ]);
    let Err(Error::BadRows { rows, .. }) = db.append("t", &batch) else { panic!("accepted") };
    let mut named: Vec<_> = rows.iter().map(|row| (row.row, row.column.as_str())).collect();
    named.sort_unstable();
    assert_eq!(named, [(1, "time"), (2, "v"), (3, "time"), (4, "device")]);
    assert_eq!(db.inspect().unwrap().tables[0].rows, 0);
}

#[test]
fn odd_floats_come_back_bit_for_bit_before_and_after_sealing_and_reopening() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    db.create_table(TableSpec::new("t").field("v", FieldType::Float64)).unwrap();
    let bits = [
        0x7ff8_0000_0000_0001,
        0xfff8_0000_dead_beef,
        0x7ff0_0000_0000_0001,
        0x7ff0_0000_0000_0000,
        0xfff0_0000_0000_0000,
        1,
        0x8000_0000_0000_0000,
        0,
        0x3ff0_0000_0000_0000,
        0x7fef_ffff_ffff_ffff_u64,
    ];
    let odd = Float64Array::from(bits.map(f64::from_bits).to_vec());
    let all: Vec<i64> = (0..bits.len() as i64).collect();
    db.append("t", &columns(vec![("time", times(&all)), ("v", Arc::new(odd))])).unwrap();
    let check = |db: &Database| {
        let batches: Vec<_> = db.query(&Query::table("t")).unwrap().map(Result::unwrap).collect();
        let found: Vec<u64> = batches
            .iter()
            .flat_map(|batch| batch.column(1).as_primitive::<Float64Type>().values().iter().map(|value| value.to_bits()))
            .collect();
        assert_eq!(found, bits);
    };
    check(&db);
    db.seal().unwrap();
    check(&db);
    drop(db);
    check(&open(&disk.after_power_cut()));
}

#[test]
fn times_of_other_units_are_converted_and_finer_ones_refused() {
    let (_disk, db) = begin();
    let v: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    let nanos = |time| -> ArrayRef { Arc::new(TimestampNanosecondArray::from(vec![time])) };
    let error = refusal(&db, &columns(vec![("time", nanos(1_001)), ("v", v.clone())]));
    assert!(error.to_string().contains("finer than the table's unit"), "{error}");
    db.append("t", &columns(vec![("time", nanos(-5_000)), ("v", v.clone())])).unwrap();
    db.append("t", &columns(vec![("time", Arc::new(TimestampMillisecondArray::from(vec![3]))), ("v", v)])).unwrap();
    assert_eq!(db.inspect().unwrap().tables[0].times, Some((-5, 3_000)));
    db.create_table(TableSpec::new("n").time_unit(TimeUnit::Nano).field("v", FieldType::Int64)).unwrap();
    db.append("n", &columns(vec![("time", nanos(1_001))])).unwrap();
    assert_eq!(db.inspect().unwrap().tables[0].times, Some((1_001, 1_001)));
}

#[test]
fn a_batch_beyond_the_budget_is_refused_and_the_setting_named() {
    let (disk, db) = begin();
    drop(db);
    let db = open_with(&disk, Settings { batch_bytes: 1 << 10, ..settings() }).unwrap();
    let many: Vec<i64> = (0..1_000).collect();
    let large = columns(vec![("time", times(&many)), ("v", times(&many))]);
    assert!(matches!(refusal(&db, &large), Error::Limit { setting: "batch_bytes", .. }));
    // A small part of something large weighs what it is.
    db.append("t", &large.slice(500, 20)).unwrap();
    assert!(db.inner.publisher.memory.used() < 4 << 10);
}

#[test]
fn buffered_rows_are_seen_at_once_and_durable_once_flushed() {
    let (disk, db) = begin();
    append(&db, 0..1);
    let ack = db.append_with("t", &batch(&db, 1), Durability::Buffered).unwrap();
    assert_eq!(ack.durability, Durability::Buffered);
    assert_values(&db, 2);
    assert_values(&open(&disk.after_power_cut()), 1);
    db.flush().unwrap();
    assert_values(&open(&disk.after_power_cut()), 2);
}

#[test]
fn new_series_of_buffered_rows_are_never_known_to_the_catalog_alone() {
    let (disk, db) = begin();
    append(&db, 0..1);
    db.append_with(
        "t",
        &columns(vec![("time", times(&[9])), ("device", Arc::new(StringArray::from(vec!["new"])))]),
        Durability::Buffered,
    )
    .unwrap();
    db.inner.publisher.catalog.get().unwrap().checkpoint().unwrap();
    let after = open(&disk.after_power_cut());
    assert_eq!(complaints(&after), [""; 0]);
    assert_eq!(append(&after, 1..3), 3);
    // What made a series is on disk with it.
    assert_eq!(after.inspect().unwrap().tables[0].rows as i64, 3 * ROWS + 1);
}

#[test]
fn writers_that_wait_together_share_a_sync() {
    const WRITERS: i64 = 8;
    let (disk, db) = begin();
    drop(db);
    let interval = Duration::from_millis(300);
    let db = open_with(&disk, Settings { commit_interval: interval, ..settings() }).unwrap();
    append(&db, 0..1);
    let before = db.inner.meter.syncs();
    std::thread::scope(|scope| {
        for n in 1..=WRITERS {
            let db = &db;
            scope.spawn(move || assert_eq!(append(db, n..n + 1), n + 1));
        }
    });
    let syncs = db.inner.meter.syncs() - before;
    assert!(syncs < WRITERS as u64, "{syncs} syncs for {WRITERS} writers");
    assert_values(&open(&disk.after_power_cut()), WRITERS + 1);
}

#[test]
fn a_writer_that_outruns_the_disk_waits_and_memory_does_not_grow() {
    const BUDGET: usize = 256 << 10;
    let (disk, db) = begin();
    drop(db);
    for background in [true, false] {
        let db = open_with(&disk.after_power_cut(), Settings { memtable_bytes: BUDGET, background, ..settings() }).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let db = &db;
                scope.spawn(move || {
                    for n in 0..250 {
                        let n = writer * 250 + n;
                        assert_eq!(append(db, n..n + 1), n + 1);
                        // Four batches may be on their way past the gate at once.
                        let used = db.inner.publisher.memory.used();
                        assert!(used <= BUDGET + 4 * (16 << 10), "{used} bytes");
                    }
                });
            }
        });
        assert_values(&db, 1_000);
        db.close().unwrap();
    }
}
