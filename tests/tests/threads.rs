//! Writers, deleters, schema changes and readers at once, over seals and compactions: what everyone saw has one explanation,
//! and power cuts in the middle take nothing that anyone had been told or shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use alluvium::io::{Components, MemoryDisk};
use alluvium::{Aggregate, Database, FieldType, Filter, Order, Query, RowBuilder, Settings, TableSpec, TimeRange};
use alluvium_tests::history::{
    Answer, Change, Event, History, Named, Observation, Observations, Row, Rows, Series, Span, Ticks, Total, timed,
};
use alluvium_tests::slow::SlowDisk;
use alluvium_tests::{cases, seed};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use fastrand::Rng;

/// 2023-11-14T22:13:20Z.
const START: i64 = 1_700_000_000_000_000;
const WRITERS: i64 = 3;
const READERS: u64 = 2;
/// Batches of each writer.
const BATCHES: i64 = 300;
/// Batches of one writer that deletions usually leave alone.
const RECENT: i64 = 40;
const SCHEMA_CHANGES: i64 = 10;
/// Distance of the batches of one writer.
const STEP: i64 = 120_000_000;
/// Series that all writers write, and times in them.
const SHARED: i64 = 3;
const SLOTS: i64 = 6;

/// The database and what the threads know of each other.
struct World {
    db: Database,
    disk: MemoryDisk,
    ticks: Ticks,
    /// Batches acknowledged so far, and by writer.
    batches: AtomicI64,
    progress: [AtomicI64; WRITERS as usize],
    done: AtomicBool,
}

fn settings(rng: &mut Rng) -> Settings {
    Settings {
        memtable_bytes: 48 << 10,
        log_file_bytes: 64 << 10,
        page_cache_bytes: 64 << 10,
        ballast_bytes: 64 << 10,
        commit_interval: Duration::from_micros(if rng.bool() { 0 } else { 300 }),
        ..Settings::default()
    }
}

fn open(disk: MemoryDisk, pauses: u32, settings: Settings) -> Database {
    let components = Components { disk: Arc::new(SlowDisk::new(disk, pauses)), ..Components::os() };
    Database::builder().settings(settings).components(components).open("/data").expect("opens")
}

