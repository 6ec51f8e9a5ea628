//! The life of a gateway, small and full of incident: rows, some late, deletions, metadata, tables that come and go, hours that are let go of.

use std::time::Duration;

use alluvium::{FieldType, Partitioning, TableSpec};
use fastrand::Rng;

use crate::documents::{Content, DocumentChange, PLAIN};
use crate::model::{Cell, Columns, Effect, Lasts, Model, Row, Span, Value};
use crate::steps::Step;

/// Stretches of it, each of which a worker follows.
pub const STRETCHES: usize = 6;
/// When it begins: 2026-01-01, ten o'clock.
pub const BEGIN: i64 = 1_767_261_600_000_000;
const HOUR: i64 = 3_600_000_000;

const AIR: &str = "air";
const SOIL: &str = "soil";
const GONE: &str = "gone";
/// What [`AIR`] is called later.
const CLIMATE: &str = "climate";

/// Something that a gateway does.
#[derive(Debug, Clone)]
pub enum Deed {
    /// What any database knows.
    Step(Step),
    /// Lets go of what is older than a moment, as far as it may, for which the clock is set ahead. Rows may come just before, late, so that they
    /// lie in no segment yet.
    Evict(i64, Option<Effect>),
}

impl From<Step> for Deed {
    fn from(step: Step) -> Self {
        Deed::Step(step)
    }
}

/// How a worker is let run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Until everything is sent.
    Once,
    /// For so long, in which it sends what is worth it by then.
    For(Duration),
}

/// What happens before a worker runs, and how it runs.
pub fn stretch(number: usize, model: &Model, seed: u64) -> (Vec<Deed>, Run) {
    let mut make = Make { random: Rng::with_seed(seed ^ (number as u64) << 32) };
    let some_minutes = Run::For(Duration::from_secs(20 * 60));
    let (evicted, mut steps, run) = match number {
        0 => (None, make.beginning(), Run::Once),
        1 => (Some(make.evict(AIR, -3)), make.late_and_early(), some_minutes),
        2 => (Some(make.evict(AIR, -2)), make.deletions(), Run::Once),
        3 => (Some(make.evict(CLIMATE, -1)), make.more(), some_minutes),
        4 => (Some(make.evict(CLIMATE, 2)), make.end(), Run::Once),
        _ => (Some(make.evict(CLIMATE, 4)), vec![make.document("id/1")], Run::Once),
    };
    // It may have been dropped early.
    let is_gone = number > 0 && !model.tables.contains_key(GONE);
    steps.retain(|step| !(is_gone && is_of_gone(step)));
    (evicted.into_iter().chain(steps.into_iter().map(Deed::from)).collect(), run)
}

fn is_of_gone(step: &Step) -> bool {
    matches!(step, Step::Write(Effect::Put(table, _) | Effect::DropTable(table)) if table == GONE)
}

/// What happens while a call takes hours.
pub fn meanwhile(model: &Model, seed: u64) -> Vec<Deed> {
    let mut make = Make { random: Rng::with_seed(seed) };
    let table = if model.tables.contains_key(AIR) { AIR } else { CLIMATE };
    let hour = make.random.i64(-4..1);
    let mut steps = vec![make.rows(table, hour, 12), make.document("id/2"), Step::Seal];
    steps.push(delete(table, None, hour - 1, hour));
    if model.tables.contains_key(GONE) && make.random.bool() {
        steps.push(Step::Write(Effect::DropTable(GONE.to_owned())));
    }
    steps.extend([Step::Pass(2 * HOUR as u64), Step::Compact]);
    let evicted = make.random.bool().then(|| make.evict(table, hour));
    steps.into_iter().map(Deed::from).chain(evicted).collect()
}

struct Make {
    random: Rng,
}

fn create(spec: TableSpec) -> Step {
    Step::Write(Effect::Create(spec))
}

fn delete(table: &str, first_tag: Option<&str>, from: i64, to: i64) -> Step {
    let (table, first_tag) = (table.to_owned(), first_tag.map(str::to_owned));
    Step::Write(Effect::Delete(Span { table, first_tag, start: BEGIN + from * HOUR, end: BEGIN + to * HOUR }))
}

