//! Leases: who has an item, for how long, and what becomes of it.

use super::*;

#[test]
fn a_lease_that_runs_out_gives_the_item_to_the_next() {
    let (disk, clock, db) = with_queue();
    push(&db, "a");
    let first = pop(&db);
    assert!(db.queue(Q).pop().unwrap().is_none(), "nobody else has it");
    clock.pass(10 * SECOND - 1);
    // Neither a wall clock set ahead nor one set back matters.
    clock.set_wall(i64::MAX);
    assert!(db.queue(Q).pop().unwrap().is_none());
    clock.set_wall(i64::MIN);
    clock.pass(1);
    assert_eq!(sizes(&db), QueueSizes { ready: 1, ..Default::default() });
    assert_eq!(lost(db.queue(Q).ack(first.lease), first.lease), LeaseLoss::Ended, "before anyone has popped it again");
    let second = pop(&db);
    assert_eq!((second.item.id, second.item.tries), (first.item.id, 2));
    for outcome in [
        db.queue(Q).ack(first.lease),
        db.queue(Q).nack(first.lease, Retry::BackOff).map(drop),
        db.queue(Q).extend(first.lease, seconds(1)),
    ] {
        assert_eq!(lost(outcome, first.lease), LeaseLoss::Taken);
    }
    drop(db);
    let db = open(&disk.after_power_cut(), &clock);
    db.queue(Q).ack(second.lease).unwrap();
    assert_eq!(lost(db.queue(Q).ack(second.lease), second.lease), LeaseLoss::Gone);
    assert_eq!(sizes(&db), QueueSizes::default());
}

#[test]
fn a_lease_outlasts_closing_and_a_machine_that_counts_anew() {
    let (disk, clock, db) = with_queue();
    push(&db, "a");
    let leased = pop(&db);
    clock.pass(4 * SECOND);
    db.close().unwrap();
    let later = Arc::new(Hands::default());
    let db = open(&disk, &later);
    later.pass(6 * SECOND - 1);
    assert_eq!(sizes(&db).leased, 1, "time of which nothing is known does not count");
    db.queue(Q).extend(leased.lease, seconds(3)).unwrap();
    later.pass(3 * SECOND - 1);
    assert_eq!(sizes(&db).leased, 1);
    later.pass(1);
    assert_eq!(sizes(&db).ready, 1);
    assert_eq!(lost(db.queue(Q).extend(leased.lease, seconds(3)), leased.lease), LeaseLoss::Ended);
}

#[test]
fn a_lease_may_be_made_longer_and_shorter() {
    let (_, clock, db) = with_queue();
    push(&db, "a");
    push(&db, "b");
    let long = db.queue(Q).pop_many(Pop::at_most(1).lease(Duration::MAX)).unwrap().remove(0);
    let short = pop(&db);
    clock.pass(u64::MAX / 2);
    assert_eq!(waiting(&db), ["b"]);
    db.queue(Q).extend(long.lease, seconds(1)).unwrap();
    assert_eq!(lost(db.queue(Q).extend_all(&[long.lease, short.lease], seconds(99)), short.lease), LeaseLoss::Ended);
    clock.pass(SECOND);
    assert_eq!(waiting(&db), ["b", "a"], "who came back earlier comes first");
}

#[test]
fn what_is_given_back_backs_off_and_dies_in_the_end() {
    let (disk, clock, db) = with_queue();
    let id = push(&db, "a");
    let nack = |db: &Database| {
        let leased = pop(db);
        let outcome = db.queue(Q).nack(leased.lease, Retry::BackOff).unwrap();
        assert!(matches!(lost(db.queue(Q).ack(leased.lease), leased.lease), LeaseLoss::Ended));
        outcome
    };
    assert_eq!(nack(&db), Nacked::Waits(seconds(1)));
    clock.pass(SECOND - 1);
    assert_eq!(sizes(&db), QueueSizes { delayed: 1, ..Default::default() });
    assert!(db.queue(Q).pop().unwrap().is_none());
    clock.pass(1);
    assert_eq!(nack(&db), Nacked::Waits(seconds(2)));
    clock.pass(2 * SECOND);
    assert_eq!(nack(&db), Nacked::Dead);
    clock.pass(100 * SECOND);
    assert_eq!(sizes(&db), QueueSizes { dead: 1, ..Default::default() });
    drop(db);
    let db = open(&disk.after_power_cut(), &clock);
    let mut queue = db.queue(Q);
    let dead = queue.dead(0, 10).unwrap();
    assert_eq!(dead.iter().map(|item| (item.id, item.tries)).collect::<Vec<_>>(), [(id, 3)]);
    assert!(queue.dead(id, 10).unwrap().is_empty() && queue.dead(0, 0).unwrap().is_empty());
    queue.requeue(&[id]).unwrap();
    assert!(matches!(queue.requeue(&[id]), Err(Error::NoSuchItem { item, .. }) if item == id), "it is none any more");
    assert_eq!(pop(&db).item.tries, 1, "as if it had never been tried");
}

