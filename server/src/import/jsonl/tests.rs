use alluvium::FieldType;

use crate::import::schema::Wishes;
use crate::import::source::Format;
use crate::import::testing::{imported, refused, rejected, wishes};

#[test]
fn objects_become_rows() {
    let input = r#"{"time":"2024-01-01T00:00:00Z","room":"A","n":1,"f":1,"b":true,"s":"x\ny","e":""}

{"s":null,"f":2.5,"time":1704067201,"room":"B"}
"#;
    let memory = imported(Format::JsonLines, input, &Wishes { tags: vec!["room".into()], ..wishes() });
    assert_eq!(memory.columns(), "room tag, n int64, f float64, b bool, s utf8, e utf8");
    assert_eq!(memory.rows(), ["2024-01-01T00:00:00Z \"A\" 1 1.0 true \"x\\ny\" \"\"", "2024-01-01T00:00:01Z \"B\" - 2.5 - - -"]);
}

#[test]
fn numbers_are_exact() {
    let types = vec![("d".to_owned(), FieldType::Decimal { scale: 3 })];
    let input = "{\"time\":1,\"d\":123456789012345.678,\"u\":18446744073709551615,\"f\":0.1}\n";
    let memory = imported(Format::JsonLines, input, &Wishes { types, ..wishes() });
    assert_eq!(memory.rows(), ["1970-01-01T00:00:01Z 123456789012345.678 18446744073709551615 0.1"]);
}

#[test]
fn keys_that_come_later_become_columns() {
    let mut input = String::new();
    // The pipe or file is looked at up to 32 MiB.
    let filler = format!("{{\"time\":1,\"a\":\"{}\"}}\n", "x".repeat(1 << 19));
    for _ in 0..70 {
        input += &filler;
    }
    input += "{\"time\":2,\"late\":7}\n{\"time\":3,\"late\":\"x\",\"text\":\"y\"}\n{\"time\":4,\"late\":7.5,\"text\":\"z\"}\n";
    let (memory, named) = rejected(Format::JsonLines, input.as_bytes(), &wishes());
    assert_eq!(memory.columns(), "a utf8, late float64, text utf8");
    assert_eq!(named, ["72: column \"late\": \"x\" is not a float64 (--type late=utf8, into a new table, accepts it)"]);
    let rows = memory.rows();
    assert_eq!(rows[70], "1970-01-01T00:00:02Z - 7.0 -");
    assert_eq!(rows[71], "1970-01-01T00:00:04Z - 7.5 \"z\"");
    assert!(memory.notes.iter().any(|note| note == "adding to table \"t\": late float64, text utf8"), "{:?}", memory.notes);
}

#[test]
fn bad_rows_are_named() {
    let mut input =
        b"{\"time\":1,\"a\":1}\nnot json\n[1]\n{\"a\":1}\n{\"time\":2,\"a\":{}}\n{\"time\":3,\"a\":1,\"a\":2}\n".to_vec();
    input.extend(b"{\"time\":3,\"time\":4}\n{\"time\":null,\"a\":5}\n{\"time\":\"\xff\"}\n{\"time\":1.5}\n{\"time\":9,\"\":1}\n");
    let (memory, named) = rejected(Format::JsonLines, &input, &wishes());
    let expected = [
        "2: not a JSON object of plain values: expected",
        "3: not a JSON object of plain values: invalid type",
        "4: the time is missing",
        "5: column \"a\": an object",
        "6: column \"a\": given twice",
        "7: the time is given twice",
        "8: the time is missing",
        "9: not UTF-8 text (at byte 10)",
        "10: \"1.5\" is not a time",
        "11: a column has no name",
    ];
    assert_eq!(named.len(), expected.len(), "{named:#?}");
    for (named, expected) in named.iter().zip(expected) {
        assert!(named.starts_with(expected), "{named:?} is not {expected:?}…");
    }
    assert_eq!(memory.rows(), ["1970-01-01T00:00:01Z 1"]);
}

#[test]
fn nothing_to_import() {
    assert!(refused(Format::JsonLines, b"", &wishes()).contains("it is empty"));
    assert!(refused(Format::JsonLines, b"\n \n", &wishes()).contains("it is empty"));
    assert!(refused(Format::JsonLines, b"{\"a\":1}\n", &wishes()).contains("--time COL; there are a"));
    assert!(refused(Format::JsonLines, b"garbage\n", &wishes()).contains("--time COL; there are none"));
}
