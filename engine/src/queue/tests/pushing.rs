//! Pushing: deduplication, schedules, batches, purges.

use super::*;

#[test]
fn a_key_keeps_others_out_for_its_window_also_after_the_acknowledgement() {
    let (disk, clock, db) = with_queue();
    let push = |db: &Database, key: &str| db.queue(Q).push(NewItem::new(key).deduplicate(key)).unwrap();
    let first = push(&db, "a");
    assert!(!first.duplicate);
    assert_eq!(push(&db, "a"), crate::Pushed { id: first.id, duplicate: true });
    assert!(!push(&db, "b").duplicate);
    let leased = pop(&db);
    db.queue(Q).ack(leased.lease).unwrap();
    clock.pass(60 * SECOND - 1);
    clock.set_wall(i64::MAX);
    assert!(push(&db, "a").duplicate, "also once it is done");
    drop(db);
    let db = open(&disk.after_power_cut(), &clock);
    assert!(push(&db, "a").duplicate, "also after a power cut");
    assert!(!db.background_step(BackgroundStep::Expire).unwrap(), "nothing yet");
    // The last record before the power cut was made earlier.
    clock.pass(60 * SECOND);
    let again = push(&db, "a");
    assert!(!again.duplicate && again.id > first.id);
    assert!(push(&db, "a").duplicate);
    while db.background_step(BackgroundStep::Expire).unwrap() {}
    let keys = |first: u8| cells(&db).iter().filter(|(key, _)| key[0] == first).count();
    assert_eq!((keys(0xA3), keys(0xA7)), (1, 1), "what has expired was taken away, what is new was not");
    assert!(push(&db, "a").duplicate);
    // Keys are those of one queue.
    db.create_queue(&QueueSpec::new("other").deduplication(Duration::ZERO)).unwrap();
    for _ in 0..2 {
        assert!(!db.queue("other").push(NewItem::new("x").deduplicate("a")).unwrap().duplicate, "no window, no memory");
    }
}

#[test]
fn a_batch_keeps_its_order_and_its_own_duplicates_out() {
    let (_, _, db) = with_queue();
    let items = ["a", "b", "a", "c"].map(|key| NewItem::new(key).deduplicate(key));
    let pushed = db.queue(Q).push_all(items.to_vec()).unwrap();
    assert_eq!(pushed.iter().map(|one| one.duplicate).collect::<Vec<_>>(), [false, false, true, false]);
    assert_eq!(pushed[2].id, pushed[0].id);
    assert_eq!(waiting(&db), ["a", "b", "c"]);
    assert!(db.queue(Q).push_all(Vec::new()).unwrap().is_empty());
}

#[test]
fn a_scheduled_item_waits_for_the_wall_clock_whatever_that_does() {
    let (disk, clock, db) = with_queue();
    clock.set_wall(100);
    let mut queue = db.queue(Q);
    for (payload, due) in [("later", 300), ("soon", 200), ("past", 50), ("on time", 100)] {
        queue.push(NewItem::new(payload).due(due)).unwrap();
    }
    assert_eq!(waiting(&db), ["past", "on time"]);
    clock.pass(1_000 * SECOND);
    assert_eq!(sizes(&db), QueueSizes { ready: 2, scheduled: 2, ..Default::default() }, "the other clock does not count");
    clock.set_wall(199);
    assert_eq!(sizes(&db).scheduled, 2);
    // Set ahead, by far: both are due, the earlier one first.
    clock.set_wall(i64::MAX);
    let due = ["past", "on time", "soon", "later"];
    assert_eq!((waiting(&db), sizes(&db).ready), (due.map(str::to_owned).to_vec(), 4));
    // Nobody has promoted them yet, so that set back they are not due again.
    clock.set_wall(0);
    assert_eq!(sizes(&db).scheduled, 2);
    queue.push(NewItem::new("early").due(10)).unwrap();
    clock.set_wall(250);
    let popped = queue.pop_many(Pop::at_most(10)).unwrap();
    assert_eq!(popped.iter().map(|leased| text(&leased.item)).collect::<Vec<_>>(), ["past", "on time", "early", "soon"]);
    clock.set_wall(0);
    assert_eq!(sizes(&open(&disk.after_power_cut(), &clock)).leased, 4, "promoted is promoted");
    queue.push(NewItem::new("before the bound").due(100)).unwrap();
    clock.set_wall(100);
    assert_eq!(waiting(&db), ["before the bound"], "though what was due by 250 has been looked at");
}

#[test]
fn a_purge_takes_what_there_is_and_no_more() {
    let (disk, clock, db) = with_queue();
    let mut queue = db.queue(Q);
    for _ in 0..3 {
        queue.push_all(vec![NewItem::new("x"); 800]).unwrap();
    }
    queue.push(NewItem::new("scheduled").due(i64::MAX)).unwrap();
    let leased = queue.pop_many(Pop::at_most(3)).unwrap();
    queue.nack(leased[0].lease, Retry::BackOff).unwrap();
    assert_eq!(sizes(&db), QueueSizes { ready: 2_397, scheduled: 1, leased: 2, delayed: 1, dead: 0 });
    assert_eq!(queue.purge().unwrap(), 2_401);
    assert_eq!(sizes(&db), QueueSizes::default());
    assert_eq!(lost(queue.ack(leased[1].lease), leased[1].lease), LeaseLoss::Gone);
    assert_eq!(cells(&db).len(), 4, "the definition, the name, the number of the next queue, the counts");
    assert_eq!(sizes(&open(&disk.after_power_cut(), &clock)), QueueSizes::default());
    assert_eq!(queue.purge().unwrap(), 0);
}

#[test]
fn priority_is_strict_among_however_many_come_due_together() {
    let (_, clock, db) = with_queue();
    let mut queue = db.queue(Q);
    for first in (0..3_500).step_by(700) {
        queue.push_all((first..first + 700).map(|n| NewItem::new("low").due(10 + n)).collect()).unwrap();
    }
    queue.push(NewItem::new("high").priority(9).due(9_000)).unwrap();
    clock.set_wall(10_000);
    let first = queue.peek(2).unwrap().into_iter().map(|item| item.payload).collect::<Vec<_>>();
    assert_eq!(first, [b"high".to_vec(), b"low".to_vec()]);
    assert_eq!(sizes(&db), QueueSizes { ready: 3_501, ..QueueSizes::default() });
    assert_eq!(queue.pop().unwrap().unwrap().item.payload, b"high");
    assert_eq!(queue.pop().unwrap().unwrap().item.due, Some(10));
    assert_eq!(sizes(&db), QueueSizes { ready: 3_499, leased: 2, ..QueueSizes::default() });
}
