//! A database opened on a log of anything at all.
//!
//! The input is a list of steps that build log files: frames with any payload, groups, further files, and damage done to their
//! bytes afterwards. All checksums but those of damaged bytes are right. The database opens or says what is damaged; once it is
//! open, every answer stays the same whatever is done to it: reopening, sealing, compacting.

use std::path::{Path, PathBuf};

use alluvium::internals::{Frame, Group, LogFile};
use alluvium::io::{Disk, MemoryDisk, OpenMode};
use alluvium::record::{Record, RecordKind};
use alluvium::{Aggregate, Database, Error, FieldType, OnDamage, Order, Query, RowBuilder, TableSchema, TableSpec};
use alluvium_server::internals::{Form, write};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};

use crate::input::Input;
use crate::world::{self, ROOT};

/// First byte of an input: a catalog is there already, empty.
pub const WITH_CATALOG: u8 = 1;
/// First byte of an input: damage is refused.
pub const STRICT: u8 = 2;

/// A step: a frame of the kind in the low four bits; the payload follows, its length before it.
pub const FRAME: u8 = 0x00;
/// A step: the same, a repeated definition.
pub const CONTEXT: u8 = 0x10;
/// A step: a new group; what it says is durable follows.
pub const GROUP: u8 = 0x20;
/// A step: the last group says that the log was closed.
pub const CLOSE: u8 = 0x30;
/// A step: a new file; what is missing before it follows, as a signed number.
pub const FILE: u8 = 0x40;
/// A step: a byte of a file is changed; the file, the place and the change follow.
pub const CHANGE: u8 = 0x50;
/// A step: a file is cut short; the file and its length follow.
pub const CUT: u8 = 0x60;

/// A table that no input has.
const FRESH: &str = "a table that was not there";
/// Series of a table at most.
const MOST_SERIES: u32 = 1 << 12;

/// One input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let start = input.byte();
    let Some(disk) = disk_with(&build(input), start & WITH_CATALOG != 0) else { return };
    let on_damage = if start & STRICT != 0 { OnDamage::Refuse } else { OnDamage::Receipt };
    match world::open(&disk, on_damage) {
        // A seal that lies about its segments may well change answers.
        Ok(db) => live(&disk, db, on_damage, !speaks_of_segments(input)),
        Err(error) => assert!(matches!(error, Error::Damaged { .. } | Error::Version { .. }), "{error:?}"),
    }
}

/// What speaks of segments.
const SEGMENTS: [RecordKind; 3] = [RecordKind::Sealed, RecordKind::Compacted, RecordKind::Evicted];

/// Whether a frame claims that there are segments, or that there is no need to read what they hold.
fn speaks_of_segments(mut input: Input<'_>) -> bool {
    while !input.is_empty() {
        let step = input.byte();
        match step & 0x70 {
            FRAME | CONTEXT if SEGMENTS.map(RecordKind::code).contains(&(step & 0x0f)) => return true,
            FRAME | CONTEXT => drop(input.sized()),
            GROUP | FILE => drop(input.byte()),
            CLOSE => {}
            CHANGE => drop(input.take(4)),
            _ => drop(input.take(3)),
        }
    }
    false
}

type Files = Vec<(String, Vec<u8>)>;

/// Files as the steps say.
fn build(mut input: Input<'_>) -> Files {
    let mut files = vec![LogFile { number: 1, first: 1, salt: 0x5eed, groups: Vec::new() }];
    let (mut changes, mut next) = (Vec::new(), 1_u64);
    while !input.is_empty() {
        let step = input.byte();
        let file = files.last_mut().expect("there is always a file");
        match step & 0x70 {
            FRAME | CONTEXT => {
                let flags = u8::from(step & 0x70 == CONTEXT);
                let frame = Frame { kind: step & 0x0f, flags, payload: input.sized().to_vec() };
                if is_crowded(&frame) {
                    continue;
                }
                if file.groups.is_empty() {
                    file.groups.push(Group::default());
                }
                file.groups.last_mut().expect("a group").frames.push(frame);
                next += u64::from(flags == 0);
            }
            GROUP => file.groups.push(Group { durable: input.byte().into(), ..Group::default() }),
            CLOSE => file.groups.iter_mut().next_back().into_iter().for_each(|group| group.close = true),
            FILE => {
                let gap = input.byte().cast_signed();
                next = next.saturating_add_signed(gap.into());
                let number = file.number + 1 + u64::from(gap < 0);
                files.push(LogFile { number, first: next, salt: 0x5eed + number, groups: Vec::new() });
            }
            CHANGE => changes.push((input.byte(), input.half(), Some(input.byte()))),
            _ => changes.push((input.byte(), input.half(), None)),
        }
    }
    let mut files: Files =
        files.iter().map(|file| (file.name(), file.bytes().expect("frames are smaller than inputs"))).collect();
    for (file, place, change) in changes {
        let count = files.len();
        let bytes = &mut files[usize::from(file) % count].1;
        match change {
            Some(change) => bytes.get_mut(usize::from(place)).into_iter().for_each(|byte| *byte ^= change),
            None => bytes.truncate(place.into()),
        }
    }
    files
}

/// Whether a record names so high a series that all before it, which are there with it, take more memory than is given here.
fn is_crowded(frame: &Frame) -> bool {
    let highest = match Record::decode(frame.kind, &frame.payload) {
        Ok(Record::PutRows { block, .. }) => block.series.iter().copied().max().unwrap_or(0),
        Ok(Record::CreateSeries { first, keys, .. }) => first.0 + keys.len() as u32,
        _ => 0,
    };
    highest > MOST_SERIES
}

