//! Those who use a database: writers in order, late and twice, many series at once, deleters, schema changers, housekeepers.

mod documents;
mod queues;

use std::collections::BTreeSet;

use alluvium::io::Clock;
use alluvium::model::TimeUnit;
use alluvium::{BackgroundStep, FieldType, Partitioning, TableSpec};
use fastrand::Rng;

use crate::model::{Cell, Columns, Effect, Key, Lasts, Model, Row, Span, Table, Value};
use crate::sim::{FLEETING, SimClock};
use crate::steps::Step;

/// 2023-11-14T22:13:20Z, in seconds.
const START: i64 = 1_700_000_000;
/// Columns that a schema changer adds to a table at most.
const MOST_COLUMNS: usize = 12;
/// Tags that a table has at most then. With each there are three times as many series, which stay for good.
const MOST_TAGS: usize = 3;

/// How large things are.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Rows of a usual batch, at most.
    pub batch: usize,
    /// Rows of a large batch, at most.
    pub burst: usize,
    /// Rows of a table above which half of them are deleted.
    pub table: usize,
}

/// A kind of step that makes, renames or drops a table.
pub const TABLES: u8 = 65;
/// A kind of step that lets go of the oldest partitions of a table.
pub const EVICTIONS: u8 = 97;
/// Of a partition of that table, in microseconds.
const HOUR: i64 = 3_600_000_000;
/// Names of tables that come and go.
const PASSING: [&str; 3] = ["passing/0", "passing/1", "passing/2"];

/// Those that are there.
fn passing(model: &Model) -> Vec<&String> {
    model.tables.keys().filter(|name| PASSING.contains(&name.as_str())).collect()
}

/// The older half of the partitions of the table whose rows go by their age.
fn older_half(model: &Model) -> Vec<Span> {
    let hours: BTreeSet<_> = model.tables[FLEETING].all().map(|row| row.time.div_euclid(HOUR)).collect();
    let half = hours.len().div_ceil(2);
    let span = |hour: i64| Span { table: FLEETING.to_owned(), first_tag: None, start: hour * HOUR, end: (hour + 1) * HOUR };
    hours.into_iter().take(half).map(span).collect()
}

/// Decides what is done next.
#[derive(Debug)]
pub struct Actors {
    rng: Rng,
    scale: Scale,
    /// The time that ordered writers have reached, in seconds.
    now: i64,
}

/// The tables there always are, to be made first.
pub fn tables() -> Vec<TableSpec> {
    vec![
        TableSpec::new("meters")
            .tag("device")
            .tag("site")
            .field("f", FieldType::Float64)
            .field("i", FieldType::Int64)
            .field("s", FieldType::Utf8)
            .field("b", FieldType::Bool)
            .field("d", FieldType::Decimal { scale: 2 }),
        TableSpec::new("slow")
            .field("g", FieldType::Float32)
            .field("u", FieldType::UInt64)
            .field("x", FieldType::Binary)
            .time_unit(TimeUnit::Milli)
            .partitioning(Partitioning::Day),
        TableSpec::new("many")
            .tag("id")
            .field("v", FieldType::Float64)
            .time_unit(TimeUnit::Nano)
            .partitioning(Partitioning::Hour),
        // Nobody deletes rows of it: what goes first is seen in the model then.
        TableSpec::new(FLEETING).tag("id").field("n", FieldType::Int64).partitioning(Partitioning::Hour),
    ]
}

impl Actors {
    /// Actors that do the same for the same seed and the same model.
    pub fn new(seed: u64, scale: Scale) -> Self {
        Actors { rng: Rng::with_seed(seed), scale, now: START }
    }

    /// The time that ordered writers have reached, in seconds.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// What is done next to a database that holds what the model holds.
    pub fn next(&mut self, model: &Model, clock: &SimClock) -> Step {
        let what = self.rng.u8(0..100);
        self.of_kind(what, model, clock)
    }

    /// Does the same from here on for the same seed.
    pub fn reseed(&mut self, seed: u64) {
        self.rng = Rng::with_seed(seed);
    }

    /// What is done next, its kind chosen by a number below 100.
    pub fn of_kind(&mut self, what: u8, model: &Model, clock: &SimClock) -> Step {
        match what {
            0..=29 => self.write(model),
            30..=34 => self.transact(model),
            35..=38 => self.use_queues(model),
            39..=42 => self.use_documents(model),
            43..=45 => self.write_twice(model),
            46..=49 => Step::WriteMany((0..self.rng.usize(2..5)).map(|_| self.batch(model)).collect()),
            50..=57 => {
                let (table, rows) = self.batch(model);
                Step::Buffer(table, rows)
            }
            58..=60 => Step::Flush,
            61..=63 => self.delete(model),
            64..=TABLES => self.change_tables(model),
            66..=67 => self.extend(model),
            68..=85 => Step::Background(BackgroundStep::ALL[self.rng.usize(0..BackgroundStep::ALL.len())]),
            86..=90 => Step::Seal,
            91..=92 => Step::Compact,
            93..=94 => Step::Pass(self.rng.u64(0..7_200_000_000)),
            95 => Step::SetClock(clock.wall_micros() + self.rng.i64(-86_400_000_000..86_400_000_000)),
            96 => Step::LoseCatalog,
            EVICTIONS => self.evict(model),
            _ => Step::Reopen,
        }
    }

