use alluvium::{FieldType, TableSpec, TimeUnit};

use super::look;
use crate::import::lines::Lines;
use crate::import::run::OnError;
use crate::import::schema::Wishes;
use crate::import::source::{Format, Look};
use crate::import::testing::{Memory, imported, random, random_text, refused, rejected, wishes};
use crate::import::{EpochUnit, Failure};

fn csv(input: &str) -> Memory {
    imported(Format::Csv, input, &wishes())
}

#[test]
fn types_are_told_by_the_values() {
    let memory = csv("time,a,b,c,d,e\n2024-01-01T00:00:00Z,1,1,true,x,\n2024-01-01T00:00:01Z,-2,2.5,FALSE,,\n");
    assert_eq!(memory.columns(), "a int64, b float64, c bool, d utf8");
    assert_eq!(memory.rows(), ["2024-01-01T00:00:00Z 1 1.0 true \"x\"", "2024-01-01T00:00:01Z -2 2.5 false -"]);
    assert_eq!(memory.notes[0], "creating table \"t\": a int64, b float64, c bool, d utf8");
    assert!(memory.notes[1].contains("without any value: e"), "{:?}", memory.notes);
}

#[test]
fn integers_that_turn_out_floats_late() {
    let mut text = String::from("time,a\n");
    for second in 0..50_000 {
        text += &format!("{second},{second}\n");
    }
    text += "50000,0.5\n";
    assert_eq!(csv(&text).columns(), "a float64");
}

#[test]
fn empty_is_missing_unless_it_is_text_in_quotes() {
    let memory = csv("time,s,n,room\n1,\"\",\"\",\"\"\n2,,,\n3,x,\"5\",r\n");
    assert_eq!(memory.columns(), "s utf8, n int64, room utf8");
    assert_eq!(memory.rows()[0], "1970-01-01T00:00:01Z \"\" - \"\"");
    assert_eq!(memory.rows()[1], "1970-01-01T00:00:02Z - - -");
    assert_eq!(memory.rows()[2], "1970-01-01T00:00:03Z \"x\" 5 \"r\"");
    let tagged = imported(Format::Csv, "time,room,v\n1,\"\",1\n2,,2\n", &Wishes { tags: vec!["room".into()], ..wishes() });
    assert_eq!(tagged.columns(), "room tag, v int64");
    assert_eq!(tagged.rows(), ["1970-01-01T00:00:01Z \"\" 1", "1970-01-01T00:00:02Z - 2"]);
}

#[test]
fn quotes_newlines_and_other_delimiters() {
    let memory = csv("\u{feff}time,\"the text\"\r\n1,\"a\nb, \"\"c\"\"\"\r\n\r\n2,d\r\n");
    assert_eq!(memory.rows(), ["1970-01-01T00:00:01Z \"a\\nb, \\\"c\\\"\"", "1970-01-01T00:00:02Z \"d\""]);
    assert_eq!(csv("time , b,\" c \"\n1,2,3\n").columns(), "b int64,  c  int64");
    assert_eq!(csv("time;a\n1;2\n").rows(), ["1970-01-01T00:00:01Z 2"]);
    assert_eq!(csv("time,a\n1,2").rows(), ["1970-01-01T00:00:01Z 2"]);
}

#[test]
fn floats_keep_every_bit() {
    let memory = csv("time,f\n1,NaN\n2,-inf\n3,-0.0\n4,0.1\n5,1.7976931348623157e308\n6,5e-324\n7,inf\n");
    let floats: Vec<u64> = memory.batches[0]
        .column(1)
        .as_any()
        .downcast_ref::<arrow::array::Float64Array>()
        .unwrap()
        .values()
        .iter()
        .map(|value| value.to_bits())
        .collect();
    let expected = [f64::NAN, f64::NEG_INFINITY, -0.0, 0.1, f64::MAX, 5e-324, f64::INFINITY].map(f64::to_bits);
    assert_eq!(floats, expected);
}

