use alluvium::{FieldType, TableSpec};

use super::*;
use crate::import::testing::{Memory, shown};

fn air() -> TableSpec {
    TableSpec::new("air").tag("room").field("co2", FieldType::Float64).field("n", FieldType::Int64)
}

fn take(table: Option<TableSpec>, made: Option<&[String]>, objects: &[&str]) -> Result<Part, Error> {
    let schema = table.map(|spec| Memory::with_table(spec).schema.unwrap());
    let mut rows = Objects::new("air", schema.as_deref(), EpochUnit::Micro, made);
    objects.iter().try_for_each(|object| rows.take(object))?;
    rows.finish()
}

fn bad(table: Option<TableSpec>, made: Option<&[String]>, objects: &[&str]) -> Vec<String> {
    match take(table, made, objects) {
        Err(Error::BadRows { rows, .. }) => {
            rows.into_iter().map(|row| format!("{} {}: {}", row.row, row.column, row.reason)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn rows_of_a_table() {
    let rows = [
        r#"{"time": 1500000, "room": "A", "co2": 412.5}"#,
        r#"{"n": 7, "time": "2026-01-01T00:00:00Z", "co2": "NaN", "room": null}"#,
    ];
    let part = take(Some(air()), None, &rows).unwrap();
    assert_eq!(
        shown(&part.batch.rows),
        ["time=1970-01-01T00:00:01.500Z room=A co2=412.5", "time=2026-01-01T00:00:00Z co2=NaN n=7"]
    );
    assert_eq!((part.batch.added.len(), part.batch.points), (0, 3));
}

#[test]
fn what_is_wrong_is_named_by_row_and_column() {
    let rows = [
        r#"{"time": 1, "co2": "much"}"#,
        r#"{"co2": 1}"#,
        r#"{"time": 2, "co2": 1}"#,
        r#"{"time": 3, "kw": 1}"#,
        r#"{"time": 4, "n": 1.5}"#,
        r#"{"time": 5, "room": 7}"#,
        r#"{"time": 6, "co2": {}}"#,
        r#"{"time": "1970-01-01T00:00:00.0000001Z", "co2": 1}"#,
        r#"[1]"#,
    ];
    let expected = [
        "0 co2: \"much\" is not a float64",
        "1 time: the time is missing",
        "3 kw: the table has no such column: add it, or write with \"create\"",
        "4 n: \"1.5\" is not an int64",
        "5 room: \"7\" is no text, and a tag is",
        "6 co2: an object, not a plain value",
        "7 time: the time is finer than the table's unit of time",
    ];
    let found = bad(Some(air()), None, &rows);
    assert_eq!(found[..7], expected);
    assert!(found[7].starts_with("8 : not a JSON object"), "{}", found[7]);
}

#[test]
fn what_is_missing_is_made_where_that_is_asked_for() {
    let tags = ["site".to_owned()];
    let rows = [r#"{"time": 1, "site": "N", "kw": 2, "on": true, "what": "x"}"#];
    let part = take(None, Some(&tags), &rows).unwrap();
    let added: Vec<_> = part.batch.added.iter().map(|column| (column.name.as_str(), column.role)).collect();
    let (float, truth, text) = (Role::Field(FieldType::Float64), Role::Field(FieldType::Bool), Role::Field(FieldType::Utf8));
    assert_eq!(added, [("site", Role::Tag), ("kw", float), ("on", truth), ("what", text)]);
    let part = take(Some(air()), Some(&tags), &rows).unwrap();
    assert_eq!(part.batch.added.len(), 4);
    // A later row has to fit what an earlier one made.
    assert_eq!(bad(None, Some(&[]), &[rows[0], r#"{"time": 2, "kw": "x"}"#]), ["1 kw: \"x\" is not a float64"]);
}

#[test]
fn rows_are_bounded() {
    let wide: String = (0..4_000).map(|number| format!(",\"f{number}\":1")).collect();
    let objects = ["{\"time\":1}".to_owned(), format!("{{\"time\":2{wide}}}")];
    let mut rows = Objects::new("air", None, EpochUnit::Micro, Some(&[]));
    (0..10_000).for_each(|_| rows.take(&objects[0]).unwrap());
    assert!(matches!(rows.take(&objects[1]), Err(Error::Limit { .. })));
}
