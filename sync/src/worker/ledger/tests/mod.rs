//! A worker, a bucket and a centre that fail, are put back, come later, and meet another gateway of the same name.

mod centre;
mod filled;

use std::sync::Arc;
use std::time::Duration;

use alluvium::{CollectionSpec, CutWhat, Database, PutDocument, TimeRange};
use serde_json::json;

use super::super::tests::{GATEWAY, World, append, copy_dir, done};
use super::super::{Failed, Once, Policy, Report, Worker};
use crate::objects::Target;
use crate::prove::Branch;
use crate::remote::{Hash, Incarnation, Key, Link, Manifest};
use crate::verify::Compared;
use centre::{Fault, InMemory};

/// A worker that tells a centre.
fn telling(world: &World, db: &Arc<Database>, centre: &InMemory) -> Worker {
    telling_to(world, db, world.target(), Policy::default(), centre)
}

fn telling_to(world: &World, db: &Arc<Database>, target: Target, policy: Policy, centre: &InMemory) -> Worker {
    let (who, scratch) = (("bucket", GATEWAY), world.dir.path().join("scratch"));
    Worker::make(db.clone(), who, target, policy, &scratch, Some(Box::new(centre.clone()))).unwrap()
}

fn document(db: &Database, number: u64) {
    let _ = db.collections().create(CollectionSpec::new("devices"));
    db.collection("devices").put(&format!("pump-{number}"), &json!({ "floor": number }), PutDocument::default()).unwrap();
}

/// The manifests in the bucket that a cut follows, and itself: oldest first.
fn chain(world: &World, tip: Link) -> Vec<(Manifest, Hash)> {
    let files = world.files(".manifest.json");
    let manifests: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).map(|bytes| (Manifest::decode(&bytes).unwrap(), Hash::of(&bytes))).unwrap())
        .collect();
    let (mut at, mut chain) = (Some(tip), Vec::new());
    while let Some(link) = at {
        let found = manifests.iter().find(|(manifest, hash)| (manifest.incarnation, *hash) == (link.incarnation, link.hash));
        let found = found.expect("a manifest that is followed").clone();
        at = found.0.previous;
        chain.push(found);
    }
    chain.reverse();
    chain
}

/// Bucket, centre and gateway say the same, everything is held, and every unit once.
async fn agree(world: &World, db: &Database, centre: &InMemory) -> Branch {
    let state = db.delivery("bucket").state().unwrap();
    let announced = state.head.announced.unwrap();
    assert_eq!((state.cuts_left, state.units_left), (0, 0));
    let central = centre.state();
    let head = central.head().unwrap();
    let tip = Link { incarnation: Incarnation(announced.incarnation), hash: Hash(announced.hash) };
    assert_eq!((head.incarnation, head.cut, head.hash), (tip.incarnation, announced.cut, tip.hash));
    let chain = chain(world, tip);
    let told: Vec<_> = central.branch().iter().map(|cut| (cut.manifest.clone(), cut.hash)).collect();
    assert_eq!(told, chain);
    assert_eq!(central.missing(1, 1_000), []);
    assert_eq!(central.delivered_through(), state.delivered.map(|delivered| delivered.cut));
    assert_eq!(central.delivered_through(), Some(announced.cut));
    let there: Vec<Key> = world
        .files(".parquet")
        .iter()
        .map(|file| {
            let name = file.strip_prefix(world.bucket()).unwrap().to_string_lossy().into_owned();
            name.parse().unwrap()
        })
        .collect();
    for segment in &central.segments {
        assert!(there.contains(&Key::Segment(segment.key.clone())), "{segment:?} is not there");
        assert_eq!(segment.target, "bucket");
    }
    for (manifest, _) in &chain {
        for unit in &manifest.units {
            let of = |key: &&crate::remote::SegmentKey| {
                (key.incarnation, key.table) == (manifest.incarnation, unit.table)
                    && key.period.holds(unit.period)
                    && key.records.0 <= unit.records.0
                    && unit.records.1 <= key.records.1
            };
            let holding: Vec<_> = central.segments.iter().map(|segment| &segment.key).filter(of).collect();
            assert!(holding.len() <= 1, "{unit:?} is held by {holding:?}");
        }
    }
    assert_eq!(queued(db), (0, 0, 0), "nothing is left to be told");
    let target = world.target();
    let compared = Compared { db, delivery: "bucket", gateway: GATEWAY, target: &target };
    assert_eq!(crate::verify::differences_at_centre(compared, centre).await.unwrap(), Vec::<String>::new());
    let proof = world.proof().await;
    assert!(proof.holds(), "{proof:?}");
    let branch = proof.branches.into_iter().find(|branch| branch.incarnation == tip.incarnation).unwrap();
    assert_eq!(branch.delivered_through.map(|delivered| delivered.cut), central.delivered_through());
    branch
}

