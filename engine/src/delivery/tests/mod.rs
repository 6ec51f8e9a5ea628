mod elsewhere;
mod random;

use std::sync::Arc;

use elsewhere::Elsewhere;

use super::form::{
    ContentForm, CutForm, DeliveryForm, PendingForm, SentForm, UnitForm, VoidedForm, cut_key, decode, encode, erased_key,
    unit_key, voided_key,
};
use crate::io::MemoryDisk;
use crate::keyspace::{Direction, prefix, space};
use crate::record::ReceiptKind;
use crate::testing::{Hands, begin, open};
use crate::{
    CutWhat, Database, Error, FieldType, Filter, Partitioning, Put, RowBuilder, SendOrder, Shipment, TableSpec, TimeRange,
};

const HOUR: i64 = 3_600_000_000;

fn make_table(db: &Database) {
    let spec = TableSpec::new("t").tag("device").field("v", FieldType::Int64).partitioning(Partitioning::Hour);
    db.create_table(spec).unwrap();
}

/// Rows of one device: times with values.
fn append(db: &Database, device: &str, rows: &[(i64, i64)]) {
    let mut builder = RowBuilder::new(db.table("t").unwrap());
    for (time, value) in rows {
        builder.row(*time).tag("device", device).unwrap().value("v", *value).unwrap();
    }
    db.append("t", &builder.finish().unwrap()).unwrap();
}

fn begun() -> (MemoryDisk, Arc<Hands>, Database) {
    let (disk, clock, db) = begin();
    make_table(&db);
    db.delivery("copy").begin().unwrap();
    (disk, clock, db)
}

/// Takes a cut and announces it.
fn cut(db: &Database) -> Option<crate::Cut> {
    let cut = db.delivery("copy").cut(CutWhat::All).unwrap()?;
    assert_eq!(db.delivery("copy").next().unwrap().as_ref(), Some(&cut), "it is as it was taken");
    db.delivery("copy").announce(cut.number, [cut.number as u8; 32], 0).unwrap();
    Some(cut)
}

/// Whether a segment is still part of its table.
fn present(db: &Database, shipment: &Shipment) -> bool {
    let segments = db.inner_feed().publisher.registry.get("t").unwrap().snapshot().segments;
    segments.iter().any(|entry| entry.hash == shipment.hash)
}

/// What is noted of units and cuts.
fn left(db: &Database) -> usize {
    let view = db.inner_feed().publisher.keyspace.head().unwrap();
    let cells = |space: u8| view.scan(&prefix(&[space]), Direction::Forward).unwrap().count();
    cells(space::UNIT) + cells(space::CUT)
}

fn delivered(db: &Database) -> Option<u64> {
    db.delivery("copy").state().unwrap().delivered.map(|delivered| delivered.cut)
}

