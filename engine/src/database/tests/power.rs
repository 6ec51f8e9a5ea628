//! A power cut takes nothing that was acknowledged, and every sync is there for a reason.

use super::*;
use crate::io::SyncLabel;

/// What goes wrong if power is cut somewhere in a short life during which one kind of sync had no effect.
fn troubles(ignored: Option<SyncLabel>) -> Vec<String> {
    let disk = MemoryDisk::new();
    disk.ignore_sync(ignored);
    let db = open(&disk);
    let incarnation = db.inspect().unwrap().incarnation;
    let mut troubles = Vec::new();
    let mut check = |disk: &MemoryDisk, done: i64, sealed: bool, at: &str| {
        let survivor = disk.after_power_cut();
        survivor.ignore_sync(None);
        let db = match open_with(&survivor, settings()) {
            Ok(db) => db,
            Err(error) => return troubles.push(format!("{at}: {error}")),
        };
        if db.inspect().unwrap().incarnation != incarnation {
            troubles.push(format!("{at}: another incarnation"));
        }
        match values(&db) {
            Ok(found) if found == expected(done) => {}
            Ok(found) => troubles.push(format!("{at}: {} rows of {}", found.len(), done * ROWS)),
            Err(error) => troubles.push(format!("{at}: {error}")),
        }
        drop(db);
        // With the catalog gone a snapshot takes its place, once there is one.
        let wiped = survivor.after_power_cut();
        let pages = wiped.paths().into_iter().filter(|path| path.display().to_string().contains("catalog.pages"));
        if sealed && pages.map(|path| wiped.corrupt(&path, |bytes| bytes.fill(0))).filter(std::io::Result::is_ok).count() > 0 {
            let receipts = open(&wiped).inspect().unwrap().receipts;
            if !receipts.iter().any(|receipt| receipt.receipt.detail.contains("restored from the snapshot")) {
                troubles.push(format!("{at}: no snapshot"));
            }
        }
        let db = open(&survivor);
        troubles.extend(complaints(&db).into_iter().map(|complaint| format!("{at}: {complaint}")));
    };
    db.create_table(TableSpec::new("t").tag("device").field("v", FieldType::Int64)).unwrap();
    let mut done = 0;
    for round in 0..4 {
        // Enough for the log to go on in another file.
        done = append(&db, done..done + 250);
        check(&disk, done, round > 0, &format!("round {round}, appended"));
        db.seal().unwrap();
        check(&disk, done, true, &format!("round {round}, sealed"));
    }
    db.compact().unwrap();
    check(&disk, done, true, "compacted");
    db.close().unwrap();
    check(&disk, done, true, "closed");
    troubles
}

#[test]
fn a_power_cut_after_any_step_takes_nothing() {
    assert_eq!(troubles(None), [""; 0]);
}

#[test]
fn every_sync_is_needed() {
    for label in [
        SyncLabel::Identity,
        SyncLabel::LogGroup,
        SyncLabel::LogDirectory,
        SyncLabel::SegmentFile,
        SyncLabel::SegmentDirectory,
        SyncLabel::CatalogPages,
        SyncLabel::CatalogChecksums,
        SyncLabel::CatalogDirectory,
        SyncLabel::SnapshotFile,
        SyncLabel::SnapshotDirectory,
    ] {
        assert!(!troubles(Some(label)).is_empty(), "nothing is the worse for ignoring {label:?}");
    }
}
