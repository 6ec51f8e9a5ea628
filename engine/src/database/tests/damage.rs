//! Damage to each kind of file: the default mode opens and says what is gone, the strict one refuses and touches nothing.

use std::path::PathBuf;

use super::*;
use crate::Put;
use crate::catalog::tests::damage::resum;
use crate::error::ErrorKind;
use crate::io::{Disk, OpenMode};

/// A closed database with two segments, unsealed rows in the log, a catalog and two snapshots.
fn prepared() -> MemoryDisk {
    let (disk, db) = begin();
    append(&db, 0..100);
    db.seal().unwrap();
    append(&db, 100..200);
    db.seal().unwrap();
    append(&db, 200..300);
    db.close().unwrap();
    disk
}

/// The files whose path holds `part`.
fn files(disk: &MemoryDisk, part: &str) -> Vec<PathBuf> {
    let found: Vec<_> = disk.paths().into_iter().filter(|path| path.display().to_string().contains(part)).collect();
    assert!(!found.is_empty(), "there is no {part:?}");
    found
}

fn flip(disk: &MemoryDisk, path: &std::path::Path, at: impl Fn(usize) -> usize) {
    disk.corrupt(path, |bytes| {
        let at = at(bytes.len());
        bytes[at] ^= 0x20;
    })
    .unwrap();
}

/// The strict mode refuses, names the file, and leaves every byte as it was.
fn assert_refused(disk: &MemoryDisk, named: &str) {
    let before = contents(disk);
    let error = open_strict(disk).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert!(error.to_string().contains(named), "{error}");
    assert_eq!(contents(disk), before, "{error}");
}

#[test]
fn an_undamaged_database_opens_strictly_and_without_complaints() {
    let db = open_strict(&prepared()).unwrap();
    assert_values(&db, 300);
    assert_eq!(complaints(&db), [""; 0]);
}

#[test]
fn one_copy_of_the_identity_is_enough_and_without_any_it_is_made_anew() {
    let disk = prepared();
    let path = files(&disk, "alluvium.id").remove(0);
    let before = open(&disk).inspect().unwrap().incarnation;
    flip(&disk, &path, |_| 20);
    let db = open_strict(&disk).unwrap();
    assert_eq!(db.inspect().unwrap().incarnation, before);
    assert_eq!(complaints(&db), ["alluvium.id"]);
    drop(db);
    flip(&disk, &path, |_| 4_096 + 20);
    assert_refused(&disk, "alluvium.id");
    let db = open(&disk);
    assert_ne!(db.inspect().unwrap().incarnation, before);
    assert_values(&db, 300);
}

#[test]
fn a_damaged_frame_costs_its_records_and_a_receipt() {
    let disk = prepared();
    let log = files(&disk, ".log").pop().unwrap();
    // In the middle of a group of the unsealed rows.
    flip(&disk, &log, |_| 8_192 + 3 * 4_096 + 100);
    assert_refused(&disk, "log/");
    let db = open(&disk);
    let found = values(&db).unwrap();
    let lost: Vec<i64> = expected(300).into_iter().filter(|value| found.binary_search(value).is_err()).collect();
    assert_eq!(lost.len() as i64, ROWS, "one batch of one group");
    assert!(lost[0] >= 200 * ROWS, "what is sealed is not touched");
    let complaints = complaints(&db);
    assert!(complaints.iter().any(|complaint| complaint.starts_with("LogDamage: log/")), "{complaints:?}");
    assert!(disk.paths().iter().any(|path| path.starts_with("/data/quarantine")));
    let receipts = db.inspect().unwrap().receipts;
    let (first, last) = receipts[0].receipt.sequences.unwrap();
    assert_eq!(first, last, "one record");
    // The receipt is durable, and is not given twice.
    assert_eq!(append(&db, 300..301), 301);
    drop(db);
    let db = open(&disk.after_power_cut());
    assert_eq!(db.inspect().unwrap().receipts, receipts);
    assert_eq!(values(&db).unwrap().len() as i64, 300 * ROWS);
}

