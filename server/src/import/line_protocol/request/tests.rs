use alluvium::{Error, TableSpec};

use super::*;
use crate::import::testing::{Memory, shown};

const NANOS: Precision = Precision::Epoch(EpochUnit::Nano);

/// Reads points, where there are these tables.
fn take(lines: impl AsRef<[u8]>, precision: Precision, tables: &[TableSpec]) -> Result<Taken, Error> {
    read(lines.as_ref(), precision, 1_700_000_000_123_456, &mut |name| {
        let spec = tables.iter().find(|spec| spec.name == name);
        Ok(spec.map(|spec| Memory::with_table(spec.clone()).schema.unwrap()))
    })
}

/// The rows of each table, and what was dropped.
fn taken(lines: impl AsRef<[u8]>, precision: Precision, tables: &[TableSpec]) -> (Vec<String>, Vec<String>) {
    let taken = take(lines, precision, tables).unwrap();
    assert!(taken.dropped >= taken.reasons.len() as u64);
    let rows =
        taken.parts.iter().flat_map(|part| shown(&part.batch.rows).into_iter().map(|row| format!("{}: {row}", part.table)));
    (rows.collect(), taken.reasons)
}

#[test]
fn measurements_are_tables() {
    let lines = "cpu,host=a,cpu=cpu0 idle=1.5,busy=2i 1\nmem,host=a free=3u,ok=t,what=\"x y\" 1000\ncpu,host=b idle=4 2000\n";
    let (rows, dropped) = taken(lines, Precision::Epoch(EpochUnit::Micro), &[]);
    let expected = [
        "cpu: time=1970-01-01T00:00:00.000001Z host=a cpu=cpu0 idle=1.5 busy=2",
        "cpu: time=1970-01-01T00:00:00.002Z host=b idle=4.0",
        "mem: time=1970-01-01T00:00:00.001Z host=a free=3 ok=true what=x y",
    ];
    assert_eq!((rows, dropped), (expected.map(str::to_owned).to_vec(), vec![]));
    let taken = take(lines, NANOS, &[TableSpec::new("cpu").tag("host").field("idle", FieldType::Float64)]).unwrap();
    let added: Vec<_> = taken.parts[0].batch.added.iter().map(|column| (column.name.as_str(), column.role)).collect();
    assert_eq!(added, [("cpu", Role::Tag), ("busy", Role::Field(FieldType::Int64))], "what the table lacks");
    assert_eq!(taken.parts[0].tags, ["host", "cpu"]);
}

#[test]
fn precisions() {
    let second = |count: &str, precision| {
        let (rows, dropped) = taken(format!("m f=1 {count}"), precision, &[]);
        assert_eq!(dropped, [""; 0]);
        rows[0].clone()
    };
    for (count, precision) in [
        ("7200000000000", NANOS),
        ("7200000000", Precision::Epoch(EpochUnit::Micro)),
        ("7200000", Precision::Epoch(EpochUnit::Milli)),
        ("7200", Precision::Epoch(EpochUnit::Second)),
        ("120", Precision::Minute),
        ("2", Precision::Hour),
    ] {
        assert_eq!(second(count, precision), "m: time=1970-01-01T02:00:00Z f=1.0");
    }
    assert_eq!(second("-1", Precision::Hour), "m: time=1969-12-31T23:00:00Z f=1.0");
    // Points without a time are of now, which is 2023-11-14T22:13:20.123456Z.
    for (now, precision) in [
        ("22:13:20.123456", NANOS),
        ("22:13:20.123", Precision::Epoch(EpochUnit::Milli)),
        ("22:13:20", Precision::Epoch(EpochUnit::Second)),
        ("22:13:00", Precision::Minute),
        ("22:00:00", Precision::Hour),
    ] {
        assert_eq!(second("", precision), format!("m: time=2023-11-14T{now}Z f=1.0"));
    }
    for far in ["9223372036854775807", "-9223372036854775808"] {
        let (rows, dropped) = taken(format!("m f=1 {far}"), Precision::Hour, &[]);
        assert_eq!((rows.len(), dropped), (0, vec!["the time is out of range".to_owned()]));
    }
}

