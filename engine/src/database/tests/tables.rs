//! Tables under other names, and dropped ones.

use super::*;
use crate::record::RecordKind;
use crate::wal;
use crate::{Event, TimeRange};

fn spec(name: &str) -> TableSpec {
    TableSpec::new(name).tag("device").field("v", FieldType::Int64)
}

fn put(db: &Database, table: &str, values: std::ops::Range<i64>) {
    let mut rows = RowBuilder::new(db.table(table).unwrap());
    for value in values {
        rows.row(value * 1_000).tag("device", "a").unwrap().value("v", value).unwrap();
    }
    db.append(table, &rows.finish().unwrap()).unwrap();
}

fn values_of(db: &Database, table: &str) -> Vec<i64> {
    let batches = db.query(&Query::table(table).field("v")).unwrap();
    batches.flat_map(|batch| batch.unwrap().column(2).as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn names(db: &Database) -> Vec<String> {
    db.tables().iter().map(|table| table.name.clone()).collect()
}

fn is_unknown<T: std::fmt::Debug>(answer: Result<T>, table: &str) {
    assert!(matches!(&answer, Err(Error::NoSuchTable { name }) if name == table), "{answer:?}");
}

/// What a power cut leaves, a catalog that is lost, and one that is lost with its snapshots.
fn openings(disk: &MemoryDisk) -> Vec<(&'static str, Database)> {
    let without = |part: &str| {
        let disk = disk.after_power_cut();
        wipe(&disk, part);
        open(&disk)
    };
    vec![
        ("a power cut", open(&disk.after_power_cut())),
        ("a lost catalog", without("catalog.pages")),
        ("nothing but log and segments", without("/catalog/")),
    ]
}

/// Fills the files whose path holds `part` with zeroes.
fn wipe(disk: &MemoryDisk, part: &str) {
    for path in disk.paths().into_iter().filter(|path| path.display().to_string().contains(part)) {
        disk.corrupt(&path, |bytes| bytes.fill(0)).unwrap();
    }
}

/// Damages the record of a kind, the only one.
fn damage(disk: &MemoryDisk, kind: RecordKind) {
    let mut places = Vec::new();
    wal::scan(disk, std::path::Path::new("/data/log"), &mut |frame| {
        if frame.kind == kind.code() && frame.flags & wal::CONTEXT == 0 {
            places.push((wal::log_path(std::path::Path::new("/data/log"), frame.file), frame.offset as usize));
        }
        Ok(())
    })
    .unwrap();
    let [(path, at)] = &places[..] else { panic!("{places:?}") };
    disk.corrupt(path, |bytes| bytes[at + 24] ^= 1).unwrap();
}

#[test]
fn a_table_keeps_its_rows_under_another_name() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    db.create_table(spec("old")).unwrap();
    put(&db, "old", 0..3);
    db.seal().unwrap();
    put(&db, "old", 3..5);
    assert_eq!(db.rename_table("old", "new").unwrap().name, "new");
    put(&db, "new", 5..6);
    let check = |db: &Database, when: &str| {
        assert_eq!(values_of(db, "new"), [0, 1, 2, 3, 4, 5], "{when}");
        assert_eq!(names(db), ["new"], "{when}");
        is_unknown(db.query(&Query::table("old").field("v")), "old");
        is_unknown(db.append("old", &batch_of(db)), "old");
    };
    check(&db, "at once");
    for (when, db) in openings(&disk) {
        check(&db, when);
    }
    db.seal().unwrap();
    db.compact().unwrap();
    check(&db, "sealed");
    for (when, db) in openings(&disk) {
        check(&db, when);
    }
}

fn batch_of(db: &Database) -> RecordBatch {
    let mut rows = RowBuilder::new(db.tables()[0].clone());
    rows.row(0).tag("device", "a").unwrap().value("v", 0_i64).unwrap();
    rows.finish().unwrap()
}

#[test]
fn tables_may_change_names() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    db.create_table(spec("a")).unwrap();
    db.create_table(spec("b")).unwrap();
    put(&db, "a", 0..1);
    put(&db, "b", 1..2);
    // The catalog knows them by their first names.
    db.seal().unwrap();
    db.rename_table("a", "c").unwrap();
    db.rename_table("b", "a").unwrap();
    db.rename_table("c", "b").unwrap();
    for (when, db) in openings(&disk) {
        assert_eq!((values_of(&db, "a"), values_of(&db, "b")), (vec![1], vec![0]), "{when}");
        let losses: Vec<_> = db.inspect().unwrap().receipts.into_iter().filter(|one| one.receipt.table.is_some()).collect();
        assert!(losses.is_empty(), "{when}: {losses:?}");
    }
}