#[test]
fn what_is_noted_has_these_bytes() {
    let unit = UnitForm { table: 3, kind: 1, start: -1, end: 0, records: (5, 9), rows: 2, times: (-1, -1) };
    assert_eq!(*encode(&unit), [3, 1, 1, 0, 5, 9, 2, 1, 1]);
    let pending = PendingForm { cut: 7, incarnation: [4; 16], taken_at: 1, unit, sent: None };
    let expected = [&[7][..], &[4; 16], &[2, 3, 1, 1, 0, 5, 9, 2, 1, 1, 0]];
    assert_eq!(*encode(&pending), expected.concat());
    let of_cut = CutForm { after: 4, through: 10, taken_at: 1, before_at: 0, left: 0, content: None };
    let voided = VoidedForm { pending: pending.clone(), cut: of_cut };
    assert_eq!(*encode(&voided), [&expected.concat()[..], &[4, 10, 2, 0, 0, 0]].concat());
    let of_unit = [&3_u32.to_be_bytes()[..], &9_u64.to_be_bytes(), &5_u64.to_be_bytes(), &[1], &[127], &[255; 7]].concat();
    let expected = [&[0xc6, 0, 0, 0, 2][..], &8_u64.to_be_bytes(), &of_unit];
    assert_eq!(*voided_key(2, 8, &unit), expected.concat());
    let sent = SentForm { place: "a/b".to_owned(), hash: [6; 32], bytes: 300 };
    let expected = [&[7][..], &[4; 16], &[2, 3, 1, 1, 0, 5, 9, 2, 1, 1, 1, 3], b"a/b", &[6; 32], &[0xac, 2]];
    assert_eq!(*encode(&PendingForm { sent: Some(sent), ..pending }), expected.concat());
    let key = unit_key(2, &unit);
    let expected = [&[0xc2, 0, 0, 0, 2, 0, 0, 0, 3][..], &9_u64.to_be_bytes(), &5_u64.to_be_bytes(), &[1], &[127], &[255; 7]];
    assert_eq!(*key, expected.concat());
    let content = ContentForm {
        audit: Some((1, [8; 32])),
        units: vec![unit],
        dropped: vec![4],
        erasures: vec![(6, vec![1, 2])],
        losses: vec![vec![3]],
        voids: Vec::new(),
    };
    let cut = CutForm { after: 4, through: 10, taken_at: 1, before_at: 0, left: 1, content: Some(content) };
    let bytes = encode(&cut);
    let expected =
        [&[4, 10, 2, 0, 1, 1, 1, 1][..], &[8; 32], &[1, 3, 1, 1, 0, 5, 9, 2, 1, 1], &[1, 4], &[1, 6, 2, 1, 2], &[1, 1, 3], &[0]];
    assert_eq!(*bytes, expected.concat());
    assert_eq!(decode::<CutForm>(&bytes).unwrap(), cut);
    assert_eq!(*cut_key(2, 7), [&[0xc1, 0, 0, 0, 2][..], &7_u64.to_be_bytes()].concat());
    let delivery = DeliveryForm {
        number: 2,
        incarnation: [9; 16],
        cuts: 7,
        through: 10,
        taken_at: 1,
        announced: 6,
        announced_through: 4,
        announced_at: -1,
        announced_incarnation: [6; 16],
        announced_hash: [5; 32],
        metadata_through: 11,
        dropped: vec![4],
    };
    let expected = [&[2][..], &[9; 16], &[7, 10, 2, 6, 4, 1], &[6; 16], &[5; 32], &[11, 1, 4]];
    assert_eq!(*encode(&delivery), expected.concat());
}

#[test]
fn a_cut_names_what_is_new_and_it_is_left_until_it_is_held() {
    let (_, clock, db) = begun();
    clock.set_wall(5);
    append(&db, "a", &[(0, 1), (1, 2)]);
    append(&db, "a", &[(HOUR, 3)]);
    let first = cut(&db).unwrap();
    assert_eq!((first.number, first.after, first.taken_at), (1, 0, 5));
    let units: Vec<_> = first.units.iter().map(|unit| (unit.partition.range.start, unit.rows, unit.times)).collect();
    assert_eq!(units, [(0, 2, (0, 1)), (HOUR, 1, (HOUR, HOUR))]);
    assert!(first.units.iter().all(|unit| unit.records.1 <= first.through));
    let copy = db.delivery("copy");
    let state = copy.state().unwrap();
    assert_eq!((state.head.cuts, state.head.through, state.cuts_left, state.units_left), (1, first.through, 1, 2));
    assert_eq!(state.head.announced.unwrap().hash, [1; 32]);
    assert_eq!(state.head.announced.unwrap().incarnation, state.head.incarnation);
    assert_eq!(delivered(&db), None);
    let pending = copy.pending(SendOrder::Newest, 9).unwrap();
    assert_eq!(pending.len(), 2);
    assert_eq!(copy.pending(SendOrder::Newest, 1).unwrap().len(), 1);
    assert_eq!(copy.hold(&pending[..1]).unwrap(), 1);
    assert_eq!((delivered(&db), copy.pending(SendOrder::Newest, 9).unwrap().len()), (None, 1));
    assert_eq!(copy.hold(&pending).unwrap(), 1, "one of them was held");
    assert_eq!((delivered(&db), copy.state().unwrap().units_left), (Some(1), 0));
    // The next one is of what came since.
    append(&db, "a", &[(2, 4)]);
    clock.set_wall(6);
    let second = cut(&db).unwrap();
    assert_eq!((second.number, second.after, second.units.len()), (2, first.through, 1));
    assert_eq!(delivered(&db), Some(1));
    let through = copy.state().unwrap().delivered.unwrap();
    assert_eq!((through.record, through.taken_at), (first.through, 5));
}

