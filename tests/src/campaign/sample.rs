//! A small database in which every kind of byte occurs, and what each of its records says.

use std::path::{Path, PathBuf};

use alluvium::{
    Database, FieldType, Filter, NewItem, Partitioning, Put, PutDocument, QueueSpec, Result, Settings, TableSpec, TimeRange,
};

use crate::answers;
use crate::documents::{self, Content, DocumentChange, IDS, PLAIN};
use crate::model::{Cell, Effect, Lasts, Model, Row, Span, Value};
use crate::queues::{PushedItem, QueueChange};
use crate::sim::{Image, Machine, small_settings};

/// Microseconds in a day: every segment holds a day of one table.
pub const DAY: i64 = 86_400_000_000;
/// Days with rows in segments, and one more whose rows lie in the log.
pub const DAYS: i64 = 3;
/// Seals before these days, and the days that they are of.
const ROUNDS: i64 = 4;
const EARLIER: i64 = -10;

const QUEUE: &str = "queue/0";

/// The database, closed in good order.
#[derive(Debug)]
pub struct Sample {
    /// What lies on disk.
    pub image: Image,
    /// Every record that says something about rows, by its number.
    records: Vec<(u64, Effect)>,
    tables: Vec<TableSpec>,
}

/// Settings under which the log stays short.
pub fn settings() -> Settings {
    Settings { log_file_bytes: 96 << 10, ballast_bytes: 0, ..small_settings() }
}

impl Sample {
    /// Makes it.
    pub fn make() -> Result<Sample> {
        let machine = Machine::new(11);
        let mut sample = Sample { image: Image::default(), records: Vec::new(), tables: tables() };
        let db = machine.open(settings())?;
        for table in tables() {
            db.create_table(table)?;
        }
        db.create_queue(&QueueSpec::new(QUEUE))?;
        sample.records.push((0, Effect::Queues(vec![(QUEUE.to_owned(), QueueChange::Create)], Vec::new())));
        db.collections().create(documents::spec(PLAIN)?)?;
        sample.records.push((0, Effect::Documents(vec![(PLAIN.to_owned(), DocumentChange::Create)], Vec::new())));
        db.close()?;
        // So that log files go, and what they held besides rows is kept in history.
        for round in 0..ROUNDS {
            let db = machine.open(settings())?;
            if round == 0 {
                sample.change_tables(&db)?;
            }
            sample.append_together(&db, EARLIER - round, &[("mains", 2)])?;
            sample.transact(&db, EARLIER - round)?;
            db.seal()?;
            db.close()?;
        }
        let db = machine.open(settings())?;
        for day in 0..DAYS {
            sample.append_together(&db, day, &[("air", 60), ("mains", if day == 1 { 1_060 } else { 8 })])?;
            sample.transact(&db, day)?;
            db.seal()?;
        }
        // The log goes on in a new file.
        db.close()?;
        let db = machine.open(settings())?;
        sample.append_together(&db, DAYS, &[("mains", 5), ("air", 9), ("mains", 7)])?;
        sample.transact(&db, DAYS)?;
        sample.delete(&db, "air", 2)?;
        db.close()?;
        sample.image = machine.disk.after_shutdown();
        Ok(sample)
    }

    /// What can be read without the records of some numbers, and without a day of a table.
    pub fn model(&self, is_lost: impl Fn(u64) -> bool) -> Model {
        let mut model = Model::default();
        self.tables.iter().for_each(|spec| model.apply(&Effect::Create(spec.clone())));
        let left = self.records.iter().filter(|(sequence, _)| !is_lost(*sequence));
        left.for_each(|(_, effect)| model.apply(effect));
        model
    }

    /// The same, but with every deletion.
    pub fn model_with_deletions(&self, is_lost: impl Fn(u64) -> bool) -> Model {
        let deletions: Vec<u64> =
            self.records.iter().filter(|(_, effect)| matches!(effect, Effect::Delete(..))).map(|(number, _)| *number).collect();
        self.model(|sequence| is_lost(sequence) && !deletions.contains(&sequence))
    }

    /// The numbers of its records, rising.
    pub fn sequences(&self) -> impl Iterator<Item = u64> {
        self.records.iter().map(|(sequence, _)| *sequence).filter(|sequence| *sequence > 0)
    }

    /// The files below a directory, with their lengths.
    pub fn files(&self, within: &str) -> Vec<(PathBuf, usize)> {
        let files = self.image.files.iter().filter(|(path, _)| path.starts_with(Path::new(crate::sim::ROOT).join(within)));
        files.map(|(path, content)| (path.clone(), content.len())).collect()
    }

    /// A table that is dropped with its rows, and one that gets another name.
    fn change_tables(&mut self, db: &Database) -> Result<()> {
        let spec = TableSpec::new("dropped").tag("phase").field("volt", FieldType::Int64);
        db.create_table(spec.clone())?;
        let cells = vec![Some(Cell::Integer(7))];
        let rows = vec![Row { key: vec![Some("L1".to_owned())], time: 0, cells }];
        db.append("dropped", &answers::batch(&*db.table("dropped")?, &rows))?;
        db.drop_table("dropped")?;
        db.rename_table("unnamed", "mains")?;
        let put = Effect::Put("dropped".to_owned(), rows);
        let rename = Effect::Rename("unnamed".to_owned(), "mains".to_owned());
        let effects = [Effect::Create(spec), put, Effect::DropTable("dropped".to_owned()), rename];
        self.records.extend(effects.map(|effect| (0, effect)));
        Ok(())
    }

