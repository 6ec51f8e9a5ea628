//! What lies on disk.

use super::*;

#[test]
fn the_bytes_of_a_queue_are_frozen() {
    let (_, clock, db) = begin();
    clock.pass(5);
    clock.set_wall(3);
    let spec = QueueSpec::new("q").lease(Duration::from_micros(10)).tries(1).back_off(Duration::from_micros(2), seconds(1));
    db.create_queue(&spec.deduplication(Duration::from_micros(7))).unwrap();
    let mut queue = db.queue("q");
    queue.push(NewItem::new("on").priority(4).due(-1).deduplicate("k")).unwrap();
    queue.push(NewItem::new("off").due(9)).unwrap();
    queue.push(NewItem::new("x").priority(5)).unwrap();
    queue.push_all(vec![NewItem::new("y").priority(7); 2]).unwrap();
    let dead = queue.pop_many(Pop::at_most(2)).unwrap();
    queue.nack(dead[0].lease, Retry::BackOff).unwrap();
    db.alter_queue(&spec_of(&db).tries(2)).unwrap();
    let delayed = queue.pop().unwrap().unwrap();
    queue.nack(delayed.lease, Retry::BackOff).unwrap();
    db.create_queue(&QueueSpec::new("r")).unwrap();
    db.drop_queue("r").unwrap();

    let n = |number: u64| number.to_be_bytes().to_vec();
    let w = |wall: i64| (wall as u64 ^ 1 << 63).to_be_bytes().to_vec();
    let at = |first: u8, rest: &[Vec<u8>]| [vec![first, 0, 0, 0, 1], rest.concat()].concat();
    let state = |priority: u8, tries: u8, place: u8, rest: &[Vec<u8>]| {
        [vec![priority, 0, 0, 0, tries], w(3), vec![place], rest.concat()].concat()
    };
    let at_once = w(i64::MIN);
    let first = [n(5), w(-1), n(1)];
    let expected = [
        (vec![0x20], vec![0, 0, 0, 3]),
        (b"\x20q".to_vec(), [vec![0, 0, 0, 1], n(10), vec![0, 0, 0, 2], n(2), n(1_000_000), vec![1], n(7)].concat()),
        (at(0x21, &[n(1)]), [w(-1), vec![0, 1], b"kon".to_vec()].concat()),
        (at(0x21, &[n(2)]), [w(9), vec![0, 0], b"off".to_vec()].concat()),
        (at(0x21, &[n(3)]), [at_once.clone(), vec![0, 0], b"x".to_vec()].concat()),
        (at(0x21, &[n(4)]), [at_once.clone(), vec![0, 0], b"y".to_vec()].concat()),
        (at(0x21, &[n(5)]), [at_once, vec![0, 0], b"y".to_vec()].concat()),
        (at(0x22, &[n(1)]), state(4, 0, 0, &first)),
        (at(0x22, &[n(2)]), state(0, 0, 1, &[w(9)])),
        (at(0x22, &[n(3)]), state(5, 1, 3, &[n(7)])),
        (at(0x22, &[n(4)]), state(7, 1, 4, &[])),
        (at(0x22, &[n(5)]), state(7, 1, 2, &[n(15), n(7)])),
        (at(0xA0, &[vec![!4], first.concat()]), n(1)),
        (at(0xA1, &[w(9), n(2)]), vec![]),
        (at(0xA2, &[n(7), n(3)]), vec![]),
        (at(0xA2, &[n(15), n(5)]), vec![]),
        (at(0xA3, &[b"k".to_vec()]), [n(12), n(1)].concat()),
        (at(0xA4, &[n(4)]), vec![]),
        (at(0xA5, &[]), [n(8), n(1), n(1), n(1), n(1), n(1), n(5), w(3)].concat()),
        (at(0xA6, &[vec![!4]]), [n(1), first.concat()].concat()),
        ([vec![0xA7], n(12), vec![0, 0, 0, 1], b"k".to_vec()].concat(), vec![]),
        (vec![0xA8, 0, 0, 0, 2], vec![]),
        (at(0xA9, &[]), b"q".to_vec()),
    ];
    let cells = cells(&db);
    for (found, expected) in cells.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(cells.len(), expected.len());
}

fn spec_of(db: &Database) -> QueueSpec {
    db.queues().unwrap().remove(0)
}