#[test]
fn there_is_no_cut_of_nothing_and_none_that_was_not_begun() {
    let (_, _, db) = begun();
    let copy = db.delivery("copy");
    assert_eq!(copy.cut(CutWhat::Sealed).unwrap(), None, "a table without rows is nothing to cut");
    assert_eq!(db.delivery("copy").next().unwrap(), None);
    append(&db, "a", &[(0, 1)]);
    assert_eq!(copy.cut(CutWhat::Sealed).unwrap(), None, "nothing was sealed");
    db.seal().unwrap();
    assert!(copy.cut(CutWhat::Sealed).unwrap().is_some());
    assert_eq!(copy.cut(CutWhat::Sealed).unwrap(), None);
    // Metadata alone are worth one where that is asked for.
    db.kv().put("key", b"value", Put::default()).unwrap();
    assert_eq!(copy.cut(CutWhat::Sealed).unwrap(), None);
    let all = copy.cut(CutWhat::All).unwrap().unwrap();
    assert_eq!((all.number, all.units.len()), (2, 0));
    for refused in [db.delivery("other").cut(CutWhat::All).unwrap_err(), db.delivery("other").state().unwrap_err()] {
        assert!(matches!(refused, Error::NoSuchDelivery { name } if name == "other"));
    }
    assert!(matches!(db.delivery("a\nb").begin(), Err(Error::Invalid(_))));
    assert!(copy.announce(2, [0; 32], 0).is_err(), "cut 1 is the next");
    assert!(copy.announce(3, [0; 32], 0).is_err());
}

#[test]
fn what_was_noted_outlasts_a_power_cut() {
    let (disk, clock, db) = begun();
    append(&db, "a", &[(0, 1), (HOUR, 2)]);
    let first = db.delivery("copy").cut(CutWhat::All).unwrap().unwrap();
    db.delivery("copy").put_note(b"upload/7", Some(b"half")).unwrap();
    let state = db.delivery("copy").state().unwrap();
    let survivor = disk.after_power_cut();
    drop(db);
    let db = open(&survivor, &clock);
    let copy = db.delivery("copy");
    assert_eq!((copy.state().unwrap(), copy.next().unwrap()), (state, Some(first)));
    assert_eq!(copy.pending(SendOrder::Newest, 9).unwrap().len(), 0, "it was not announced");
    assert_eq!(copy.notes(b"upload/").unwrap(), [(b"upload/7".to_vec(), b"half".to_vec())]);
    copy.put_note(b"upload/7", None).unwrap();
    assert_eq!(copy.note(b"upload/7").unwrap(), None);
    copy.announce(1, [1; 32], 4).unwrap();
    assert_eq!(copy.head().unwrap().metadata_through, 4);
    assert_eq!(copy.pending(SendOrder::Newest, 9).unwrap().len(), 2);
    assert!(copy.remove().unwrap() && !copy.remove().unwrap());
    assert_eq!(db.deliveries().unwrap(), []);
}

