//! `alluvium inspect`: what the database holds and what it costs.

use std::io::{self, Write};

use alluvium::record::{Evictions, ReceiptKind};
use alluvium::{
    ColumnInspection, Holding, Inspection, MetadataInspection, QueueSizes, ReceiptInspection, TableInspection, TimeUnit,
};
use serde_json::{Value as Json, json};

use super::Context;
use super::tables::unit_name;
use crate::failure::Outcome;
use crate::output::table::{Align, Table};
use crate::output::{terminal, timestamp};

pub(crate) fn run(context: &Context) -> Outcome {
    let database = context.open_quiet()?;
    let inspection = database.inspect()?;
    // Where metadata cannot be read, the rest is shown all the same.
    let (metadata, unread) = match database.inspect_metadata() {
        Ok(metadata) => (metadata, None),
        Err(error) => (MetadataInspection::default(), Some(error)),
    };
    if context.json {
        context.print_json(&describe(&inspection, &metadata))?;
    } else {
        let mut out = io::stdout().lock();
        print(&inspection, &metadata, &mut out)?;
        out.flush()?;
    }
    if let Some(error) = unread {
        return Err(error.into());
    }
    Ok(database.close()?)
}

fn print(inspection: &Inspection, metadata: &MetadataInspection, out: &mut dyn Write) -> Outcome {
    writeln!(out, "incarnation    {}", inspection.incarnation)?;
    writeln!(out, "format         {}", inspection.format_version)?;
    writeln!(out, "log            {}", terminal::bytes(inspection.log_bytes))?;
    writeln!(out, "history        {}", terminal::bytes(inspection.history_bytes))?;
    writeln!(out, "catalog        {}", terminal::bytes(inspection.catalog_bytes))?;
    writeln!(out, "written so far {}", terminal::bytes(inspection.bytes_written))?;
    if !inspection.tables.is_empty() {
        writeln!(out)?;
        overview(&inspection.tables).write(out)?;
    }
    for table in &inspection.tables {
        writeln!(out)?;
        columns(table).write(out)?;
    }
    if *metadata != MetadataInspection::default() {
        writeln!(out)?;
        holdings(metadata).write(out)?;
    }
    if !inspection.receipts.is_empty() {
        writeln!(out)?;
        print_receipts(inspection, out)?;
    }
    Ok(())
}

fn overview(tables: &[TableInspection]) -> Table {
    let number = |name| (name, Align::Right);
    let mut table = Table::new([
        ("table", Align::Left),
        number("rows"),
        number("unsealed"),
        number("points"),
        number("series"),
        number("segments"),
        number("on disk"),
        number("bytes/point"),
        ("from", Align::Left),
        ("to", Align::Left),
    ]);
    for found in tables {
        let time = |pick: fn((i64, i64)) -> i64| {
            found.times.map_or_else(|| "-".to_owned(), |t| timestamp::utc(pick(t), found.schema.time_unit))
        };
        table.push([
            found.schema.name.clone(),
            terminal::count(found.rows),
            terminal::count(found.unsealed_rows),
            terminal::count(found.points),
            terminal::count(found.series),
            terminal::count(found.segments),
            terminal::bytes(found.bytes_on_disk),
            found.bytes_per_point.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.2}")),
            time(|times| times.0),
            time(|times| times.1),
        ]);
    }
    table
}

fn columns(found: &TableInspection) -> Table {
    let mut table = Table::new([
        (found.schema.name.as_str(), Align::Left),
        ("type", Align::Left),
        ("encoding", Align::Left),
        ("bytes", Align::Right),
    ]);
    for column in &found.columns {
        table.push([column.name.clone(), kind_of(column, found), column.encoding.clone(), terminal::count(column.bytes)]);
    }
    table
}

/// One line each: what they say in words must not be cut short.
fn print_receipts(inspection: &Inspection, out: &mut dyn Write) -> Outcome {
    for found in &inspection.receipts {
        let receipt = &found.receipt;
        let noticed = timestamp::utc(receipt.at_micros, TimeUnit::Micro);
        let table = found.table.as_deref().map_or_else(String::new, |name| format!(", table {name:?}"));
        writeln!(out, "receipt: {} in {}{table}, noticed {noticed}: {}", kind_name(receipt.kind), receipt.file, receipt.detail)?;
    }
    Ok(())
}

/// The type of a field; time and tags say what they are.
fn kind_of(column: &ColumnInspection, table: &TableInspection) -> String {
    match column.kind {
        Some(kind) => kind.to_string(),
        None if table.schema.tag_position(&column.name).is_some() => "tag".to_owned(),
        None => "time".to_owned(),
    }
}

