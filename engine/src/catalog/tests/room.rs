//! A full disk is no damage, and room that returns mends it.

use super::*;

#[test]
fn a_full_disk_is_mended_in_place() {
    for extra in (0..200_000).step_by(4096) {
        let disk = MemoryDisk::new();
        let catalog = create(&disk);
        let mut expected = Contents::default();
        expected.apply(1, &all_kinds());
        catalog.apply(1, &all_kinds()).unwrap();
        catalog.checkpoint().unwrap();
        disk.set_quota(Some(disk.used() + extra));
        let mut refused = 0;
        for sequence in 2..30_u64 {
            let changes =
                [Change::PutSegment(segment(sequence, 15_000)), series(1, sequence as u32 * 100..sequence as u32 * 100 + 100)];
            for (what, step) in [("apply", true), ("checkpoint", false)] {
                let call = || if step { catalog.apply(sequence, &changes) } else { catalog.checkpoint() };
                match call() {
                    Ok(()) => {}
                    Err(Error::DiskFull { .. }) => {
                        refused += 1;
                        assert_eq!(Contents::of(&catalog).unwrap(), expected_after(&expected, step, sequence, &changes));
                        let cut = open(&disk.after_power_cut()).unwrap();
                        assert!(cut.applied() < sequence, "what was refused is not there");
                        disk.set_quota(None);
                        call().unwrap_or_else(|error| panic!("{what} {sequence} with {extra} bytes, then room: {error}"));
                        disk.set_quota(Some(disk.used() + extra));
                    }
                    Err(other) => panic!("{what} {sequence} with {extra} bytes: {other}"),
                }
            }
            expected.apply(sequence, &changes);
        }
        assert!(refused > 0, "{extra} bytes are not too few");
        drop(catalog);
        assert_eq!(Contents::of(&open(&disk.after_power_cut()).unwrap()).unwrap(), expected);
    }
}

fn expected_after(before: &Contents, refused_apply: bool, sequence: u64, changes: &[Change]) -> Contents {
    let mut contents = before.clone();
    if !refused_apply {
        contents.apply(sequence, changes);
    }
    contents
}

#[test]
fn a_large_change_on_a_full_disk_is_mended_in_place() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    disk.set_quota(Some(disk.used()));
    let large = [Change::PutTable(schema(1)), Change::PutSegment(segment(1, 2_000_000)), series(1, 0..20_000)];
    let mut expected = Contents::default();
    expected.apply(1, &large);
    catalog.apply(1, &large).unwrap();
    for _ in 0..3 {
        assert!(matches!(catalog.checkpoint(), Err(Error::DiskFull { .. })));
        assert!(matches!(catalog.apply(2, &[Change::SealedThrough(2)]), Err(Error::DiskFull { .. })));
        assert_eq!(catalog.segments().unwrap().len(), 1);
    }
    disk.set_quota(None);
    catalog.checkpoint().unwrap();
    assert_eq!(Contents::of(&catalog).unwrap(), expected);
    drop(catalog);
    assert_eq!(Contents::of(&open(&disk).unwrap()).unwrap(), expected);
}

#[test]
fn a_full_disk_bounds_what_is_held_in_memory() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    catalog.apply(1, &[Change::PutTable(schema(1))]).unwrap();
    catalog.checkpoint().unwrap();
    disk.set_quota(Some(disk.used() + 8192));
    let large: Vec<_> = (2..40).map(|id| Change::PutSegment(segment(id, 1_000_000))).collect();
    assert!(matches!(catalog.apply(2, &large), Err(Error::DiskFull { .. })));
    disk.set_quota(None);
    assert!(matches!(catalog.apply(2, &large), Err(Error::DiskFull { .. })), "this much takes opening again");
    drop(catalog);
    let catalog = open(&disk).unwrap();
    assert_eq!((catalog.applied(), catalog.tables().unwrap().len()), (1, 1));
    catalog.apply(2, &large).unwrap();
    catalog.checkpoint().unwrap();
    drop(catalog);
    assert_eq!(open(&disk).unwrap().segment_index(SegmentId(39)).unwrap().unwrap().len(), 1_000_000);
}

#[test]
fn a_catalog_opens_on_a_full_disk() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    catalog.apply(1, &all_kinds()).unwrap();
    catalog.checkpoint().unwrap();
    drop(catalog);
    disk.set_quota(Some(disk.used()));
    let catalog = open(&disk).unwrap();
    assert_eq!(catalog.applied(), 1);
    assert!(matches!(catalog.write_snapshot(), Err(Error::DiskFull { .. })));
    assert_eq!(Catalog::snapshots(&on(Arc::new(disk.clone())), &dir()).unwrap(), [0u64; 0]);
    assert_eq!(catalog.tables().unwrap().len(), 3);
}

#[test]
fn room_is_used_again() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    let mut used = Vec::new();
    for round in 0..20 {
        let ids = round * 20..round * 20 + 20;
        for id in ids.clone() {
            catalog.apply(id, &[Change::PutSegment(segment(id, 50_000))]).unwrap();
            catalog.checkpoint().unwrap();
        }
        let gone: Vec<_> = ids.clone().map(|id| Change::RemoveSegment(SegmentId(id))).collect();
        catalog.apply(ids.end, &gone).unwrap();
        catalog.checkpoint().unwrap();
        used.push(disk.used());
    }
    assert!(used[19] <= used[1] * 3 / 2, "{used:?}");
}

/// They take several transactions, of which the disk has room for some.
#[test]
fn cells_changed_in_part_are_whole_once_they_are_changed_again() {
    let of = |sequence: u64| {
        Change::PutCells(
            (0..400_u32).map(|n| cell(sequence, &[&[0x10][..], &n.to_be_bytes()].concat(), Some(&[7; 3_000]))).collect(),
        )
    };
    let mut refused_in_part = 0;
    for room in (0..2_000_000).step_by(250_000) {
        let disk = MemoryDisk::new();
        let catalog = create(&disk);
        catalog.apply(1, &[of(1)]).unwrap();
        catalog.checkpoint().unwrap();
        let mut expected = Contents::default();
        expected.apply(1, &[of(1)]);
        disk.set_quota(Some(disk.used() + room));
        for sequence in 2..6 {
            let changes = [of(sequence), Change::SealedThrough(sequence)];
            let applied = catalog.apply(sequence, &changes);
            if !matches!(applied, Ok(()) | Err(Error::DiskFull { .. })) {
                panic!("{applied:?}");
            }
            if applied.is_err() {
                refused_in_part += usize::from(Contents::of(&catalog).unwrap() != expected);
                assert_eq!(catalog.applied(), sequence - 1);
                disk.set_quota(None);
                catalog.apply(sequence, &changes).unwrap();
                disk.set_quota(Some(disk.used() + room));
            }
            expected.apply(sequence, &changes);
            assert_eq!(Contents::of(&catalog).unwrap(), expected, "{room}");
        }
        disk.set_quota(None);
        catalog.checkpoint().unwrap();
        assert_eq!(Contents::of(&open(&disk.after_power_cut()).unwrap()).unwrap(), expected);
    }
    assert!(refused_in_part > 0, "no case");
}