fn queued(db: &Database) -> (u64, u64, u64) {
    let told = super::told(db, "bucket").unwrap().unwrap();
    (told.cuts, told.metadata, told.segments)
}

/// Runs until everything is there and told, as somebody does who tries again.
async fn run(worker: &Worker) -> Report {
    for _ in 0..20 {
        if let Once::Done(report) = worker.run_once().await {
            return report;
        }
    }
    panic!("it never comes to its end: {:?}", worker.run_once().await);
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_there_is_told() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    append(&db, 0, 0..5);
    append(&db, 1, 0..5);
    document(&db, 7);
    let worker = telling(&world, &db, &centre);
    let report = done(worker.run_once().await);
    let ledger = report.ledger.unwrap();
    assert_eq!((ledger.circuit, ledger.told.cut, ledger.told.segments), (None, Some(1), 0));
    let branch = agree(&world, &db, &centre).await;
    assert_eq!((branch.cuts, branch.units), (1, 2));
    let state = centre.state();
    let lines = state.lines();
    let known = |kind: &str, key: &str| lines.iter().find(|line| line.kind == kind && line.key.iter().any(|text| text == key));
    assert_eq!(known("document", "pump-7").unwrap().value["body"], json!({ "floor": 7 }));
    assert_eq!(known("table", "0").unwrap().value["name"], json!("air"));
    let rows: u64 = state.segments.iter().map(|segment| segment.rows).sum();
    assert_eq!(rows, 10);
    // Nothing is new, so nothing is told.
    centre.calls();
    done(worker.run_once().await);
    let calls = centre.calls();
    assert!(!calls.contains(&"advance") && !calls.contains(&"hold") && !calls.contains(&"metadata"), "{calls:?}");
    append(&db, 1, 5..6);
    done(worker.run_once().await);
    assert_eq!(agree(&world, &db, &centre).await.cuts, 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_just_put_is_not_read_back() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    append(&db, 0, 0..5);
    document(&db, 7);
    let worker = telling(&world, &db, &centre);
    let (shared, telling_here) = (&worker.shared, worker.shared.centre.clone().unwrap());
    db.delivery("bucket").cut(CutWhat::All).unwrap();
    shared.meet().await.unwrap();
    shared.announce().await.unwrap();
    std::fs::remove_dir_all(world.bucket()).unwrap();
    shared.tell_cut(&telling_here).await.unwrap();
    shared.tell_metadata(&telling_here, 1).await.unwrap();
    assert_eq!(queued(&db), (0, 0, 0));
    // Later it is, and then it is not there.
    let later = telling(&world, &db, &centre);
    shared.queue_metadata(&centre.state().branch()[0].manifest).unwrap();
    let failed = later.shared.tell_metadata(&later.shared.centre.clone().unwrap(), 1).await.unwrap_err();
    assert!(matches!(failed, Failed::NotGot(_)), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_told_stays_queued() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    append(&db, 0, 0..5);
    let worker = telling(&world, &db, &centre);
    let (shared, telling_here) = (&worker.shared, worker.shared.centre.clone().unwrap());
    db.delivery("bucket").cut(CutWhat::All).unwrap();
    shared.meet().await.unwrap();
    shared.announce().await.unwrap();
    for (fault, told) in [(Fault::Before, false), (Fault::After, false), (Fault::None, true)] {
        centre.plan([fault]);
        assert_eq!(shared.tell_cut(&telling_here).await.is_ok(), told);
        assert_eq!(queued(&db).0, u64::from(!told));
    }
    shared.send(&shared.due(0, true).unwrap().remove(0)).await.unwrap();
    for (fault, told) in [(Fault::Before, false), (Fault::After, false), (Fault::None, true)] {
        centre.plan([fault]);
        assert_eq!(shared.tell_segments(&telling_here).await.is_ok(), told);
        assert_eq!(queued(&db).2, u64::from(!told));
    }
}

#[tokio::test(start_paused = true)]
async fn a_centre_that_is_down_holds_up_nothing() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    centre.always(Some(Fault::Before));
    for hour in 0..4 {
        append(&db, hour, 0..5);
        document(&db, hour.unsigned_abs());
        let Once::Left(report, failed) = telling(&world, &db, &centre).run_once().await else { panic!("all is well") };
        assert!(matches!(failed, Failed::Centre(_)), "{failed}");
        let ledger = report.ledger.unwrap();
        let circuit = ledger.circuit.unwrap();
        assert!(circuit.failures >= 5 && circuit.why.contains("it is down"), "{circuit:?}");
        assert_eq!(report.circuit, None, "the bucket does its part");
        let so_far = hour.unsigned_abs() + 1;
        assert_eq!((ledger.told.cut, ledger.told.cuts, ledger.told.segments), (None, so_far, so_far));
        assert_eq!(world.branch().await.cuts, so_far);
    }
    centre.always(None);
    done(telling(&world, &db, &centre).run_once().await);
    assert_eq!(agree(&world, &db, &centre).await.cuts, 4);
}

/// Whichever call fails, and however, in the end all agree.
#[tokio::test(start_paused = true)]
async fn whichever_call_fails_in_the_end_all_agree() {
    for fault in [Fault::Before, Fault::After, Fault::Refused] {
        for at in 0.. {
            let (world, centre) = (World::new(), InMemory::default());
            let db = world.open();
            append(&db, 0, 0..5);
            document(&db, 1);
            done(telling(&world, &db, &centre).run_once().await);
            append(&db, 1, 0..5);
            append(&db, 2, 0..5);
            document(&db, 2);
            centre.calls();
            centre.plan(std::iter::repeat_n(Fault::None, at).chain([fault]));
            run(&telling(&world, &db, &centre)).await;
            let made = centre.calls().len();
            centre.plan([]);
            agree(&world, &db, &centre).await;
            if made < at {
                break;
            }
        }
    }
}

/// The process ends while a call is under way, done or not; what comes then goes on.
#[tokio::test(start_paused = true)]
async fn who_is_killed_during_any_call_goes_on() {
    for fault in [Fault::HangsBefore, Fault::HangsAfter] {
        for at in 0.. {
            let (world, centre) = (World::new(), InMemory::default());
            let db = world.open();
            append(&db, 0, 0..5);
            document(&db, 1);
            let worker = telling(&world, &db, &centre);
            db.delivery("bucket").cut(CutWhat::All).unwrap();
            append(&db, 1, 0..5);
            document(&db, 2);
            centre.plan(std::iter::repeat_n(Fault::None, at).chain([fault]));
            let was_killed = tokio::select! {
                biased;
                () = centre.hung.notified() => true,
                once = worker.run_once() => {
                    done(once);
                    false
                }
            };
            drop(worker);
            centre.plan([]);
            done(telling(&world, &db, &centre).run_once().await);
            agree(&world, &db, &centre).await;
            if !was_killed {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_queued_and_did_not_come_to_count_is_told_once() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    append(&db, 0, 0..5);
    let worker = telling(&world, &db, &centre);
    done(worker.run_once().await);
    append(&db, 1, 0..5);
    db.delivery("bucket").cut(CutWhat::All).unwrap();
    // The manifest is there and queued, and the power fails before it is announced.
    worker.shared.put_manifest_queue_it_and_die().await;
    assert_eq!(queued(&db).0, 1);
    drop(worker);
    append(&db, 2, 0..5);
    let worker = telling(&world, &db, &centre);
    worker.shared.meet().await.unwrap();
    worker.shared.announce().await.unwrap();
    // The segment is there and queued, and does not count as held.
    let shipment = worker.shared.due(0, true).unwrap().remove(0);
    worker.shared.send_queue_it_and_die(&shipment).await;
    assert_eq!((queued(&db).2, db.delivery("bucket").state().unwrap().units_left), (1, 1));
    drop(worker);
    let report = done(telling(&world, &db, &centre).run_once().await);
    assert_eq!(report.counts.forks, 0);
    assert_eq!(agree(&world, &db, &centre).await.cuts, 3);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_gateway_takes_nothing_from_the_other() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    append(&db, 0, 0..5);
    done(telling(&world, &db, &centre).run_once().await);
    Arc::into_inner(db).unwrap().close().unwrap();
    let copy = world.dir.path().join("copy");
    copy_dir(&world.data(), &copy);
    let (one, other) = (world.open(), world.open_in(&copy));
    append(&one, 1, 0..3);
    done(telling(&world, &one, &centre).run_once().await);
    append(&other, 1, 3..5);
    let before = world.files("");
    // The bucket tells it that it is a copy; the centre takes its branch for the present one.
    assert_eq!(done(telling(&world, &other, &centre).run_once().await).counts.forks, 1);
    agree(&world, &other, &centre).await;
    // The first one goes on behind what the centre has of it: nothing is sent again.
    append(&one, 2, 0..3);
    let report = run(&telling(&world, &one, &centre)).await;
    assert_eq!((report.counts.forks, report.counts.segments), (1, 2), "the cut that was refused is announced by the new one too");
    agree(&world, &one, &centre).await;
    for file in before {
        assert!(file.exists());
    }
    // They do not take it from each other for ever.
    append(&other, 2, 0..3);
    run(&telling(&world, &other, &centre)).await;
    append(&one, 3, 0..3);
    let Once::Left(report, failed) = telling(&world, &one, &centre).run_once().await else { panic!("all is well") };
    assert!(matches!(failed, Failed::Contested { .. }), "{failed}");
    assert!(failed.to_string().contains("alluvium central provision"), "{failed}");
    assert_eq!((report.counts.forks, report.circuit), (0, None));
    assert_eq!(one.delivery("bucket").state().unwrap().cuts_left, 0, "the bucket has all of it");
}

/// The files were put back to a backup: the centre, and it alone, knows better.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_was_put_back_goes_on_behind_what_it_knows() {
    put_back(|_| {}).await;
    // One that was made again of the bucket has no notes of the centre.
    put_back(|db| {
        let delivery = db.delivery("bucket");
        let notes = delivery.notes(b"centre/").unwrap().into_iter().map(|(name, _)| (name, None));
        delivery.put_notes(notes.collect()).unwrap();
    })
    .await;
}

async fn put_back(change: impl Fn(&Database)) {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    append(&db, 0, 0..5);
    done(telling(&world, &db, &centre).run_once().await);
    Arc::into_inner(db).unwrap().close().unwrap();
    let backup = world.dir.path().join("backup");
    copy_dir(&world.data(), &backup);
    let db = world.open();
    append(&db, 1, 0..5);
    document(&db, 1);
    done(telling(&world, &db, &centre).run_once().await);
    let ahead = centre.state().head().unwrap();
    drop(db);
    // So was the bucket, which does not tell it.
    let manifest =
        world.files(".manifest.json").into_iter().find(|file| file.to_string_lossy().contains("000000000002.")).unwrap();
    std::fs::remove_file(manifest).unwrap();
    let db = world.open_in(&backup);
    change(&db);
    // The centre is not there when the next cut is announced.
    centre.always(Some(Fault::Before));
    append(&db, 1, 5..9);
    assert!(matches!(telling(&world, &db, &centre).run_once().await, Once::Left(..)));
    centre.always(None);
    run(&telling(&world, &db, &centre)).await;
    agree_but_for_strays(&db, &centre);
    let head = centre.state().head().unwrap();
    assert_eq!((head.cut, head.incarnation == ahead.incarnation), (2, false));
    assert!(centre.state().cuts(1, 10)[1].hash != ahead.hash);
}

/// As [`agree`], where the bucket has segments that no manifest announces.
fn agree_but_for_strays(db: &Database, centre: &InMemory) {
    let state = db.delivery("bucket").state().unwrap();
    let announced = state.head.announced.unwrap();
    let (central, head) = (centre.state(), centre.state().head().unwrap());
    assert_eq!((head.incarnation.0, head.cut, head.hash.0), (announced.incarnation, announced.cut, announced.hash));
    assert_eq!((central.delivered_through(), state.delivered.map(|delivered| delivered.cut)), (Some(head.cut), Some(head.cut)));
    assert_eq!(queued(db), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_or_dropped_before_it_was_sent_is_stated() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    append(&db, 0, 0..5);
    append(&db, 1, 0..5);
    let worker = telling(&world, &db, &centre);
    db.delivery("bucket").cut(CutWhat::All).unwrap();
    db.delete("air", &[], TimeRange::new(0, 3_600_000_000)).unwrap();
    db.compact().unwrap();
    done(worker.run_once().await);
    agree(&world, &db, &centre).await;
    append(&db, 2, 0..5);
    db.delivery("bucket").cut(CutWhat::All).unwrap();
    db.drop_table("air").unwrap();
    done(worker.run_once().await);
    agree(&world, &db, &centre).await;
}

#[tokio::test(start_paused = true)]
async fn another_beginning_is_not_taken_for_this_one() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    append(&db, 0, 0..5);
    done(telling(&world, &db, &centre).run_once().await);
    let before = centre.state().head().unwrap();
    assert!(db.delivery("bucket").remove().unwrap());
    append(&db, 1, 0..5);
    let Once::Left(_, failed) = telling(&world, &db, &centre).run_once().await else { panic!("all is well") };
    assert!(matches!(failed, Failed::OtherBeginning(_)), "{failed}");
    assert_eq!(centre.state().head().unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn who_is_paused_tells_nothing_and_a_server_goes_on_by_itself() {
    let (world, centre) = (World::new(), InMemory::default());
    let db = world.open();
    append(&db, 0, 0..5);
    centre.always(Some(Fault::Before));
    let policy = Policy { cut_every: Duration::from_secs(10), max_delay: Duration::ZERO, ..Policy::default() };
    let worker = telling_to(&world, &db, world.target(), policy, &centre);
    let mut reports = worker.reports();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let worker = worker.clone();
        async move { worker.run(async { drop(stopped.await) }).await }
    });
    let failed = |report: &Report| report.ledger.as_ref().is_some_and(|ledger| ledger.circuit.is_some());
    reports.wait_for(|report| failed(report) && report.counts.segments == 1).await.unwrap();
    worker.pause(true).unwrap();
    reports.wait_for(|report| report.paused).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    centre.always(None);
    centre.calls();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(centre.calls(), Vec::<&str>::new());
    worker.pause(false).unwrap();
    let all =
        |report: &Report| report.ledger.as_ref().is_some_and(|ledger| ledger.told.cut == Some(1) && ledger.told.segments == 0);
    reports.wait_for(|report| all(report) && !failed(report)).await.unwrap();
    // What comes later comes there too.
    append(&db, 1, 0..5);
    let more =
        |report: &Report| report.counts.segments == 2 && report.ledger.as_ref().is_some_and(|ledger| ledger.told.cut >= Some(2));
    reports.wait_for(|report| more(report)).await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap();
    done(worker.run_once().await);
    agree(&world, &db, &centre).await;
}

/// A life of a gateway in which everything fails at times.
#[tokio::test(start_paused = true)]
async fn whatever_happens_in_the_end_all_agree() {
    let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("ALLUVIUM_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let cases = std::env::var("ALLUVIUM_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    for _ in 0..cases {
        let (world, centre) = (World::new(), InMemory::default());
        let (db, mut backups) = (world.open(), vec![centre.state()]);
        for round in 0..random.u64(2..10) {
            match random.u8(..4) {
                0 => document(&db, round),
                1 => {
                    db.delete("air", &[], TimeRange::new(0, random.i64(1..8) * 1_800_000_000)).unwrap();
                }
                _ => append(&db, random.i64(0..6), 0..random.i64(1..9)),
            }
            if random.u8(..6) == 0 {
                centre.put_back(random.choice(&backups).unwrap().clone());
            }
            let faults =
                [Fault::None, Fault::None, Fault::None, Fault::Before, Fault::After, Fault::HangsBefore, Fault::HangsAfter];
            centre.plan((0..random.usize(..30)).map(|_| faults[random.usize(..faults.len())]).collect::<Vec<_>>());
            let worker = telling(&world, &db, &centre);
            tokio::select! {
                biased;
                () = centre.hung.notified() => {}
                _ = worker.run_once() => {}
            }
            backups.push(centre.state());
        }
        centre.plan([]);
        append(&db, 7, 0..3);
        run(&telling(&world, &db, &centre)).await;
        agree(&world, &db, &centre).await;
        Arc::into_inner(db).unwrap().close().unwrap();
    }
}