impl Make {
    fn beginning(&mut self) -> Vec<Step> {
        let hourly = |name: &str| TableSpec::new(name).tag("room").field("v", FieldType::Int64).partitioning(Partitioning::Hour);
        let daily = TableSpec::new(SOIL).tag("plot").field("v", FieldType::Int64).field("note", FieldType::Utf8);
        let collection = (PLAIN.to_owned(), DocumentChange::Create);
        vec![
            create(hourly(AIR)),
            create(daily.partitioning(Partitioning::Day)),
            create(hourly(GONE)),
            Step::Write(Effect::Documents(vec![collection], Vec::new())),
            self.rows(AIR, -4, 20),
            self.rows(AIR, -3, 20),
            self.document("id/0"),
            Step::Seal,
            self.rows(GONE, -3, 8),
            self.pair("plant"),
        ]
    }

    /// Rows of hours that were sent, and of one that goes on.
    fn late_and_early(&mut self) -> Vec<Step> {
        vec![
            self.rows(AIR, -4, 10),
            Step::Seal,
            self.rows(AIR, -4, 10),
            self.rows(AIR, 0, 15),
            self.rows(GONE, 0, 10),
            self.document("id/1"),
            Step::Seal,
            Step::Compact,
        ]
    }

    /// Deletions of what was sent, and of what was announced and is yet to be sent.
    fn deletions(&mut self) -> Vec<Step> {
        let more = Columns { tags: Vec::new(), fields: vec![("w".to_owned(), FieldType::Float64)] };
        vec![
            delete(AIR, None, 0, 1),
            delete(AIR, Some("b"), -4, -3),
            Step::Compact,
            Step::Write(Effect::Extend(AIR.to_owned(), more)),
            Step::Write(Effect::Rename(AIR.to_owned(), CLIMATE.to_owned())),
            self.rows(CLIMATE, -2, 12),
            self.rows(GONE, 0, 10),
        ]
    }

    /// So much that it goes in parts, and of so many hours that some of it is not on its way yet when the next cut is announced.
    fn more(&mut self) -> Vec<Step> {
        let mut steps: Vec<_> = (0..5).map(|hour| self.rows(CLIMATE, hour, 6)).collect();
        steps.extend([self.rows(SOIL, -5, 700), self.rows(GONE, 1, 10), Step::Seal]);
        steps
    }

    fn end(&mut self) -> Vec<Step> {
        vec![
            Step::Write(Effect::DropTable(GONE.to_owned())),
            self.document("id/0"),
            self.pair("plant"),
            self.rows(CLIMATE, -2, 5),
            Step::Pass(HOUR as u64),
        ]
    }

    /// Rows of an hour, some of which are there already.
    fn rows(&mut self, table: &str, hour: i64, count: usize) -> Step {
        let mut rows = std::collections::BTreeMap::new();
        for _ in 0..count {
            let tag = self.random.choice(["a", "b", "c"]).map(str::to_owned);
            let time = BEGIN + hour * HOUR + self.random.i64(0..2_000) * 1_000_000;
            let mut cells = vec![Some(Cell::Integer(self.random.i64(..)))];
            if table == SOIL {
                cells.push(Some(Cell::Text(self.random.u32(..).to_string())));
            }
            rows.insert((tag.clone(), time), Row { key: vec![tag], time, cells });
        }
        Step::Write(Effect::Put(table.to_owned(), rows.into_values().collect()))
    }

    /// Lets go of the hours before one; at times with late rows of the one before it.
    fn evict(&mut self, table: &str, hour: i64) -> Deed {
        let late = match self.random.bool().then(|| self.rows(table, hour - 1, 4)) {
            Some(Step::Write(late)) => Some(late),
            _ => None,
        };
        Deed::Evict(BEGIN + hour * HOUR, late)
    }

    fn document(&mut self, id: &str) -> Step {
        let content = Content { n: Some(self.random.i64(0..100)), text: "as it is".to_owned(), ..Content::default() };
        let put = DocumentChange::Put(id.to_owned(), content, Lasts::Forever);
        Step::Write(Effect::Documents(vec![(PLAIN.to_owned(), put)], Vec::new()))
    }

    fn pair(&mut self, key: &str) -> Step {
        let value = Value { bytes: vec![self.random.u8(..)], lasts: Lasts::Forever };
        Step::Write(Effect::Transact(vec![(key.to_owned(), Some(value))], Vec::new(), Vec::new()))
    }
}