/// A disk with a database directory in which there is this log.
fn disk_with(files: &Files, with_catalog: bool) -> Option<MemoryDisk> {
    let mut disk = MemoryDisk::new();
    let log = PathBuf::from(ROOT).join("log");
    if with_catalog {
        world::open(&disk, OnDamage::Refuse).and_then(Database::close).expect("a new database");
        disk = disk.after_power_cut();
        for path in disk.paths().iter().filter(|path| path.starts_with(&log)) {
            disk.remove(path).ok()?;
        }
    } else {
        disk.create_dir_all(&log).ok()?;
        disk.create_dir_all(&Path::new(ROOT).join("segments")).ok()?;
    }
    for (name, bytes) in files {
        disk.open(&log.join(name), OpenMode::CreateNew).and_then(|file| file.write_all_at(0, bytes)).ok()?;
    }
    Some(disk)
}

/// Whatever is done to an open database, its answers stay the same.
fn live(disk: &MemoryDisk, db: Database, on_damage: OnDamage, steady: bool) {
    let before = answers(&db);
    let same = |db: &Database, when| {
        let after = answers(db);
        if steady && sound(&before) && sound(&after) {
            assert_eq!(before, after, "{when}");
        }
    };
    db.inspect().expect("whatever is open can be inspected");
    db.verify(&mut |_, _| {}).expect("whatever is open can be verified");
    drop(db);
    let Some(db) = reopen(disk, on_damage) else { return };
    same(&db, "reopened");
    if done(db.seal()) {
        same(&db, "sealed");
    }
    if done(db.compact()) {
        same(&db, "compacted");
    }
    if !outlive_the_log(&db) {
        return;
    }
    drop(db);
    let Some(db) = reopen(disk, on_damage) else { return };
    same(&db, "sealed, the log let go, and reopened");
    let report = db.verify(&mut |_, _| {}).expect("whatever is open can be verified");
    if steady && sound(&before) {
        let damaged: Vec<_> = report.problems.iter().filter(|problem| !is_of_changes(&problem.file)).collect();
        assert!(damaged.is_empty(), "{damaged:?}");
    }
}

/// What the log lost, history has lost as well.
fn is_of_changes(file: &str) -> bool {
    file.starts_with("log") || file.starts_with("history")
}

/// Writes and seals until the log so far is needed no more.
fn outlive_the_log(db: &Database) -> bool {
    let Ok(schema) = db.create_table(TableSpec::new(FRESH).field("f", FieldType::Int64)) else { return false };
    (0..3).all(|round| {
        let mut rows = RowBuilder::new(schema.clone());
        rows.row(round).value("f", round).expect("a sound row");
        let rows = rows.finish().expect("sound rows");
        done(db.append(FRESH, &rows).and_then(|_| db.seal()))
    })
}

/// Whether a step was taken; all that may stand in its way is damage.
fn done<T>(outcome: alluvium::Result<T>) -> bool {
    done_with(outcome).is_ok()
}

fn sound(answers: &Answers) -> bool {
    answers.iter().all(|(_, answer)| answer.is_ok())
}

/// What opened once opens again. A strict opening may refuse what the first has reported since.
fn reopen(disk: &MemoryDisk, on_damage: OnDamage) -> Option<Database> {
    match world::open(disk, on_damage) {
        Ok(db) => Some(db),
        Err(Error::Damaged { .. }) if on_damage == OnDamage::Refuse => None,
        Err(error) => panic!("what opened once does not open again: {error}"),
    }
}

fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Damaged { .. })
}

type Answers = Vec<(String, Result<Vec<String>, ()>)>;

/// All rows of all tables, counted in several ways.
fn answers(db: &Database) -> Answers {
    let tables = db.tables();
    let tables = tables.iter().filter(|schema| schema.name != FRESH);
    tables.map(|schema| (schema.name.clone(), done_with(rows(db, schema)))).collect()
}

fn done_with<T>(outcome: alluvium::Result<T>) -> Result<T, ()> {
    outcome.map_err(|error| assert!(is_damage(&error), "{error:?}"))
}

/// Each row as text.
fn rows(db: &Database, schema: &TableSchema) -> alluvium::Result<Vec<String>> {
    let table = Query::table(&schema.name);
    let all = batches(db, &table)?;
    let by_time = count(&batches(db, &table.clone().order(Order::TimeDescending))?);
    let last = count(&batches(db, &table.clone().last())?);
    let rows = count(&all);
    assert_eq!(by_time, rows, "rows by time");
    assert!(last <= rows && (last > 0) == (rows > 0), "{last} last values of {rows} rows");
    // Counted from statistics where there are some.
    let counts = if schema.fields.is_empty() { Vec::new() } else { batches(db, &table.aggregate([Aggregate::Count]))? };
    for field in &schema.fields {
        let present = |batch: &RecordBatch| batch.column_by_name(&field.name).map_or(0, |array| array.len() - array.null_count());
        let counted = counts.iter().map(|batch| count_in(batch, &field.name)).sum::<u64>();
        assert_eq!(counted, all.iter().map(present).sum::<usize>() as u64, "values of {:?}", field.name);
    }
    let text = write(Form::JsonLines, schema, &all).expect("every answer can be written");
    Ok(String::from_utf8(text).expect("JSON is UTF-8").lines().map(str::to_owned).collect())
}

fn batches(db: &Database, query: &Query) -> alluvium::Result<Vec<RecordBatch>> {
    db.query(query)?.collect()
}

fn count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

fn count_in(batch: &RecordBatch, field: &str) -> u64 {
    let column = batch.column_by_name(&format!("count({field})")).expect("a count of every field");
    let counts = cast(column, &DataType::UInt64).expect("a count is a number");
    counts.as_primitive::<UInt64Type>().iter().flatten().sum()
}