    fn evict(&mut self, model: &Model) -> Step {
        let mut oldest = older_half(model);
        if oldest.is_empty() {
            return self.write(model);
        }
        oldest.truncate(self.rng.usize(1..=oldest.len()));
        Step::Evict(oldest)
    }

    /// A table that has grown beyond its bound loses its older half.
    pub fn bound(&mut self, model: &Model) -> Option<Step> {
        let (name, table) = model.tables.iter().find(|(_, table)| table.len() > self.scale.table)?;
        if name == FLEETING {
            return Some(Step::Evict(older_half(model)));
        }
        let mut times: Vec<_> = table.all().map(|row| row.time).collect();
        times.sort_unstable();
        let (start, end) = (i64::MIN / 4, times[times.len() / 2]);
        Some(Step::Write(Effect::Delete(Span { table: name.clone(), first_tag: None, start, end })))
    }

    fn table<'m>(&mut self, model: &'m Model) -> (&'m String, &'m Table) {
        let others = passing(model);
        let name = match self.rng.u8(0..12) {
            0..=5 => "meters",
            6..=7 => "many",
            8..=9 => "slow",
            _ => others.get(self.rng.usize(0..PASSING.len())).map_or("slow", |name| name.as_str()),
        };
        model.tables.get_key_value(name).expect("a table that there always is")
    }

    /// A table to write to.
    fn written<'m>(&mut self, model: &'m Model) -> (&'m String, &'m Table) {
        let fleeting = model.tables.get_key_value(FLEETING).filter(|_| self.rng.u8(0..8) == 0);
        fleeting.unwrap_or_else(|| self.table(model))
    }

    /// Makes, renames, extends or drops one of the tables that come and go.
    fn change_tables(&mut self, model: &Model) -> Step {
        let there = passing(model);
        let free: Vec<&str> = PASSING.into_iter().filter(|name| !model.tables.contains_key(*name)).collect();
        let one = (!there.is_empty()).then(|| there[self.rng.usize(0..there.len())].clone());
        let other = (!free.is_empty()).then(|| free[self.rng.usize(0..free.len())].to_owned());
        Step::Write(match (one, other, self.rng.u8(0..6)) {
            (Some(one), Some(other), 0..=1) => Effect::Rename(one, other),
            (Some(one), None, _) | (Some(one), _, 2..=3) => Effect::DropTable(one),
            (_, Some(other), _) => {
                Effect::Create(TableSpec::new(other).tag("id").field("n", FieldType::Int64).field("s", FieldType::Utf8))
            }
            (None, None, _) => unreachable!("a name is taken or free"),
        })
    }

    fn write(&mut self, model: &Model) -> Step {
        let (table, rows) = self.batch(model);
        Step::Write(Effect::Put(table, rows))
    }

    /// Pairs, one or several, sometimes with rows; or a counter.
    fn transact(&mut self, model: &Model) -> Step {
        if self.rng.u8(0..4) == 0 {
            return Step::Write(Effect::Count(format!("count/{}", self.rng.u8(0..5)), self.rng.i64(-9..10)));
        }
        let pairs = (0..self.rng.usize(1..6)).map(|_| self.pair()).collect();
        let rows = if self.rng.bool() { Vec::new() } else { vec![self.batch(model)] };
        let deletions = if self.rng.u8(0..3) > 0 { Vec::new() } else { vec![self.span(model)] };
        Step::Write(Effect::Transact(pairs, rows, deletions))
    }

    fn pair(&mut self) -> (String, Option<Value>) {
        let lasts = match self.rng.u8(0..12) {
            0..=2 => return (format!("key/{}", self.rng.u8(0..60)), None),
            3 => Lasts::NotAtAll,
            4..=6 => Lasts::Long,
            _ => Lasts::Forever,
        };
        let most = if self.rng.u8(0..20) == 0 { 9_000 } else { 40 };
        let bytes = (0..self.rng.usize(0..most)).map(|_| self.rng.u8(..)).collect();
        (format!("key/{}", self.rng.u8(0..60)), Some(Value { bytes, lasts }))
    }

    fn batch(&mut self, model: &Model) -> (String, Vec<Row>) {
        let (name, table) = self.written(model);
        let rows = match self.rng.u8(0..20) {
            0 => self.rng.usize(1..=self.scale.burst),
            1..=12 => self.rng.usize(1..=self.scale.batch.div_ceil(5)),
            _ => self.rng.usize(1..=self.scale.batch),
        };
        let unit = table.time_unit.per_second();
        (name.clone(), (0..rows).map(|_| self.row(name, &table.columns, unit)).collect())
    }

    fn row(&mut self, table: &str, columns: &Columns, per_second: i64) -> Row {
        let seconds = match self.rng.u8(0..20) {
            // Late, some of it onto times already written.
            0 => self.now - self.rng.i64(0..5_000),
            1 => self.now - 3_600 * self.rng.i64(0..500),
            _ => {
                self.now += self.rng.i64(0..3);
                self.now
            }
        };
        let key = columns.tags.iter().enumerate().map(|(position, _)| self.tag(table, position)).collect();
        Row { key, time: seconds * per_second, cells: self.cells(columns) }
    }

    fn tag(&mut self, table: &str, position: usize) -> Option<String> {
        match (table, position, self.rng.u8(0..12)) {
            ("many", 0, _) => Some(format!("series-{}", self.rng.u16(0..400))),
            (_, 0, 0) => None,
            (_, 0, 1) => Some(String::new()),
            (_, 0, n) => Some(format!("dev-{n}")),
            (_, _, n) => (n < 4).then(|| format!("north-{}", n / 2)),
        }
    }

    fn cells(&mut self, columns: &Columns) -> Vec<Option<Cell>> {
        columns.fields.iter().map(|(_, kind)| (self.rng.u8(0..6) != 0).then(|| self.cell(*kind))).collect()
    }

    fn cell(&mut self, kind: FieldType) -> Cell {
        let rng = &mut self.rng;
        match kind {
            FieldType::Float64 => Cell::Float(match rng.u8(0..20) {
                0 => f64::NAN.to_bits() | rng.u64(0..1 << 51),
                1 => (-0.0_f64).to_bits(),
                2 => f64::INFINITY.to_bits(),
                3..=12 => (f64::from(rng.i32(-5_000..5_000)) / 100.0).to_bits(),
                _ => (rng.f64() * 1e6).to_bits(),
            }),
            FieldType::Float32 => Cell::Single((rng.f32() * 100.0).to_bits()),
            FieldType::Int64 => Cell::Integer(if rng.u8(0..10) == 0 { rng.i64(..) } else { rng.i64(0..1_000) }),
            FieldType::UInt64 => Cell::Unsigned(if rng.u8(0..10) == 0 { rng.u64(..) } else { rng.u64(0..1_000) }),
            FieldType::Bool => Cell::Flag(rng.bool()),
            FieldType::Utf8 => {
                Cell::Text(["", "ok", "warn", "a longer text with, commas \"and\" quotes"][rng.usize(0..4)].to_owned())
            }
            FieldType::Binary => Cell::Bytes((0..rng.usize(0..9)).map(|_| rng.u8(..)).collect()),
            FieldType::Decimal { .. } => Cell::Decimal(rng.i64(-100_000..100_000)),
        }
    }

    /// Other values for keys and times that are there.
    fn write_twice(&mut self, model: &Model) -> Step {
        let (name, table) = self.written(model);
        if table.is_empty() {
            return self.write(model);
        }
        let first = self.rng.usize(0..table.len());
        let places: Vec<(Key, i64)> = (first..table.len().min(first + 20)).filter_map(|n| table.place(n).cloned()).collect();
        let rows = places.into_iter().map(|(key, time)| Row { key, time, cells: self.cells(&table.columns) });
        Step::Write(Effect::Put(name.clone(), rows.collect()))
    }

    fn delete(&mut self, model: &Model) -> Step {
        Step::Write(Effect::Delete(self.span(model)))
    }

    fn span(&mut self, model: &Model) -> Span {
        let (name, table) = self.table(model);
        let per_second = table.time_unit.per_second();
        let start = (self.now - self.rng.i64(0..4_000)) * per_second;
        let end = start + self.rng.i64(1..400) * per_second;
        let one = (!table.columns.tags.is_empty() && self.rng.bool()).then(|| self.tag(name, 0)).flatten();
        Span { table: name.clone(), first_tag: one, start, end }
    }

    fn extend(&mut self, model: &Model) -> Step {
        let (name, table) = self.table(model);
        let Columns { tags, fields } = &table.columns;
        if tags.len() + fields.len() >= MOST_COLUMNS {
            return self.write(model);
        }
        let number = tags.len() + fields.len();
        let mut more = Columns::default();
        if (1..MOST_TAGS).contains(&tags.len()) && self.rng.bool() {
            more.tags.push(format!("tag-{number}"));
        }
        if more.tags.is_empty() || self.rng.bool() {
            let kind = [FieldType::Float64, FieldType::Utf8, FieldType::Decimal { scale: 4 }][self.rng.usize(0..3)];
            more.fields.push((format!("field-{number}"), kind));
        }
        Step::Write(Effect::Extend(name.clone(), more))
    }
}
