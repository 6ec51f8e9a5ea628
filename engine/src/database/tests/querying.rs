//! Queries over the whole database: snapshots, order, last values, and aggregates from statistics and from rows alike.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};

use super::*;
use crate::{Aggregate, Comparison, Filter, Order, TimeRange, Window};

const SECOND: i64 = 1_000_000;

/// The values of a stream taken to its end.
fn drained(stream: crate::QueryStream) -> Vec<i64> {
    let batches = stream.map(Result::unwrap);
    batches.flat_map(|batch| batch.column(2).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[test]
fn a_query_sees_the_moment_it_was_asked_whatever_happens_then() {
    let (_disk, db) = begin();
    append(&db, 0..700);
    db.seal().unwrap();
    append(&db, 700..1_000);
    let query = Query::table("t").field("v");
    let before = [db.query(&query).unwrap(), db.query(&query.clone().order(Order::TimeDescending)).unwrap()];
    append(&db, 1_000..1_100);
    db.delete("t", &[], TimeRange::new(0, 10_000 * SECOND)).unwrap();
    db.seal().unwrap();
    db.compact().unwrap();
    append(&db, 0..1);
    for stream in before {
        let mut found = drained(stream);
        found.sort_unstable();
        assert!(found == expected(1_000), "{} rows", found.len());
    }
}

#[test]
fn rows_come_by_tags_and_time_or_by_time_across_series() {
    let (_disk, db) = begin();
    append(&db, 0..400);
    db.seal().unwrap();
    append(&db, 400..600);
    let range = TimeRange::new(3_000 * SECOND, 15_000 * SECOND);
    let query = Query::table("t").field("v").range(range);
    let rows: Vec<i64> = (3_000..15_000).collect();
    assert_eq!(drained(db.query(&query.clone().order(Order::TimeAscending)).unwrap()), rows);
    let newest: Vec<i64> = rows.iter().rev().copied().collect();
    assert_eq!(drained(db.query(&query.clone().order(Order::TimeDescending)).unwrap()), newest);
    assert_eq!(drained(db.query(&query.clone().order(Order::TimeDescending).limit(10_001)).unwrap()), newest[..10_001]);
    let mut by_series = rows.clone();
    by_series.sort_by_key(|row| (row % 3, *row));
    assert_eq!(drained(db.query(&query).unwrap()), by_series);
    assert_eq!(drained(db.query(&query.clone().limit(9_000)).unwrap()), by_series[..9_000]);
    assert_eq!(drained(db.query(&query.limit(0)).unwrap()), [0; 0]);
}

#[test]
fn last_values_are_the_latest_present_ones_wherever_they_lie() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    db.create_table(TableSpec::new("t").tag("d").field("a", FieldType::Float64).field("b", FieldType::Float64)).unwrap();
    let write = |rows: &[(&str, i64, Option<f64>, Option<f64>)]| {
        let mut builder = RowBuilder::new(db.table("t").unwrap());
        for &(device, time, a, b) in rows {
            let mut row = builder.row(time).tag("d", device).unwrap();
            for (name, value) in [("a", a), ("b", b)] {
                if let Some(value) = value {
                    row = row.value(name, value).unwrap();
                }
            }
        }
        db.append("t", &builder.finish().unwrap()).unwrap();
    };
    // Enough rows for statistics, then what must not be taken from them.
    let many: Vec<_> = (0..5_000).map(|n| ("x", n, Some(n as f64), (n < 10).then_some(n as f64))).collect();
    write(&many);
    write(&[("y", 5, None, Some(-0.0))]);
    let check = |expected: &[(&str, i64, Option<f64>, Option<f64>)]| {
        let mut found = Vec::new();
        for batch in db.query(&Query::table("t").last()).unwrap() {
            let batch = batch.unwrap();
            let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
            let value = |column: usize, row: usize| {
                let column: &Float64Array = batch.column(column).as_primitive();
                column.is_valid(row).then(|| column.value(row))
            };
            for row in 0..batch.num_rows() {
                found.push((
                    batch.column(1).as_string::<i32>().value(row).to_owned(),
                    times.value(row),
                    value(2, row),
                    value(3, row),
                ));
            }
        }
        let found: Vec<_> = found.iter().map(|(device, time, a, b)| (device.as_str(), *time, *a, *b)).collect();
        assert_eq!(found, expected);
    };
    let first = [("x", 4_999, Some(4_999.0), Some(9.0)), ("y", 5, None, Some(-0.0))];
    check(&first);
    db.seal().unwrap();
    check(&first);
    // Late for x, newer for y without a value of b.
    write(&[("x", 100, None, Some(100.0)), ("y", 6, Some(1.0), None)]);
    let second = [("x", 4_999, Some(4_999.0), Some(100.0)), ("y", 6, Some(1.0), Some(-0.0))];
    check(&second);
    db.seal().unwrap();
    check(&second);
    db.compact().unwrap();
    check(&second);
    db.delete("t", &[], TimeRange::new(4_990, 10_000)).unwrap();
    check(&[("x", 4_989, Some(4_989.0), Some(100.0)), second[1]]);
}

/// A column of times or numbers as doubles; exact for those of these tests.
fn numbers(column: &ArrayRef) -> Float64Array {
    let integers = cast(column, &DataType::Int64).unwrap_or_else(|_| column.clone());
    cast(&integers, &DataType::Float64).unwrap().as_primitive::<Float64Type>().clone()
}

/// Rows of a batch of an aggregate: bucket and every number.
fn table(db: &Database, query: &Query) -> Vec<Vec<f64>> {
    let mut rows = Vec::new();
    for batch in db.query(query).unwrap() {
        let batch: RecordBatch = batch.unwrap();
        let columns: Vec<_> = batch.columns().iter().map(numbers).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row)).collect());
        }
    }
    rows
}