#[test]
fn of_the_log_only_what_the_catalog_and_the_segments_lack_is_read() {
    let (disk, db) = begin();
    append(&db, 0..40);
    db.seal().unwrap();
    append(&db, 40..50);
    db.close().unwrap();
    let log = files(&disk, ".log");
    assert!(log.len() > 2, "{log:?}");
    flip(&disk, &log[0], |len| len / 2);
    let db = open_strict(&disk).unwrap();
    assert_values(&db, 50);
    assert!(!disk.paths().iter().any(|path| path.starts_with("/data/quarantine")), "it was read");
    // Who asks whether all is well is told.
    let name = log[0].strip_prefix("/data").unwrap().display().to_string();
    assert_eq!(complaints(&db), [name]);
    drop(db);
    // A catalog that is made anew needs all of it.
    for path in files(&disk, "/catalog/") {
        disk.corrupt(&path, |bytes| bytes.fill(0)).unwrap();
    }
    let db = open(&disk);
    assert_values(&db, 50);
    assert!(disk.paths().iter().any(|path| path.starts_with("/data/quarantine")));
}

/// The one log file of a table whose schema gained a column, with rows before and after, no catalog, and one frame damaged.
fn with_damaged_definition(sequence: u64) -> MemoryDisk {
    let (disk, db) = begin();
    append(&db, 0..1);
    db.add_columns("t", &[], &[("w".to_owned(), FieldType::Bool)]).unwrap();
    append(&db, 1..2);
    db.close().unwrap();
    for path in files(&disk, "/catalog/") {
        disk.corrupt(&path, |bytes| bytes.fill(0)).unwrap();
    }
    let log = files(&disk, ".log").pop().unwrap();
    let mut at = 0;
    let visit = &mut |frame: crate::wal::FrameRef<'_>| {
        at = if frame.sequence == sequence && frame.flags == 0 { frame.offset } else { at };
        Ok(())
    };
    crate::wal::scan(&disk, std::path::Path::new("/data/log"), visit).unwrap();
    flip(&disk, &log, |_| at as usize + 20);
    disk
}

#[test]
fn an_interrupted_copy_of_damaged_bytes_is_made_again() {
    let disk = prepared();
    let log = files(&disk, ".log").pop().unwrap();
    flip(&disk, &log, |_| 8_192 + 3 * 4_096 + 100);
    disk.fail_writes(true);
    open_with(&disk, settings()).unwrap_err();
    files(&disk, "quarantine");
    disk.fail_writes(false);
    drop(open(&disk));
    let mut aside = Vec::new();
    disk.corrupt(&files(&disk, "quarantine").pop().unwrap(), |bytes| aside = bytes.clone()).unwrap();
    assert!(!aside.is_empty());
    disk.corrupt(&log, |bytes| assert!(bytes.windows(aside.len()).any(|part| part == aside))).unwrap();
}

/// What a log shows that the device may not hold takes no files away.
#[test]
fn files_that_no_record_names_go_once_the_log_is_secured() {
    let (disk, db) = begin();
    append(&db, 0..10);
    db.seal().unwrap();
    append(&db, 10..20);
    let disk = disk.after_power_cut();
    let segment = files(&disk, ".parquet").pop().unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    let orphan = segment.with_file_name(name.replacen("-1-", "-77-", 1));
    assert_ne!(orphan, segment);
    disk.open(&orphan, OpenMode::CreateNew).unwrap();
    disk.fail_writes(true);
    open_with(&disk, settings()).unwrap_err();
    assert!(disk.paths().contains(&orphan));
    disk.fail_writes(false);
    let db = open(&disk);
    assert!(!disk.paths().contains(&orphan));
    assert_values(&db, 20);
}