/// Pairs, collections, principals, the audit trail and queues. What a queue holds are items, wherever they are.
fn holdings(metadata: &MetadataInspection) -> Table {
    let mut table =
        Table::new([("metadata", Align::Left), ("name", Align::Left), ("count", Align::Right), ("bytes", Align::Right)]);
    let mut push = |what: &str, name: &str, Holding { count, bytes }: Holding| {
        table.push([what.to_owned(), name.to_owned(), terminal::count(count), terminal::bytes(bytes)]);
    };
    push("pairs", "-", metadata.pairs);
    metadata.collections.iter().for_each(|(name, documents)| push("collection", name, *documents));
    push("principals", "-", metadata.principals);
    push("audit trail", "-", metadata.audit);
    for (name, sizes) in &metadata.queues {
        table.push(["queue".to_owned(), name.clone(), terminal::count(items(sizes)), "-".to_owned()]);
    }
    table
}

fn items(sizes: &QueueSizes) -> u64 {
    sizes.ready + sizes.scheduled + sizes.leased + sizes.delayed + sizes.dead
}

fn describe_metadata(metadata: &MetadataInspection) -> Json {
    let holding = |Holding { count, bytes }: &Holding| json!({ "count": count, "bytes": bytes });
    let collections = metadata.collections.iter().map(|(name, found)| (name.clone(), holding(found)));
    let queues = metadata.queues.iter().map(|(name, sizes)| (name.clone(), json!(items(sizes))));
    json!({
        "pairs": holding(&metadata.pairs),
        "collections": collections.collect::<serde_json::Map<_, _>>(),
        "queues": queues.collect::<serde_json::Map<_, _>>(),
        "principals": holding(&metadata.principals),
        "audit": holding(&metadata.audit),
    })
}

fn describe(inspection: &Inspection, metadata: &MetadataInspection) -> Json {
    json!({
        "tables": inspection.tables.iter().map(describe_table).collect::<Vec<_>>(),
        "metadata": describe_metadata(metadata),
        "log_bytes": inspection.log_bytes,
        "history_bytes": inspection.history_bytes,
        "catalog_bytes": inspection.catalog_bytes,
        "bytes_written": inspection.bytes_written,
        "receipts": inspection.receipts.iter().map(|receipt| describe_receipt(receipt, inspection)).collect::<Vec<_>>(),
        "incarnation": inspection.incarnation,
        "format_version": inspection.format_version,
    })
}

fn describe_table(found: &TableInspection) -> Json {
    let columns: Vec<_> = found
        .columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": kind_of(column, found),
                "encoding": column.encoding,
                "bytes": column.bytes,
                "values": column.values,
            })
        })
        .collect();
    json!({
        "name": found.schema.name,
        "rows": found.rows,
        "points": found.points,
        "series": found.series,
        "segments": found.segments,
        "bytes_on_disk": found.bytes_on_disk,
        "unsealed_rows": found.unsealed_rows,
        "evicted": found.evicted.map(|evicted| describe_evictions(evicted, found.schema.time_unit)),
        "from": found.times.map(|times| timestamp::utc(times.0, found.schema.time_unit)),
        "to": found.times.map(|times| timestamp::utc(times.1, found.schema.time_unit)),
        "time_unit": unit_name(found.schema.time_unit),
        "partitioning": found.schema.partitioning.name(),
        "bytes_per_point": found.bytes_per_point,
        "columns": columns,
    })
}

fn describe_evictions(evicted: Evictions, unit: TimeUnit) -> Json {
    json!({
        "rows": evicted.rows,
        "unheld_rows": evicted.unheld_rows,
        "segments": evicted.segments,
        "bytes": evicted.bytes,
        "from": timestamp::utc(evicted.times.0, unit),
        "to": timestamp::utc(evicted.times.1, unit),
        "at": timestamp::utc(evicted.at_micros, TimeUnit::Micro),
    })
}

fn describe_receipt(found: &ReceiptInspection, inspection: &Inspection) -> Json {
    let receipt = &found.receipt;
    let schema = inspection.tables.iter().map(|table| &table.schema).find(|schema| Some(&schema.name) == found.table.as_ref());
    json!({
        "sequence": found.sequence,
        "kind": kind_name(receipt.kind),
        "at": timestamp::utc(receipt.at_micros, TimeUnit::Micro),
        "file": receipt.file,
        "sequences": receipt.sequences.map(|(first, last)| [first, last]),
        "table": found.table,
        "series": receipt.series.iter().map(|series| series.0).collect::<Vec<_>>(),
        "times": schema.zip(receipt.times).map(|(schema, times)| {
            [timestamp::utc(times.0, schema.time_unit), timestamp::utc(times.1, schema.time_unit)]
        }),
        "bytes": receipt.bytes,
        "detail": receipt.detail,
    })
}

