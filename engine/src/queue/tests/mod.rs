//! Queues over the whole database, on a disk in memory and a clock of the test's own.

mod bytes;
mod idle;
mod leases;
mod order;
mod pushing;
mod threads;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use crate::io::MemoryDisk;
use crate::testing::{Hands, SECOND, begin, open};
use crate::{
    BackgroundStep, Database, Error, Item, Lease, LeaseLoss, Leased, Nacked, NewItem, Pop, QueueSizes, QueueSpec, Result, Retry,
};

const Q: &str = "jobs";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Leases of ten seconds, three tries, back-off of one second and then two, keys kept for a minute.
fn spec() -> QueueSpec {
    QueueSpec::new(Q).lease(seconds(10)).tries(3).back_off(seconds(1), seconds(2)).deduplication(seconds(60))
}

fn with_queue() -> (MemoryDisk, Arc<Hands>, Database) {
    let (disk, clock, db) = begin();
    db.create_queue(&spec()).unwrap();
    (disk, clock, db)
}

fn push(db: &Database, payload: &str) -> u64 {
    db.queue(Q).push(NewItem::new(payload)).unwrap().id
}

fn pop(db: &Database) -> Leased {
    db.queue(Q).pop().unwrap().expect("an item")
}

fn text(item: &Item) -> String {
    String::from_utf8(item.payload.clone()).unwrap()
}

/// Payloads of what would be popped next.
fn waiting(db: &Database) -> Vec<String> {
    db.queue(Q).peek(usize::MAX).unwrap().iter().map(text).collect()
}

fn sizes(db: &Database) -> QueueSizes {
    db.queue(Q).sizes().unwrap()
}

fn lost<T: std::fmt::Debug>(outcome: Result<T>, of: Lease) -> LeaseLoss {
    match outcome {
        Err(Error::LeaseLost { queue, item, how }) if queue == Q && item == of.item() => how,
        other => panic!("{other:?}"),
    }
}

/// Everything in the key space.
fn cells(db: &Database) -> Vec<(Vec<u8>, Vec<u8>)> {
    let everything = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let view = db.keyspace().head().unwrap();
    let cells = view.scan(&everything, crate::keyspace::Direction::Forward).unwrap();
    cells.map(|cell| cell.map(|(key, (_, value))| (key.to_vec(), value.to_vec())).unwrap()).collect()
}

#[test]
fn queues_are_made_altered_listed_and_dropped() {
    let (disk, clock, db) = with_queue();
    let other = QueueSpec::new("a").dead_letters(false);
    db.create_queue(&other).unwrap();
    assert!(matches!(db.create_queue(&other), Err(Error::QueueExists { name }) if name == "a"));
    db.alter_queue(&spec().tries(9)).unwrap();
    assert_eq!(db.queues().unwrap(), [other, spec().tries(9)]);
    db.drop_queue("a").unwrap();
    for refused in [db.drop_queue("a"), db.alter_queue(&QueueSpec::new("a")), db.queue("a").purge().map(drop)] {
        assert!(matches!(refused, Err(Error::NoSuchQueue { name }) if name == "a"));
    }
    drop(db);
    assert_eq!(open(&disk.after_power_cut(), &clock).queues().unwrap(), [spec().tries(9)]);
}

#[test]
fn bad_input_is_refused_by_name() {
    let (_, _, db) = with_queue();
    let says = |outcome: Result<()>, words: &str| {
        let refused = outcome.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    };
    says(db.create_queue(&QueueSpec::new("a\u{7}b")), "queue name \"a\\u{7}b\" holds the control character '\\u{7}'");
    says(db.create_queue(&QueueSpec::new("")), "queue name has 1 to 255 bytes, not 0");
    says(db.create_queue(&QueueSpec::new("x".repeat(256))), "not 256");
    says(db.create_queue(&QueueSpec::new("b").tries(0)), "queue \"b\"");
    let mut queue = db.queue(Q);
    says(queue.push(NewItem::new("x").deduplicate("a\nb")).map(drop), "deduplication key \"a\\nb\"");
    says(queue.push(NewItem::new("x").deduplicate("")).map(drop), "1 to 1024 bytes");
    says(queue.push(NewItem::new(vec![0; (1 << 20) + 1])).map(drop), "bytes of a payload is 1048577, the limit is 1048576");
    says(queue.push_all(vec![NewItem::new(vec![0; 1 << 20]); 17]).map(drop), "setting `batch_bytes`");
    says(queue.push_all(vec![NewItem::new(""); 1_001]).map(drop), "items pushed at once is 1001, the limit is 1000");
    says(queue.pop_many(Pop::at_most(1_001)).map(drop), "items popped at once is 1001");
    says(queue.requeue(&[7]), "queue \"jobs\" has no dead letter 7");
    says(db.queue("none").pop().map(drop), "there is no queue \"none\"");
    assert_eq!(sizes(&db), QueueSizes::default());
}