impl World {
    fn new(rng: &mut Rng) -> World {
        let disk = MemoryDisk::new();
        let db = open(disk.clone(), rng.u32(0..8), settings(rng));
        let spec = TableSpec::new("t").tag("device").field("batch", FieldType::Int64).field("a", FieldType::Int64);
        db.create_table(spec.field("b", FieldType::Int64)).expect("a new table");
        World {
            db,
            disk,
            ticks: Ticks::default(),
            batches: AtomicI64::new(0),
            progress: Default::default(),
            done: AtomicBool::new(false),
        }
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Waits until so many batches were acknowledged.
    fn wait_for(&self, batches: i64) {
        while self.batches.load(Ordering::Acquire) < batches && !self.is_done() {
            thread::yield_now();
        }
    }

    /// Appends batches in one call.
    fn append(&self, batches: Vec<Vec<Row>>) -> Vec<Event> {
        let schema = self.db.table("t").expect("the table");
        let build = |rows: &Vec<Row>| {
            let mut builder = RowBuilder::new(schema.clone());
            for Row { series, time, fields } in rows {
                let mut row = builder.row(*time);
                for (tag, value) in series {
                    row = row.tag(tag, value).expect("a tag");
                }
                for (field, value) in fields {
                    row = row.value(field, *value).expect("a field");
                }
            }
            builder.finish().expect("a batch")
        };
        let built: Vec<RecordBatch> = batches.iter().map(build).collect();
        let (span, acks) = timed(&self.ticks, || match built.as_slice() {
            [one] => self.db.append("t", one).map(|ack| vec![ack]),
            several => self.db.append_all(&several.iter().map(|batch| ("t", batch)).collect::<Vec<_>>()),
        });
        self.batches.fetch_add(batches.len() as i64, Ordering::AcqRel);
        let acks = acks.expect("appends");
        assert_eq!(acks.len(), batches.len());
        let event = |(rows, ack): (_, alluvium::Ack)| Event { span, sequence: ack.sequence, change: Change::Put(rows) };
        batches.into_iter().zip(acks).map(event).collect()
    }
}

fn series(device: String) -> Series {
    BTreeMap::from([("device".to_owned(), device)])
}

fn fields(of: &[(&str, i64)]) -> Named<i64> {
    of.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn own_device(writer: i64, n: i64) -> String {
    format!("own-{writer}-{}", n / 60)
}

/// Batch `n` of a writer: rows of its own, and rows in series that others write as well, one field here and another there.
fn rows(writer: i64, n: i64, rng: &mut Rng) -> Vec<Row> {
    let stamp = writer * 1_000_000 + n;
    let own = |k| Row {
        series: series(own_device(writer, n)),
        time: START + n * STEP + k,
        fields: fields(&[("batch", stamp), ("a", k), ("b", -k)]),
    };
    let mut rows: Vec<Row> = (0..rng.i64(1..6)).map(own).collect();
    for _ in 0..rng.u8(0..4) {
        let written = match rng.u8(0..3) {
            0 => fields(&[("a", stamp)]),
            1 => fields(&[("b", stamp)]),
            _ => fields(&[("batch", stamp), ("b", stamp)]),
        };
        let series = series(format!("shared-{}", rng.i64(0..SHARED)));
        rows.push(Row { series, time: START + rng.i64(0..SLOTS) * STEP, fields: written });
    }
    rows
}

fn write(world: &World, writer: i64, mut rng: Rng) -> Vec<Event> {
    let mut events = Vec::new();
    let mut n = 0;
    while n < BATCHES {
        let together = if rng.u8(0..5) == 0 { rng.i64(2..5) } else { 1 };
        let batches = (n..n + together).map(|n| rows(writer, n, &mut rng)).collect();
        events.extend(world.append(batches));
        n += together;
        world.progress[writer as usize].store(n, Ordering::Release);
    }
    events
}

/// Deletes what is old, now and then something new, and often in the series that everybody writes.
fn delete(world: &World, mut rng: Rng) -> Vec<Event> {
    let mut events = Vec::new();
    while !world.is_done() {
        world.wait_for(world.batches.load(Ordering::Acquire) + rng.i64(1..12));
        let writer = rng.i64(0..WRITERS);
        let written = world.progress[writer as usize].load(Ordering::Acquire);
        let slowest = world.progress.iter().map(|progress| progress.load(Ordering::Acquire)).min().unwrap_or(0);
        let (device, first, end) = match rng.u8(0..4) {
            0 => (None, SLOTS, slowest - RECENT),
            // The device exists: its last batch was acknowledged.
            1 if written > 0 => (Some(own_device(writer, written - 1)), written - rng.i64(1..20), written + 20),
            2 => (None, rng.i64(0..SLOTS), SLOTS),
            _ => (None, 0, rng.i64(1..SLOTS)),
        };
        let (start, end) = (START + first * STEP, START + end * STEP);
        if start >= end {
            continue;
        }
        let filters: Vec<_> = device.iter().map(|device| Filter::equal("device", device.as_str())).collect();
        let (span, ack) = timed(&world.ticks, || world.db.delete("t", &filters, TimeRange::new(start, end)));
        let sequence = ack.expect("deletes").sequence;
        events.push(Event { span, sequence, change: Change::Delete { device, start, end } });
    }
    events
}

fn change_schema(world: &World) -> Vec<Event> {
    add_columns(world, 1..=SCHEMA_CHANGES, |n| world.wait_for(n * WRITERS * BATCHES / (SCHEMA_CHANGES + 2)))
}

/// Adds columns, and at once writes a batch that needs them.
fn add_columns(world: &World, numbers: std::ops::RangeInclusive<i64>, wait: impl Fn(i64)) -> Vec<Event> {
    let mut events = Vec::new();
    for n in numbers {
        wait(n);
        let field = format!("field-{n}");
        let tags: Vec<String> = (n <= SCHEMA_CHANGES).then(|| format!("tag-{n}")).into_iter().collect();
        world.db.add_columns("t", &tags, &[(field.clone(), FieldType::Int64)]).expect("adds");
        let mut tagged = series("own-0-0".to_owned());
        tagged.extend(tags.into_iter().map(|tag| (tag, "x".to_owned())));
        let shared = series(format!("shared-{}", n % SHARED));
        let time = START + n % SLOTS * STEP;
        let rows = [tagged, shared].map(|series| Row { series, time, fields: fields(&[(&field, n), ("batch", n)]) });
        events.extend(world.append(vec![rows.to_vec()]));
    }
    events
}

fn keep_house(world: &World, mut rng: Rng) {
    while !world.is_done() {
        world.wait_for(world.batches.load(Ordering::Acquire) + rng.i64(20..120));
        if rng.bool() {
            world.db.seal().expect("seals");
        } else {
            world.db.compact().expect("compacts");
        }
    }
}

fn read(world: &World, mut rng: Rng) -> Observations {
    let mut observations = Observations::new();
    while !world.is_done() {
        let kind = rng.u8(0..6);
        let (span, answer) = timed(&world.ticks, || match kind {
            0 => Answer::Last(last_values(&world.db)),
            1 | 2 => totals(&world.db, if kind == 1 { "batch" } else { "b" }),
            3 => Answer::Rows(all_rows(&world.db, &Query::table("t").order(Order::TimeDescending))),
            _ => Answer::Rows(all_rows(&world.db, &Query::table("t"))),
        });
        observations.push(Observation { span, answer });
    }
    observations
}

fn all_rows(db: &Database, query: &Query) -> Rows {
    let mut rows = Rows::new();
    for batch in db.query(query).expect("a query") {
        for Row { series, time, fields } in read_rows(&batch.expect("answers")) {
            let twice = rows.insert((series, time), fields);
            assert_eq!(twice, None, "a row comes once");
        }
    }
    rows
}

fn last_values(db: &Database) -> BTreeMap<Series, (i64, Named<i64>)> {
    let batches = db.query(&Query::table("t").last()).expect("a query");
    batches.flat_map(|batch| read_rows(&batch.expect("answers"))).map(|row| (row.series, (row.time, row.fields))).collect()
}

/// The rows of a batch, whatever columns it has.
fn read_rows(batch: &RecordBatch) -> Vec<Row> {
    let mut rows = vec![Row { series: Series::new(), time: 0, fields: Named::new() }; batch.num_rows()];
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        for (at, row) in rows.iter_mut().enumerate().filter(|(at, _)| column.is_valid(*at)) {
            let name = field.name().clone();
            match column.data_type() {
                DataType::Timestamp(..) => row.time = column.as_primitive::<TimestampMicrosecondType>().value(at),
                DataType::Utf8 => drop(row.series.insert(name, column.as_string::<i32>().value(at).to_owned())),
                _ => drop(row.fields.insert(name, column.as_primitive::<Int64Type>().value(at))),
            }
        }
    }
    rows
}

fn totals(db: &Database, field: &str) -> Answer {
    let functions = [Aggregate::Count, Aggregate::Sum, Aggregate::Min, Aggregate::Max];
    let mut by_device: Named<Total> = BTreeMap::new();
    for batch in db.query(&Query::table("t").field(field).aggregate(functions).by("device")).expect("a query") {
        let batch = batch.expect("answers");
        let integers = |at: usize| batch.column(at).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let sum = batch.column(2).as_primitive::<Decimal128Type>().value(row) as i64;
            let total = (integers(1).value(row), sum, integers(3).value(row), integers(4).value(row));
            if total.0 > 0 {
                by_device.insert(batch.column(0).as_string::<i32>().value(row).to_owned(), total);
            }
        }
    }
    Answer::Totals { field: field.to_owned(), by_device }
}

