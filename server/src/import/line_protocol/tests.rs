use alluvium::{FieldType, TableSpec, TimeUnit};

use crate::import::run::OnError;
use crate::import::schema::Wishes;
use crate::import::source::Format;
use crate::import::testing::{Memory, imported, refused, rejected, wishes};
use crate::import::{EpochUnit, Failure};

#[test]
fn tags_and_typed_fields() {
    let input = "# weather\nw,city=Bern temp=1,n=2i,u=3u,ok=t,s=\"x\" 1700000000000000000\n\nw,city=Basel,site=a\\ b temp=1.5 1700000001000000000\n";
    let memory = imported(Format::LineProtocol, input, &wishes());
    assert_eq!(memory.columns(), "city tag, site tag, temp float64, n int64, u uint64, ok bool, s utf8");
    assert_eq!(
        memory.rows(),
        ["2023-11-14T22:13:20Z \"Bern\" - 1.0 2 3 true \"x\"", "2023-11-14T22:13:21Z \"Basel\" \"a b\" 1.5 - - - -",]
    );
}

#[test]
fn precisions() {
    let seconds = imported(Format::LineProtocol, "m f=1 1700000000\nm f=2 1700000000001\n", &wishes());
    assert_eq!(seconds.rows(), ["2023-11-14T22:13:20Z 1.0", "2023-11-14T22:13:20.001Z 2.0"]);
    let nanos = imported(Format::LineProtocol, "m f=1 1700000000000000001\n", &wishes());
    assert_eq!(nanos.schema.as_ref().unwrap().time_unit, TimeUnit::Nano);
    let wished = Wishes { unit: Some(EpochUnit::Nano), ..wishes() };
    assert_eq!(imported(Format::LineProtocol, "m f=1 5000\n", &wished).rows(), ["1970-01-01T00:00:00.000005Z 1.0"]);
}

#[test]
fn one_measurement_per_table() {
    let input = b"cpu f=1 1\nmem f=2 2\ncpu f=3 3\n";
    let (memory, named) = rejected(Format::LineProtocol, input, &wishes());
    assert_eq!(named, ["2: measurement \"mem\" among \"cpu\": import it into a table of its own (--table mem)"]);
    assert_eq!(memory.rows(), ["1970-01-01T00:00:01Z 1.0", "1970-01-01T00:00:03Z 3.0"]);
    let (memory, named) = rejected(Format::LineProtocol, input, &Wishes { table: "mem".into(), ..wishes() });
    assert_eq!((memory.rows(), named.len()), (vec!["1970-01-01T00:00:02Z 2.0".to_owned()], 2));
}

#[test]
fn bad_rows_are_named() {
    let mut input = b"m,a=1 f=1 1\nm f=1\nm f= 2\nm,a=1,a=2 f=1 3\nm,a=1 a=2 4\nm,f=1 g=2 5\nm f=\"x\" 6\nm f=1 ".to_vec();
    input.extend(b"9223372036854775807\nm f=\xff 7\nm f=1i 8\n");
    let types = vec![("f".to_owned(), FieldType::Float64)];
    let micros = TableSpec::new("t").tag("a").field("f", FieldType::Float64);
    let mut memory = Memory::with_table(micros);
    let (report, outcome) =
        memory.import(Format::LineProtocol, &input, &Wishes { types: types.clone(), ..wishes() }, OnError::Skip);
    assert!(matches!(outcome, Err(Failure::Input(_))), "f is a tag and a field in the file: {report:?}");
    let input = String::from_utf8_lossy(&input).replace("m,f=1 g=2 5\n", "m,a=5 g=2 5\n").replace('\u{fffd}', "?");
    let (report, outcome) = memory.import(Format::LineProtocol, input.as_bytes(), &Wishes { types, ..wishes() }, OnError::Skip);
    outcome.unwrap();
    let named: Vec<_> = report.first_rejected.iter().map(|row| format!("{}: {}", row.line, row.reason)).collect();
    let expected = [
        "2: the time is missing",
        "3: line protocol: a number",
        "4: column \"a\": given twice",
        "5: \"a\" is a field here and elsewhere a tag",
        "7: column \"f\": \"x\" is not a float64",
        "9: line protocol: a number",
    ];
    assert_eq!(named.len(), expected.len(), "{named:#?}");
    for (named, expected) in named.iter().zip(expected) {
        assert!(named.starts_with(expected), "{named:?} is not {expected:?}…");
    }
    assert_eq!(memory.rows().len(), 4);
}

#[test]
fn nothing_to_import() {
    assert!(refused(Format::LineProtocol, b"", &wishes()).contains("it is empty"));
    assert!(refused(Format::LineProtocol, b"# only a comment\n", &wishes()).contains("it is empty"));
    let reason = refused(Format::LineProtocol, b"\ntime,a\n1,2\n", &wishes());
    assert!(reason.starts_with("line 2: line protocol: "), "{reason}");
}
