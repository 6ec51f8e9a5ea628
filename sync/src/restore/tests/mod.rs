mod hostile;
mod interrupted;
mod life;
mod simple;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium::{Database, Query, Scan, Settings as DatabaseSettings};

use super::*;
use crate::metadata::Wanted as WantedMetadata;
use crate::objects::Settings;
use crate::objects::bucket::{Depth, prove};
use crate::prove::Proof;
use crate::worker::{Once, Policy, Worker};

const GATEWAY: &str = "pump house";
const DELIVERY: &str = "bucket";
const HOUR: i64 = 3_600_000_000;

/// A folder that is a bucket, and directories beside it.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        World { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self, name: &str) -> Arc<Database> {
        let settings = DatabaseSettings { background: false, ballast_bytes: 0, ..DatabaseSettings::default() };
        Arc::new(Database::builder().settings(settings).open(self.path(name)).unwrap())
    }

    fn target(&self) -> Target {
        Target::open(&Settings::new(self.path("bucket").display().to_string())).unwrap()
    }

    /// Sends everything there is.
    async fn send(&self, db: &Arc<Database>) {
        let policy = Policy { wanted: WantedMetadata { pairs: true, queues: true }, ..Policy::default() };
        let scratch = self.path("scratch");
        let worker = Worker::new(db.clone(), DELIVERY, GATEWAY, self.target(), policy, &scratch).unwrap();
        match worker.run_once().await {
            Once::Done(_) => {}
            Once::Left(report, failed) => panic!("{failed}: {report:?}"),
        }
    }

    async fn proof(&self) -> Proof {
        let target = self.target();
        let (store, prefix) = target.store();
        let mut findings = prove(store, prefix, Depth::Contents, &mut |_| {}).await.unwrap();
        findings.gateways.remove(GATEWAY).unwrap()
    }

    /// Restores into a directory.
    async fn restore(&self, name: &str, options: &Options) -> Result<Restored, NotRestored> {
        restore(&self.target(), &self.path(name), options, &mut |_| {}).await
    }

    /// Objects of the bucket of some ending, in order.
    fn objects(&self, ending: &str) -> Vec<PathBuf> {
        files(&self.path("bucket")).into_iter().filter(|path| path.to_string_lossy().ends_with(ending)).collect()
    }
}

/// All files below a directory, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Everything, going on as the delivery of the tests.
fn all() -> Options {
    Options { delivery: Some(DELIVERY.to_owned()), ..Options::default() }
}

fn until(at: Timestamp) -> Options {
    Options { until: Some(at), ..all() }
}

/// What somebody can ask of a database, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct State {
    rows: Vec<String>,
    schemas: Vec<String>,
    metadata: Vec<String>,
}

impl State {
    fn of(db: &Database) -> Self {
        State { rows: rows(db), schemas: schemas(db), metadata: metadata(db) }
    }

    #[track_caller]
    fn expect(&self, expected: &State, why: &str) {
        for (found, expected) in
            [(&self.rows, &expected.rows), (&self.schemas, &expected.schemas), (&self.metadata, &expected.metadata)]
        {
            let lacking: Vec<_> = expected.iter().filter(|one| !found.contains(one)).take(5).collect();
            let more: Vec<_> = found.iter().filter(|one| !expected.contains(one)).take(5).collect();
            assert!(found == expected, "{why}: lacking {lacking:#?}, more than there should be {more:#?}");
        }
    }
}

/// All rows of all tables, by table, series and time.
fn rows(db: &Database) -> Vec<String> {
    let mut found = Vec::new();
    for table in db.tables() {
        for batch in db.query(&Query::table(&table.name)).unwrap() {
            let batch = batch.unwrap();
            for row in 0..batch.num_rows() {
                let row = batch.slice(row, 1);
                let texts = row.columns().iter().map(|column| format!("{column:?}").split_whitespace().collect::<String>());
                found.push(format!("{}\t{}", table.name, texts.collect::<Vec<_>>().join("|")));
            }
        }
    }
    found
}

fn schemas(db: &Database) -> Vec<String> {
    let tables = (0..).map_while(|id| db.table_of(alluvium::TableId(id)));
    tables.map(|schema| format!("{} {schema:?}", db.table(&schema.name).is_ok_and(|live| live.id == schema.id))).collect()
}

fn metadata(db: &Database) -> Vec<String> {
    let mut found = Vec::new();
    for spec in db.collections().list().unwrap() {
        found.push(format!("{spec:?}"));
        let schemas = db.collections().schemas(&spec.name).unwrap();
        found.extend(schemas.iter().map(|schema| format!("{} {} {}", spec.name, schema.version, schema.schema)));
        for id in (0..20).map(|id| format!("d{id}")) {
            let document = db.collection(&spec.name).get_deleted(&id).unwrap();
            found.extend(
                document.map(|of| {
                    format!("{} {id} {} {} {}", spec.name, of.content, of.deleted_at.is_some(), of.expires_in.is_some())
                }),
            );
        }
    }
    found.extend(db.principals().list().unwrap().iter().map(|principal| format!("{principal:?}")));
    let roles = db.principals().roles().unwrap();
    found.extend(roles.iter().map(|role| format!("{role} {:?}", db.principals().role(role).unwrap())));
    for (key, pair) in db.kv().scan(&Scan::of("")).unwrap() {
        found.push(format!("{key} {:?}", pair.value));
    }
    for spec in db.queues().unwrap() {
        let items = db.queue(&spec.name).peek(1_000).unwrap();
        found.push(format!("{spec:?} {:?}", items.iter().map(|item| (&item.payload, item.priority)).collect::<Vec<_>>()));
    }
    found
}

fn close(db: Arc<Database>) {
    Arc::into_inner(db).unwrap().close().unwrap();
}