#[test]
fn a_new_table_counts_nanoseconds_only_where_some_are_there() {
    let (rows, _) = taken("a f=1 1000\nb f=1 2000\na f=2 1001\n", NANOS, &[]);
    assert_eq!(rows[0], "a: time=1970-01-01T00:00:00.000001Z f=1.0");
    assert_eq!(rows[1], "a: time=1970-01-01T00:00:00.000001001Z f=2.0");
    let taken_again = take("a f=1 1000\nb f=1 2000\na f=2 1001\n", NANOS, &[]).unwrap();
    let units: Vec<_> = taken_again.parts.iter().map(|part| part.batch.rows.column(0).data_type().to_string()).collect();
    assert_eq!(units, ["Timestamp(ns, \"UTC\")", "Timestamp(µs, \"UTC\")"]);
    // One that is there keeps its unit.
    let (rows, dropped) = taken("a f=1 1999\n", NANOS, &[TableSpec::new("a").field("f", FieldType::Float64)]);
    assert_eq!((rows, dropped.len()), (vec!["a: time=1970-01-01T00:00:00.000001Z f=1.0".to_owned()], 0));
}

#[test]
fn points_that_do_not_fit_are_dropped_and_told() {
    let there = TableSpec::new("m").tag("t").field("f", FieldType::Float64).field("d", FieldType::Decimal { scale: 1 });
    let lines = "m f=1i 1\nm,f=x d=1 2\nm t=1 3\nm f=1,g=\"a\" 4\nm g=2 5\nm f=2,f=3 6\nm,t=a,t=b f=4 7\nm d=0.25 8\nm d=0.5 9\nm time=1 10\n";
    let (rows, dropped) = taken(lines, Precision::Epoch(EpochUnit::Second), &[there]);
    let expected = ["m: time=1970-01-01T00:00:04Z f=1.0 g=a", "m: time=1970-01-01T00:00:09Z d=0.5"];
    assert_eq!(rows, expected);
    let why = [
        "field type conflict: input field \"f\" on measurement \"m\" is type integer, already exists as type float",
        "input tag \"f\" on measurement \"m\" is a tag, already exists as a field",
        "field type conflict: input field \"t\" on measurement \"m\" is type float, already exists as type tag",
        "field type conflict: input field \"g\" on measurement \"m\" is type float, already exists as type string",
        "column \"f\": given twice",
        "column \"t\": given twice",
        "column \"d\": \"0.25\" has more than 1 digits after the point",
        "a column named \"time\" can only be the time of its row: rename it",
    ];
    assert_eq!(dropped, why);
}

#[test]
fn a_dropped_point_leaves_nothing_behind() {
    // What it would have added is nothing that others have to fit.
    let (rows, dropped) = taken("m a=1,b=2,time=3 1\nm a=1i,b=\"x\" 2\n", Precision::Epoch(EpochUnit::Second), &[]);
    assert_eq!((rows, dropped.len()), (vec!["m: time=1970-01-01T00:00:02Z a=1 b=x".to_owned()], 1));
    let nothing = take("m a=1,time=3 1\nn\n", NANOS, &[]).unwrap();
    assert_eq!((nothing.parts.len(), nothing.dropped), (0, 2));
}

#[test]
fn lines_that_are_wrong_are_shown() {
    let mut lines = b"m f=1 1\nm f=\xff 2\nm\nm f=3 3\n".to_vec();
    lines.extend_from_slice(format!("m {} 4\né f=5 5", "x".repeat(5_000)).as_bytes());
    let (rows, dropped) = taken(&lines, Precision::Epoch(EpochUnit::Second), &[]);
    assert_eq!(rows.len(), 3);
    assert_eq!(dropped[0], "unable to parse 'm f=\u{fffd} 2': it is not UTF-8 text");
    assert_eq!(dropped[1], "unable to parse 'm': line protocol: a space and fields is expected, but the line ends");
    assert!(dropped[2].starts_with("unable to parse 'm xxx") && dropped[2].len() < 400, "{}", dropped[2]);
}

#[test]
fn rows_and_tables_are_bounded() {
    let refused = |lines: String| take(lines, NANOS, &[]).map(|taken| taken.parts.len()).unwrap_err();
    // Each row has a column of its own, so that every one takes room in each.
    let sparse: String = (0..4_000).map(|number| format!("m f{number}=1 {number}\n")).collect();
    assert!(matches!(refused(sparse), Error::Limit { .. }));
    // Many rows, and then one with many columns.
    let wide: String = (0..1_000).map(|number| format!(",f{number}=1")).collect();
    let late = format!("{}m f=1{wide} 0", "m f=1\n".repeat(100_000));
    assert!(matches!(refused(late), Error::Limit { .. }));
    let many: String = (0..1_025).map(|number| format!("m{number} f=1\n")).collect();
    assert!(matches!(refused(many), Error::Limit { limit: 1_024, .. }));
}