#[test]
fn declared_types() {
    let wishes = Wishes {
        types: vec![
            ("d".into(), FieldType::Decimal { scale: 2 }),
            ("u".into(), FieldType::UInt64),
            ("b".into(), FieldType::Binary),
            ("s".into(), FieldType::Float32),
            ("e".into(), FieldType::Utf8),
        ],
        ..wishes()
    };
    let memory = imported(Format::Csv, "time,d,u,b,s,e\n1,-1.50,18446744073709551615,AAEC/w==,0.1,\n2,3,7.0,,,\n", &wishes);
    assert_eq!(memory.columns(), "d decimal(2), u uint64, b binary, s float32, e utf8");
    assert_eq!(
        memory.rows(),
        ["1970-01-01T00:00:01Z -1.50 18446744073709551615 000102ff 0.1 -", "1970-01-01T00:00:02Z 3.00 7 - - -"]
    );
    let (_, named) =
        rejected(Format::Csv, b"time,d,u,b,s,e\n1,1.234,,,,\n2,99999999999999999.99,,,,\n3,,-1,,,\n4,,,?,,\n5,,,,x,\n", &wishes);
    assert_eq!(
        named,
        [
            "2: column \"d\": \"1.234\" has more than 2 digits after the point",
            "3: column \"d\": \"99999999999999999.99\" has more than 18 digits",
            "4: column \"u\": \"-1\" is not a uint64",
            "5: column \"b\": \"?\" is not base64",
            "6: column \"s\": \"x\" is not a float32",
        ]
    );
}

#[test]
fn the_time_column() {
    let first = |text: &str| csv(text).rows().remove(0);
    assert_eq!(first("a,time,date\n1,2024-01-01,2025-01-01\n"), "2024-01-01T00:00:00Z 1 \"2025-01-01\"");
    assert_eq!(first("a,Timestamp\n1,2024-01-01\n"), "2024-01-01T00:00:00Z 1");
    assert_eq!(first("a,when\n1,2024-01-01 10:00\n"), "2024-01-01T10:00:00Z 1");
    let named = Wishes { time: Some("t0".into()), unit: Some(EpochUnit::Milli), ..wishes() };
    assert_eq!(imported(Format::Csv, "a,t0\n1,5\n", &named).rows(), ["1970-01-01T00:00:00.005Z 1"]);
    assert!(refused(Format::Csv, b"a,b\n1,2\n", &wishes()).contains("--time COL; there are a, b"));
    let reason = refused(Format::Csv, b"time,t0\n1,2\n", &named);
    assert!(reason.contains("rename it, or use --time time"), "{reason}");
    let reason = refused(Format::Csv, b"a,b\n1,2\n", &named);
    assert!(reason.contains("--time t0: there is no such column; there are a, b"), "{reason}");
}

#[test]
fn times_that_need_nanoseconds() {
    let memory = csv("time,a\n2024-01-01T00:00:00Z,1\n2024-01-01T00:00:00.000000001Z,2\n");
    assert_eq!(memory.schema.as_ref().unwrap().time_unit, TimeUnit::Nano);
    assert_eq!(memory.rows()[1], "2024-01-01T00:00:00.000000001Z 2");
    let mut micros = Memory::with_table(TableSpec::new("t").field("a", FieldType::Int64));
    let (report, outcome) = micros.import(Format::Csv, b"time,a\n2024-01-01T00:00:00.000000001Z,2\n", &wishes(), OnError::Abort);
    assert!(outcome.is_ok() && report.rows == 1);
    assert_eq!(micros.notes, ["the times of 1 row(s) are finer than the table's microseconds and were cut to them"]);
}

#[test]
fn bad_rows_are_named() {
    let mut input =
        b"time,a,s\n2024-01-01,1,x\nnoon,1,x\n,1,x\n2024-01-02,1\n2024-01-03,1,x,y\n0000-01-01,1,x\n2024-01-04,1,".to_vec();
    input.extend(b"\xff\n2024-01-05,1,\"x\"y\n2024-01-06,1,\"x\"\n2024-01-07,1,a\"b\n2024-01-08,2,z\n2024-01-09,2,\"open\n");
    let (memory, named) = rejected(Format::Csv, &input, &wishes());
    assert_eq!(
        named,
        [
            "3: \"noon\" is not a time: write 2024-01-31T12:00:00Z, 2024-01-31 12:00:00 or an integer since 1970",
            "4: the time is missing",
            "5: 2 cells, but the header names 3",
            "6: 4 cells, but the header names 3",
            "7: the time is out of range: the years 0001 to 9999 are accepted",
            "8: not UTF-8 text (at byte 14)",
            "9: there is text after a closing quote: a quote within quotes is written twice",
            "11: there is a quote within a cell without quotes: put the whole cell into quotes and write that one twice",
            "13: a quote is opened and never closed",
        ]
    );
    assert_eq!(memory.rows(), ["2024-01-01T00:00:00Z 1 \"x\"", "2024-01-06T00:00:00Z 1 \"x\"", "2024-01-08T00:00:00Z 2 \"z\""]);
}

