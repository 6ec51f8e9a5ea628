//! The parts by themselves, on rows of the fleet: the log's codec, segments, and the merge.

use std::sync::Arc;

use alluvium::internals::{self, Runs, SegmentOnDisk};
use alluvium::io::{Components, MemoryDisk};
use alluvium::model::{Block, TableId};
use alluvium::record::{Record, RecordKind, encode_rows};
use alluvium::{BackgroundStep, ChangeKind, Database, FieldType, Profile, Put, Settings, TableSchema, TableSpec, Transaction};
use anyhow::Result;
use arrow::array::{ArrayRef, Float64Array};
use criterion::{BatchSize, Criterion, Throughput};

use crate::fleet::{FIELDS, Generator, Rows, field_name};

/// Batches that are merged into one.
const BATCHES: usize = 32;
/// Rows of a segment.
const SEGMENT_SECONDS: usize = 500;
const SEED: u64 = 1;

/// Measures everything; points are the elements counted.
pub(crate) fn run() -> Result<()> {
    let table = TableSpec::new("fleet").tag("device");
    let fields = (0..FIELDS).fold(table, |table, field| table.field(field_name(field), FieldType::Float64));
    let schema = internals::schema(fields)?;
    let mut criterion = Criterion::default();
    codec(&mut criterion)?;
    segments(&mut criterion, &schema)?;
    merge(&mut criterion, &schema)?;
    feed(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn codec(criterion: &mut Criterion) -> Result<()> {
    let block = block(&Generator::new(SEED)?.rows(1));
    let payload = encode_rows(TableId(0), &block)?;
    let mut group = criterion.benchmark_group("log, a batch of 200 rows");
    group.throughput(Throughput::Elements(block.points()));
    group.bench_function("encode", |bench| bench.iter(|| encode_rows(TableId(0), &block)));
    group.bench_function("decode", |bench| bench.iter(|| Record::decode(RecordKind::PutRows.code(), &payload)));
    group.finish();
    println!("{:.2} bytes per point\n", payload.len() as f64 / block.points() as f64);
    Ok(())
}

fn segments(criterion: &mut Criterion, schema: &Arc<TableSchema>) -> Result<()> {
    let mut generator = Generator::new(SEED)?;
    let rows = Runs::new(schema.clone(), [block(&generator.rows(SEGMENT_SECONDS))])?.merge()?;
    let mut group = criterion.benchmark_group("segment, 100,000 rows");
    group.throughput(Throughput::Elements(rows.points())).sample_size(10);
    for (name, profile) in [("open", Profile::Open), ("compact", Profile::Compact)] {
        let written = SegmentOnDisk::write(schema, &rows, profile)?;
        anyhow::ensure!(written.read()? >= rows.points(), "a segment lost values");
        group.bench_function(format!("encode, {name}"), |bench| bench.iter(|| SegmentOnDisk::write(schema, &rows, profile)));
        group.bench_function(format!("decode, {name}"), |bench| bench.iter(|| written.read()));
        println!("{:.2} bytes per point\n", written.bytes() as f64 / rows.points() as f64);
    }
    group.finish();
    Ok(())
}

fn merge(criterion: &mut Criterion, schema: &Arc<TableSchema>) -> Result<()> {
    let mut generator = Generator::new(SEED)?;
    let batches: Vec<Block> = (0..BATCHES).map(|_| block(&generator.rows(1))).collect();
    // The same rows twice: every row has to be decided.
    let twice = Runs::new(schema.clone(), batches.iter().chain(&batches).cloned())?;
    let once = Runs::new(schema.clone(), batches.iter().cloned())?;
    let points = batches.iter().map(Block::points).sum();
    let mut group = criterion.benchmark_group("merge, 32 batches of 200 rows");
    group.throughput(Throughput::Elements(points));
    group.bench_function("apart", |bench| bench.iter_batched(|| &once, Runs::merge, BatchSize::SmallInput));
    group.bench_function("each twice", |bench| bench.iter_batched(|| &twice, Runs::merge, BatchSize::SmallInput));
    group.finish();
    Ok(())
}

/// Small changes of metadata read back, in memory: alone in their groups, many to a group, and from history.
fn feed(criterion: &mut Criterion) -> Result<()> {
    const CHANGES: u64 = 20_000;
    let mut group = criterion.benchmark_group("change feed, 20,000 pairs");
    group.throughput(Throughput::Elements(CHANGES)).sample_size(10);
    for (name, together, history) in [("apart", 1, false), ("100 in a transaction", 100, false), ("history", 1, true)] {
        let db = pairs(CHANGES, together, history)?;
        let read = || -> Result<u64> {
            let mut events = 0;
            for change in db.changes().from(1).kind(ChangeKind::Pairs).prefix("key/").read()? {
                events += change?.events.len() as u64;
            }
            anyhow::ensure!(events == CHANGES, "{events} events of {CHANGES}");
            Ok(events)
        };
        read()?;
        group.bench_function(name, |bench| bench.iter(|| read().map_err(|error| error.to_string())));
    }
    group.finish();
    Ok(())
}

/// A database of nothing but pairs.
fn pairs(changes: u64, together: u64, history: bool) -> Result<Database> {
    let components = Components { disk: Arc::new(MemoryDisk::new()), ..Components::os() };
    let settings = Settings { background: false, seal_log_bytes: 1 << 20, ..Settings::default() };
    let db = Database::builder().settings(settings).components(components).open("data")?;
    let put = |tx: &mut Transaction<'_>, n: u64| tx.kv().put(&format!("key/{}", n % 1_000), &n.to_le_bytes(), Put::default());
    for first in (0..changes).step_by(together as usize) {
        db.transaction(|tx| (first..first + together).try_for_each(|n| put(tx, n).map(drop)))?;
    }
    while history && db.inspect()?.history_bytes < changes * 20 {
        db.kv().put("more", &[0; 100_000], Put::default())?;
        db.background_step(BackgroundStep::Seal)?;
    }
    Ok(db)
}

/// Rows as the engine holds them; devices are the series.
fn block(rows: &Rows) -> Block {
    let columns = (0..FIELDS).map(|field| Some(Arc::new(Float64Array::from(rows.values(field))) as ArrayRef));
    Block { series: rows.devices.clone().into(), times: rows.times.clone().into(), columns: columns.collect() }
}
