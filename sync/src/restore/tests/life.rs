//! Random lives: what they left in a bucket is what they were, as of every cut.

use alluvium::{
    CollectionSpec, CutWhat, FieldType, Filter, IndexSpec, OnDelete, Partitioning, Path as DocumentPath, Principal, Put,
    PutDocument, ReferenceSpec, RowBuilder, TableSpec, TimeRange, TimeUnit,
};
use fastrand::Rng;
use serde_json::json;

use super::*;

/// What was so at some moment.
struct Moment {
    at: Timestamp,
    cut: u64,
    state: State,
    /// Whether metadata were sent with it.
    was_sent: bool,
}

struct Life {
    random: Rng,
    world: World,
    db: Arc<Database>,
    moments: Vec<Moment>,
    /// Directories so far.
    made: usize,
    names: usize,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

impl Life {
    fn new(seed: u64) -> Self {
        let world = World::new();
        let db = world.open("data-0");
        db.delivery(DELIVERY).begin().unwrap();
        db.collections().create(CollectionSpec::new("sites")).unwrap();
        db.collections().create(CollectionSpec::new("devices").soft_delete(None).history(2)).unwrap();
        let mut life = Life { random: Rng::with_seed(seed), world, db, moments: Vec::new(), made: 0, names: 0 };
        (0..3).for_each(|_| life.create_table());
        life
    }

    fn create_table(&mut self) {
        let partitionings = [Partitioning::Auto, Partitioning::Hour, Partitioning::Day, Partitioning::Month, Partitioning::Year];
        let units = [TimeUnit::Milli, TimeUnit::Micro, TimeUnit::Nano];
        // Sometimes a name that another had before.
        let name = format!("t{}", self.random.usize(..4));
        let spec = TableSpec::new(&name).tag("a").field("v", FieldType::Int64).field("w", FieldType::Utf8);
        let spec = spec.partitioning(self.random.choice(partitionings).unwrap()).time_unit(self.random.choice(units).unwrap());
        self.db.create_table(spec).ok();
    }

    fn a_table(&mut self) -> Option<String> {
        self.random.choice(self.db.tables()).map(|table| table.name.clone())
    }

    /// Rows of some hours, many of them late, and many there already.
    fn append(&mut self) {
        let Some(name) = self.a_table() else { return };
        let schema = self.db.table(&name).unwrap();
        let second = schema.time_unit.per_second();
        let mut rows = RowBuilder::new(schema);
        let hours = if self.random.u8(..6) == 0 { 24 * 60 } else { 5 };
        let base = self.random.i64(0..hours) * 3_600;
        let mut written = std::collections::HashSet::new();
        for _ in 0..self.random.usize(1..40) {
            let (time, tag) = ((base + self.random.i64(0..40) * 100) * second, self.random.usize(..4));
            if !written.insert((time, tag)) {
                continue;
            }
            let mut row = rows.row(time);
            if tag > 0 {
                row = row.tag("a", ["", "x", "y", "z"][tag]).unwrap();
            }
            if self.random.bool() {
                row = row.value("v", self.random.i64(..)).unwrap();
            }
            if self.random.bool() {
                row.value("w", self.random.alphanumeric().to_string().as_str()).unwrap();
            }
        }
        self.db.append(&name, &rows.finish().unwrap()).unwrap();
    }

    fn delete(&mut self) {
        let Some(name) = self.a_table() else { return };
        let second = self.db.table(&name).unwrap().time_unit.per_second();
        let from = self.random.i64(0..20_000);
        let range = match self.random.u8(..4) {
            0 => TimeRange { start: i64::MIN, end: i64::MAX },
            _ => TimeRange::new(from * second, (from + self.random.i64(1..8_000)) * second),
        };
        let filters = if self.random.bool() { vec![Filter::equal("a", "x")] } else { Vec::new() };
        self.db.delete(&name, &filters, range).unwrap();
    }

    fn change_table(&mut self) {
        let Some(name) = self.a_table() else { return };
        self.names += 1;
        let more = format!("c{}", self.names);
        match self.random.u8(..4) {
            0 => drop(self.db.add_columns(&name, &[more], &[])),
            1 => drop(self.db.add_columns(&name, &[], &[(more, FieldType::Float64)])),
            2 => drop(self.db.rename_table(&name, &format!("t{}", self.random.usize(..6)))),
            _ => drop(self.db.drop_table(&name)),
        }
    }

    fn metadata(&mut self) {
        let id = format!("d{}", self.random.usize(..12));
        let (db, random) = (&self.db, &mut self.random);
        match random.u8(..12) {
            0..4 => drop(db.collection("devices").put(&id, &json!({ "n": random.u8(..), "site": "d1" }), PutDocument::default())),
            4 => drop(db.collection("sites").put(&id, &json!({ "town": random.u8(..) }), PutDocument::default())),
            5 => drop(db.collection("devices").delete(&id, Default::default())),
            6 => drop(db.collection("sites").delete(&id, Default::default())),
            7 => drop(db.collections().set_schema("devices", &json!({ "type": "object", "maxProperties": random.u8(2..5) }))),
            8 => drop(db.principals().put(&Principal::new(format!("p{}", random.u8(..3))).role("device"))),
            9 => drop(db.kv().put(&format!("k{}", random.u8(..3)), &[random.u8(..)], Put::default())),
            10 => drop(db.kv().delete(&format!("k{}", random.u8(..3)), Default::default())),
            _ => {
                let (paths, path) = (vec![DocumentPath::parse("n").unwrap()], DocumentPath::parse("site").unwrap());
                drop(db.create_index("devices", IndexSpec { name: "n".to_owned(), paths, unique: false }));
                let reference = ReferenceSpec { path, to: "sites".to_owned(), on_delete: OnDelete::SetNull };
                drop(db.create_reference("devices", reference));
            }
        }
    }