/// What power cuts at random moments leave.
fn cut_power(world: &World, mut rng: Rng) -> Vec<(Span, MemoryDisk)> {
    let mut left = Vec::new();
    for cut in 0..4 {
        let quarter = WRITERS * BATCHES / 4;
        world.wait_for(cut * quarter + rng.i64(1..quarter));
        (0..rng.u32(0..200)).for_each(|_| thread::yield_now());
        left.push(timed(&world.ticks, || world.disk.after_power_cut()));
    }
    left
}

/// Lets all threads run until the writers are through.
fn run(world: &World, seed: u64) -> (History, Vec<(Span, MemoryDisk)>) {
    let rng = |thread: u64| Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(thread));
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|w| scope.spawn(move || write(world, w, rng(w as u64)))).collect();
        let readers: Vec<_> = (0..READERS).map(|r| scope.spawn(move || read(world, rng(10 + r)))).collect();
        let deleter = scope.spawn(move || delete(world, rng(20)));
        let changer = scope.spawn(move || change_schema(world));
        scope.spawn(move || keep_house(world, rng(30)));
        let cuts = scope.spawn(move || cut_power(world, rng(40)));
        let mut events = Vec::new();
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        world.done.store(true, Ordering::Release);
        ended.into_iter().for_each(|writer| events.extend(writer.expect("a writer")));
        events.extend(deleter.join().expect("the deleter"));
        events.extend(changer.join().expect("the changer of schemas"));
        let readers = readers.into_iter().map(|reader| reader.join().expect("a reader")).collect();
        (History { events, readers, cuts: Vec::new() }, cuts.join().expect("the power"))
    })
}

/// What is there after a power cut, and that nothing is damaged.
fn reopen(disk: MemoryDisk) -> Rows {
    let db = open(disk, 0, Settings { background: false, ..Settings::default() });
    let receipts = db.inspect().expect("inspects").receipts;
    assert!(receipts.iter().all(|receipt| receipt.receipt.file.contains("log")), "{receipts:?}");
    let problems = db.verify(&mut |_, _| {}).expect("verifies").problems;
    assert!(problems.is_empty(), "{problems:?}");
    all_rows(&db, &Query::table("t"))
}

