mod lying;

use std::path::PathBuf;

use alluvium::{
    CollectionSpec, FieldType, Partitioning, PutDocument, Query, RowBuilder, SendOrder, Settings as DatabaseSettings, TableSpec,
    TimeRange,
};
use serde_json::json;

use super::*;
use crate::objects::bucket::{Depth, Findings, prove};
use crate::objects::{Kind, Settings, Sizes, Throttle, Trouble};
use crate::prove::{Branch, Proof};
use crate::remote::{Hash, Incarnation, Key};

pub(in crate::worker) const GATEWAY: &str = "pump house";
const HOUR: i64 = 3_600_000_000;

/// A database, and a folder it is carried to.
pub(in crate::worker) struct World {
    pub(in crate::worker) dir: tempfile::TempDir,
}

impl World {
    pub(in crate::worker) fn new() -> Self {
        World { dir: tempfile::tempdir().unwrap() }
    }

    pub(in crate::worker) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(in crate::worker) fn bucket(&self) -> PathBuf {
        self.dir.path().join("bucket")
    }

    pub(in crate::worker) fn open_in(&self, data: &Path) -> Arc<Database> {
        let settings = DatabaseSettings { background: false, ballast_bytes: 0, ..DatabaseSettings::default() };
        Arc::new(Database::builder().settings(settings).open(data).unwrap())
    }

    pub(in crate::worker) fn open(&self) -> Arc<Database> {
        let db = self.open_in(&self.data());
        if db.table("air").is_err() {
            let spec = TableSpec::new("air").tag("room").field("v", FieldType::Int64).partitioning(Partitioning::Hour);
            db.create_table(spec).unwrap();
        }
        db
    }

    pub(in crate::worker) fn target(&self) -> Target {
        Target::open(&Settings::new(self.bucket().display().to_string())).unwrap()
    }

    pub(in crate::worker) fn worker(&self, db: &Arc<Database>) -> Worker {
        self.worker_to(db, self.target(), Policy::default())
    }

    pub(in crate::worker) fn worker_to(&self, db: &Arc<Database>, target: Target, policy: Policy) -> Worker {
        Worker::new(db.clone(), "bucket", GATEWAY, target, policy, &self.dir.path().join("scratch")).unwrap()
    }

    pub(in crate::worker) async fn findings(&self) -> Findings {
        let target = self.target();
        let (store, prefix) = target.store();
        prove(store, prefix, Depth::Contents, &mut |_| {}).await.unwrap()
    }

    pub(in crate::worker) async fn proof(&self) -> Proof {
        let mut findings = self.findings().await;
        assert_eq!((findings.foreign, findings.gateways.len()), (0, 1));
        findings.gateways.remove(GATEWAY).unwrap()
    }

    /// What is proved of a gateway that has one branch and of which nothing is missing.
    pub(in crate::worker) async fn branch(&self) -> Branch {
        let proof = self.proof().await;
        assert!(proof.holds(), "{proof:?}");
        assert_eq!(proof.branches.len(), 1, "{proof:?}");
        proof.branches[0].clone()
    }

    /// Files of the bucket of some ending.
    pub(in crate::worker) fn files(&self, ending: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.bucket()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false if path.to_string_lossy().ends_with(ending) => found.push(path),
                    false => {}
                }
            }
        }
        found.sort();
        found
    }
}

/// Rows of an hour.
pub(in crate::worker) fn append(db: &Database, hour: i64, values: std::ops::Range<i64>) {
    let mut rows = RowBuilder::new(db.table("air").unwrap());
    for value in values {
        rows.row(hour * HOUR + value).tag("room", "a").unwrap().value("v", value).unwrap();
    }
    db.append("air", &rows.finish().unwrap()).unwrap();
}