#[test]
fn notes_are_had_in_pages_and_put_together() {
    let (_, _, db) = begun();
    let copy = db.delivery("copy");
    let note = |number: u8| (vec![b'a', number], Some(vec![number]));
    copy.put_notes((0..5).map(note).chain([(b"b".to_vec(), Some(vec![9]))]).collect()).unwrap();
    let page =
        |from: &[u8], most| copy.notes_from(b"a", from, most).unwrap().into_iter().map(|(name, _)| name[1]).collect::<Vec<_>>();
    assert_eq!(page(b"", 2), [0, 1]);
    assert_eq!(page(&[b'a', 3], 9), [3, 4], "none that begins otherwise");
    assert_eq!(page(b"b", 9), Vec::<u8>::new());
    assert_eq!((copy.count_notes(b"a").unwrap(), copy.count_notes(b"").unwrap()), (5, 6));
    copy.put_notes(vec![(vec![b'a', 0], None), (vec![b'a', 1], None), (vec![b'a', 7], Some(vec![]))]).unwrap();
    assert_eq!(page(b"", 9), [2, 3, 4, 7]);
    db.delivery("other").begin().unwrap();
    assert_eq!(db.delivery("other").count_notes(b"").unwrap(), 0);
    assert!(matches!(db.delivery("none").put_notes(vec![note(1)]), Err(Error::NoSuchDelivery { .. })));
}

#[test]
fn a_unit_is_wanted_until_it_is_held() {
    let (_, _, db) = begun();
    let copy = db.delivery("copy");
    append(&db, "a", &[(-HOUR, 1), (HOUR, 2)]);
    let units = cut(&db).unwrap().units;
    let wants = |at: usize| {
        let unit = &units[at];
        copy.wants(unit.table, unit.partition.kind, unit.partition.range.start, unit.records).unwrap()
    };
    assert_eq!((wants(0), wants(1)), (true, true));
    let shipment =
        copy.pending(SendOrder::Newest, 9).unwrap().into_iter().find(|one| one.partition == units[0].partition).unwrap();
    copy.hold(&[shipment]).unwrap();
    assert_eq!((wants(0), wants(1)), (false, true));
    let (first, last) = units[1].records;
    assert!(!copy.wants(units[1].table, units[1].partition.kind, 0, (first, last)).unwrap());
    assert!(!copy.wants(units[1].table, units[1].partition.kind, HOUR, (first, last + 1)).unwrap());
}

#[test]
fn what_stands_differently_is_not_folded_together() {
    let (_, _, db) = begun();
    let segments = |db: &Database| db.inspect().unwrap().tables[0].segments;
    let copy = db.delivery("copy");
    append(&db, "a", &[(0, 1)]);
    cut(&db).unwrap();
    copy.hold(&copy.pending(SendOrder::Newest, 9).unwrap()).unwrap();
    append(&db, "a", &[(1, 1)]);
    cut(&db).unwrap();
    append(&db, "a", &[(2, 1)]);
    db.compact().unwrap();
    assert_eq!(segments(&db), 3, "one is held, one is wanted, one was not cut");
    cut(&db).unwrap();
    db.compact().unwrap();
    assert_eq!(segments(&db), 2, "both that are wanted are one now");
    let [wanted] = &copy.pending(SendOrder::Newest, 9).unwrap()[..] else { panic!() };
    let sending = copy.sending(wanted);
    assert_eq!(copy.pending(SendOrder::Newest, 9).unwrap().len(), 0, "nobody else is to send it");
    append(&db, "a", &[(3, 1), (4, 1)]);
    cut(&db).unwrap();
    db.compact().unwrap();
    assert_eq!(segments(&db), 3, "what is being sent stays as it is");
    let [next] = &copy.pending(SendOrder::Newest, 9).unwrap()[..] else { panic!() };
    let both = (sending, copy.sending(next));
    db.compact().unwrap();
    assert_eq!(segments(&db), 3, "so do two of them");
    db.delete("t", &[], TimeRange::new(2, 4)).unwrap();
    db.compact().unwrap();
    assert!(present(&db, wanted) && present(&db, next), "and such as deletions mask");
    drop(both);
    db.compact().unwrap();
    assert!(!present(&db, wanted) && !present(&db, next));
    assert_eq!(copy.hold(&copy.pending(SendOrder::Newest, 9).unwrap()).unwrap(), 3);
    db.compact().unwrap();
    assert_eq!((segments(&db), delivered(&db)), (1, Some(4)));
}

