//! Random lives: whatever is written, deleted, folded together, sent and cut off, in the end elsewhere has what is here.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use fastrand::Rng;

use super::elsewhere::{Elsewhere, Rows};
use super::{HOUR, append, begun};
use crate::io::MemoryDisk;
use crate::testing::{Hands, open, random};
use crate::{CutWhat, Database, Filter, Query, SendOrder, Shipment, TimeRange};

struct Life {
    random: Rng,
    disk: MemoryDisk,
    clock: Arc<Hands>,
    db: Option<Database>,
    elsewhere: Elsewhere,
    /// What is being sent, as it was read when that began.
    under_way: Vec<Shipment>,
    next: i64,
}

impl Life {
    fn db(&self) -> &Database {
        self.db.as_ref().unwrap()
    }

    fn step(&mut self) {
        match self.random.u8(..21) {
            0..8 => self.write(),
            8 => self.delete(),
            9 | 10 => self.db().seal().unwrap(),
            11 => drop(self.db().compact().unwrap()),
            12 | 13 => while self.db().background_step(crate::BackgroundStep::Compact).unwrap() {},
            14 => self.cut(CutWhat::Sealed),
            15 => self.cut(CutWhat::All),
            16 => self.announce(),
            17 | 18 => self.send(),
            19 => self.fork(),
            _ => self.open_again(),
        }
    }

    fn write(&mut self) {
        let device = ["a", "b", "c"][self.random.usize(..3)];
        let hours = if self.random.u8(..6) == 0 { 40 } else { 3 };
        let rows: Vec<_> = (0..self.random.usize(1..20))
            .map(|_| {
                self.next += 1;
                (self.random.i64(0..hours) * HOUR + self.random.i64(0..8), self.next)
            })
            .collect();
        append(self.db(), device, &rows);
    }

    fn delete(&mut self) {
        let from = self.random.i64(0..40) * HOUR + self.random.i64(0..4);
        let range = TimeRange::new(from, from + [2, HOUR, 5 * HOUR][self.random.usize(..3)]);
        let device = [Filter::equal("device", "b")];
        let filters = if self.random.bool() { &device[..] } else { &[] };
        self.db().delete("t", filters, range).unwrap();
    }

    fn cut(&mut self, what: CutWhat) {
        self.db().delivery("copy").cut(what).unwrap();
    }

    fn announce(&mut self) {
        if let Some(cut) = self.db().delivery("copy").next().unwrap() {
            self.db().delivery("copy").announce(cut.number, [0; 32], 0).unwrap();
            let db = self.db.take().unwrap();
            self.elsewhere.told(&db, &cut);
            self.db = Some(db);
        }
    }

    /// Begins to send something, and ends something.
    fn send(&mut self) {
        let order = if self.random.bool() { SendOrder::Newest } else { SendOrder::Oldest };
        let limit = self.random.usize(..3);
        let begun = self.db().delivery("copy").pending(order, limit).unwrap();
        self.under_way.extend(begun);
        self.random.shuffle(&mut self.under_way);
        if let Some(shipment) = self.under_way.pop() {
            self.elsewhere.sent(&self.disk, &shipment);
            self.db().delivery("copy").hold(&[shipment]).unwrap();
        }
    }

    /// Goes on behind what was announced, under another name.
    fn fork(&mut self) {
        let announced = self.db().delivery("copy").head().unwrap().announced;
        self.db().delivery("copy").fork(announced).unwrap();
    }

    fn open_again(&mut self) {
        self.under_way.clear();
        let survivor = self.disk.after_power_cut();
        drop(self.db.take());
        self.disk = survivor;
        self.db = Some(open(&self.disk, &self.clock));
    }

    /// Everything that is left is sent.
    fn finish(&mut self) {
        self.cut(CutWhat::All);
        self.under_way.clear();
        while self.db().delivery("copy").next().unwrap().is_some() {
            self.announce();
        }
        loop {
            let pending = self.db().delivery("copy").pending(SendOrder::Oldest, 5).unwrap();
            if pending.is_empty() {
                break;
            }
            pending.iter().for_each(|shipment| self.elsewhere.sent(&self.disk, shipment));
            assert!(self.db().delivery("copy").hold(&pending).unwrap() > 0);
        }
        // What turned out to be void only when all before it was held is told with the next cut.
        let left = self.db().delivery("copy").state().unwrap().units_left;
        append(self.db(), "a", &[(0, -1)]);
        self.cut(CutWhat::All);
        self.announce();
        let pending = self.db().delivery("copy").pending(SendOrder::Oldest, 99).unwrap();
        pending.iter().for_each(|shipment| self.elsewhere.sent(&self.disk, shipment));
        self.db().delivery("copy").hold(&pending).unwrap();
        let state = self.db().delivery("copy").state().unwrap();
        assert_eq!(state.units_left, 0, "{left} were left before");
        assert_eq!(state.delivered.map(|delivered| delivered.cut), Some(state.head.cuts));
    }
}

fn rows(db: &Database) -> Rows {
    let mut found = Rows::new();
    for batch in db.query(&Query::table("t").field("v")).unwrap() {
        let batch = batch.unwrap();
        let times = batch.column_by_name("time").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
        let devices = batch.column_by_name("device").unwrap();
        let devices = arrow::compute::cast(devices, &arrow::datatypes::DataType::Utf8).unwrap();
        let values = batch.column_by_name("v").unwrap().as_primitive::<Int64Type>().clone();
        for row in 0..batch.num_rows() {
            found.insert((devices.as_string::<i32>().value(row).to_owned(), times.value(row)), values.value(row));
        }
    }
    found
}

#[test]
fn in_the_end_elsewhere_has_what_is_here() {
    let mut random = random(1);
    let cases = std::env::var("ALLUVIUM_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    for case in 0..cases {
        let (disk, clock, db) = begun();
        let random = Rng::with_seed(random.u64(..));
        let (elsewhere, under_way) = Default::default();
        let mut life = Life { random, disk, clock, db: Some(db), elsewhere, under_way, next: 0 };
        (0..120).for_each(|_| life.step());
        life.finish();
        assert_eq!(life.elsewhere.missing(), [], "case {case}");
        assert_eq!(life.elsewhere.rows(), rows(life.db()), "case {case}");
    }
}