#[test]
fn aggregates_are_the_same_from_rows_statistics_and_both() {
    let (_disk, db) = begin();
    append(&db, 0..300);
    let everything = [Aggregate::Count, Aggregate::Sum, Aggregate::Min, Aggregate::Max, Aggregate::First, Aggregate::Last];
    let all = Query::table("t").field("v").aggregate(everything);
    let windowed = all.clone().every(Window::Fixed { micros: 1_000 * SECOND });
    let plain = |rows: &[i64]| -> Vec<f64> {
        let (min, max) = (rows.iter().min().unwrap(), rows.iter().max().unwrap());
        let sum: i64 = rows.iter().sum();
        [rows.len() as i64, sum, *min, *max, rows[0], rows[rows.len() - 1]].map(|number| number as f64).to_vec()
    };
    let check = |db: &Database, rows: &[i64]| {
        assert_eq!(table(db, &all), [plain(rows)]);
        let mut buckets: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        rows.iter().for_each(|row| buckets.entry(row / 1_000).or_default().push(*row));
        let expected: Vec<Vec<f64>> = buckets
            .iter()
            .map(|(bucket, rows)| {
                let mut line = vec![(bucket * 1_000 * SECOND) as f64];
                line.extend(plain(rows));
                line
            })
            .collect();
        assert_eq!(table(db, &windowed), expected);
    };
    check(&db, &expected(300));
    db.seal().unwrap();
    check(&db, &expected(300));
    append(&db, 300..310);
    check(&db, &expected(310));
    // A deletion in the middle of a slice: its statistics no longer tell the truth.
    db.delete("t", &[], TimeRange::new(100 * SECOND, 200 * SECOND)).unwrap();
    let left: Vec<i64> = expected(310).into_iter().filter(|row| !(100..200).contains(row)).collect();
    check(&db, &left);
    db.compact().unwrap();
    check(&db, &left);
}

#[test]
fn comparisons_use_statistics_without_changing_the_answer() {
    let (_disk, db) = begin();
    append(&db, 0..500);
    for sealed in [false, true] {
        if sealed {
            db.seal().unwrap();
        }
        for (comparison, holds) in [
            (Comparison::GreaterOrEqual, (|row, at| row >= at) as fn(i64, i64) -> bool),
            (Comparison::Less, |row, at| row < at),
            (Comparison::Equal, |row, at| row == at),
            (Comparison::NotEqual, |row, at| row != at),
        ] {
            for at in [-1, 0, 4_321, 14_999, 15_000] {
                let filter = Filter::new("v", comparison, at);
                let expected: Vec<i64> = expected(500).into_iter().filter(|row| holds(*row, at)).collect();
                let found =
                    drained(db.query(&Query::table("t").field("v").filter(filter.clone()).order(Order::TimeAscending)).unwrap());
                assert!(found == expected, "{comparison:?} {at}: {} rows", found.len());
                let counted = Query::table("t").field("v").filter(filter).aggregate([Aggregate::Count, Aggregate::Sum]);
                let counted = table(&db, &counted);
                assert_eq!(counted[0][0], expected.len() as f64, "{comparison:?} {at}");
                if !expected.is_empty() {
                    assert_eq!(counted[0][1], expected.iter().sum::<i64>() as f64, "{comparison:?} {at}");
                }
            }
        }
    }
}