fn kind_name(kind: ReceiptKind) -> &'static str {
    match kind {
        ReceiptKind::TornTail => "torn_tail",
        ReceiptKind::LogDamage => "log_damage",
        ReceiptKind::SegmentDamage => "segment_damage",
        ReceiptKind::CatalogRebuilt => "catalog_rebuilt",
        ReceiptKind::Evicted => "evicted",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use alluvium::model::{Field, Partitioning, TableId, TableSchema};
    use alluvium::record::Receipt;
    use alluvium::{FieldType, TimeUnit};

    use super::*;

    fn inspection() -> Inspection {
        let schema = TableSchema {
            id: TableId(0),
            name: "air".to_owned(),
            version: 1,
            time_unit: TimeUnit::Milli,
            partitioning: Partitioning::Auto,
            tags: Vec::new(),
            fields: vec![Field { name: "co2".to_owned(), id: 2, kind: FieldType::Float64 }],
        };
        let column = |name: &str, kind, bytes| ColumnInspection {
            name: name.to_owned(),
            kind,
            encoding: "plain".to_owned(),
            bytes,
            values: 4,
        };
        let table = TableInspection {
            schema: Arc::new(schema),
            rows: 5,
            points: 4,
            series: 1,
            segments: 1,
            bytes_on_disk: 10,
            unsealed_rows: 1,
            evicted: None,
            times: Some((0, 1_500)),
            partitions: None,
            bytes_per_point: Some(2.5),
            columns: vec![column("time", None, 3), column("co2", Some(FieldType::Float64), 7)],
        };
        let receipt = Receipt {
            at_micros: 1_000_000,
            kind: ReceiptKind::TornTail,
            file: "log/1.log".to_owned(),
            sequences: Some((7, 9)),
            table: Some(TableId(0)),
            series: Vec::new(),
            times: Some((0, 1_000)),
            bytes: 12,
            detail: "unfinished".to_owned(),
        };
        Inspection {
            tables: vec![table],
            log_bytes: 1_024,
            history_bytes: 512,
            catalog_bytes: 0,
            bytes_written: 2_048,
            receipts: vec![ReceiptInspection { sequence: 10, table: Some("air".to_owned()), receipt }],
            incarnation: "00ff".to_owned(),
            format_version: 1,
        }
    }

    fn metadata() -> MetadataInspection {
        let holding = |count, bytes| Holding { count, bytes };
        MetadataInspection {
            pairs: holding(3, 40),
            collections: vec![("devices".to_owned(), holding(1, 9))],
            queues: vec![("jobs".to_owned(), QueueSizes { ready: 1, dead: 1, ..QueueSizes::default() })],
            principals: holding(2, 30),
            audit: holding(5, 600),
        }
    }

    #[test]
    fn for_programs() {
        let expected = concat!(
            r#"{"tables":[{"name":"air","rows":5,"points":4,"series":1,"segments":1,"bytes_on_disk":10,"unsealed_rows":1,"evicted":null,"#,
            r#""from":"1970-01-01T00:00:00Z","to":"1970-01-01T00:00:01.5Z","time_unit":"ms","partitioning":"auto","bytes_per_point":2.5,"#,
            r#""columns":[{"name":"time","type":"time","encoding":"plain","bytes":3,"values":4},"#,
            r#"{"name":"co2","type":"float64","encoding":"plain","bytes":7,"values":4}]}],"#,
            r#""metadata":{"pairs":{"count":3,"bytes":40},"collections":{"devices":{"count":1,"bytes":9}},"queues":{"jobs":2},"#,
            r#""principals":{"count":2,"bytes":30},"audit":{"count":5,"bytes":600}},"#,
            r#""log_bytes":1024,"history_bytes":512,"catalog_bytes":0,"bytes_written":2048,"#,
            r#""receipts":[{"sequence":10,"kind":"torn_tail","at":"1970-01-01T00:00:01Z","file":"log/1.log","sequences":[7,9],"#,
            r#""table":"air","series":[],"times":["1970-01-01T00:00:00Z","1970-01-01T00:00:01Z"],"bytes":12,"detail":"unfinished"}],"#,
            r#""incarnation":"00ff","format_version":1}"#
        );
        assert_eq!(describe(&inspection(), &metadata()).to_string(), expected);
    }

    #[test]
    fn for_people() {
        let mut out = Vec::new();
        print(&inspection(), &metadata(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("log            1.0 KiB\n"), "{text}");
        for line in [
            "pairs        -            3   40 B\n",
            "collection   devices      1    9 B\n",
            "audit trail  -            5  600 B\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(
            text.contains("air       5         1       4       1         1     10 B         2.50  1970-01-01T00:00:00Z"),
            "{text}"
        );
        assert!(text.contains("co2   float64  plain         7\n"), "{text}");
        assert!(
            text.ends_with("receipt: torn_tail in log/1.log, table \"air\", noticed 1970-01-01T00:00:01Z: unfinished\n"),
            "{text}"
        );
    }
}
