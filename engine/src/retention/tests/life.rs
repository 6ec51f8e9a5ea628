//! Databases that let go of rows.

use std::sync::Arc;
use std::time::Duration;

use super::super::{EvictionReason, Keep, Retention, Unheld};
use crate::io::{Disk, MemoryDisk};
use crate::record::ReceiptKind;
use crate::testing::{Hands, SECOND, open_with, settings};
use crate::{
    BackgroundStep, ChangeKind, CutWhat, Database, Error, Event, FieldType, Partitioning, Put, Query, RowBuilder, SendOrder,
    Settings, TableSpec, TimeRange,
};

const HOUR: i64 = 3_600_000_000;
const DAY: Duration = Duration::from_secs(86_400);

fn begin(retention: Retention) -> (MemoryDisk, Arc<Hands>, Database) {
    let (disk, clock) = (MemoryDisk::new(), Arc::new(Hands::default()));
    let db = open_with(&disk, &clock, Settings { retention, ..settings() });
    let spec = TableSpec::new("t").tag("device").field("v", FieldType::Int64).partitioning(Partitioning::Hour);
    db.create_table(spec).unwrap();
    (disk, clock, db)
}

/// Everything older than a day goes once the cloud holds it.
fn a_day() -> Retention {
    Retention { keep: Keep { age: Some(DAY), bytes: None }, required: vec!["cloud".to_owned()], ..Retention::default() }
}

/// A moment at which rows of the first hours are old.
fn late(clock: &Hands) {
    clock.set_wall(100 * HOUR);
}

fn try_append(db: &Database, rows: &[(i64, i64)]) -> crate::Result<()> {
    let mut builder = RowBuilder::new(db.table("t").unwrap());
    for (time, value) in rows {
        builder.row(*time).tag("device", "a").unwrap().value("v", *value).unwrap();
    }
    db.append("t", &builder.finish().unwrap()).map(drop)
}

fn append(db: &Database, rows: &[(i64, i64)]) {
    try_append(db, rows).unwrap();
}

fn rows(db: &Database) -> usize {
    db.query(&Query::table("t").field("v")).unwrap().map(|batch| batch.unwrap().num_rows()).sum()
}

/// Takes a cut and announces it.
fn cut(db: &Database) -> crate::Cut {
    let cut = db.delivery("cloud").cut(CutWhat::All).unwrap().unwrap();
    db.delivery("cloud").announce(cut.number, [cut.number as u8; 32], 0).unwrap();
    cut
}

/// Sends everything, each to a place of its number.
fn send(db: &Database) {
    for (number, shipment) in db.delivery("cloud").pending(SendOrder::Oldest, 99).unwrap().iter().enumerate() {
        assert!(db.delivery("cloud").sent(shipment, &format!("place/{number}")).unwrap() > 0);
    }
}

fn confirm(db: &Database) {
    let cloud = db.delivery("cloud");
    cloud.confirm(&cloud.unconfirmed(99).unwrap()).unwrap();
}

fn files(disk: &MemoryDisk) -> usize {
    let named = disk.list(std::path::Path::new("/data/segments")).unwrap();
    named.iter().filter(|entry| entry.name.ends_with(".parquet")).count()
}

