//! Directories that cannot be opened, each with its reason.

use std::io;
use std::path::Path;

use super::*;
use crate::Put;
use crate::error::ErrorKind;
use crate::io::{DirEntry, DirectoryLock, Disk, File, OpenMode, SyncLabel};

/// A disk that lets nothing be changed.
#[derive(Debug)]
struct ReadOnly(MemoryDisk);

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for ReadOnly {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if mode == OpenMode::Read { self.0.open(path, mode) } else { refused() }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.list(dir)
    }

    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        refused()
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _path: &Path) -> io::Result<()> {
        refused()
    }

    fn sync_dir(&self, _dir: &Path, _label: SyncLabel) -> io::Result<()> {
        refused()
    }

    fn lock(&self, _path: &Path, _note: &str) -> io::Result<Box<dyn DirectoryLock>> {
        refused()
    }
}

#[test]
fn a_read_only_directory_is_refused_by_name() {
    let (disk, db) = begin();
    append(&db, 0..10);
    db.close().unwrap();
    let before = contents(&disk);
    let components = Components { disk: Arc::new(ReadOnly(disk.clone())), ..Components::os() };
    let error = Database::builder().settings(settings()).components(components).open(ROOT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fatal);
    assert!(error.to_string().contains("/data/lock") && error.to_string().contains("read-only"), "{error}");
    assert_eq!(contents(&disk), before);
    assert_eq!(values(&open(&disk)).unwrap(), expected(10));
}

#[test]
fn a_second_opening_names_the_holder() {
    let (disk, db) = begin();
    let error = open_with(&disk, settings()).unwrap_err();
    assert!(matches!(&error, Error::Locked { holder, .. } if holder.contains(&std::process::id().to_string())), "{error}");
    drop(db);
    open(&disk);
}

#[test]
fn a_closed_database_answers_so() {
    let (_disk, db) = begin();
    db.inner.close().unwrap();
    assert!(matches!(db.append("t", &batch(&db, 0)), Err(Error::Closed)));
    assert!(matches!(db.query(&Query::table("t")), Err(Error::Closed)));
    assert!(matches!(db.seal(), Err(Error::Closed)));
    assert!(matches!(db.flush(), Err(Error::Closed)));
}

#[test]
fn once_the_catalog_cannot_be_told_nothing_more_is_acknowledged() {
    let (disk, db) = begin();
    append(&db, 0..10);
    for n in 0..500 {
        db.kv().put(&format!("k{n}"), &[7; 1_000], Put::default()).unwrap();
    }
    db.close().unwrap();
    let db = open_with(&disk, Settings { catalog_cache_bytes: 64 << 10, ..settings() }).unwrap();
    for path in disk.paths().into_iter().filter(|path| path.display().to_string().contains("catalog.pages")) {
        disk.corrupt(&path, |bytes| bytes[8_192..].fill(0xaa)).unwrap();
    }
    let damaged = (0..500).find_map(|n| db.kv().get(&format!("k{n}")).err()).unwrap();
    assert_eq!(damaged.kind(), ErrorKind::Damaged, "{damaged}");
    append(&db, 10..11);
    // The record of it is in the log, where the catalog finds it when it is opened again.
    let mut rows = RowBuilder::new(db.table("t").unwrap());
    rows.row(0).tag("device", "new").unwrap().value("v", -1).unwrap();
    db.append("t", &rows.finish().unwrap()).unwrap();
    let stopped = db.append("t", &batch(&db, 11)).unwrap_err();
    assert!(matches!(stopped, Error::Stopped { .. }), "{stopped}");
    let db = open(&disk.after_power_cut());
    let mut found = values(&db).unwrap();
    assert_eq!((found.remove(0), found), (-1, expected(11)));
    assert!(db.kv().get("k77").unwrap().is_some());
    assert_eq!(append(&db, 11..12), 12);
}

#[test]
fn after_a_failed_sync_nothing_more_is_acknowledged_and_reopening_recovers() {
    for fail in [MemoryDisk::fail_syncs, MemoryDisk::fail_writes] {
        let (disk, db) = begin();
        append(&db, 0..10);
        fail(&disk, true);
        let error = db.append("t", &batch(&db, 10)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fatal, "{error}");
        fail(&disk, false);
        let error = db.append("t", &batch(&db, 10)).unwrap_err();
        assert!(matches!(error, Error::Stopped { .. }), "the descriptor is not tried again: {error}");
        assert_values(&db, 10);
        drop(db);
        let db = open(&disk.after_power_cut());
        assert_values(&db, 10);
        assert_eq!(append(&db, 10..11), 11);
    }
}