/// Where a log file begins, the definitions repeated for its first record are whole, and that is torn: its number is free.
#[test]
fn the_number_of_a_torn_record_is_used_again_though_its_definitions_are_there() {
    let (disk, db) = begin();
    db.kv().put("before", b"v", Put::default()).unwrap();
    let (begun, mut done) = (files(&disk, ".log").len(), 0);
    while files(&disk, ".log").len() == begun {
        done = append(&db, done..done + 1);
    }
    let disk = disk.after_power_cut();
    let (mut defined, mut last) = (0, 0);
    let visit = &mut |frame: crate::wal::FrameRef<'_>| {
        if frame.flags & crate::wal::CONTEXT == 0 {
            last = frame.offset
        } else {
            defined = frame.sequence
        }
        Ok(())
    };
    let report = crate::wal::scan(&disk, std::path::Path::new("/data/log"), visit).unwrap();
    assert_eq!(defined, report.last_sequence, "the last record is the first of its file");
    flip(&disk, &files(&disk, ".log").pop().unwrap(), |_| last as usize + 20);
    open(&disk).close().unwrap();
    let db = open(&disk);
    let complaints = complaints(&db);
    assert!(matches!(&complaints[..], [one] if one.starts_with("TornTail")), "{complaints:?}");
    assert_values(&db, done - 1);
    db.kv().put("after", b"v", Put::default()).unwrap();
    let db = open(&disk.after_power_cut());
    assert!(["before", "after"].iter().all(|key| db.kv().get(key).unwrap().is_some()));
}

#[test]
fn a_lost_definition_of_a_table_is_made_up_for_by_the_next_one() {
    let db = open(&with_damaged_definition(1));
    assert_values(&db, 2);
    assert_eq!(db.table("t").unwrap().version, 2);
    let receipts = db.inspect().unwrap().receipts;
    let lost: Vec<_> = receipts.iter().filter_map(|receipt| receipt.receipt.sequences).collect();
    assert_eq!(lost, [(1, 1)], "{receipts:?}");
}

#[test]
fn what_opening_makes_of_damage_stays() {
    for sequence in 1..=5 {
        let disk = with_damaged_definition(sequence);
        let db = open(&disk);
        let (found, receipts) = (values(&db), db.inspect().unwrap().receipts);
        drop(db);
        let db = open(&disk);
        assert_eq!(values(&db).ok(), found.ok(), "record {sequence} damaged");
        assert_eq!(db.inspect().unwrap().receipts, receipts, "record {sequence} damaged");
    }
}

#[test]
fn a_damaged_catalog_is_rebuilt_without_loss() {
    for part in ["catalog.pages", "catalog.sums"] {
        for at in [|_| 0, |len| len / 3, |len| len / 2, |len| len - 1] {
            let disk = prepared();
            flip(&disk, &files(&disk, part)[0], at);
            // What lies in no page in use matters to nobody.
            if open_strict(&disk.after_power_cut()).is_ok() {
                continue;
            }
            assert_refused(&disk, "catalog");
            let db = open(&disk);
            assert_values(&db, 300);
            assert_eq!(complaints(&db), ["CatalogRebuilt: catalog"]);
        }
    }
}

#[test]
fn without_catalog_and_snapshots_tables_come_back_from_the_segments() {
    let disk = prepared();
    for path in files(&disk, "/catalog/") {
        disk.corrupt(&path, |bytes| bytes.fill(0xA5)).unwrap();
    }
    assert_refused(&disk, "catalog");
    let db = open(&disk);
    assert_eq!(complaints(&db), ["CatalogRebuilt: catalog", "catalog", "catalog"], "both snapshots are still damaged");
    assert_values(&db, 300);
    assert_eq!(db.table("t").unwrap().tags[0].name, "device");
    assert_eq!(append(&db, 300..310), 310);
    db.compact().unwrap();
    drop(db);
    let db = open(&disk.after_power_cut());
    assert_values(&db, 310);
}