#[test]
fn a_value_that_fits_no_more_after_the_first_look() {
    // A table decides as a first look does, but is fixed.
    let mut memory = Memory::with_table(TableSpec::new("t").field("a", FieldType::Int64));
    let (_, outcome) = memory.import(Format::Csv, b"time,a\n1,5\n2,5.5\n", &wishes(), OnError::Abort);
    match outcome {
        Err(Failure::BadRow { line: 3, reason }) => assert_eq!(reason, "column \"a\": \"5.5\" is not an int64"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn abort_writes_nothing_after_the_bad_row() {
    let mut memory = Memory::default();
    let input = b"time,a\n1,1\n2,2\n3,x,y\n4,4\n5,5\n";
    let (report, outcome) = memory.import(Format::Csv, input, &wishes(), OnError::Abort);
    assert!(matches!(outcome, Err(Failure::BadRow { line: 4, .. })));
    assert_eq!((report.rows, report.points, report.rejected), (2, 2, 0));
    assert_eq!(memory.rows(), ["1970-01-01T00:00:01Z 1", "1970-01-01T00:00:02Z 2"]);
}

#[test]
fn a_bad_row_leaves_no_trace() {
    let (memory, named) = rejected(Format::Csv, b"time,s,n\n1,abc,1\n2,left out,x\n3,de,2\n", &wishes());
    assert_eq!(named, Vec::<String>::new(), "a column with text in it is text");
    assert_eq!(memory.columns(), "s utf8, n utf8");
    let int = Wishes { types: vec![("n".into(), FieldType::Int64)], ..wishes() };
    let (memory, named) = rejected(Format::Csv, b"time,s,n\n1,abc,1\n2,left out,x\n3,de,2\n", &int);
    assert_eq!(named.len(), 1);
    assert_eq!(memory.rows(), ["1970-01-01T00:00:01Z \"abc\" 1", "1970-01-01T00:00:03Z \"de\" 2"]);
}

#[test]
fn headers_that_cannot_be() {
    let reason = |input: &[u8]| refused(Format::Csv, input, &wishes());
    assert!(reason(b"").contains("it is empty"));
    assert!(reason(b"\n\r\n  \n").contains("it is empty"));
    assert!(reason(b"time,a,a\n1,2,3\n").contains("two columns are named \"a\""));
    assert!(reason(b"time,,b\n1,2,3\n").contains("column 2 has no name"));
    assert!(reason(b"time,\xff\n1,2\n").contains("not UTF-8"));
    assert!(reason(b"time,a\x07\n1,2\n").contains("without control characters"));
    assert!(reason("x".repeat(2 << 20).as_bytes()).contains("more than 1 MiB"));
    let tagged = Wishes { tags: vec!["room".into()], ..wishes() };
    assert!(refused(Format::Csv, b"time,a\n1,2\n", &tagged).contains("--tag room: there is no such column"));
    let both = Wishes { tags: vec!["a".into()], types: vec![("a".into(), FieldType::Bool)], ..wishes() };
    assert!(refused(Format::Csv, b"time,a\n1,2\n", &both).contains("cannot be both a tag and a bool field"));
    let time = Wishes { tags: vec!["time".into()], ..wishes() };
    assert!(refused(Format::Csv, b"time,a\n1,2\n", &time).contains("holds the times"));
}

#[test]
fn a_header_alone_imports_nothing() {
    let memory = csv("time,a\n");
    assert_eq!((memory.columns(), memory.batches.len()), ("no table".to_owned(), 0));
}

#[test]
fn a_long_line_is_a_bad_row() {
    let mut input = b"time,s\n1,a\n2,".to_vec();
    input.extend(vec![b'x'; 3 << 20]);
    input.extend(b"\n3,b\n");
    let (memory, named) = rejected(Format::Csv, &input, &wishes());
    assert_eq!(named, ["3: more than 1 MiB; is a quote never closed?"]);
    assert_eq!(memory.rows(), ["1970-01-01T00:00:01Z \"a\"", "1970-01-01T00:00:03Z \"b\""]);
}

#[test]
fn the_table_decides() {
    let spec = || TableSpec::new("t").tag("room").tag("floor").field("a", FieldType::Float64);
    let mut memory = Memory::with_table(spec());
    let (_, outcome) = memory.import(Format::Csv, b"time,room,a,b\n1,7,1,x\n", &wishes(), OnError::Abort);
    outcome.unwrap();
    assert_eq!(memory.columns(), "room tag, floor tag, a float64, b utf8");
    assert_eq!(memory.rows(), ["1970-01-01T00:00:01Z \"7\" - 1.0 \"x\""]);
    assert_eq!(memory.notes, ["adding to table \"t\": b utf8"]);
    let refuse =
        |wishes: Wishes| match Memory::with_table(spec()).import(Format::Csv, b"time,room,a\n1,7,1\n", &wishes, OnError::Abort) {
            (_, Err(Failure::Input(reason))) => reason,
            other => panic!("{other:?}"),
        };
    let reason = refuse(Wishes { types: vec![("a".into(), FieldType::Int64)], ..wishes() });
    assert!(reason.contains("column \"a\" is a float64 field in table \"t\" and a int64 field here"), "{reason}");
    let reason = refuse(Wishes { tags: vec!["a".into()], ..wishes() });
    assert!(reason.contains("and a tag here"), "{reason}");
}

#[test]
fn a_pipe_is_looked_at_up_to_a_limit() {
    let text = b"time,a,b\n1,1,true\n2,2.5,false\n";
    // The last row is cut off within `false`, which would be text.
    let seen = look(&mut Lines::new(Look::at(text, text.len() as u64 - 3)), &wishes()).unwrap();
    let kinds: Vec<_> = seen.columns.iter().map(|column| column.kind).collect();
    assert_eq!(kinds, [Some(FieldType::Int64), Some(FieldType::Int64), Some(FieldType::Bool)]);
    // Without a line end at its end, but all there.
    let seen = look(&mut Lines::new(Look::at(b"time,a\n1,1\n2,2.5", 100)), &wishes()).unwrap();
    assert_eq!(seen.columns[1].kind, Some(FieldType::Float64));
}

#[test]
fn batches_are_bounded_by_rows_and_bytes() {
    let mut text = String::from("time,s\n");
    for second in 0..25 {
        text += &format!("{second},{}\n", "x".repeat(900_000));
    }
    let memory = csv(&text);
    let sizes: Vec<_> = memory.batches.iter().map(arrow::record_batch::RecordBatch::num_rows).collect();
    assert_eq!(sizes, [10, 10, 5]);
    let small = imported(Format::Csv, "time,a\n1,1\n2,2\n3,3\n4,4\n5,5\n", &Wishes { batch_rows: 2, ..wishes() });
    assert_eq!(small.acknowledged, [2, 4, 5]);
}

#[test]
fn a_full_disk_ends_it() {
    let mut memory = Memory { full_after: Some(2), ..Memory::default() };
    let rows: String = (0..1000).map(|second| format!("{second},1\n")).collect();
    let input = format!("time,a\n{rows}");
    let (report, outcome) = memory.import(Format::Csv, input.as_bytes(), &Wishes { batch_rows: 10, ..wishes() }, OnError::Skip);
    assert!(matches!(outcome, Err(Failure::Engine(alluvium::Error::DiskFull { .. }))));
    assert_eq!((report.rows, memory.acknowledged), (20, vec![10, 20]));
}

/// What is written as a table of CSV is read back to the last bit; and no bytes at all make the reader panic.
#[test]
fn random_tables_come_back() {
    let mut random = random();
    for _ in 0..60 {
        let rows = 1 + random.u64(..40);
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["time", "f", "i", "s"]).unwrap();
        let mut expected = Vec::new();
        for row in 0..rows {
            let float = f64::from_bits(random.u64(..));
            let float = if float.is_nan() { 0.5 } else { float };
            let int = random.u64(..).cast_signed();
            let text = format!("x{}", random_text(&mut random, "ab,\"\n\rü ", 6));
            let time = 1_700_000_000_000_000 + row;
            writer.write_record([time.to_string(), format!("{float:?}"), int.to_string(), text.clone()]).unwrap();
            expected.push((time.cast_signed(), float.to_bits(), int, text));
        }
        let bytes = writer.into_inner().unwrap();
        let mut memory = Memory::default();
        let types = vec![("f".into(), FieldType::Float64)];
        memory.import(Format::Csv, &bytes, &Wishes { types, ..wishes() }, OnError::Abort).1.unwrap();
        let batch = &memory.batches[0];
        let found: Vec<_> = (0..batch.num_rows()).map(|row| row_of(batch, row)).collect();
        assert_eq!(found, expected);
        let mut damaged = bytes;
        for _ in 0..5 {
            let at = random.usize(..damaged.len());
            damaged[at] = b"\",\n\xff0"[random.usize(..5)];
        }
        let _ = Memory::default().import(Format::Csv, &damaged, &wishes(), OnError::Skip);
    }
}

fn row_of(batch: &arrow::record_batch::RecordBatch, row: usize) -> (i64, u64, i64, String) {
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
    (
        batch.column(0).as_primitive::<TimestampMicrosecondType>().value(row),
        batch.column(1).as_primitive::<Float64Type>().value(row).to_bits(),
        batch.column(2).as_primitive::<Int64Type>().value(row),
        batch.column(3).as_string::<i32>().value(row).to_owned(),
    )
}
