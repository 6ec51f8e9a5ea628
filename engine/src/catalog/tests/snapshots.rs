//! Snapshots hold everything, and only whole ones are believed.

use super::*;

fn components(disk: &MemoryDisk) -> Components {
    on(Arc::new(disk.clone()))
}

fn snapshots(disk: &MemoryDisk) -> Vec<u64> {
    Catalog::snapshots(&components(disk), &dir()).unwrap()
}

fn restore(disk: &MemoryDisk, sequence: u64) -> Result<Arc<Catalog>> {
    Catalog::restore(&components(disk), &dir(), sequence, CACHE).map(Arc::new)
}

fn snapshot_path(sequence: u64) -> PathBuf {
    path(&format!("snapshot-{sequence:020}"))
}

fn with_snapshot(series_count: u32) -> (MemoryDisk, Contents) {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    let mut expected = Contents::default();
    for (sequence, changes) in [(9, all_kinds()), (12, vec![series(1, 50..series_count)])] {
        catalog.apply(sequence, &changes).unwrap();
        expected.apply(sequence, &changes);
    }
    assert_eq!(catalog.write_snapshot().unwrap(), 12);
    (disk, expected)
}

#[test]
fn a_snapshot_holds_everything() {
    // Several chunks of rows.
    let (disk, expected) = with_snapshot(30_000);
    assert_eq!(snapshots(&disk), [12]);
    let disk = disk.after_power_cut();
    let catalog = restore(&disk, 12).unwrap();
    assert_eq!(Contents::of(&catalog).unwrap(), expected);
    drop(catalog);
    let catalog = open(&disk.after_power_cut()).unwrap();
    assert_eq!(Contents::of(&catalog).unwrap(), expected, "what was restored is durable");
    assert!(catalog.verify().unwrap().is_empty());
}

#[test]
fn a_snapshot_makes_up_for_a_damaged_catalog() {
    let (disk, expected) = with_snapshot(100);
    disk.corrupt(&path("catalog.pages"), |bytes| bytes.iter_mut().for_each(|byte| *byte = !*byte)).unwrap();
    assert!(open(&disk).is_err());
    assert_eq!(Contents::of(&restore(&disk, 12).unwrap()).unwrap(), expected);
}

/// All chunks check out by themselves, and there are as many rows and bytes as the last one says; but it is another's.
#[test]
fn a_snapshot_is_held_against_the_hash_of_the_whole() {
    let with_receipt = |text| {
        let disk = MemoryDisk::new();
        let catalog = create(&disk);
        catalog.apply(12, &[Change::PutReceipt { sequence: 12, receipt: receipt(text) }]).unwrap();
        catalog.write_snapshot().unwrap();
        disk
    };
    let (disk, other) = (with_receipt("lost"), with_receipt("last"));
    let mut end = Vec::new();
    other.corrupt(&snapshot_path(12), |bytes| end = bytes.split_off(bytes.len() - 64)).unwrap();
    assert!(end.starts_with(b"ENDS"), "{end:?}");
    restore(&disk.after_power_cut(), 12).unwrap();
    disk.corrupt(&snapshot_path(12), |bytes| {
        bytes.truncate(bytes.len() - 64);
        bytes.append(&mut end);
    })
    .unwrap();
    assert!(matches!(restore(&disk, 12), Err(Error::Damaged { .. })));
}

#[test]
fn two_are_kept_and_none_from_a_future_that_did_not_happen() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    for sequence in [5, 6, 7, 8] {
        catalog.apply(sequence, &[Change::SealedThrough(sequence)]).unwrap();
        assert_eq!(catalog.write_snapshot().unwrap(), sequence);
    }
    assert_eq!(snapshots(&disk), [8, 7]);
    assert_eq!(catalog.write_snapshot().unwrap(), 8, "writing one again");
    assert_eq!(snapshots(&disk), [8, 7]);
    drop(catalog);
    let catalog = restore(&disk, 7).unwrap();
    assert_eq!((catalog.applied(), catalog.sealed_through().unwrap()), (7, 7));
    assert_eq!(catalog.write_snapshot().unwrap(), 7);
    assert_eq!(snapshots(&disk), [7]);
}

#[test]
fn where_the_newest_is_damaged_the_one_before_serves() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    for sequence in [5, 6] {
        catalog.apply(sequence, &[Change::PutTable(schema(sequence as u32))]).unwrap();
        catalog.write_snapshot().unwrap();
    }
    drop(catalog);
    disk.corrupt(&snapshot_path(6), |bytes| bytes[60] ^= 4).unwrap();
    let refused = restore(&disk, 6).unwrap_err().to_string();
    assert!(refused.ends_with("the chunk at byte 20 fails its checksum"), "{refused}");
    assert_eq!(restore(&disk, 5).unwrap().tables().unwrap(), [schema(5)]);
}