    /// Notes what is so at a cut.
    fn note(&mut self, was_sent: bool) {
        let cut = self.db.delivery(DELIVERY).head().unwrap().cuts;
        self.moments.push(Moment { at: Timestamp::now(), cut, state: State::of(&self.db), was_sent });
    }

    async fn send(&mut self) {
        self.world.send(&self.db).await;
        self.note(true);
    }

    async fn step(&mut self) {
        match self.random.u8(..100) {
            0..45 => self.append(),
            45..52 => self.delete(),
            52..56 => self.create_table(),
            56..61 => self.change_table(),
            61..76 => self.metadata(),
            76..82 => drop(self.db.compact().unwrap()),
            82..87 => self.db.seal().unwrap(),
            87..91 => {
                if self.db.delivery(DELIVERY).cut(CutWhat::All).unwrap().is_some() {
                    self.note(false);
                }
            }
            91..97 => self.send().await,
            _ => self.be_lost().await,
        }
    }

    /// The gateway is lost, and goes on as what is restored of it.
    async fn be_lost(&mut self) {
        self.send().await;
        self.made += 1;
        let name = format!("data-{}", self.made);
        let restored = self.world.restore(&name, &all()).await.unwrap();
        assert_eq!(restored.missing, []);
        let old = std::mem::replace(&mut self.db, self.world.open(&name));
        State::of(&self.db).expect(&State::of(&old), "lost and restored");
        close(old);
    }

    /// Every moment is what it was, or it is said why it cannot be.
    async fn check(&mut self) -> (usize, usize) {
        let (mut exact, mut refused) = (0, 0);
        for (number, moment) in self.moments.iter().enumerate() {
            let name = format!("moment-{number}");
            match self.world.restore(&name, &until(moment.at)).await {
                Ok(restored) => {
                    exact += 1;
                    assert_eq!(restored.cut, moment.cut);
                    let db = self.world.open(&name);
                    let why = format!("moment {number}, cut {}", moment.cut);
                    match moment.was_sent {
                        true => State::of(&db).expect(&moment.state, &why),
                        // Names and columns are those of the metadata, which are not of then.
                        false => same(&values(&rows(&db)), &values(&moment.state.rows), &why),
                    }
                    assert!(db.verify(&mut |_, _| {}).unwrap().problems.is_empty());
                    close(db);
                }
                Err(NotRestored::Newer { cut, record, before, behind }) => {
                    refused += 1;
                    assert_eq!(cut, moment.cut);
                    assert!(before.is_none_or(|exact| exact.cut < cut) && behind.is_none_or(|exact| exact.cut > cut));
                    let allowed = Options { allow_newer: true, allow_missing: true, ..until(moment.at) };
                    let restored = self.world.restore(&name, &allowed).await.unwrap();
                    assert_eq!((restored.cut, restored.newer_through), (cut, Some(record)));
                }
                // Their rows were deleted, or their table dropped, before they were sent.
                Err(refusal @ (NotRestored::Missing { .. } | NotRestored::Erased { .. })) => {
                    refused += 1;
                    // That they are gone may be said a cut later.
                    if let NotRestored::Missing { units } = &refusal {
                        assert!(units.iter().all(|unit| unit.stated), "moment {number}: {refusal}");
                    }
                    let allowed = Options { allow_newer: true, allow_missing: true, ..until(moment.at) };
                    self.world.restore(&name, &allowed).await.unwrap();
                }
                Err(other) => panic!("moment {number}: {other}"),
            }
            std::fs::remove_dir_all(self.world.path(&name)).ok();
        }
        (exact, refused)
    }
}

/// What rows say but for the names of their tables and of columns that came later.
fn values(rows: &[String]) -> Vec<String> {
    let said = |row: &String| {
        let (_, row) = row.split_once('\t').unwrap();
        row.split('|').filter(|column| !column.contains("[null,]")).collect::<Vec<_>>().join("|")
    };
    let mut values: Vec<_> = rows.iter().map(said).collect();
    values.sort();
    values
}

#[track_caller]
fn same(found: &[String], expected: &[String], why: &str) {
    let lacking: Vec<_> = expected.iter().filter(|one| !found.contains(one)).take(5).collect();
    let more: Vec<_> = found.iter().filter(|one| !expected.contains(one)).take(5).collect();
    assert!(found == expected, "{why}: lacking {lacking:#?}, more than there should be {more:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_life_is_restored_as_it_was() {
    let (seed, cases) = (number("ALLUVIUM_SEED", 1), number("ALLUVIUM_CASES", 6));
    let (mut exact, mut refused, mut forks) = (0, 0, 0);
    for seed in seed..seed + cases {
        println!("ALLUVIUM_SEED={seed}");
        let mut life = Life::new(seed);
        for _ in 0..120 {
            life.step().await;
        }
        life.be_lost().await;
        let proof = life.world.proof().await;
        assert!(proof.holds() && proof.branches.len() == 1, "{proof:?}");
        let counts = life.check().await;
        (exact, refused, forks) = (exact + counts.0, refused + counts.1, forks + life.made);
    }
    println!("{exact} moments as they were, {refused} that cannot be had exactly, {forks} lives begun anew");
    assert!(exact > refused || cases == 1);
}
