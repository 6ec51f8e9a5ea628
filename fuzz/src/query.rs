//! What people type to ask something: each line of the input is read as a condition, a length of time, the width of buckets and a
//! moment.
//!
//! What is read can be written so that it reads the same, and a condition splits the rows of a table as it says.

use std::sync::LazyLock;

use alluvium::io::MemoryDisk;
use alluvium::{
    Comparison, Database, ErrorKind, FieldType, Filter, OnDamage, Query, RowBuilder, TableSpec, TimeUnit, Value, Window,
};
use alluvium_server::internals::{condition, duration, moment, rounded_up, times, window, written};

use crate::world;

/// 2024-03-31T10:00:00Z, a day on which Berlin's clocks sprang forward.
const NOW: i64 = 1_711_879_200_000_000;
const UNITS: [(TimeUnit, i128); 3] = [(TimeUnit::Milli, 1_000_000), (TimeUnit::Micro, 1_000), (TimeUnit::Nano, 1)];

/// One input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for line in text.split('\n') {
        check_condition(line);
        check_duration(line);
        check_window(line);
        check_moment(line);
    }
}

fn check_condition(text: &str) {
    let Ok(filter) = condition(text) else { return };
    assert!(!filter.column.is_empty() && !filter.values.is_empty());
    assert_eq!(condition(&spelled_out(&filter)).as_ref(), Ok(&filter), "{}", spelled_out(&filter));
    let Some(selected) = rows_with(&filter) else { return };
    let like = |comparison| rows_with(&Filter { comparison, ..filter.clone() });
    let counted = (like(Comparison::Equal), like(Comparison::NotEqual), filter.values.len());
    if let (Some(equal), Some(other), 1) = counted {
        let present = present(&filter.column);
        assert_eq!(equal + other, present, "{filter:?}: equal and unequal rows are all");
        let ordered = [Comparison::Less, Comparison::GreaterOrEqual].map(like);
        if let [Some(less), Some(rest)] = ordered {
            assert!(less + rest <= present, "{filter:?}: no row is both less and not");
        }
    }
    if filter.comparison == Comparison::In {
        let single = |value: &Value| rows_with(&Filter::equal(filter.column.clone(), value.clone()));
        let singles: Vec<_> = filter.values.iter().filter_map(single).collect();
        assert!(singles.iter().all(|rows| *rows <= selected), "{filter:?}: a list selects what each of its values does");
        assert!(selected <= singles.iter().sum::<u64>(), "{filter:?}: and nothing else");
    }
}

/// The condition with quotes wherever there may be any.
fn spelled_out(filter: &Filter) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let values = filter.values.iter().map(|value| match value {
        Value::Utf8(text) => quoted(text),
        other => panic!("{other:?} is not what was typed"),
    });
    let values = values.collect::<Vec<_>>().join(",");
    let name = quoted(&filter.column);
    match filter.comparison {
        Comparison::In => format!("{name} in ({values})"),
        Comparison::Equal => format!("{name} = {values}"),
        Comparison::NotEqual => format!("{name} != {values}"),
        Comparison::Less => format!("{name} < {values}"),
        Comparison::LessOrEqual => format!("{name} <= {values}"),
        Comparison::Greater => format!("{name} > {values}"),
        Comparison::GreaterOrEqual => format!("{name} >= {values}"),
    }
}

/// A table with a tag `tag` and a field of every type, named after it; some rows lack some of them.
static TABLE: LazyLock<Database> = LazyLock::new(|| {
    let db = world::open(&MemoryDisk::new(), OnDamage::Refuse).expect("a new database");
    let kinds = ["float64", "float32", "int64", "uint64", "bool", "utf8", "binary", "decimal(2)"];
    let spec = kinds.iter().fold(TableSpec::new("t").tag("tag"), |spec, name| {
        let kind: FieldType = name.parse().expect("a type");
        spec.field(name.split('(').next().unwrap_or(name), kind)
    });
    let schema = db.create_table(spec).expect("a new table");
    for part in 0..2 {
        let mut rows = RowBuilder::new(schema.clone());
        for row in 0..40_i64 {
            write_row(&mut rows, part * 40 + row).expect("a sound row");
        }
        db.append("t", &rows.finish().expect("sound rows")).expect("room");
        // One half lies in a segment, with statistics; the other does not.
        if part == 0 {
            db.seal().expect("room");
        }
    }
    db
});

