//! The worker itself, a folder that it carries to, and what the centre then says.

use std::path::PathBuf;
use std::sync::Arc;

use alluvium::{CollectionSpec, Database, FieldType, Partitioning, PutDocument, RowBuilder, Settings, TableSpec, TimeRange};
use alluvium_sync::objects::{self, Target};
use alluvium_sync::postgres::{Ledger, Options, Secret, SecretFrom, Tls};
use alluvium_sync::verify::{Compared, differences_at_centre};
use alluvium_sync::worker::{Once, Policy, Report, Worker};
use serde_json::json;

use crate::support::{Centre, Proxy, cases, seed, server};

const GATEWAY: &str = "pump / Häuschen 7";
pub(crate) const HOUR: i64 = 3_600_000_000;
/// Units that more than one segment holds.
pub(crate) const TWICE: &str = "SELECT count(*) FROM (SELECT FROM alluvium.units u JOIN alluvium.segments s ON s.gateway = u.gateway
    AND s.incarnation = u.incarnation AND s.table_number = u.table_number AND s.last_record >= u.last_record
    AND s.first_record <= u.first_record AND alluvium.period_holds(s.period_kind, s.period_start, s.period_end, u.period_kind, u.period_start)
    GROUP BY u.gateway, u.incarnation, u.table_number, u.last_record, u.first_record, u.period_kind, u.period_start HAVING count(*) > 1) AS x";

/// A gateway with a folder, and its place at the centre.
struct World {
    dir: tempfile::TempDir,
    db: Arc<Database>,
    centre: Centre,
    options: Options,
    secret: Secret,
}

impl World {
    async fn new() -> World {
        let (dir, centre) = (tempfile::tempdir().unwrap(), Centre::new().await);
        let (secret, options) = (centre.owner.provision(GATEWAY).await.unwrap(), centre.options());
        let db = open(&dir.path().join("data"));
        World { dir, db, centre, options, secret }
    }

    fn bucket(&self) -> PathBuf {
        self.dir.path().join("bucket")
    }

    fn target(&self) -> Target {
        Target::open(&objects::Settings::new(self.bucket().display().to_string())).unwrap()
    }

    fn ledger(&self) -> Ledger {
        Ledger::new(&self.options, GATEWAY, self.secret.clone()).unwrap()
    }

    fn worker(&self) -> Worker {
        let (target, scratch) = (self.target(), self.dir.path().join("scratch"));
        Worker::with_ledger(self.db.clone(), "cloud", GATEWAY, target, Policy::default(), &scratch, self.ledger()).unwrap()
    }

    async fn differences(&self) -> Vec<String> {
        let target = self.target();
        let compared = Compared { db: &self.db, delivery: "cloud", gateway: GATEWAY, target: &target };
        differences_at_centre(compared, &self.ledger()).await.unwrap()
    }

    /// The centre says what the engine does, and lacks nothing.
    async fn agrees(&self) {
        let state = self.db.delivery("cloud").state().unwrap();
        let delivered = state.delivered.unwrap();
        let row = self.centre.sql.query_one("SELECT cut, record FROM alluvium.delivered_through", &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (delivered.cut as i64, delivered.record as i64));
        assert_eq!(delivered.cut, state.head.cuts);
        let head = self.ledger().head().await.unwrap().unwrap();
        assert_eq!((head.cut, head.hash.0), (delivered.cut, state.head.announced.unwrap().hash));
        assert_eq!(self.differences().await, Vec::<String>::new());
        assert_eq!(self.centre.number(TWICE).await, 0);
        assert_eq!(self.centre.number("SELECT count(*) FROM alluvium.metadata_between").await, 0);
    }
}

pub(crate) fn open(data: &std::path::Path) -> Arc<Database> {
    let settings = Settings { background: false, ballast_bytes: 0, ..Settings::default() };
    let db = Arc::new(Database::builder().settings(settings).open(data).unwrap());
    let spec = TableSpec::new("air / Küche").tag("room").field("v", FieldType::Int64).partitioning(Partitioning::Hour);
    db.create_table(spec).unwrap();
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    db
}

pub(crate) fn append(db: &Database, hour: i64, values: std::ops::Range<i64>) {
    let mut rows = RowBuilder::new(db.table("air / Küche").unwrap());
    for value in values {
        rows.row(hour * HOUR + value).tag("room", "a").unwrap().value("v", value).unwrap();
    }
    db.append("air / Küche", &rows.finish().unwrap()).unwrap();
}

pub(crate) fn document(db: &Database, number: i64) {
    let body = json!({ "floor": number, "nul": "a\0b" });
    db.collection("devices").put(&format!("pump-{number}"), &body, PutDocument::default()).unwrap();
}

