//! A gateway, small, whose worker carries it to a store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use alluvium::{
    CollectionSpec, Database, FieldType, Partitioning, PutDocument, Query, RowBuilder, Settings, TableSpec, TimeRange,
};
use alluvium_sync::objects::Target;
use alluvium_sync::objects::bucket::{Depth, Findings, prove};
use alluvium_sync::remote::{Key, SegmentKey};
use alluvium_sync::restore::{Options, restore};
use alluvium_sync::worker::{MemoryCentre, Policy, Worker};
use serde_json::json;

use super::carry::carry;
use super::{MIB, bytes, names};

pub(crate) const GATEWAY: &str = "g";
const DELIVERY: &str = "cloud";
const HOUR: i64 = 3_600_000_000;

pub(crate) struct Gateway {
    dir: tempfile::TempDir,
    db: Arc<Database>,
}

impl Gateway {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir.path().join("data"));
        for (name, of) in [("a", FieldType::Int64), ("b", FieldType::Binary)] {
            db.create_table(TableSpec::new(name).field("v", of).partitioning(Partitioning::Hour)).unwrap();
        }
        db.collections().create(CollectionSpec::new("devices")).unwrap();
        Gateway { dir, db }
    }

    /// A few rows of an hour, and a document.
    pub(crate) fn live(&self, hour: i64) {
        let mut rows = RowBuilder::new(self.db.table("a").unwrap());
        for value in 0..5 {
            rows.row(hour * HOUR + value).value("v", value).unwrap();
        }
        self.db.append("a", &rows.finish().unwrap()).unwrap();
        let body = json!({ "floor": hour });
        self.db.collection("devices").put(&format!("d{hour}"), &body, PutDocument::default()).unwrap();
    }

    /// Rows of an hour that are more than go in one request, though not too many to be appended one by one.
    pub(crate) fn live_much(&self, hour: i64) {
        for value in 0..9 {
            let mut rows = RowBuilder::new(self.db.table("b").unwrap());
            rows.row(hour * HOUR + value).value("v", bytes(value.unsigned_abs(), MIB).to_vec()).unwrap();
            self.db.append("b", &rows.finish().unwrap()).unwrap();
        }
    }

    /// Folds what lies in several segments together.
    pub(crate) fn compact(&self) {
        self.db.compact().unwrap();
    }

    /// Uploads in parts that are noted.
    pub(crate) fn uploads(&self) -> u64 {
        self.db.delivery(DELIVERY).count_notes(b"upload/").unwrap()
    }

    pub(crate) fn delete(&self, hour: i64) {
        self.db.delete("a", &[], TimeRange::new(hour * HOUR, (hour + 1) * HOUR)).unwrap();
    }

    /// Carries everything there is to a store, by a worker that begins anew.
    pub(crate) async fn carry(&self, target: &Target) -> Result<(), String> {
        let scratch = self.dir.path().join("scratch");
        let worker = Worker::new(self.db.clone(), DELIVERY, GATEWAY, target.clone(), Policy::default(), &scratch).unwrap();
        carry(&worker).await
    }

    /// The same by one that tells a centre of it.
    pub(crate) async fn carry_and_tell(&self, target: &Target, centre: &Arc<Mutex<MemoryCentre>>) -> Result<(), String> {
        let (scratch, centre) = (self.dir.path().join("scratch"), Box::new(Arc::clone(centre)));
        let (db, policy) = (self.db.clone(), Policy::default());
        let worker = Worker::with_centre(db, DELIVERY, GATEWAY, target.clone(), policy, &scratch, centre).unwrap();
        carry(&worker).await
    }

    /// What is wrong with what a store has of it, as the engine, the prover and the objects' names say.
    pub(crate) async fn wrong(&self, target: &Target) -> Wrong {
        let state = self.db.delivery(DELIVERY).state().unwrap();
        let mut findings = proved(target).await;
        let proof = findings.gateways.remove(GATEWAY).unwrap();
        let mut others = Vec::new();
        if (state.cuts_left, state.units_left) != (0, 0) {
            others.push(format!("something is left: {state:?}"));
        }
        let of_this = proof.branches.iter().find(|branch| branch.incarnation.0 == state.head.incarnation);
        let through = of_this.and_then(|branch| branch.delivered_through).map(|through| (through.cut, through.record));
        if through != state.delivered.map(|delivered| (delivered.cut, delivered.record)) || through.is_none() {
            others.push(format!("the engine says {:?} is delivered, and the store proves {through:?}", state.delivered));
        }
        let missing = proof.branches.iter().flat_map(|branch| &branch.missing).filter(|unit| !unit.stated);
        others.extend(missing.map(|unit| format!("missing {unit:?}")));
        others.extend((!findings.gateways.is_empty()).then(|| "there are other gateways".to_owned()));
        others.extend(twice(&names(target).await));
        Wrong {
            problems: proof.problems.iter().map(ToString::to_string).collect(),
            branches: proof.branches.len(),
            foreign: findings.foreign,
            others,
        }
    }

    /// Whether what a store has of it comes to the same database again.
    pub(crate) async fn comes_back(&self, target: &Target) {
        let dir = self.dir.path().join("restored");
        let options = Options { settings: settings(), ..Options::default() };
        restore(target, &dir, &options, &mut |_| {}).await.unwrap();
        assert_eq!(contents(&open(&dir)), contents(&self.db));
    }
}

/// What is wrong with a bucket.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) problems: Vec<String>,
    pub(crate) branches: usize,
    pub(crate) foreign: u64,
    pub(crate) others: Vec<String>,
}

fn settings() -> Settings {
    Settings { background: false, ballast_bytes: 0, ..Settings::default() }
}

fn open(data: &Path) -> Arc<Database> {
    Arc::new(Database::builder().settings(settings()).open(data).unwrap())
}

async fn proved(target: &Target) -> Findings {
    let (store, prefix) = target.store();
    prove(store, prefix, Depth::Contents, &mut |_| {}).await.unwrap()
}

/// Segments of which one holds records that the one before it does too.
fn twice(names: &[String]) -> Vec<String> {
    let mut places = BTreeMap::<_, Vec<_>>::new();
    for name in names {
        if let Ok(Key::Segment(SegmentKey { table, period, incarnation, records, .. })) = name.parse() {
            places.entry((incarnation, table, period)).or_default().push(records);
        }
    }
    let mut found = Vec::new();
    for (place, mut ranges) in places {
        ranges.sort_unstable();
        let overlap = ranges.windows(2).filter(|pair| pair[1].0 <= pair[0].1);
        found.extend(overlap.map(|pair| format!("{place:?} is there twice: {pair:?}")));
    }
    found
}

/// All rows, each by itself, and documents.
fn contents(db: &Database) -> (Vec<impl PartialEq + std::fmt::Debug>, Vec<String>) {
    let mut rows = Vec::new();
    for table in db.tables() {
        for batch in db.query(&Query::table(&table.name)).unwrap() {
            let batch = batch.unwrap();
            rows.extend((0..batch.num_rows()).map(|row| (table.name.clone(), batch.slice(row, 1))));
        }
    }
    let documents = (0..4).filter_map(|hour| db.collection("devices").get(&format!("d{hour}")).unwrap());
    (rows, documents.map(|document| format!("{} {}", document.id, document.content)).collect())
}