#[test]
fn a_damaged_snapshot_is_refused_and_leaves_the_catalog_alone() {
    let (disk, _) = with_snapshot(60);
    let catalog = open(&disk).unwrap();
    catalog.apply(20, &[Change::PutTable(schema(8))]).unwrap();
    catalog.checkpoint().unwrap();
    drop(catalog);
    let len = len(&disk, &snapshot_path(12));
    let refused = |change: &dyn Fn(&mut Vec<u8>), context: &str| {
        let disk = disk.after_power_cut();
        disk.corrupt(&snapshot_path(12), change).unwrap();
        assert!(matches!(restore(&disk, 12), Err(Error::Damaged { .. })), "{context}");
        let catalog = open(&disk).unwrap();
        assert_eq!(catalog.tables().unwrap(), [schema(8)], "{context}");
        assert_eq!(catalog.verify().unwrap().len(), 1, "{context}");
    };
    for at in (0..len).filter(|at| *at < 60 || *at + 70 > len || at % 29 == 0) {
        refused(&|bytes| bytes[at] ^= 1 << (at % 8), &format!("byte {at} of {len} flipped"));
        refused(&|bytes| bytes.truncate(at), &format!("cut to {at} bytes of {len}"));
    }
    refused(&|bytes| bytes.push(0), "a byte more");
    refused(&|bytes| bytes.extend_from_within(20..), "chunks twice");
}

#[test]
fn a_snapshot_under_the_name_of_another_is_refused() {
    let (disk, _) = with_snapshot(60);
    disk.rename(&snapshot_path(12), &snapshot_path(13)).unwrap();
    assert!(matches!(restore(&disk, 13), Err(Error::Damaged { .. })));
}

#[test]
fn every_sync_of_a_snapshot_is_needed() {
    for label in [SyncLabel::SnapshotFile, SyncLabel::SnapshotDirectory] {
        let disk = MemoryDisk::new();
        disk.ignore_sync(Some(label));
        let catalog = create(&disk);
        catalog.apply(9, &all_kinds()).unwrap();
        catalog.write_snapshot().unwrap();
        assert!(restore(&disk.after_power_cut(), 9).is_err(), "{label:?} is not needed");
    }
}

#[test]
fn a_failed_snapshot_leaves_the_catalog_and_older_ones() {
    let (disk, expected) = with_snapshot(100);
    let catalog = restore(&disk, 12).unwrap();
    catalog.apply(13, &[]).unwrap();
    disk.fail_syncs(true);
    assert!(matches!(catalog.write_snapshot(), Err(Error::Io { .. })));
    disk.fail_syncs(false);
    assert_eq!(snapshots(&disk), [12]);
    assert_eq!(disk.list(&dir()).unwrap().len(), 3, "nothing is left over");
    assert_eq!(Contents { applied: 12, ..Contents::of(&catalog).unwrap() }, expected);
    assert_eq!(catalog.write_snapshot().unwrap(), 13);
    assert_eq!(snapshots(&disk), [13, 12]);
}

/// The file as an independent program lays it out, with its own BLAKE3 and CRC-32.
#[test]
fn the_bytes_of_a_snapshot_are_frozen() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    let keys = vec![SeriesKey(vec![Some("site-0".into()), None, Some("device-000007".into())])];
    let changes = [
        Change::PutSeries { table: TableId(0x03a1_b2c3), first: SeriesId(0x07d4_e5f6), keys },
        Change::SealedThrough(0x5566_7788_99aa_bbcc),
    ];
    catalog.apply(0x0102, &changes).unwrap();
    catalog.write_snapshot().unwrap();
    let mut bytes = Vec::new();
    disk.corrupt(&snapshot_path(0x0102), |file| bytes = file.clone()).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN);
}

const GOLDEN: &str = "414c56534e415032020100000000000027e53f1b524f575340000000400000008b9aa9520008000000080000000000000000000001ccbb\
    aa998877665502080000001600000003a1b2c307d4e5f607736974652d30000e6465766963652d303030303037454e4453300000003000\
    00004d810fb2020000000000000040000000000000009a66307384dd568b7a6ebcdc5247042a696438d17230473e17393ac5b909a9b5";
