//! Random histories against the model: whatever is sealed, compacted, deleted or reopened, every answer stays the same.

use std::sync::Arc;

use alluvium::io::{Components, MemoryDisk};
use alluvium::{Comparison, Database, Filter, Order, Query, Settings, TimeRange};
use alluvium_tests::answers::{self, batch, rows};
use alluvium_tests::model::{Cell, Model, Row};
use alluvium_tests::operations::{START, Writers};
use alluvium_tests::{cases, seed};
use fastrand::Rng;

struct World {
    disk: MemoryDisk,
    db: Option<Database>,
    model: Model,
    writers: Writers,
    rng: Rng,
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = MemoryDisk::new();
        let db = open(&disk);
        db.create_table(answers::spec()).expect("a new table");
        World { disk, db: Some(db), model: Model::default(), writers: Writers::default(), rng: Rng::with_seed(seed) }
    }

    fn db(&self) -> &Database {
        self.db.as_ref().expect("open")
    }

    fn step(&mut self) {
        match self.rng.u8(0..100) {
            0..=59 => self.append(),
            60..=64 => self.delete(),
            65..=72 => self.db().seal().expect("seals"),
            73..=75 => drop(self.db().compact().expect("compacts")),
            76..=78 => self.reopen(false),
            79..=81 => self.reopen(true),
            _ => self.check(),
        }
    }

    fn append(&mut self) {
        let written = self.writers.batch(&mut self.rng);
        let schema = self.db().table("t").expect("the table").arrow();
        self.db().append("t", &batch(&schema, &written)).expect("appends");
        written.iter().for_each(|row| self.model.put(row));
    }

    fn delete(&mut self) {
        let start = self.writers.now - 1_000_000 * self.rng.i64(0..4_000);
        let end = start + 1_000_000 * self.rng.i64(1..400);
        let device = format!("dev-{}", self.rng.u8(2..12));
        let filters = if self.rng.bool() { vec![Filter::equal("device", device.as_str())] } else { Vec::new() };
        self.db().delete("t", &filters, TimeRange::new(start, end)).expect("deletes");
        let all = filters.is_empty();
        self.model.delete(|key| all || key[0].as_deref() == Some(&device), start, end);
    }

    fn reopen(&mut self, power_cut: bool) {
        if power_cut {
            // Everything was acknowledged as durable, so nothing may be missing.
            let survivor = self.disk.after_power_cut();
            drop(self.db.take());
            self.disk = survivor;
        } else {
            self.db.take().expect("open").close().expect("closes");
        }
        self.db = Some(open(&self.disk));
    }

    fn check(&mut self) {
        let start = self.writers.now - 1_000_000 * self.rng.i64(0..6_000);
        let range = match self.rng.u8(0..4) {
            0 => TimeRange::ALL,
            _ => TimeRange::new(start, start + 1_000_000 * self.rng.i64(1..2_000)),
        };
        let within = |row: &Row| range.contains(row.time);
        match self.rng.u8(0..5) {
            0 => self.expect(&Query::table("t").range(range), within),
            1 => {
                let query = Query::table("t").range(range).filter(Filter::equal("device", "dev-3"));
                self.expect(&query, |row| within(row) && row.key[0].as_deref() == Some("dev-3"));
            }
            2 => {
                let query = Query::table("t").range(range).filter(Filter::new("i", Comparison::GreaterOrEqual, 500_i64));
                self.expect(&query, |row| within(row) && matches!(row.cells[1], Some(Cell::Integer(value)) if value >= 500));
            }
            3 => {
                let query = Query::table("t").range(range).filter(Filter::new("site", Comparison::NotEqual, "north"));
                self.expect(&query, |row| within(row) && row.key[1].as_deref() != Some("north"));
            }
            _ => self.expect_by_time(range),
        }
    }

    fn expect(&self, query: &Query, passes: impl Fn(&Row) -> bool) {
        assert_same(&rows(self.db(), query).expect("answers"), &self.model.rows(passes));
    }

    fn expect_by_time(&mut self, range: TimeRange) {
        let descending = self.rng.bool();
        let limit = self.rng.usize(1..5_000);
        let order = if descending { Order::TimeDescending } else { Order::TimeAscending };
        let mut expected = self.model.rows(|row| range.contains(row.time));
        expected.sort_by_key(|row| if descending { -row.time } else { row.time });
        expected.truncate(limit);
        let query = Query::table("t").range(range).order(order).limit(limit as u64);
        assert_same(&rows(self.db(), &query).expect("answers"), &expected);
    }
}

fn assert_same(answer: &[Row], expected: &[Row]) {
    let differs = answer.iter().zip(expected).position(|(a, b)| a != b);
    if let Some(at) = differs {
        panic!("row {at} of {}: answered {:?}, expected {:?}", expected.len(), answer[at], expected[at]);
    }
    assert_eq!(answer.len(), expected.len(), "rows answered and expected");
}

fn open(disk: &MemoryDisk) -> Database {
    let components = Components { disk: Arc::new(disk.clone()), ..Components::os() };
    let settings = Settings {
        background: false,
        memtable_bytes: 1 << 20,
        log_file_bytes: 1 << 18,
        page_cache_bytes: 1 << 18,
        ..Settings::default()
    };
    Database::builder().settings(settings).components(components).open("/data").expect("opens")
}

#[test]
fn every_answer_agrees_with_the_model() {
    let first = seed(1);
    for case in 0..cases(12) {
        let mut world = World::new(first + case);
        for _ in 0..150 {
            world.step();
        }
        world.expect(&Query::table("t"), |_| true);
        assert!(world.writers.now > START);
    }
}
