//! Waiting for something to pop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::io::Components;
use crate::testing::settings;

const LONG: Duration = Duration::from_secs(60);

/// A database whose clocks go by themselves.
fn with_real_time() -> Database {
    let components = Components { disk: Arc::new(MemoryDisk::new()), ..Components::os() };
    let db = Database::builder().settings(settings()).components(components).open("/data").unwrap();
    db.create_queue(&spec()).unwrap();
    db
}

fn wait_for_watches(db: &Database, count: usize) {
    while db.keyspace().watchers.watches() < count {
        std::thread::yield_now();
    }
}

#[test]
fn who_waits_is_woken_by_a_push() {
    let (_, _, db) = with_queue();
    let (pushed, db) = (AtomicUsize::new(0), &db);
    std::thread::scope(|scope| {
        let consumers: Vec<_> =
            (0..16).map(|_| scope.spawn(|| db.queue(Q).pop_wait(Pop::at_most(1), LONG).unwrap().remove(0).item.id)).collect();
        wait_for_watches(db, 16);
        for _ in 0..16 {
            push(db, "x");
            pushed.fetch_add(1, Ordering::Relaxed);
        }
        let mut ids: Vec<_> = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 16, "each has another");
    });
    assert_eq!(db.keyspace().watchers.watches(), 0, "nobody watches any more");
}

#[test]
fn who_waits_in_vain_is_answered_in_time() {
    let db = with_real_time();
    assert!(db.queue(Q).pop_wait(Pop::at_most(1), Duration::from_millis(20)).unwrap().is_empty());
    assert!(db.queue(Q).pop_wait(Pop::at_most(1), Duration::ZERO).unwrap().is_empty());
    assert!(db.queue(Q).pop_wait(Pop::at_most(0), LONG).unwrap().is_empty());
    // And so it is where only its clock stands still.
    let (_, _, db) = with_queue();
    assert!(db.queue(Q).pop_wait(Pop::at_most(1), Duration::from_millis(20)).unwrap().is_empty());
}

#[test]
fn who_waits_is_woken_when_something_comes_due() {
    let db = with_real_time();
    let mut queue = db.queue(Q);
    push(&db, "leased");
    queue.pop_many(Pop::at_most(1).lease(Duration::from_millis(30))).unwrap();
    let again = queue.pop_wait(Pop::at_most(1), LONG).unwrap().remove(0);
    assert_eq!(again.item.tries, 2);
    queue.nack(again.lease, Retry::After(Duration::from_millis(30))).unwrap();
    let last = queue.pop_wait(Pop::at_most(1), LONG).unwrap().remove(0);
    // A last try that runs out leaves nothing to pop, and keeps nobody busy.
    queue.extend(last.lease, Duration::from_millis(10)).unwrap();
    assert!(queue.pop_wait(Pop::at_most(1), Duration::from_millis(100)).unwrap().is_empty());
    assert_eq!(sizes(&db), QueueSizes { dead: 1, ..Default::default() });
    let now = Components::os().clock.wall_micros();
    queue.push(NewItem::new("scheduled").due(now + 30_000)).unwrap();
    assert_eq!(text(&queue.pop_wait(Pop::at_most(1), LONG).unwrap()[0].item), "scheduled");
}

#[test]
fn who_waits_for_a_lease_learns_that_it_was_shortened() {
    let db = with_real_time();
    push(&db, "x");
    let leased = pop(&db);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| db.queue(Q).pop_wait(Pop::at_most(1), LONG).unwrap().len());
        wait_for_watches(&db, 1);
        db.queue(Q).extend(leased.lease, Duration::from_millis(10)).unwrap();
        assert_eq!(waiting.join().unwrap(), 1);
    });
}

#[test]
fn who_waits_for_a_queue_that_is_dropped_is_told() {
    let (_, _, db) = with_queue();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| db.queue(Q).pop_wait(Pop::at_most(1), LONG));
        wait_for_watches(&db, 1);
        db.drop_queue(Q).unwrap();
        assert!(matches!(waiting.join().unwrap(), Err(Error::NoSuchQueue { .. })));
    });
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_task_is_woken_by_changes_of_its_own_queue_only() {
    let (_, clock, db) = with_queue();
    db.create_queue(&QueueSpec::new("other")).unwrap();
    let woken = Arc::<Woken>::default();
    let waker = Waker::from(woken.clone());
    let mut watch = db.queue(Q).watch().unwrap();
    let mut poll = || watch.poll_changed(&mut Context::from_waker(&waker));
    assert_eq!((poll(), poll()), (Poll::Pending, Poll::Pending));
    db.queue("other").push(NewItem::new("x")).unwrap();
    db.kv().put("k", b"x", crate::Put::default()).unwrap();
    assert_eq!((woken.0.load(Ordering::Relaxed), poll()), (0, Poll::Pending));
    push(&db, "x");
    assert_eq!((woken.0.load(Ordering::Relaxed), poll(), poll()), (1, Poll::Ready(()), Poll::Pending));
    // A pop is a change too, and tells when it will come due again.
    assert_eq!(db.queue(Q).quiet_for().unwrap(), None);
    pop(&db);
    clock.pass(4 * SECOND);
    assert_eq!(db.queue(Q).quiet_for().unwrap(), Some(seconds(6)));
    assert_eq!(poll(), Poll::Ready(()));
    assert_eq!(poll(), Poll::Pending);
    db.close().unwrap();
    assert_eq!(poll(), Poll::Ready(()), "closing is a change as well");
}