#[test]
fn names_that_cannot_be_are_refused() {
    let db = open(&MemoryDisk::new());
    db.create_table(spec("a")).unwrap();
    db.create_table(spec("b")).unwrap();
    assert!(matches!(db.rename_table("a", "b"), Err(Error::TableExists { name }) if name == "b"));
    assert!(matches!(db.rename_table("a", ""), Err(Error::Invalid(_))));
    assert!(matches!(db.rename_table("a", "c\n"), Err(Error::Invalid(_))));
    is_unknown(db.rename_table("c", "d"), "c");
    is_unknown(db.drop_table("c"), "c");
    assert_eq!(db.rename_table("a", "a").unwrap().version, 1, "nothing changed");
    assert_eq!(names(&db), ["a", "b"]);
}

#[test]
fn a_lost_name_is_made_up_for_and_costs_no_rows() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    db.create_table(spec("a")).unwrap();
    put(&db, "a", 0..2);
    db.rename_table("a", "before").unwrap();
    db.create_table(spec("a")).unwrap();
    put(&db, "a", 5..7);
    let disk = disk.after_power_cut();
    damage(&disk, RecordKind::AlterTable);
    for opening in 0..2 {
        let db = open(&disk);
        assert_eq!(values_of(&db, "a"), [5, 6], "opening {opening}");
        assert_eq!(values_of(&db, "lost name 0"), [0, 1], "opening {opening}");
        let receipts = db.inspect().unwrap().receipts;
        let said: Vec<_> = receipts.iter().filter(|one| one.receipt.detail.contains("\"lost name 0\"")).collect();
        assert_eq!(said.len(), 1, "{receipts:?}");
        drop(db);
    }
    let db = open(&disk);
    db.rename_table("lost name 0", "before").unwrap();
    assert_eq!(values_of(&db, "before"), [0, 1]);
}

#[test]
fn a_lost_drop_leaves_the_rows_and_harms_nobody() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    db.create_table(spec("a")).unwrap();
    put(&db, "a", 0..2);
    db.drop_table("a").unwrap();
    db.create_table(spec("a")).unwrap();
    put(&db, "a", 5..7);
    let disk = disk.after_power_cut();
    damage(&disk, RecordKind::DropTable);
    wipe(&disk, "/catalog/");
    let db = open(&disk);
    assert_eq!(values_of(&db, "a"), [5, 6]);
    assert_eq!(values_of(&db, "lost name 0"), [0, 1]);
}

#[test]
fn a_dropped_table_is_gone_for_good_and_its_name_is_free() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    db.create_table(spec("kept")).unwrap();
    let dropped = db.create_table(spec("t")).unwrap();
    put(&db, "kept", 0..3);
    put(&db, "t", 0..3);
    db.seal().unwrap();
    put(&db, "kept", 3..5);
    put(&db, "t", 3..5);
    db.delete("t", &[], TimeRange::new(0, 1_000)).unwrap();
    let memory = db.inner.publisher.memory.used();
    db.drop_table("t").unwrap();
    assert!(db.inner.publisher.memory.used() < memory);
    is_unknown(db.query(&Query::table("t").field("v")), "t");
    for (when, db) in openings(&disk) {
        assert_eq!(names(&db), ["kept"], "{when}");
        assert_eq!(values_of(&db, "kept"), [0, 1, 2, 3, 4], "{when}");
        let next = db.create_table(spec("t")).unwrap();
        assert!(next.id > dropped.id, "{when}: its number is not used again");
        assert_eq!(values_of(&db, "t"), [0; 0], "{when}");
        put(&db, "t", 7..8);
        db.seal().unwrap();
        db.compact().unwrap();
        assert_eq!(values_of(&db, "t"), [7], "{when}");
        let problems = db.verify(&mut |_, _| {}).unwrap().problems;
        assert!(problems.iter().all(|problem| problem.file == "catalog" && when != "a power cut"), "{when}: {problems:?}");
    }
    let of_it = format!("/segments/t{}-", dropped.id.0);
    let files = |disk: &MemoryDisk| disk.paths().iter().filter(|path| path.display().to_string().contains(&of_it)).count();
    assert_eq!(files(&disk), 0, "its files are gone");
    db.seal().unwrap();
    drop(db);
    let db = open(&disk.after_power_cut());
    assert_eq!(names(&db), ["kept"]);
    assert!(db.create_table(spec("t")).unwrap().id > dropped.id);
}