#[test]
fn spilled_rows_are_split_before_they_are_cut() {
    let (_, _, db) = begun();
    let rows: Vec<_> = (0..40).map(|hour| (hour * HOUR, hour)).collect();
    append(&db, "a", &rows);
    db.seal().unwrap();
    assert_eq!(db.inspect().unwrap().tables[0].segments, 1, "a spill segment");
    let cut = cut(&db).unwrap();
    assert_eq!(cut.units.len(), 40);
    assert_eq!(db.delivery("copy").pending(SendOrder::Newest, 99).unwrap().len(), 40);
}

#[test]
fn deletions_are_told_even_if_they_were_carried_out_long_since() {
    let (_, _, db) = begun();
    append(&db, "a", &[(0, 1), (1, 2)]);
    cut(&db).unwrap();
    db.delete("t", &[Filter::equal("device", "a")], TimeRange::new(1, 2)).unwrap();
    db.compact().unwrap();
    let cut = cut(&db).unwrap();
    assert_eq!(cut.erasures.len(), 1);
    assert_eq!(cut.erasures[0].1.range, TimeRange::new(1, 2));
    let copy = db.delivery("copy");
    let [segment] = &copy.pending(SendOrder::Newest, 9).unwrap()[..] else { panic!() };
    assert_eq!(segment.rows, 1, "what is sent does not have what was deleted before");
    db.compact().unwrap();
    let pending = |db: &Database| db.inner_feed().publisher.registry.get("t").unwrap().snapshot().deletions.len();
    assert_eq!(pending(&db), 0, "it is forgotten now");
    append(&db, "a", &[(5, 1)]);
    db.delete("t", &[], TimeRange::new(5, 6)).unwrap();
    db.compact().unwrap();
    assert_eq!(pending(&db), 1, "this one was not told yet");
}

#[test]
fn units_whose_rows_are_all_deleted_are_void() {
    let (_, _, db) = begun();
    append(&db, "a", &[(0, 1), (HOUR, 2)]);
    cut(&db).unwrap();
    db.delete("t", &[], TimeRange::new(0, HOUR)).unwrap();
    db.compact().unwrap();
    let second = cut(&db).unwrap();
    assert_eq!(second.voids.iter().map(|unit| unit.times).collect::<Vec<_>>(), [(0, 0)]);
    let copy = db.delivery("copy");
    assert_eq!(copy.state().unwrap().units_left, 1);
    copy.hold(&copy.pending(SendOrder::Newest, 9).unwrap()).unwrap();
    assert_eq!((delivered(&db), left(&db)), (Some(2), 0));
    append(&db, "a", &[(HOUR + 1, 2)]);
    assert_eq!(cut(&db).unwrap().voids, [], "it is told once");
}

#[test]
fn what_was_told_to_be_void_is_told_again_to_who_has_forgotten_it() {
    let (_, _, db) = begun();
    let copy = db.delivery("copy");
    append(&db, "a", &[(0, 1)]);
    cut(&db).unwrap();
    let first = copy.head().unwrap().announced;
    append(&db, "a", &[(2 * HOUR, 3)]);
    cut(&db).unwrap();
    let second = copy.head().unwrap().announced;
    for hour in [0, 2] {
        db.delete("t", &[], TimeRange::new(hour * HOUR, (hour + 1) * HOUR)).unwrap();
    }
    db.compact().unwrap();
    let times = |cut: crate::Cut| cut.voids.iter().map(|unit| unit.times.0 / HOUR).collect::<Vec<_>>();
    assert_eq!(times(cut(&db).unwrap()), [0, 2]);
    append(&db, "a", &[(3 * HOUR, 4)]);
    assert_eq!(times(cut(&db).unwrap()), [0; 0]);
    copy.hold(&copy.pending(SendOrder::Newest, 9).unwrap()).unwrap();
    assert_eq!((delivered(&db), left(&db)), (Some(4), 0));
    // Who has both cuts has to be told of both units, and who has the first of that one: the other one is cut no more.
    assert_eq!((copy.fork(second).unwrap().units_left, delivered(&db)), (2, None));
    assert_eq!(times(cut(&db).unwrap()), [0, 2]);
    assert_eq!(copy.fork(first).unwrap().units_left, 1);
    assert_eq!(times(cut(&db).unwrap()), [0]);
    copy.hold(&copy.pending(SendOrder::Newest, 9).unwrap()).unwrap();
    assert_eq!((delivered(&db), left(&db)), (Some(2), 0));
    // Who has nothing is told of what there is.
    assert_eq!(copy.fork(None).unwrap().units_left, 0);
    assert_eq!(times(cut(&db).unwrap()), [0; 0]);
    assert!(copy.remove().unwrap());
    let view = db.inner_feed().publisher.keyspace.head().unwrap();
    assert_eq!(view.scan(&prefix(&[space::VOIDED]), Direction::Forward).unwrap().count(), 0);
}