#[test]
fn what_threads_see_has_one_explanation_and_power_cuts_take_nothing_seen() {
    let first = seed(7);
    for case in 0..cases(3) {
        println!("case {case}: ALLUVIUM_SEED={} ALLUVIUM_CASES=1", first + case);
        let world = World::new(&mut Rng::with_seed(first + case));
        let (mut history, cuts) = run(&world, first + case);
        let inspection = world.db.inspect().expect("inspects");
        let (span, rows) = timed(&world.ticks, || all_rows(&world.db, &Query::table("t")));
        history.readers.push(vec![Observation { span, answer: Answer::Rows(rows) }]);
        history.cuts.extend(cuts.into_iter().map(|(span, disk)| (span, reopen(disk))));
        let World { db, disk, ticks, .. } = world;
        let (span, left) = timed(&ticks, || disk.after_power_cut());
        history.cuts.push((span, reopen(left)));
        drop(db);
        let seen: Vec<_> = history.readers.iter().map(Vec::len).collect();
        println!("{} events, {seen:?} answers, {} segments", history.events.len(), inspection.tables[0].segments);
        history.check();
    }
}

/// A power cut after a seal that began while a table was made: its rows are in a segment or in the log.
#[test]
fn tables_made_while_a_seal_begins_keep_their_rows() {
    const TABLES: usize = 150;
    let disk = MemoryDisk::new();
    let db = open(disk.clone(), 20, Settings { background: false, log_file_bytes: 64 << 10, ..Settings::default() });
    let spec = |name: &str| TableSpec::new(name).field("v", FieldType::Int64);
    let mut rows = RowBuilder::new(db.create_table(spec("other")).expect("a new table"));
    rows.row(START).value("v", 1).expect("a value");
    let row = rows.finish().expect("a batch");
    let done = AtomicBool::new(false);
    let mut left = Vec::new();
    thread::scope(|scope| {
        let sealer = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                db.seal().expect("seals");
            }
        });
        for n in 0..TABLES {
            let name = format!("t{n}");
            // So that there is something to seal while the table is made.
            db.append("other", &row).expect("appends");
            db.create_table(spec(&name)).expect("a new table");
            db.append(&name, &row).expect("appends");
            left.push(disk.after_power_cut());
        }
        done.store(true, Ordering::Release);
        sealer.join().expect("the sealer");
    });
    for (n, disk) in left.into_iter().enumerate() {
        let db = open(disk, 0, Settings { background: false, ..Settings::default() });
        for table in n.saturating_sub(3)..=n {
            let batches = db.query(&Query::table(format!("t{table}"))).expect("a query");
            let rows: usize = batches.map(|batch| batch.expect("answers").num_rows()).sum();
            assert_eq!(rows, 1, "rows of table {table} when {n} was written");
        }
    }
}

/// Whoever sees a batch sees it with the columns that were added for it.
#[test]
fn rows_come_with_the_columns_added_for_them() {
    const COLUMNS: i64 = 60;
    let world = World::new(&mut Rng::with_seed(1));
    let asked = AtomicI64::new(0);
    let history = thread::scope(|scope| {
        let (world, asked) = (&world, &asked);
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(move || scan(world, asked))).collect();
        // Each while somebody begins to ask.
        let events = add_columns(world, 1..=COLUMNS, |_| {
            let before = asked.load(Ordering::Acquire);
            while asked.load(Ordering::Acquire) == before {
                thread::yield_now();
            }
        });
        world.done.store(true, Ordering::Release);
        let readers = readers.into_iter().map(|reader| reader.join().expect("a reader")).collect();
        History { events, readers, cuts: Vec::new() }
    });
    history.check();
}

/// All rows, by queries that take their time to begin.
fn scan(world: &World, asked: &AtomicI64) -> Observations {
    let devices = (0..SHARED).map(|n| format!("shared-{n}")).chain(["own-0-0".to_owned()]);
    let many: Vec<String> = devices.chain((0..20_000).map(|n| format!("none-{n}"))).collect();
    let query = Query::table("t").filter(Filter::one_of("device", many.iter().map(String::as_str)));
    let mut observations = Observations::new();
    while !world.is_done() {
        asked.fetch_add(1, Ordering::AcqRel);
        let (span, rows) = timed(&world.ticks, || all_rows(&world.db, &query));
        observations.push(Observation { span, answer: Answer::Rows(rows) });
    }
    observations
}