#[test]
fn only_what_was_looked_for_where_it_was_sent_goes() {
    let (disk, clock, db) = begin(a_day());
    append(&db, &[(0, 1), (1, 2), (99 * HOUR, 3)]);
    db.seal().unwrap();
    late(&clock);
    let waits = |db: &Database| db.evictions().unwrap().iter().map(|found| found.waits_for.clone()).collect::<Vec<_>>();
    let cloud = [["cloud to hold it".to_owned()]];
    assert_eq!(waits(&db), cloud, "there is no such delivery");
    db.delivery("cloud").begin().unwrap();
    assert_eq!(waits(&db), cloud, "it was not cut");
    cut(&db);
    assert_eq!(waits(&db), cloud, "it was not sent");
    send(&db);
    assert_eq!(waits(&db), cloud, "it was not looked for");
    assert_eq!(db.evict().unwrap(), []);
    let state = db.delivery("cloud").state().unwrap();
    assert_eq!(
        (state.units_left, state.delivered, db.delivery("cloud").pending(SendOrder::Oldest, 9).unwrap().len()),
        (2, None, 0)
    );
    // One was not there: it is wanted again.
    let unconfirmed = db.delivery("cloud").unconfirmed(9).unwrap();
    let places: Vec<_> = unconfirmed.iter().map(|sent| sent.place.as_str()).collect();
    assert_eq!((places, db.delivery("cloud").unconfirmed(1).unwrap().len()), (vec!["place/0", "place/1"], 1));
    assert_eq!(db.delivery("cloud").missed(&unconfirmed[0]).unwrap(), 1);
    assert_eq!(db.delivery("cloud").confirm(&unconfirmed).unwrap(), 1, "the other was");
    assert_eq!((waits(&db).len(), db.evict().unwrap().len(), rows(&db)), (1, 0, 3));
    assert_eq!(db.delivery("cloud").pending(SendOrder::Oldest, 9).unwrap()[0].times, (0, 1));
    send(&db);
    confirm(&db);
    assert_eq!(db.delivery("cloud").state().unwrap().delivered.unwrap().cut, 1);
    let [planned] = &db.evictions().unwrap()[..] else { panic!() };
    let [gone] = &db.evict().unwrap()[..] else { panic!() };
    assert_eq!((planned, gone.rows, gone.times, gone.reason), (gone, 2, (0, 1), EvictionReason::Age));
    assert!(gone.waits_for.is_empty() && !gone.is_loss);
    assert_eq!((rows(&db), files(&disk), db.evictions().unwrap().len()), (1, 1, 0));
    let total = db.evicted("t").unwrap().unwrap();
    assert_eq!((total.rows, total.segments, total.unheld_rows, total.times, total.at_micros), (2, 1, 0, (0, 1), 100 * HOUR));
    assert_eq!(db.inspect().unwrap().receipts.len(), 0, "nothing is lost");
    // After a power cut as well.
    let survivor = disk.after_power_cut();
    drop(db);
    let db = open_with(&survivor, &clock, Settings { retention: a_day(), ..settings() });
    assert_eq!((rows(&db), db.evicted("t").unwrap()), (1, Some(total)));
    assert!(db.verify(&mut |_, _| {}).unwrap().problems.is_empty());
}

#[test]
fn a_partition_goes_as_a_whole() {
    let (_, clock, db) = begin(a_day());
    db.delivery("cloud").begin().unwrap();
    append(&db, &[(0, 1), (1, 1)]);
    cut(&db);
    send(&db);
    confirm(&db);
    // Without the first segment a query would still find the second; without the second it would find what that stood above.
    append(&db, &[(1, 2)]);
    cut(&db);
    late(&clock);
    assert_eq!((db.evict().unwrap().len(), rows(&db)), (0, 2));
    send(&db);
    confirm(&db);
    let [gone] = &db.evict().unwrap()[..] else { panic!() };
    assert_eq!((gone.segments, gone.rows, rows(&db)), (2, 3, 0));
}

#[test]
fn late_rows_and_deletions_behind_it_are_told() {
    let (_, clock, db) = begin(a_day());
    db.delivery("cloud").begin().unwrap();
    append(&db, &[(0, 1), (1, 1)]);
    cut(&db);
    send(&db);
    confirm(&db);
    late(&clock);
    assert_eq!(db.evict().unwrap().len(), 1);
    append(&db, &[(2, 7)]);
    db.delete("t", &[], TimeRange::new(0, 1)).unwrap();
    assert_eq!(rows(&db), 1);
    let cut = cut(&db);
    assert_eq!((cut.units.len(), cut.erasures.len()), (1, 1));
    assert_eq!(cut.erasures[0].1.range, TimeRange::new(0, 1));
    send(&db);
    confirm(&db);
    assert_eq!((db.evict().unwrap().len(), rows(&db)), (1, 0));
    assert_eq!(db.evicted("t").unwrap().unwrap().rows, 3);
}

