//! What queues cost that nobody uses, and what a queue costs that is large.

use super::*;

#[test]
fn ten_thousand_idle_queues_cost_nothing() {
    let (_, clock, db) = begin();
    let name = |n: usize| format!("queue/{n:05}");
    for n in 0..10_000 {
        let mut queue = db.queue(&name(n));
        // All in one way or another have something that is yet to come.
        db.create_queue(&QueueSpec::new(name(n)).lease(seconds(60))).unwrap();
        queue.push(if n % 2 == 0 { NewItem::new("x") } else { NewItem::new("x").due(i64::MAX) }).unwrap();
        queue.pop().unwrap();
    }
    for step in BackgroundStep::ALL {
        while db.background_step(step).unwrap() {}
    }
    let watches: Vec<_> = (0..10_000).map(|n| db.queue(&name(n)).watch().unwrap()).collect();
    db.create_queue(&spec()).unwrap();
    let written = db.inspect().unwrap().bytes_written;
    clock.pass(59 * SECOND);
    for _ in 0..10 {
        for step in BackgroundStep::ALL {
            assert!(!db.background_step(step).unwrap(), "{step:?}");
        }
    }
    // Also when time has come in all of them: whoever uses one will see to it.
    clock.pass(SECOND);
    assert!(!db.background_step(BackgroundStep::Expire).unwrap());
    assert_eq!(db.inspect().unwrap().bytes_written, written, "nothing was written");
    drop(watches);
    assert_eq!(db.keyspace().watchers.watches(), 0);
    assert_eq!(db.queue(&name(9_998)).pop().unwrap().unwrap().item.tries, 2);
}

/// Removed keys that the catalog was not told of yet, which the next pop would pass over.
fn in_the_way(db: &Database, now: u64) -> usize {
    let cells = cells(db);
    let (_, unapplied) = db.keyspace().unapplied().unwrap();
    let removed: Vec<_> = unapplied.iter().filter(|cell| cell.effect.value.is_none()).map(|cell| &*cell.effect.key).collect();
    let between = |from: &[u8], to: &[u8]| removed.iter().filter(|key| (from..to).contains(*key)).count();
    let of = |first: u8| cells.iter().filter(move |(key, _)| key[0] == first);
    let lanes = of(0xA6).map(|(key, lane)| {
        let lane_prefix = [&[0xA0], &key[1..]].concat();
        let next = of(0xA0).find(|(key, _)| key.starts_with(&lane_prefix)).expect("a lane has items");
        between(&[&lane_prefix[..], &lane[8..]].concat(), &next.0)
    });
    let tally = &of(0xA5).next().expect("counts").1;
    let timed = between(&[&[0xA2, 0, 0, 0, 1], &tally[48..56]].concat(), &[&[0xA2, 0, 0, 0, 1][..], &now.to_be_bytes()].concat());
    lanes.sum::<usize>() + timed
}

#[test]
fn a_pop_does_not_walk_over_what_was_popped_before() {
    let (_, clock, db) = with_queue();
    let mut queue = db.queue(Q);
    queue.push_all(vec![NewItem::new("low"); 700]).unwrap();
    // This one is leased all the while, so that the index of leases is looked at.
    queue.pop_many(Pop::at_most(1).lease(Duration::MAX)).unwrap();
    for n in 1..=600 {
        if n % 3 == 0 {
            queue.push(NewItem::new("high").priority(9)).unwrap();
        }
        let leased = pop(&db);
        queue.ack(leased.lease).unwrap();
        clock.pass(SECOND);
        assert!(in_the_way(&db, n * SECOND) <= 12, "{} after {n}", in_the_way(&db, n * SECOND));
    }
    assert!(db.keyspace().unapplied().unwrap().1.len() > 2_000, "all that was removed is still there to be passed over");
}