#[test]
fn sums_of_integers_and_decimals_do_not_overflow() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    db.create_table(TableSpec::new("t").field("i", FieldType::Int64).field("u", FieldType::UInt64)).unwrap();
    let mut rows = RowBuilder::new(db.table("t").unwrap());
    for time in 0..4_000 {
        rows.row(time).value("i", i64::MIN).unwrap().value("u", u64::MAX).unwrap();
    }
    db.append("t", &rows.finish().unwrap()).unwrap();
    for _ in 0..2 {
        let query = Query::table("t").aggregate([Aggregate::Sum, Aggregate::Mean]);
        let batch = db.query(&query).unwrap().next().unwrap().unwrap();
        let shown: Vec<String> =
            batch.columns().iter().map(|column| arrow::util::display::array_value_to_string(column, 0).unwrap()).collect();
        assert_eq!(shown[0], (i128::from(i64::MIN) * 4_000).to_string());
        assert_eq!(shown[2], (u128::from(u64::MAX) * 4_000).to_string());
        assert_eq!(shown[1].parse::<f64>().unwrap(), i64::MIN as f64);
        assert_eq!(shown[3].parse::<f64>().unwrap(), u64::MAX as f64);
        db.seal().unwrap();
    }
}

/// What somebody sees who may read some series only is what there would be if there were no others.
#[test]
fn a_scope_leaves_out_other_series_however_they_are_asked_for() {
    let (_disk, db) = begin();
    append(&db, 0..300);
    db.seal().unwrap();
    append(&db, 300..310);
    let grant = "read table:t where device=dev-1".parse().unwrap();
    db.principals().put(&crate::Principal::new("one").grant(grant)).unwrap();
    let scope = db.principals().rights("one").unwrap().unwrap().scope(crate::Action::Read, "t").unwrap();
    let rows: Vec<i64> = expected(310).into_iter().filter(|row| row % 3 == 1).collect();
    let query = Query::table("t").field("v");
    for order in [Order::Series, Order::TimeAscending] {
        assert_eq!(drained(db.query_within(&query.clone().order(order), &scope).unwrap()), rows);
    }
    let other = query.clone().filter(Filter::equal("device", "dev-2"));
    assert_eq!(drained(db.query_within(&other, &scope).unwrap()), [0; 0]);
    assert_eq!(drained(db.query_within(&query.clone().last(), &scope).unwrap()), [*rows.last().unwrap()]);
    let mut counted = db.query_within(&query.aggregate([Aggregate::Count, Aggregate::Sum]), &scope).unwrap();
    let counted: Vec<Float64Array> = counted.next().unwrap().unwrap().columns().iter().map(numbers).collect();
    let (count, sum) = (counted[0].value(0), counted[1].value(0));
    assert_eq!((count, sum), (rows.len() as f64, rows.iter().sum::<i64>() as f64));
}

/// Nobody deletes rows of series that they may not, whatever they name.
#[test]
fn a_deletion_within_a_scope_leaves_other_series_alone() {
    let (_disk, db) = begin();
    append(&db, 0..300);
    db.seal().unwrap();
    let grant = "delete table:t where device=dev-1".parse().unwrap();
    db.principals().put(&crate::Principal::new("one").grant(grant)).unwrap();
    let scope = db.principals().rights("one").unwrap().unwrap().scope(crate::Action::Delete, "t").unwrap();
    let query = Query::table("t").field("v").order(Order::TimeAscending);
    let left = || drained(db.query(&query).unwrap());
    let others = [Filter::equal("device", "dev-2")];
    db.delete_within("t", &others, TimeRange::ALL, &scope).unwrap();
    assert_eq!(left(), expected(300));
    db.delete_within("t", &[], TimeRange::ALL, &scope).unwrap();
    assert_eq!(left(), expected(300).into_iter().filter(|row| row % 3 != 1).collect::<Vec<_>>());
}

#[test]
fn a_cancelled_query_reads_no_further() {
    let (_disk, db) = begin();
    append(&db, 0..300);
    db.seal().unwrap();
    append(&db, 300..310);
    let query = Query::table("t").field("v");
    let asked = [
        query.clone(),
        query.clone().order(Order::TimeAscending),
        query.clone().order(Order::TimeDescending),
        query.clone().last(),
        query.clone().aggregate([Aggregate::Sum]),
        query.clone().aggregate([Aggregate::Count]).every(Window::Fixed { micros: 1 }),
    ];
    for query in asked {
        let mut answer = db.query(&query).unwrap();
        answer.cancel().cancel();
        assert!(matches!(answer.next(), Some(Err(Error::Cancelled))), "{query:?}");
        assert!(answer.next().is_none(), "{query:?}");
    }
    // One that was begun ends behind what is given already.
    let mut answer = db.query(&query.order(Order::Series)).unwrap();
    assert!(answer.next().unwrap().is_ok());
    answer.cancel().cancel();
    let rest: Vec<_> = answer.collect();
    assert!(matches!(rest.last(), None | Some(Err(Error::Cancelled))), "{rest:?}");
}