#[test]
fn what_is_dropped_is_stated() {
    let dropping = Retention { unheld: Unheld::Drop, ..a_day() };
    let (_, clock, db) = begin(dropping);
    db.delivery("cloud").begin().unwrap();
    append(&db, &[(0, 1)]);
    cut(&db);
    append(&db, &[(HOUR, 1), (99 * HOUR, 1)]);
    db.seal().unwrap();
    late(&clock);
    let gone = db.evict().unwrap();
    assert_eq!(gone.iter().map(|gone| (gone.rows, gone.is_loss)).collect::<Vec<_>>(), [(1, true), (1, true)]);
    assert_eq!(db.evicted("t").unwrap().unwrap().unheld_rows, 2);
    assert_eq!(db.delivery("cloud").pending(SendOrder::Oldest, 9).unwrap().len(), 0);
    // A cut of what is sealed has the receipts yet to come; its unit is not said to be gone for another reason.
    let early = db.delivery("cloud").cut(CutWhat::Sealed).unwrap().unwrap();
    assert_eq!((early.losses.len(), early.voids.len(), early.units.len()), (0, 0, 1));
    db.delivery("cloud").announce(early.number, [2; 32], 0).unwrap();
    assert_eq!(db.delivery("cloud").state().unwrap().units_left, 2);
    let cut = cut(&db);
    let losses: Vec<_> = cut.losses.iter().map(|loss| (loss.kind, loss.times)).collect();
    let evicted = |time| (ReceiptKind::Evicted, Some((time, time)));
    assert_eq!((losses, cut.voids.len()), (vec![evicted(0), evicted(HOUR)], 0));
    send(&db);
    confirm(&db);
    assert_eq!(db.delivery("cloud").state().unwrap().delivered.unwrap().cut, 3);
}

#[test]
fn without_deliveries_nothing_goes_unless_that_is_said() {
    let mut retention = Retention { required: Vec::new(), ..a_day() };
    let (disk, clock, db) = begin(retention.clone());
    append(&db, &[(0, 1)]);
    db.seal().unwrap();
    late(&clock);
    assert_eq!(db.evict().unwrap().len(), 0);
    assert_eq!(db.evictions().unwrap()[0].waits_for, ["a target that is required: none is"]);
    drop(db);
    retention.unheld = Unheld::Drop;
    let db = open_with(&disk, &clock, Settings { retention, ..settings() });
    assert_eq!((db.evict().unwrap().len(), rows(&db)), (1, 0));
    assert_eq!(db.inspect().unwrap().receipts.len(), 0, "nobody was to hold it");
}

#[test]
fn the_background_believes_a_clock_that_has_gone_evenly_for_an_hour() {
    let (_, clock, db) = begin(Retention { unheld: Unheld::Drop, ..a_day() });
    append(&db, &[(0, 1)]);
    db.seal().unwrap();
    let pass = |seconds: u64, wall: i64| {
        clock.pass(seconds * SECOND);
        clock.set_wall(wall);
        db.background_step(BackgroundStep::Evict).unwrap()
    };
    let start = 100 * HOUR;
    assert!(!pass(0, start));
    assert!(!pass(3_500, start + 3_500 * SECOND as i64));
    // It is set by years, and back.
    assert!(!pass(60, 90_000 * HOUR));
    assert!(!pass(3_590, 90_001 * HOUR - 10 * SECOND as i64));
    assert!(!pass(60, start + 2 * HOUR));
    assert!(!pass(3_590, start + 3 * HOUR - 10 * SECOND as i64));
    assert_eq!(rows(&db), 1);
    assert!(pass(20, start + 3 * HOUR + 10 * SECOND as i64));
    assert_eq!(rows(&db), 0);
}