#[track_caller]
pub(in crate::worker) fn done(once: Once) -> Report {
    match once {
        Once::Done(report) => report,
        Once::Left(report, failed) => panic!("{failed}: {report:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_carried_once() {
    let world = World::new();
    let db = world.open();
    append(&db, 0, 0..5);
    append(&db, 1, 0..5);
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    db.collection("devices").put("pump-7", &json!({ "floor": 2 }), PutDocument::default()).unwrap();
    let worker = world.worker(&db);
    let report = done(worker.run_once().await);
    assert_eq!((report.counts.announced, report.counts.segments, report.counts.failures), (1, 2, 0));
    let branch = world.branch().await;
    assert_eq!((branch.cuts, branch.units), (1, 2));
    let state = db.delivery("bucket").state().unwrap();
    assert_eq!(branch.delivered_through.unwrap().record, state.delivered.unwrap().record);
    assert_eq!(branch.incarnation, Incarnation(state.head.incarnation));
    assert_eq!((world.files(".parquet").len(), world.files(".metadata.jsonl.zst").len()), (2, 1));
    // Nothing is new, so nothing happens.
    let report = done(worker.run_once().await);
    assert_eq!((report.counts.announced, report.counts.segments), (1, 2));
    append(&db, 1, 5..6);
    let report = done(worker.run_once().await);
    assert_eq!((report.counts.announced, report.counts.segments), (2, 3));
    assert_eq!(world.branch().await.cuts, 2);
    assert_eq!(world.files(".metadata.jsonl.zst").len(), 1, "no metadata changed");
    // A document alone is worth a cut.
    db.collection("devices").put("pump-8", &json!({}), PutDocument::default()).unwrap();
    done(worker.run_once().await);
    assert_eq!((world.branch().await.cuts, world.files(".metadata.jsonl.zst").len()), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_and_dropped_tables_are_stated() {
    let world = World::new();
    let db = world.open();
    append(&db, 0, 0..5);
    append(&db, 1, 0..5);
    let worker = world.worker(&db);
    // Cut and announced, and then deleted before it was sent.
    db.delivery("bucket").cut(alluvium::CutWhat::All).unwrap();
    db.delete("air", &[], TimeRange::new(0, HOUR)).unwrap();
    db.compact().unwrap();
    done(worker.run_once().await);
    let branch = world.branch().await;
    assert_eq!((branch.cuts, branch.units, branch.missing.len()), (2, 2, 1));
    assert!(branch.missing[0].stated);
    append(&db, 2, 0..5);
    db.delivery("bucket").cut(alluvium::CutWhat::All).unwrap();
    db.drop_table("air").unwrap();
    done(worker.run_once().await);
    assert_eq!(world.branch().await.missing.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_whose_answer_was_lost_is_known_to_be_ours() {
    let world = World::new();
    let db = world.open();
    append(&db, 0, 0..5);
    let worker = world.worker(&db);
    db.delivery("bucket").cut(alluvium::CutWhat::All).unwrap();
    // It is there, and nobody notes so. What comes next would make another one.
    worker.shared.put_manifest_and_die().await;
    append(&db, 1, 0..5);
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    drop(worker);
    let worker = world.worker(&db);
    let report = done(worker.run_once().await);
    assert_eq!(report.counts.forks, 0);
    assert_eq!(world.branch().await.cuts, 2);
    assert_eq!(world.files(".metadata.jsonl.zst").len(), 3, "the first, one that nobody names, and that of the second cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_gateway_overwrites_nothing() {
    let world = World::new();
    let db = world.open();
    append(&db, 0, 0..5);
    done(world.worker(&db).run_once().await);
    Arc::into_inner(db).unwrap().close().unwrap();
    let copy = world.dir.path().join("copy");
    copy_dir(&world.data(), &copy);
    let (one, other) = (world.open(), world.open_in(&copy));
    append(&one, 1, 0..3);
    append(&other, 1, 3..5);
    assert_eq!(done(world.worker(&one).run_once().await).counts.forks, 0);
    let before = world.files("");
    let report = done(world.worker(&other).run_once().await);
    assert_eq!(report.counts.forks, 1);
    for file in before {
        assert!(file.exists());
    }
    let proof = world.proof().await;
    assert!(proof.holds(), "{proof:?}");
    assert_eq!(proof.branches.iter().map(|branch| branch.cuts).collect::<Vec<_>>(), [2, 2]);
    // Each goes on by itself.
    append(&one, 2, 0..3);
    append(&other, 2, 0..3);
    assert_eq!(done(world.worker(&other).run_once().await).counts.forks, 0);
    assert_eq!(done(world.worker(&one).run_once().await).counts.forks, 0);
    assert!(world.proof().await.holds());
}

/// What was announced before the two parted is sent by whoever has it, as it was announced.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_announced_before_a_fork_is_sent_all_the_same() {
    let world = World::new();
    let db = world.open();
    append(&db, 0, 0..5);
    let worker = world.worker(&db);
    db.delivery("bucket").cut(alluvium::CutWhat::All).unwrap();
    worker.shared.meet().await.unwrap();
    worker.shared.announce().await.unwrap();
    drop(worker);
    Arc::into_inner(db).unwrap().close().unwrap();
    let copy = world.dir.path().join("copy");
    copy_dir(&world.data(), &copy);
    let (one, other) = (world.open(), world.open_in(&copy));
    append(&other, 1, 3..5);
    other.delivery("bucket").cut(alluvium::CutWhat::All).unwrap();
    let worker = world.worker(&other);
    worker.shared.meet().await.unwrap();
    worker.shared.announce().await.unwrap();
    append(&one, 1, 0..3);
    assert_eq!(done(world.worker(&one).run_once().await).counts.forks, 1);
    let proof = world.proof().await;
    let forked = proof.branches.iter().find(|branch| branch.missing.is_empty()).expect("the fork's");
    assert_eq!((forked.cuts, forked.units), (2, 2), "{proof:?}");
    done(worker.run_once().await);
    assert!(world.proof().await.holds());
}

pub(in crate::worker) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() { copy_dir(&path, &to.join(name)) } else { assert!(std::fs::copy(&path, to.join(name)).is_ok()) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_forgot_gets_it_again() {
    let world = World::new();
    let db = world.open();
    for hour in 0..3 {
        append(&db, hour, 0..5);
        done(world.worker(&db).run_once().await);
    }
    let (manifests, segments) = (world.files(".manifest.json"), world.files(".parquet"));
    assert_eq!((manifests.len(), segments.len()), (3, 3));
    // It is as it was yesterday.
    std::fs::remove_file(&manifests[1]).unwrap();
    std::fs::remove_file(&manifests[2]).unwrap();
    std::fs::remove_file(segments.iter().find(|file| file.to_string_lossy().contains("hour7200")).unwrap()).unwrap();
    std::fs::remove_file(segments.iter().find(|file| file.to_string_lossy().contains("hour3600")).unwrap()).unwrap();
    assert_eq!(done(world.worker(&db).run_once().await).counts.forks, 1);
    let branch = world.branch().await;
    assert_eq!((branch.cuts, branch.units), (2, 3));
    // Everything is gone, and once more.
    std::fs::remove_dir_all(world.bucket()).unwrap();
    assert_eq!(done(world.worker(&db).run_once().await).counts.forks, 1);
    let branch = world.branch().await;
    assert_eq!((branch.cuts, branch.units), (1, 3));
    assert_eq!(world.files(".metadata.jsonl.zst").len(), 1, "with all metadata");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_forks_for_one_answer_that_came_out_wrong() {
    let world = World::new();
    let db = world.open();
    let store = Arc::new(lying::Store::default());
    let parts = Arc::new(object_store::memory::InMemory::new());
    let target = || {
        let (store, parts) = (store.clone(), parts.clone());
        Target::in_store("lying:///", store, parts, Sizes::default(), Throttle::new(None, None))
    };
    let lies = |times| store.lies.store(times, std::sync::atomic::Ordering::Relaxed);
    append(&db, 0, 0..5);
    done(world.worker_to(&db, target(), Policy::default()).run_once().await);
    // When it sees whether the target knows what it knows, and when it sees what is there under the name of a manifest.
    for hour in 1..3 {
        lies(1);
        append(&db, hour, 0..5);
        assert_eq!(done(world.worker_to(&db, target(), Policy::default()).run_once().await).counts.forks, 0);
    }
    let worker = world.worker_to(&db, target(), Policy::default());
    append(&db, 3, 0..5);
    db.delivery("bucket").cut(alluvium::CutWhat::All).unwrap();
    worker.shared.put_manifest_and_die().await;
    append(&db, 4, 0..5);
    worker.shared.meet().await.unwrap();
    lies(2);
    worker.shared.announce().await.unwrap_err();
    assert_eq!(done(worker.run_once().await).counts.forks, 0);
    // What is the same each time is there.
    lies(2);
    assert_eq!(done(world.worker_to(&db, target(), Policy::default()).run_once().await).counts.forks, 1);
}

/// Segments that a manifest says to be damaged.
fn gaps(manifest: &Path) -> usize {
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    manifest["gaps"].as_array().unwrap().iter().filter(|gap| gap["kind"] == "segment_damage").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_set_aside_and_the_others_are_sent() {
    let world = World::new();
    let db = world.open();
    for hour in 0..5 {
        append(&db, hour, 0..5);
    }
    db.seal().unwrap();
    let segments: Vec<_> = std::fs::read_dir(world.data().join("segments")).unwrap().map(|file| file.unwrap().path()).collect();
    let whole = std::fs::read(&segments[2]).unwrap();
    let mut damaged = whole.clone();
    damaged[10] ^= 1;
    std::fs::write(&segments[2], damaged).unwrap();
    let worker = world.worker(&db);
    let Once::Left(report, failed) = worker.run_once().await else { panic!("all is well") };
    assert!(matches!(&failed, Failed::Object(crate::objects::NotPut::Altered(_))), "{failed}");
    assert_eq!(report.counts.segments, 4);
    let (name, aside) = report.aside.first_key_value().unwrap();
    assert_eq!(*name, segments[2].display().to_string());
    assert!(aside.why.contains("is to have the hash"), "{aside:?}");
    assert_eq!(world.files(".parquet").len(), 4, "nothing has its name");
    // The next cuts say why, and once.
    for _ in 0..2 {
        append(&db, 9, 0..5);
        assert!(matches!(worker.run_once().await, Once::Left(..)));
    }
    let branch = world.branch().await;
    let stated: Vec<_> = branch.missing.iter().map(|unit| (unit.cut, unit.stated)).collect();
    assert_eq!(stated, [(1, true)]);
    let gaps: Vec<_> = world.files(".manifest.json").iter().map(|file| gaps(file)).collect();
    assert_eq!(gaps, [0, 1, 0]);
    std::fs::write(&segments[2], whole).unwrap();
    assert_eq!(done(worker.run_once().await).aside.len(), 0);
    assert!(world.branch().await.missing.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_there_loses_nothing() {
    let world = World::new();
    let db = world.open();
    append(&db, 0, 0..5);
    std::fs::create_dir(world.bucket()).unwrap();
    let worker = world.worker(&db);
    // Where its objects go there is a file.
    std::fs::write(world.bucket().join("gateways"), "of somebody").unwrap();
    let Once::Left(report, _) = worker.run_once().await else { panic!("all is well") };
    let circuit = report.circuit.unwrap();
    assert_eq!((circuit.failures, report.counts.announced), (5, 0));
    assert!(!circuit.why.is_empty());
    append(&db, 1, 0..5);
    std::fs::remove_file(world.bucket().join("gateways")).unwrap();
    done(world.worker(&db).run_once().await);
    assert_eq!(world.branch().await.units, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_paused_sends_nothing_until_told_to() {
    let world = World::new();
    let db = world.open();
    append(&db, 0, 0..5);
    let policy = || Policy { cut_every: Duration::from_millis(10), max_delay: Duration::ZERO, ..Policy::default() };
    let worker = world.worker_to(&db, world.target(), policy());
    worker.pause(true).unwrap();
    assert!(is_paused(&db, "bucket").unwrap());
    let worker = world.worker_to(&db, world.target(), policy());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let worker = worker.clone();
        async move { worker.run(async { drop(stopped.await) }).await }
    });
    let mut reports = worker.reports();
    reports.wait_for(|report| report.paused).await.unwrap();
    while db.delivery("bucket").head().unwrap().cuts == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(reports.borrow().counts.announced, 0);
    worker.pause(false).unwrap();
    reports.wait_for(|report| report.counts.segments == 1).await.unwrap();
    // What comes later comes there too.
    append(&db, 1, 0..5);
    reports.wait_for(|report| report.counts.segments == 2).await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap();
    assert!(world.branch().await.missing.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_has_only_so_many_bytes_whatever_is_restarted() {
    let world = World::new();
    let db = world.open();
    append(&db, 0, 0..5);
    let target = || {
        let settings = Settings { bytes_per_day: Some(100), ..Settings::new(world.bucket().display().to_string()) };
        Target::open(&settings).unwrap()
    };
    let Once::Left(_, failed) = world.worker_to(&db, target(), Policy::default()).run_once().await else { panic!() };
    assert!(
        matches!(
            &failed,
            Failed::Target(Trouble { kind: Kind::Spent { .. }, .. })
                | Failed::Object(crate::objects::NotPut::Trouble(Trouble { kind: Kind::Spent { .. }, .. }))
        ),
        "{failed}"
    );
    let there = world.files("").len();
    let Once::Left(..) = world.worker_to(&db, target(), Policy::default()).run_once().await else { panic!() };
    assert_eq!(world.files("").len(), there, "it is the same day");
    done(world.worker(&db).run_once().await);
    assert!(world.branch().await.missing.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn small_segments_of_hours_that_go_on_wait_to_be_folded_together() {
    let world = World::new();
    let db = world.open();
    let now = db.now().wall_micros;
    let this_hour = now.div_euclid(HOUR);
    append(&db, this_hour + 2, 0..5);
    append(&db, this_hour - 5, 0..5);
    let worker = world.worker(&db);
    db.delivery("bucket").cut(alluvium::CutWhat::All).unwrap();
    worker.shared.meet().await.unwrap();
    worker.shared.announce().await.unwrap();
    let due = |worker: &Worker| worker.shared.due(0, false).unwrap();
    let [over] = &due(&worker)[..] else { panic!() };
    assert_eq!(over.partition.range.start, (this_hour - 5) * HOUR);
    // Unless they are large, or have waited for long.
    for policy in [
        Policy { enough_bytes: 100, ..Policy::default() },
        Policy { max_delay: Duration::ZERO, ..Policy::default() },
        Policy { late_allowance: Duration::from_secs(24 * 3600), max_delay: Duration::ZERO, ..Policy::default() },
    ] {
        assert_eq!(due(&world.worker_to(&db, world.target(), policy)).len(), 2);
    }
    let late = Policy { late_allowance: Duration::from_secs(24 * 3600), ..Policy::default() };
    assert_eq!(due(&world.worker_to(&db, world.target(), late)).len(), 0);
    let order = |order| due(&world.worker_to(&db, world.target(), Policy { enough_bytes: 1, order, ..Policy::default() }));
    assert_eq!(order(SendOrder::Newest).first().unwrap().hash, order(SendOrder::Oldest).last().unwrap().hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_create_names_only_once_has_hashes_in_them() {
    let world = World::new();
    let db = world.open();
    append(&db, 0, 0..5);
    let worker = world.worker(&db);
    worker.shared.create_only.set(false).unwrap();
    done(worker.run_once().await);
    let [manifest] = &world.files(".manifest.json")[..] else { panic!() };
    let name = manifest.strip_prefix(world.bucket()).unwrap().display().to_string();
    let Ok(Key::Manifest { hash: Some(hash), .. }) = name.parse() else { panic!("{name}") };
    assert_eq!(hash, Hash::of(&std::fs::read(manifest).unwrap()));
    // The answer is lost, and it is found by a look.
    append(&db, 1, 0..5);
    db.delivery("bucket").cut(alluvium::CutWhat::All).unwrap();
    worker.shared.put_manifest_and_die().await;
    append(&db, 2, 0..5);
    assert_eq!(done(worker.run_once().await).counts.forks, 0);
    assert_eq!(world.branch().await.cuts, 3);
    // A copy of it wrote the next one meanwhile.
    let key = Key::Manifest {
        gateway: GATEWAY.to_owned(),
        incarnation: Incarnation(db.delivery("bucket").head().unwrap().incarnation),
        cut: 4,
        hash: Some(Hash::of(b"{}")),
    };
    std::fs::write(world.bucket().join(key.to_string()), "{}").unwrap();
    append(&db, 3, 0..5);
    assert_eq!(done(worker.run_once().await).counts.forks, 1);
    let rows: usize = db.query(&Query::table("air")).unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 20);
}

/// Where it could come to lie beside another one, nothing would be proved any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_may_still_be_on_its_way_is_put_again() {
    let world = World::new();
    let db = world.open();
    append(&db, 0, 0..5);
    let worker = world.worker(&db);
    worker.shared.create_only.set(false).unwrap();
    db.delivery("bucket").cut(alluvium::CutWhat::All).unwrap();
    worker.shared.put_manifest_and_die().await;
    let [manifest] = &world.files(".manifest.json")[..] else { panic!() };
    let on_its_way = std::fs::read(manifest).unwrap();
    std::fs::remove_file(manifest).unwrap();
    // By now another one would be made.
    db.collections().create(CollectionSpec::new("devices")).unwrap();
    append(&db, 1, 0..5);
    assert_eq!(done(worker.run_once().await).counts.forks, 0);
    assert_eq!(std::fs::read(manifest).unwrap(), on_its_way);
    // What is damaged there is put again as well, and nobody forks for it.
    append(&db, 2, 0..5);
    db.delivery("bucket").cut(alluvium::CutWhat::All).unwrap();
    let before = world.files(".manifest.json");
    worker.shared.put_manifest_and_die().await;
    let after = world.files(".manifest.json");
    let third = after.iter().find(|file| !before.contains(file)).unwrap();
    std::fs::write(third, "{}").unwrap();
    assert_eq!(done(worker.run_once().await).counts.forks, 0);
    assert_eq!((world.branch().await.cuts, world.branch().await.units), (3, 3));
}

#[test]
fn a_delivery_is_of_one_gateway() {
    let world = World::new();
    let db = world.open();
    world.worker(&db);
    let other = Worker::new(db.clone(), "bucket", "other", world.target(), Policy::default(), &world.dir.path().join("scratch"));
    assert!(matches!(other, Err(Failed::Renamed { known, .. }) if known == GATEWAY));
    assert_eq!(gateway_of(&db, "bucket").unwrap().as_deref(), Some(GATEWAY));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_memory_is_a_target_too() {
    let world = World::new();
    let db = world.open();
    append(&db, 0, 0..5);
    let target = Target::in_memory(Throttle::new(None, None));
    done(world.worker_to(&db, target.clone(), Policy::default()).run_once().await);
    let (store, prefix) = target.store();
    assert!(prove(store, prefix, Depth::Contents, &mut |_| {}).await.unwrap().hold());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_and_is_not_there_when_it_is_looked_for_is_sent_again() {
    let world = World::new();
    let db = world.open();
    append(&db, 0, 0..5);
    append(&db, 1, 0..5);
    let worker = world.worker(&db);
    assert!(!worker.shared.meet().await.unwrap());
    worker.shared.cut(true).unwrap();
    worker.shared.announce().await.unwrap();
    for shipment in db.delivery("bucket").pending(SendOrder::Oldest, 9).unwrap() {
        worker.shared.send(&shipment).await.unwrap();
    }
    let state = db.delivery("bucket").state().unwrap();
    assert_eq!((state.units_left, state.delivered, worker.reports().borrow().counts.confirmed), (2, None, 0));
    let sent = world.files(".parquet");
    std::fs::remove_file(&sent[0]).unwrap();
    drop(worker);
    let report = done(world.worker(&db).run_once().await);
    assert_eq!((report.counts.segments, report.counts.confirmed, report.counts.failures), (1, 2, 1));
    assert_eq!(world.files(".parquet").len(), 2);
    assert_eq!(world.branch().await.delivered_through.unwrap().cut, 1);
    assert_eq!(db.delivery("bucket").state().unwrap().delivered.unwrap().cut, 1);
    assert!(db.delivery("bucket").unconfirmed(9).unwrap().is_empty());
}