#[track_caller]
fn done(once: Once) -> Report {
    match once {
        Once::Done(report) => report,
        Once::Left(report, failed) => panic!("{failed}: {report:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_centre_says_what_the_engine_does() {
    let world = World::new().await;
    for hour in 0..4 {
        append(&world.db, hour, 0..5);
        document(&world.db, hour);
        let report = done(world.worker().run_once().await);
        assert_eq!(report.ledger.unwrap().told.cut, Some(hour.unsigned_abs() + 1));
        world.agrees().await;
    }
    world.db.delete("air / Küche", &[], TimeRange::new(0, HOUR)).unwrap();
    done(world.worker().run_once().await);
    world.agrees().await;
    let rows = "SELECT sum(rows)::bigint FROM alluvium.inventory";
    assert_eq!(world.centre.number(rows).await, 20);
    let documents = "SELECT count(*) FROM alluvium.current_metadata WHERE kind = 'document'";
    assert_eq!(world.centre.number(documents).await, 4);
    assert_eq!(world.centre.number("SELECT count(*) FROM alluvium.erasures").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_centre_forgot_it_is_told_again_and_every_difference_is_named() {
    let world = World::new().await;
    for hour in 0..4 {
        append(&world.db, hour, 0..5);
        document(&world.db, hour);
        done(world.worker().run_once().await);
    }
    let forget = |statement: &'static str| world.centre.sql.batch_execute(statement);
    forget("DELETE FROM alluvium.segments WHERE last_record > (SELECT through_record FROM alluvium.cuts WHERE cut = 3)")
        .await
        .unwrap();
    forget("UPDATE alluvium.units SET held = false WHERE cut = 4; UPDATE alluvium.cuts SET metadata_there = false WHERE cut = 4")
        .await
        .unwrap();
    let named = world.differences().await;
    let names = |part: &str| assert!(named.iter().any(|difference| difference.contains(part)), "{part}: {named:?}");
    names("lacks the metadata of cut 4");
    names("was not told of it");
    names("no segment with records");
    assert_eq!(named.len(), 3, "{named:?}");
    done(world.worker().run_once().await);
    world.agrees().await;
    // The last cut is gone altogether.
    forget("DELETE FROM alluvium.units WHERE cut = 4; DELETE FROM alluvium.cuts WHERE cut = 4").await.unwrap();
    forget("UPDATE alluvium.gateways g SET head_cut = c.cut, head_hash = c.hash, head_through = c.through_record FROM alluvium.cuts c WHERE c.cut = 3").await.unwrap();
    let named = world.differences().await;
    assert!(named.iter().any(|difference| difference == "the centre lacks cut 4"), "{named:?}");
    done(world.worker().run_once().await);
    // The segment was not: its unit is held as soon as it is told again, and not by its name alone.
    forget("DELETE FROM alluvium.segments WHERE last_record > (SELECT through_record FROM alluvium.cuts WHERE cut = 3)")
        .await
        .unwrap();
    done(world.worker().run_once().await);
    world.agrees().await;
    // What the centre claims and nobody has.
    let segment = std::fs::read_dir(world.bucket()).unwrap().map(|entry| entry.unwrap().path());
    let table = segment.into_iter().find(|path| path.to_string_lossy().contains("table=")).unwrap();
    std::fs::remove_dir_all(table).unwrap();
    let named = world.differences().await;
    assert_eq!(named.iter().filter(|difference| difference.contains("which is not there")).count(), 4, "{named:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_no_trouble() {
    let mut world = World::new().await;
    world.options = server().login_at(&world.centre.database, server().bouncer);
    world.options.tls = Some(Tls::Plain);
    append(&world.db, 0, 0..5);
    document(&world.db, 1);
    done(world.worker().run_once().await);
    world.agrees().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_are_no_trouble() {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut world = World::new().await;
    let proxy = Proxy::before(server().port).await;
    world.options = server().login_at(&world.centre.database, proxy.port);
    for round in 0..cases(6) as i64 {
        append(&world.db, round, 0..5);
        document(&world.db, round);
        match random.bool() {
            true => proxy.cut_after(random.i64(1..12)),
            false => proxy.cut_before(random.i64(1..12)),
        }
        while let Once::Left(report, failed) = world.worker().run_once().await {
            assert!(report.ledger.is_some(), "{failed}");
        }
        world.agrees().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_rotated_is_read_again() {
    let world = World::new().await;
    let file = world.dir.path().join("secret");
    let put = |secret: &Secret| std::fs::write(&file, format!("{}\n", secret.expose())).unwrap();
    put(&world.secret);
    let ledger = Ledger::new(&world.options, GATEWAY, SecretFrom::File(file.clone())).unwrap();
    let (target, scratch) = (world.target(), world.dir.path().join("scratch"));
    let worker = Worker::with_ledger(world.db.clone(), "cloud", GATEWAY, target, Policy::default(), &scratch, ledger).unwrap();
    append(&world.db, 0, 0..5);
    done(worker.run_once().await);
    let other = world.centre.owner.rotate(GATEWAY).await.unwrap();
    append(&world.db, 1, 0..5);
    let Once::Left(report, failed) = worker.run_once().await else { panic!("all is well") };
    let said = failed.to_string();
    assert!(said.contains("alluvium central rotate") && !said.contains(world.secret.expose()), "{said}");
    assert_eq!(report.counts.segments, 2, "the folder has all of it");
    put(&other);
    done(worker.run_once().await);
    let world = World { secret: other, ..world };
    world.agrees().await;
}