#[test]
fn a_query_goes_on_while_its_table_is_dropped() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    db.create_table(spec("t")).unwrap();
    put(&db, "t", 0..3);
    db.seal().unwrap();
    put(&db, "t", 3..5);
    let stream = db.query(&Query::table("t").field("v")).unwrap();
    db.drop_table("t").unwrap();
    db.clear_page_cache();
    let rows: usize = stream.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 5);
    db.create_table(spec("u")).unwrap();
    put(&db, "u", 0..1);
    db.seal().unwrap();
    assert!(
        !disk.paths().iter().any(|path| path.display().to_string().contains("/segments/t0-")),
        "its files went when it ended"
    );
}

#[test]
fn what_was_prepared_for_a_dropped_table_is_refused() {
    let db = open(&MemoryDisk::new());
    db.create_table(spec("t")).unwrap();
    put(&db, "t", 0..1);
    let batch = batch_of(&db);
    let mut transaction = db.begin().unwrap();
    transaction.append("t", &batch).unwrap();
    transaction.kv().put("k", b"v", crate::Put::default()).unwrap();
    db.drop_table("t").unwrap();
    is_unknown(transaction.commit(), "t");
    assert!(db.kv().get("k").unwrap().is_none(), "nothing of it was done");
    is_unknown(db.append("t", &batch), "t");
    is_unknown(db.delete("t", &[], TimeRange::ALL), "t");
    db.create_table(spec("t")).unwrap();
    assert_eq!(values_of(&db, "t"), [0; 0]);
}

#[test]
fn the_feed_tells_of_names_and_of_the_end() {
    let db = open(&MemoryDisk::new());
    let table = db.create_table(spec("a")).unwrap();
    put(&db, "a", 0..2);
    db.rename_table("a", "b").unwrap();
    put(&db, "b", 2..3);
    db.delete("b", &[], TimeRange::ALL).unwrap();
    db.drop_table("b").unwrap();
    let mut told = Vec::new();
    for change in db.changes().read().unwrap() {
        for event in change.unwrap().events {
            told.push(match event {
                Event::TableCreated(schema) => format!("made {}", schema.name),
                Event::TableChanged(schema) => format!("now {} at {}", schema.name, schema.version),
                Event::TableDropped(schema) => format!("dropped {} {}", schema.name, schema.id == table.id),
                Event::SeriesAdded { table, .. } => format!("series of {}", table.name),
                Event::Sealed(rows) => format!("{} rows of {} in {:?}", rows.rows, rows.table.name, rows.segments),
                other => format!("{other:?}"),
            });
        }
    }
    assert_eq!(told, ["made a", "series of b", "2 rows of b in []", "now b at 2", "1 rows of b in []", "dropped b true"]);
}

#[test]
fn a_drop_waits_for_the_segments_that_are_being_made() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    for round in 0..40 {
        db.create_table(spec("t")).unwrap();
        put(&db, "t", 0..3_000);
        if round % 2 == 0 {
            db.seal().unwrap();
            put(&db, "t", 1_000..4_000);
        }
        let begin = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                begin.wait();
                db.compact().unwrap();
            });
            begin.wait();
            (0..round * 1_000).for_each(|_| std::hint::spin_loop());
            db.drop_table("t").unwrap();
        });
        db.compact().unwrap();
        let left: Vec<_> = disk.paths().into_iter().filter(|path| path.starts_with("/data/segments")).collect();
        assert!(left.is_empty(), "round {round}: {left:?}");
    }
}

#[test]
fn a_name_belongs_to_the_table_that_got_it_last() {
    let disk = MemoryDisk::new();
    let db = open(&disk);
    db.create_table(spec("first")).unwrap();
    db.create_table(spec("a")).unwrap();
    put(&db, "a", 5..7);
    db.drop_table("a").unwrap();
    db.rename_table("first", "a").unwrap();
    put(&db, "a", 0..2);
    let disk = disk.after_power_cut();
    damage(&disk, RecordKind::DropTable);
    wipe(&disk, "/catalog/");
    let db = open(&disk);
    assert_eq!(values_of(&db, "a"), [0, 1]);
    assert_eq!(values_of(&db, "lost name 1"), [5, 6]);
}