#[test]
fn leases_that_run_out_count_as_tries() {
    let (_, clock, db) = with_queue();
    db.alter_queue(&spec().tries(2)).unwrap();
    push(&db, "poison");
    for tries in 1..=2 {
        assert_eq!(pop(&db).item.tries, tries);
        clock.pass(10 * SECOND);
    }
    assert_eq!(sizes(&db), QueueSizes { dead: 1, ..Default::default() });
    assert_eq!(db.queue(Q).dead(0, 9).unwrap().len(), 1, "though nobody has looked since");
    assert!(db.queue(Q).pop().unwrap().is_none());
    assert_eq!((sizes(&db).dead, db.queue(Q).dead(0, 9).unwrap().len()), (1, 1));
    assert_eq!(db.queue(Q).purge_dead().unwrap(), 1);
    // Where none are kept, it is gone instead.
    db.alter_queue(&spec().tries(1).dead_letters(false)).unwrap();
    push(&db, "poison");
    let leased = pop(&db);
    assert_eq!(db.queue(Q).nack(leased.lease, Retry::BackOff).unwrap(), Nacked::Gone);
    push(&db, "poison");
    pop(&db);
    clock.pass(10 * SECOND);
    assert_eq!(sizes(&db), QueueSizes::default());
    assert!(db.queue(Q).pop().unwrap().is_none(), "and whoever looks for it takes it away");
    // And with no end of tries it never dies.
    db.alter_queue(&spec().tries(u32::MAX)).unwrap();
    let leased = {
        push(&db, "x");
        pop(&db)
    };
    assert_eq!(db.queue(Q).nack(leased.lease, Retry::After(Duration::ZERO)).unwrap(), Nacked::Waits(Duration::ZERO));
    assert_eq!(waiting(&db), ["x"]);
}

#[test]
fn batches_are_done_whole_or_not_at_all() {
    let (_, clock, db) = with_queue();
    let mut queue = db.queue(Q);
    queue.push_all((0..5).map(|n| NewItem::new(format!("{n}"))).collect()).unwrap();
    let mut leases: Vec<_> = queue.pop_many(Pop::at_most(10)).unwrap().iter().map(|leased| leased.lease).collect();
    let gone = leases.remove(2);
    queue.ack(gone).unwrap();
    let with_gone = [leases[0], gone];
    assert_eq!(lost(queue.ack_all(&with_gone), gone), LeaseLoss::Gone);
    assert_eq!(lost(queue.nack_all(&with_gone, Retry::BackOff), gone), LeaseLoss::Gone);
    assert_eq!(sizes(&db).leased, 4);
    queue.ack_all(&leases[..2]).unwrap();
    assert_eq!(queue.nack_all(&leases[2..], Retry::After(seconds(7))).unwrap(), [Nacked::Waits(seconds(7)); 2]);
    clock.pass(7 * SECOND);
    assert_eq!(waiting(&db), ["3", "4"]);
    for _ in 0..2 {
        let again: Vec<_> = queue.pop_many(Pop::at_most(10)).unwrap().iter().map(|leased| leased.lease).collect();
        queue.nack_all(&again, Retry::After(Duration::ZERO)).unwrap();
    }
    assert_eq!(sizes(&db), QueueSizes { dead: 2, ..Default::default() });
    assert_eq!(queue.requeue_dead(1).unwrap(), 1);
    assert_eq!(queue.requeue_dead(9).unwrap(), 1);
    assert_eq!(waiting(&db), ["3", "4"]);
}

#[test]
fn however_many_leases_run_out_their_items_come_back_in_order() {
    let (_, clock, db) = with_queue();
    let mut queue = db.queue(Q);
    for _ in 0..3 {
        queue.push_all(vec![NewItem::new("x"); 900]).unwrap();
        queue.pop_many(Pop::at_most(900)).unwrap();
        clock.pass(SECOND);
    }
    clock.pass(60 * SECOND);
    assert_eq!(sizes(&db), QueueSizes { ready: 2_700, ..Default::default() });
    let mut seen = Vec::new();
    while let popped @ [_, ..] = &queue.pop_many(Pop::at_most(500).lease(seconds(999))).unwrap()[..] {
        seen.extend(popped.iter().map(|leased| leased.item.id));
    }
    assert!(seen.is_sorted(), "in the order in which they came back");
    assert_eq!((seen.len(), sizes(&db).leased), (2_700, 2_700));
}