fn write_row(rows: &mut RowBuilder, row: i64) -> alluvium::Result<()> {
    let mut writer = rows.row(1_700_000_000_000_000 + row * 1_000_000);
    if row % 5 > 0 {
        writer = writer.tag("tag", ["", "A", "B", "a b"][row as usize % 4])?;
    }
    let float = [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, -3.25][row as usize % 6];
    if row % 3 > 0 {
        writer = writer.value("float64", float)?.value("int64", row - 20)?.value("bool", row % 2 == 0)?;
    }
    if row % 4 > 0 {
        writer = writer.value("float32", float as f32)?.value("uint64", row.unsigned_abs() * 7)?;
        writer = writer.value("utf8", ["", "x", "yes", "4"][row as usize % 4])?.value("decimal", Value::Decimal(row * 25))?;
        writer = writer.value("binary", Value::Binary(vec![row as u8; row as usize % 3]))?;
    }
    let _ = writer;
    Ok(())
}

/// How many rows satisfy a condition; `None` where it is refused.
fn rows_with(filter: &Filter) -> Option<u64> {
    let query = Query::table("t").filter(filter.clone());
    let stream = TABLE.query(&query).map_err(|error| {
        assert!(matches!(error.kind(), ErrorKind::Input | ErrorKind::Missing), "{error:?}");
    });
    Some(stream.ok()?.map(|batch| batch.expect("an answer").num_rows() as u64).sum())
}

/// How many rows a comparison for equality and its opposite share out: all for a tag, those with a value for a field.
fn present(column: &str) -> u64 {
    let batches = TABLE.query(&Query::table("t")).expect("an answer").map(|batch| batch.expect("an answer"));
    let counted = batches.map(|batch| {
        let array = batch.column_by_name(column).expect("a column that a condition was accepted for");
        if column == "tag" { batch.num_rows() } else { array.len() - array.null_count() }
    });
    counted.sum::<usize>() as u64
}

fn check_duration(text: &str) {
    let Ok((months, nanos)) = duration(text) else { return };
    assert!(months >= 0 && nanos >= 0 && nanos % 1_000 == 0, "{text:?}");
    if let Ok(micros) = i64::try_from(nanos / 1_000) {
        assert_eq!(duration(&format!("{months}mo{micros}us")), Ok((months, nanos)), "{text:?}");
    }
}

fn check_window(text: &str) {
    for zone in [None, Some("Europe/Berlin")] {
        if let Ok(Window::Fixed { micros }) = window(text, zone) {
            assert!(micros > 0);
            assert_eq!(window(&format!("{micros}us"), zone), Ok(Window::Fixed { micros }), "{text:?}");
        }
    }
}

fn check_moment(text: &str) {
    let read = moment(text, NOW, "UTC");
    let local = moment(text, NOW, "Europe/Berlin");
    for nanos in read.iter().chain(&local) {
        for (unit, tick) in UNITS {
            let ticks = rounded_up(*nanos, unit);
            if (i64::MIN + 1..i64::MAX).contains(&ticks) {
                let back = i128::from(ticks) * tick;
                assert!((*nanos..*nanos + tick).contains(&back), "{text:?}: {nanos} in {unit:?} is {ticks}");
            }
            if unit.accepted().contains(ticks) {
                let shown = written(ticks, unit);
                assert_eq!(moment(&shown, NOW, "Europe/Berlin"), Ok(i128::from(ticks) * tick), "{shown}");
                assert_eq!(times(&shown).map(|counts| counts[unit as usize]), Some(Some(ticks)), "{shown}");
            }
        }
    }
    // A time in a file and the same text on the command line are the same moment.
    if let (Ok(nanos), Some(counts)) = (read, times(text)) {
        for ((_, tick), count) in UNITS.iter().zip(counts) {
            assert!(count.is_none_or(|count| i128::from(count) == nanos.div_euclid(*tick)), "{text:?}: {count:?}, {nanos}");
        }
    }
}