    /// Several records in one group.
    fn append_together(&mut self, db: &Database, day: i64, parts: &[(&str, i64)]) -> Result<()> {
        let parts: Vec<_> = parts.iter().map(|&(table, count)| (table, rows(table, day, count))).collect();
        let batches =
            parts.iter().map(|(table, rows)| Ok(answers::batch(&*db.table(table)?, rows))).collect::<Result<Vec<_>>>()?;
        let pairs: Vec<_> = parts.iter().map(|(table, _)| *table).zip(&batches).collect();
        for (ack, (table, rows)) in db.append_all(&pairs)?.into_iter().zip(parts) {
            self.records.push((ack.sequence, Effect::Put(table.to_owned(), rows)));
        }
        Ok(())
    }

    /// Pairs, an item of a queue, a document and rows in one record. The catalog, which holds all but the rows too, makes up for that one's loss.
    fn transact(&mut self, db: &Database, day: i64) -> Result<()> {
        let rows = rows("air", day, 63).split_off(60);
        let batch = answers::batch(&*db.table("air")?, &rows);
        let mut transaction = db.begin()?;
        let mut pairs = Vec::new();
        for number in 0..6 {
            let value = Value { bytes: vec![day as u8; 12], lasts: Lasts::Forever };
            let key = format!("day/{day}/{number}");
            transaction.kv().put(&key, &value.bytes, Put::default())?;
            pairs.push((key, Some(value)));
        }
        transaction.queue(QUEUE).push(NewItem::new(vec![day as u8; 30]).priority(1))?;
        let content = Content { n: Some(day), u: Some(format!("day {day}")), text: "day".repeat(8), ..Content::default() };
        let id = format!("id/{}", day.rem_euclid(IDS.into()));
        transaction.collection(PLAIN).put(&id, &content.json(), PutDocument::default())?;
        transaction.append("air", &batch)?;
        let sequence = transaction.commit()?;
        self.records.push((0, Effect::Transact(pairs, Vec::new(), Vec::new())));
        let item = PushedItem { payload: vec![day as u8; 30], priority: 1, key: None, never_due: false };
        self.records.push((0, Effect::Queues(vec![(QUEUE.to_owned(), QueueChange::Push(vec![item]))], Vec::new())));
        let put = DocumentChange::Put(id, content, Lasts::Forever);
        self.records.push((0, Effect::Documents(vec![(PLAIN.to_owned(), put)], Vec::new())));
        self.records.push((sequence, Effect::Put("air".to_owned(), rows)));
        Ok(())
    }

    /// Takes away the second hour of a day of one room.
    fn delete(&mut self, db: &Database, table: &str, day: i64) -> Result<()> {
        let range = TimeRange::new(day * DAY, day * DAY + 3_600_000_000);
        let ack = db.delete(table, &[Filter::equal("room", "A")], range)?;
        self.records.push((
            ack.sequence,
            Effect::Delete(Span { table: table.to_owned(), first_tag: Some("A".to_owned()), start: range.start, end: range.end }),
        ));
        Ok(())
    }
}

fn tables() -> Vec<TableSpec> {
    vec![
        TableSpec::new("air")
            .tag("room")
            .tag("floor")
            .field("co2", FieldType::Float64)
            .field("count", FieldType::Int64)
            .field("note", FieldType::Utf8)
            .field("open", FieldType::Bool)
            .partitioning(Partitioning::Day),
        TableSpec::new("unnamed")
            .tag("phase")
            .field("volt", FieldType::Decimal { scale: 1 })
            .field("amp", FieldType::Float32)
            .field("raw", FieldType::Binary)
            .partitioning(Partitioning::Day),
    ]
}

fn rows(table: &str, day: i64, count: i64) -> Vec<Row> {
    (0..count).map(|n| if table == "air" { air(day, n) } else { mains(day, n) }).collect()
}

fn air(day: i64, n: i64) -> Row {
    let room = ["A", "B", "C"][n as usize % 3].to_owned();
    let cells = vec![
        (n % 7 != 0).then(|| Cell::Float((400.0 + (n * n % 211) as f64 * 0.5).to_bits())),
        Some(Cell::Integer(n * day)),
        (n % 5 != 0).then(|| Cell::Text(format!("note {}", n % 4))),
        Some(Cell::Flag(n % 2 == 0)),
    ];
    Row { key: vec![Some(room), (n % 2 == 0).then(|| "2".to_owned())], time: day * DAY + n * 60_000_000, cells }
}

fn mains(day: i64, n: i64) -> Row {
    let phase = format!("L{}", n % 2);
    let cells = vec![
        Some(Cell::Decimal(2_300 + n * 37 % 50)),
        Some(Cell::Single((n as f32 * 0.1).to_bits())),
        (n % 3 == 0).then(|| Cell::Bytes(vec![n as u8, day as u8])),
    ];
    Row { key: vec![Some(phase)], time: day * DAY + n * 10_000_000, cells }
}
