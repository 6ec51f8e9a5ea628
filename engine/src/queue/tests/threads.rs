//! Many at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::*;

const ITEMS: usize = 600;

/// Sixteen consumers, some of which die with what they have, while time passes: every item is acknowledged once.
#[test]
fn every_item_is_delivered_at_least_once_and_acknowledged_once() {
    let (disk, clock, db) = with_queue();
    db.alter_queue(&spec().tries(u32::MAX)).unwrap();
    let (acknowledged, delivered) = (Mutex::new(BTreeMap::<u64, u32>::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for producer in 0..4_u8 {
            let db = &db;
            scope.spawn(move || {
                for n in 0..ITEMS / 4 {
                    db.queue(Q).push(NewItem::new(format!("{producer}/{n}")).priority(producer)).unwrap();
                }
            });
        }
        for consumer in 0..16 {
            let (db, clock, acknowledged, delivered) = (&db, &clock, &acknowledged, &delivered);
            scope.spawn(move || {
                while acknowledged.lock().len() < ITEMS {
                    let popped = db.queue(Q).pop_wait(Pop::at_most(1 + consumer % 3), Duration::from_millis(5)).unwrap();
                    for leased in popped {
                        match (delivered.fetch_add(1, Ordering::Relaxed) + consumer) % 11 {
                            // Dies with it.
                            0 => clock.pass(3 * SECOND),
                            1 => drop(db.queue(Q).nack(leased.lease, Retry::After(Duration::ZERO))),
                            _ => match db.queue(Q).ack(leased.lease) {
                                Ok(()) => *acknowledged.lock().entry(leased.item.id).or_default() += 1,
                                Err(error) => assert!(matches!(error, Error::LeaseLost { .. }), "{error}"),
                            },
                        }
                    }
                    clock.pass(SECOND / 10);
                }
            });
        }
    });
    let acknowledged = acknowledged.into_inner();
    assert_eq!(acknowledged.len(), ITEMS);
    assert!(acknowledged.values().all(|times| *times == 1), "{acknowledged:?}");
    assert!(delivered.into_inner() > ITEMS, "some were delivered again");
    for db in [&db, &open(&disk.after_power_cut(), &clock)] {
        assert_eq!(sizes(db), QueueSizes::default());
    }
}

/// Transactions that move items from one queue to another beside those who pop: nothing is lost or doubled.
#[test]
fn transactions_move_items_while_others_pop() {
    let (disk, clock, db) = with_queue();
    db.create_queue(&QueueSpec::new("next")).unwrap();
    db.queue(Q).push_all((0..200).map(|n| NewItem::new(format!("{n}"))).collect()).unwrap();
    let moved = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let outcome: Result<bool> = db.transaction(|tx| {
                        let Some(leased) = tx.queue(Q).pop()? else { return Ok(false) };
                        tx.queue("next").push(NewItem::new(leased.item.payload))?;
                        tx.queue(Q).ack(leased.lease)?;
                        Ok(true)
                    });
                    match outcome {
                        Ok(true) => drop(moved.fetch_add(1, Ordering::Relaxed)),
                        Ok(false) => return,
                        Err(Error::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let mut payloads: Vec<_> = db.queue("next").peek(999).unwrap().iter().map(text).collect();
    payloads.sort_unstable_by_key(|payload| payload.parse::<u32>().unwrap());
    assert_eq!((moved.into_inner(), payloads), (200, (0..200).map(|n| n.to_string()).collect()));
    assert_eq!(open(&disk.after_power_cut(), &clock).queue("next").sizes().unwrap().ready, 200);
}