#[test]
fn a_catalog_from_before_the_log_begins_is_not_used() {
    let (disk, db) = begin();
    append(&db, 0..3_000);
    db.seal().unwrap();
    let mut old = Vec::new();
    for path in files(&disk, "/catalog/catalog.") {
        disk.after_power_cut().corrupt(&path, |bytes| old.push((path.clone(), bytes.clone()))).unwrap();
    }
    for n in 0..3 {
        db.kv().put("k", &[n], Put::default()).unwrap();
        append(&db, 3_000 + n as i64 * 600..3_000 + (n as i64 + 1) * 600);
        db.seal().unwrap();
    }
    db.close().unwrap();
    for (path, old) in old {
        disk.corrupt(&path, |bytes| *bytes = old).unwrap();
    }
    let db = open(&disk);
    let receipts = db.inspect().unwrap().receipts;
    assert!(receipts.iter().any(|receipt| receipt.receipt.detail.contains("before the log begins")), "{receipts:?}");
    assert_eq!(db.kv().get("k").unwrap().unwrap().value, [2]);
    assert_values(&db, 4_800);
}

#[test]
fn bits_that_flip_in_the_catalog_of_an_open_database_are_found_when_they_are_read() {
    let (disk, db) = begin();
    let value = [7; 1_000];
    for n in 0..500 {
        db.kv().put(&format!("k{n}"), &value, Put::default()).unwrap();
    }
    db.close().unwrap();
    let db = open_with(&disk, Settings { catalog_cache_bytes: 64 << 10, ..settings() }).unwrap();
    for path in files(&disk, "catalog.pages") {
        // Within values: nothing but a checksum can tell.
        let flip = |page: &mut [u8]| {
            if let Some(at) = page.windows(100).position(|bytes| bytes == &value[..100]) {
                page[at + 50] ^= 1;
            }
        };
        disk.corrupt(&path, |bytes| bytes.chunks_mut(4_096).for_each(flip)).unwrap();
    }
    let mut damaged = 0;
    for n in 0..500 {
        match db.kv().get(&format!("k{n}")) {
            Ok(pair) => assert_eq!(pair.unwrap().value, value, "k{n}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0);
    drop(db);
    assert_eq!(open(&disk).kv().get("k77").unwrap().unwrap().value, value, "the log has it");
}

#[test]
fn a_damaged_snapshot_is_found_and_not_used() {
    let disk = prepared();
    let newest = files(&disk, "snapshot-").pop().unwrap();
    flip(&disk, &newest, |len| len / 2);
    assert_eq!(complaints(&open(&disk)), ["catalog"]);
    for path in files(&disk, "catalog.pages") {
        disk.corrupt(&path, |bytes| bytes.fill(0)).unwrap();
    }
    let db = open(&disk);
    assert_values(&db, 300);
}

#[test]
fn a_damaged_block_of_a_segment_is_an_error_that_names_it_and_nothing_else() {
    let disk = prepared();
    let segment = files(&disk, ".parquet").remove(0);
    flip(&disk, &segment, |len| len / 4);
    let db = open(&disk);
    let error = values(&db).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(error.to_string().contains(segment.file_name().unwrap().to_str().unwrap()), "{error}");
    assert_eq!(complaints(&db).len(), 1, "verify names it");
    let rest = Query::table("t").field("v").range(crate::TimeRange::new(200 * ROWS * 1_000_000, i64::MAX));
    let rows: usize = db.query(&rest).unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows as i64, 100 * ROWS, "other rows are answered");
}

#[test]
fn a_segment_that_is_gone_or_cut_costs_its_rows_and_a_receipt() {
    for cut in [false, true] {
        let disk = prepared();
        let segment = files(&disk, ".parquet").remove(0);
        if cut {
            disk.corrupt(&segment, |bytes| bytes.truncate(bytes.len() - 1)).unwrap();
        } else {
            crate::io::Disk::remove(&disk, &segment).unwrap();
        }
        assert_refused(&disk, "segments/");
        let db = open(&disk);
        assert_eq!(values(&db).unwrap().len() as i64, 200 * ROWS);
        let complaints = complaints(&db);
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].starts_with("SegmentDamage: segments/t0-"), "{complaints:?}");
        let receipt = &db.inspect().unwrap().receipts[0].receipt;
        assert!(receipt.sequences.is_some() && receipt.times.is_some() && receipt.table.is_some());
    }
}