#[test]
fn a_table_that_is_dropped_is_told_once_and_leaves_nothing_to_be_held() {
    let (_, _, db) = begun();
    append(&db, "a", &[(0, 1)]);
    cut(&db).unwrap();
    db.drop_table("t").unwrap();
    let second = cut(&db).unwrap();
    assert_eq!((second.dropped.len(), second.voids.len()), (1, 0));
    assert_eq!((delivered(&db), left(&db)), (Some(2), 0));
    db.kv().put("key", b"value", Put::default()).unwrap();
    assert_eq!(cut(&db).unwrap().dropped, []);
}

#[test]
fn losses_are_told() {
    let (disk, clock, db) = begun();
    append(&db, "a", &[(0, 1)]);
    cut(&db).unwrap();
    drop(db);
    let survivor = disk.after_power_cut();
    let catalog = survivor.paths().into_iter().find(|path| path.ends_with("catalog/catalog.pages")).unwrap();
    survivor.corrupt(&catalog, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0xff)).unwrap();
    let db = open(&survivor, &clock);
    let second = cut(&db).unwrap();
    assert_eq!(second.losses.iter().map(|receipt| receipt.kind).collect::<Vec<_>>(), [ReceiptKind::CatalogRebuilt]);
    append(&db, "a", &[(1, 1)]);
    assert_eq!(cut(&db).unwrap().losses, []);
}

#[test]
fn what_was_announced_before_a_fork_stays_wanted_as_it_was_announced() {
    let (_, _, db) = begun();
    let copy = db.delivery("copy");
    append(&db, "a", &[(0, 1)]);
    cut(&db).unwrap();
    let old = copy.head().unwrap();
    append(&db, "a", &[(1, 2)]);
    copy.cut(CutWhat::All).unwrap().unwrap();
    let forked = copy.fork(old.announced).unwrap();
    assert_eq!((forked.units_left, forked.cuts_left, forked.delivered), (2, 2, None));
    // Folded together it is of both, and sent as either's.
    copy.announce(2, [2; 32], 0).unwrap();
    db.compact().unwrap();
    let [first] = &copy.pending(SendOrder::Oldest, 9).unwrap()[..] else { panic!() };
    assert_eq!(first.incarnation, old.incarnation);
    assert_eq!(copy.hold(std::slice::from_ref(first)).unwrap(), 1);
    assert_eq!(delivered(&db), Some(1));
    let [second] = &copy.pending(SendOrder::Oldest, 9).unwrap()[..] else { panic!() };
    assert_eq!((second.hash, second.incarnation), (first.hash, forked.head.incarnation));
    assert_eq!(copy.hold(std::slice::from_ref(second)).unwrap(), 1);
    assert_eq!((delivered(&db), left(&db)), (Some(2), 0));
}