#[test]
fn at_its_budget_it_takes_no_more_until_somebody_holds_what_there_is() {
    const MIB: u64 = 1 << 20;
    let retention = Retention { disk_bytes: Some(4 * MIB), required: vec!["cloud".to_owned()], ..Retention::default() };
    let small = Settings { seal_log_bytes: MIB / 2, memtable_bytes: MIB as usize, retention, ..settings() };
    let too_much = Settings { retention: Retention { disk_bytes: Some(MIB), ..Retention::default() }, ..small.clone() };
    let (disk, clock) = (MemoryDisk::new(), Arc::new(Hands::default()));
    let refused = Database::builder().settings(too_much).open("/nowhere").unwrap_err();
    assert!(refused.to_string().contains("retention.disk_bytes = 1048576"), "{refused}");
    let db = open_with(&disk, &clock, small);
    let spec = TableSpec::new("t").tag("device").field("v", FieldType::Int64).partitioning(Partitioning::Hour);
    db.create_table(spec).unwrap();
    db.delivery("cloud").begin().unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let step = |db: &Database| {
        clock.pass(2 * SECOND);
        db.background_step(BackgroundStep::Evict).unwrap()
    };
    let mut hour = 0;
    let refused = loop {
        let rows: Vec<_> = (0..5_000).map(|row| (hour * HOUR + row, random.i64(..))).collect();
        match try_append(&db, &rows) {
            Ok(()) => db.seal().unwrap(),
            Err(refused) => break refused,
        }
        step(&db);
        hour += 1;
    };
    let Error::DiskBudget { used, budget } = refused else { panic!("{refused}") };
    assert!(used >= budget && budget == 4 * MIB && used < 5 * MIB, "{used}");
    let said = Error::DiskBudget { used, budget }.to_string();
    assert!(said.contains("retention.disk_bytes") && said.contains("alluvium evict --dry-run"), "{said}");
    assert_eq!(db.evict().unwrap().len(), 0);
    db.kv().put("k", b"v", Put::default()).unwrap();
    // What makes room goes on, and so does reading.
    let before = rows(&db);
    db.delete("t", &[], TimeRange::new(0, 1)).unwrap();
    assert_eq!(rows(&db), before - 1);
    cut(&db);
    send(&db);
    confirm(&db);
    assert!(step(&db));
    append(&db, &[(0, 1)]);
    db.kv().put("k", b"v", Put::default()).unwrap();
    let left = rows(&db);
    assert!(left > before / 2 && left < before, "{left} of {before} rows are left: a tenth of the room is free");
}

#[test]
fn the_change_feed_tells_of_it() {
    let (_, clock, db) = begin(Retention { unheld: Unheld::Drop, ..a_day() });
    db.delivery("cloud").begin().unwrap();
    append(&db, &[(0, 1)]);
    db.seal().unwrap();
    late(&clock);
    db.evict().unwrap();
    let told = |kind| {
        let changes = db.changes().kind(kind).read().unwrap();
        changes.flat_map(|change| change.unwrap().events).collect::<Vec<_>>()
    };
    let gone = |event: &Event| matches!(event, Event::Evicted { table, removed, total } if table.name == "t" && removed.len() == 1 && total.rows == 1);
    assert_eq!(told(ChangeKind::Segments).iter().filter(|event| gone(event)).count(), 1);
    let [Event::Receipt(receipt)] = &told(ChangeKind::Receipts)[..] else { panic!() };
    assert_eq!(receipt.detail, "1 rows were let go of (age) before they were held elsewhere");
}

#[test]
fn what_a_target_has_forgotten_that_was_let_go_of_is_stated() {
    let (_, clock, db) = begin(a_day());
    db.delivery("cloud").begin().unwrap();
    append(&db, &[(0, 1)]);
    cut(&db);
    let first = db.delivery("cloud").head().unwrap().announced;
    append(&db, &[(HOUR, 1), (99 * HOUR, 1)]);
    cut(&db);
    send(&db);
    confirm(&db);
    late(&clock);
    assert_eq!(db.evict().unwrap().len(), 2);
    // It knows both cuts.
    db.delivery("cloud").fork(db.delivery("cloud").head().unwrap().announced).unwrap();
    assert_eq!(db.inspect().unwrap().receipts.len(), 0);
    db.delivery("cloud").fork(first).unwrap();
    let cut = cut(&db);
    assert_eq!(cut.units.len(), 1);
    let [loss] = &cut.losses[..] else { panic!("{:?}", cut.losses) };
    assert_eq!((loss.kind, loss.sequences.unwrap().0), (ReceiptKind::Evicted, first.unwrap().through + 1));
    assert!(loss.detail.contains("cloud has forgotten"), "{}", loss.detail);
}