#[test]
fn what_was_pushed_comes_out_once_and_is_gone_after_any_end() {
    let (disk, clock, db) = with_queue();
    clock.set_wall(77);
    let id = db.queue(Q).push(NewItem::new("one").priority(4).due(-5).deduplicate("k")).unwrap().id;
    push(&db, "two");
    let check = |db: &Database, when: &str| {
        assert_eq!(waiting(db), ["one", "two"], "{when}");
        assert_eq!(sizes(db), QueueSizes { ready: 2, ..Default::default() }, "{when}");
        assert_eq!(db.verify(&mut |_, _| {}).unwrap().problems, [], "{when}");
    };
    check(&db, "before");
    check(&open(&disk.after_power_cut(), &clock), "after a power cut");
    db.seal().unwrap();
    db.close().unwrap();
    let db = open(&disk, &clock);
    check(&db, "after closing");

    let leased = pop(&db);
    let deduplication = Some("k".to_owned());
    let item = Item { id, payload: b"one".to_vec(), priority: 4, tries: 1, pushed: 77, due: Some(-5), deduplication };
    assert_eq!((&leased.item, leased.lasts), (&item, seconds(10)));
    db.queue(Q).ack(leased.lease).unwrap();
    let cut = open(&disk.after_power_cut(), &clock);
    assert_eq!(waiting(&cut), ["two"]);
    assert_eq!(lost(cut.queue(Q).ack(leased.lease), leased.lease), LeaseLoss::Gone);
}

#[test]
fn a_transaction_mixes_queues_pairs_and_rows() {
    use crate::{FieldType, Put, RowBuilder, TableSpec};
    let (disk, clock, db) = with_queue();
    db.create_queue(&QueueSpec::new("done")).unwrap();
    let table = db.create_table(TableSpec::new("t").field("v", FieldType::Int64)).unwrap();
    let mut rows = RowBuilder::new(table);
    rows.row(1).value("v", 1_i64).unwrap();
    let rows = rows.finish().unwrap();
    push(&db, "work");

    let moved: Result<()> = db.transaction(|tx| {
        let leased = tx.queue(Q).pop()?.expect("an item");
        tx.queue("done").push(NewItem::new(leased.item.payload))?;
        tx.queue(Q).ack(leased.lease)?;
        tx.kv().put("last", b"work", Put::default())?;
        tx.append("t", &rows)
    });
    moved.unwrap();
    for db in [&db, &open(&disk.after_power_cut(), &clock)] {
        assert_eq!((sizes(db).ready, sizes(db).leased), (0, 0));
        assert_eq!(db.queue("done").peek(9).unwrap().len(), 1);
        assert!(db.kv().get("last").unwrap().is_some());
    }
    // One that is refused leaves the queues as they were.
    let refused: Result<()> = db.transaction(|tx| {
        tx.queue("done").pop()?;
        tx.queue("nowhere").push(NewItem::new("x")).map(drop)
    });
    assert!(matches!(refused, Err(Error::NoSuchQueue { .. })));
    assert_eq!(db.queue("done").sizes().unwrap().ready, 1);
}

#[test]
fn what_is_refused_within_a_transaction_leaves_nothing_half_done() {
    let (disk, clock, db) = with_queue();
    let mut queue = db.queue(Q);
    queue.push_all(vec![NewItem::new("x"); 3]).unwrap();
    let leases: Vec<_> = queue.pop_many(Pop::at_most(3)).unwrap().iter().map(|leased| leased.lease).collect();
    queue.ack(leases[2]).unwrap();
    clock.pass(10 * SECOND);
    let kept: Result<()> = db.transaction(|tx| {
        let mut queue = tx.queue(Q);
        // The other two have come back by now, which is promoted on the way to the refusal.
        assert_eq!(lost(queue.ack_all(&leases), leases[0]), LeaseLoss::Ended);
        let again = queue.pop()?.expect("an item");
        let twice = queue.ack_all(&[again.lease, again.lease]).unwrap_err().to_string();
        assert!(twice.contains("is there twice"), "{twice}");
        assert_eq!(lost(queue.ack_all(&[again.lease, leases[1]]), leases[1]), LeaseLoss::Ended);
        Ok(())
    });
    kept.unwrap();
    for db in [&db, &open(&disk.after_power_cut(), &clock)] {
        assert_eq!(sizes(db), QueueSizes { ready: 1, leased: 1, ..Default::default() });
        assert_eq!(waiting(db).len(), 1);
    }
}

#[test]
fn a_dropped_queue_is_reclaimed_a_few_cells_at_a_time() {
    let (disk, clock, db) = with_queue();
    let empty = cells(&db);
    for n in 0..5 {
        let item = |k| NewItem::new("x").deduplicate(&format!("{n}/{k}")).priority(n);
        db.queue(Q).push_all((0..100).map(item).collect()).unwrap();
    }
    db.queue(Q).pop_many(Pop::at_most(50)).unwrap();
    let old = pop(&db).lease;
    db.drop_queue(Q).unwrap();
    db.create_queue(&spec()).unwrap();
    assert_eq!((waiting(&db), sizes(&db)), (Vec::new(), QueueSizes::default()), "the new one has nothing of the old");
    push(&db, "new");
    assert_eq!(lost(db.queue(Q).ack(old), old), LeaseLoss::Gone);
    drop(db);
    let db = open(&disk.after_power_cut(), &clock);
    let mut steps = 0;
    while db.background_step(BackgroundStep::Expire).unwrap() {
        steps += 1;
    }
    assert!(steps > 2, "{steps} steps for 2,500 cells");
    db.queue(Q).purge().unwrap();
    // What is left is the definition of the new one, and its counts.
    assert_eq!(cells(&db).len(), empty.len() + 1);
}