/// Nobody else knows by then what it tells.
#[test]
fn what_was_cut_and_not_announced_is_announced_behind_a_fork() {
    let (_, _, db) = begun();
    let copy = db.delivery("copy");
    append(&db, "a", &[(0, 1), (HOUR, 2), (HOUR + 1, 3)]);
    cut(&db).unwrap();
    db.delete("t", &[], TimeRange::new(0, HOUR + 1)).unwrap();
    db.compact().unwrap();
    let second = copy.cut(CutWhat::All).unwrap().unwrap();
    assert_eq!((second.erasures.len(), second.voids.len()), (1, 1));
    // By now it is carried out, and not remembered any more.
    db.compact().unwrap();
    let announced = copy.head().unwrap().announced;
    let forked = copy.fork(announced).unwrap();
    assert_eq!(forked.head.metadata_through, 0);
    assert_eq!(copy.next().unwrap(), Some(second));
    copy.announce(2, [2; 32], 0).unwrap();
    let head = copy.head().unwrap();
    assert_eq!(head.announced.unwrap().incarnation, forked.head.incarnation);
    assert_ne!(announced.unwrap().incarnation, forked.head.incarnation);
}

#[test]
fn behind_a_fork_everything_since_is_cut_again() {
    let (_, _, db) = begun();
    let copy = db.delivery("copy");
    let old = copy.head().unwrap().incarnation;
    append(&db, "a", &[(0, 1)]);
    cut(&db).unwrap();
    let common = copy.head().unwrap().announced;
    for value in 2..4 {
        append(&db, "a", &[(value, value)]);
        cut(&db).unwrap();
    }
    let forked = copy.fork(common).unwrap();
    assert_ne!(forked.head.incarnation, old);
    assert_eq!(common.unwrap().incarnation, old);
    assert_eq!((forked.head.cuts, forked.head.announced, forked.head.metadata_through, forked.units_left), (1, common, 0, 1));
    assert_eq!(copy.pending(SendOrder::Newest, 9).unwrap().len(), 1);
    let next = cut(&db).unwrap();
    assert_eq!((next.number, next.after, next.units.len()), (2, common.unwrap().through, 2));
    let elsewhere = Elsewhere::default();
    assert_eq!(elsewhere.rows().len(), 0);
    assert_eq!(copy.fork(None).unwrap().head.announced, None);
    assert_eq!(cut(&db).unwrap().units.len(), 3);
}

#[test]
fn deletions_that_were_told_are_told_again_to_who_has_forgotten_them() {
    let (_, _, db) = begun();
    let copy = db.delivery("copy");
    append(&db, "a", &[(0, 1), (1, 1), (2, 1)]);
    cut(&db).unwrap();
    let first = copy.head().unwrap().announced;
    copy.hold(&copy.pending(SendOrder::Newest, 9).unwrap()).unwrap();
    db.delete("t", &[], TimeRange::new(0, 1)).unwrap();
    let told = cut(&db).unwrap().erasures;
    assert_eq!(told.len(), 1);
    // It is carried out, and told: nobody else here knows of it.
    db.compact().unwrap();
    db.compact().unwrap();
    assert!(db.inner_feed().publisher.registry.get("t").unwrap().snapshot().deletions.is_empty());
    append(&db, "a", &[(3, 1)]);
    assert_eq!(cut(&db).unwrap().erasures, [], "it is told once");
    copy.fork(first).unwrap();
    assert_eq!(cut(&db).unwrap().erasures, told);
    assert_eq!(*erased_key(9), [&[0xc5][..], &9_u64.to_be_bytes()].concat());
}

#[test]
fn of_deletions_that_were_told_the_last_are_kept() {
    let (_, _, db) = begun();
    append(&db, "a", &[(0, 1)]);
    for time in 0..4_100 {
        db.delete("t", &[], TimeRange::new(time, time + 1)).unwrap();
    }
    assert_eq!(cut(&db).unwrap().erasures.len(), 4_100);
    let view = db.inner_feed().publisher.keyspace.head().unwrap();
    assert_eq!(view.scan(&prefix(&[space::ERASED]), Direction::Forward).unwrap().count(), 4_096);
}