/// The index of a segment is first met when opening removes it, after its file has gone. That its page was forged, under right
/// checksums, shows only then.
#[test]
fn a_catalog_that_fails_when_opening_removes_from_it_is_rebuilt() {
    let disk = prepared();
    let (segment, index) = {
        let db = open(&disk);
        let segment = db.inner.publisher.registry.all()[0].snapshot().segments[0].clone();
        let index = db.inner.publisher.catalog.get().unwrap().segment_index(segment.id).unwrap().unwrap();
        (crate::segment::file_name(&segment), index)
    };
    disk.remove(&PathBuf::from("/data/segments").join(segment)).unwrap();
    let mut pages = Vec::new();
    disk.corrupt(&files(&disk, "catalog.pages")[0], |bytes| {
        let leaf = bytes.chunks_mut(4_096).find(|page| page.windows(index.len()).any(|bytes| bytes == index)).unwrap();
        // Where the first key ends, in a leaf of redb.
        leaf[4] ^= 0xFF;
        pages = bytes.clone();
    })
    .unwrap();
    disk.corrupt(&files(&disk, "catalog.sums")[0], |sums| resum(sums, &pages)).unwrap();

    assert_refused(&disk, "catalog");
    let db = open(&disk);
    let complaints = complaints(&db);
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert_eq!(complaints[0], "CatalogRebuilt: catalog");
    assert!(complaints[1].starts_with("SegmentDamage: segments/t0-"), "{complaints:?}");
    assert_eq!(values(&db).unwrap().len() as i64, 200 * ROWS);
}

#[test]
fn without_any_log_numbers_go_on_above_those_used() {
    let disk = prepared();
    for path in files(&disk, "/log/") {
        crate::io::Disk::remove(&disk, &path).unwrap();
    }
    let db = open(&disk);
    assert_values(&db, 200);
    let ack = db.append("t", &batch(&db, 200)).unwrap();
    assert!(ack.sequence > 300, "record {} was used before", ack.sequence);
    assert_values(&db, 201);
    drop(db);
    let db = open(&disk.after_power_cut());
    assert_values(&db, 201);
    db.seal().unwrap();
    drop(db);
    assert_values(&open(&disk.after_power_cut()), 201);
}

#[test]
fn a_segment_that_cannot_be_read_back_is_set_aside_not_thrown_away() {
    let (disk, db) = begin();
    // So many that the log no longer tells of the first.
    for n in 0..5 {
        append(&db, n * 100..(n + 1) * 100);
        db.seal().unwrap();
    }
    db.close().unwrap();
    for path in files(&disk, "/catalog/") {
        disk.corrupt(&path, |bytes| bytes.fill(0xA5)).unwrap();
    }
    let segment = files(&disk, ".parquet").remove(0);
    flip(&disk, &segment, |len| len / 4);
    let db = open(&disk);
    let complaints = complaints(&db);
    assert!(complaints.iter().any(|complaint| complaint.starts_with("SegmentDamage: segments/t0-1-")), "{complaints:?}");
    let aside = PathBuf::from("/data/quarantine").join(segment.file_name().unwrap());
    assert!(disk.paths().contains(&aside), "{:?}", disk.paths());
}

#[test]
fn inputs_of_a_compaction_do_not_come_back_with_what_it_deleted() {
    let (disk, db) = begin();
    for n in 0..4 {
        append(&db, n * 10..(n + 1) * 10);
        db.seal().unwrap();
    }
    // A reader keeps the inputs from going away.
    let reader = db.query(&Query::table("t")).unwrap();
    db.delete("t", &[], crate::TimeRange::new(0, 600 * 1_000_000)).unwrap();
    db.compact().unwrap();
    assert_eq!(files(&disk, ".parquet").len(), 5);
    let disk = disk.after_power_cut();
    drop(reader);
    for path in files(&disk, "/catalog/").into_iter().chain(files(&disk, "/log/")) {
        crate::io::Disk::remove(&disk, &path).unwrap();
    }
    let db = open(&disk);
    assert_eq!(values(&db).unwrap(), expected(40)[600..]);
    assert_eq!(files(&disk, "quarantine/t0-").len(), 4, "they are set aside");
}
