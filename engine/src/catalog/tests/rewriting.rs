//! Written anew, the catalog says the same, takes no more room than that, and there is no moment without one.

use super::*;

const CACHE: usize = 1 << 20;

/// A catalog of which little is left.
fn emptied(disk: &MemoryDisk) -> (Arc<Catalog>, Contents) {
    let catalog = create(disk);
    let mut expected = Contents::default();
    let mut apply = |sequence, changes: &[Change]| {
        catalog.apply(sequence, changes).unwrap();
        expected.apply(sequence, changes);
    };
    apply(9, &all_kinds());
    let cells = |value: Option<&[u8]>| Change::PutCells((0..4_000_u32).map(|n| cell(10, &n.to_be_bytes(), value)).collect());
    apply(10, &[cells(Some(&[7; 1_000]))]);
    catalog.checkpoint().unwrap();
    apply(11, &[cells(None)]);
    catalog.checkpoint().unwrap();
    (catalog, expected)
}

fn pages(disk: &MemoryDisk) -> Vec<String> {
    let names = disk.paths().into_iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("catalog.pages")).collect()
}

#[test]
fn the_room_of_what_was_removed_is_given_back() {
    let disk = MemoryDisk::new();
    let (catalog, expected) = emptied(&disk);
    assert!(catalog.wasted_bytes() > 4_000_000);
    let before = disk.used();
    let mut catalog = catalog;
    for round in 0..3 {
        let rewrite = catalog.rewrite(CACHE).unwrap();
        assert!(rewrite.settle().unwrap() && rewrite.is_of(&catalog));
        catalog = rewrite.finish().unwrap().unwrap();
        assert!(disk.used() < before / 4, "{} of {before}", disk.used());
        assert_eq!((Contents::of(&catalog).unwrap(), catalog.wasted_bytes()), (expected.clone(), 0));
        assert_eq!(pages(&disk), [["catalog.pages.2", "catalog.pages"][round % 2]]);
        assert_eq!(Contents::of(&open(&disk.after_power_cut()).unwrap()).unwrap(), expected);
        assert!(catalog.verify().unwrap().is_empty());
    }
    let (more, mut expected) = ([series(5, 2..9)], expected);
    expected.apply(12, &more);
    catalog.apply(12, &more).unwrap();
    catalog.checkpoint().unwrap();
    assert_eq!(Contents::of(&open(&disk.after_power_cut()).unwrap()).unwrap(), expected);
}

#[test]
fn what_others_do_meanwhile_is_in_it() {
    let disk = MemoryDisk::new();
    let (catalog, mut expected) = emptied(&disk);
    let mut apply = |sequence: u64, n: u8| {
        let changes = [series(2, 3..3 + u32::from(n)), Change::PutCells(vec![cell(sequence, b"\x10key", Some(&[n; 40]))])];
        catalog.apply(sequence, &changes).unwrap();
        expected.apply(sequence, &changes);
    };
    apply(12, 1);
    let rewrite = catalog.rewrite(CACHE).unwrap();
    apply(13, 2);
    assert!(rewrite.settle().unwrap());
    apply(14, 3);
    let before = catalog.cells().unwrap();
    let new = rewrite.finish().unwrap().unwrap();
    assert_eq!(Contents::of(&new).unwrap(), expected);
    assert_eq!(Contents::of(&open(&disk.after_power_cut()).unwrap()).unwrap(), expected);
    assert_eq!(before.get(b"\x10key").unwrap().unwrap().1[..], [3; 40], "whoever reads the old one goes on");
    assert!(matches!(catalog.checkpoint(), Err(Error::Closed)), "the old one never comes back");
}

#[test]
fn one_that_is_given_up_leaves_the_old() {
    let disk = MemoryDisk::new();
    let (catalog, expected) = emptied(&disk);
    drop(catalog.rewrite(CACHE).unwrap());
    assert_eq!(pages(&disk), ["catalog.pages"]);
    let rewrite = catalog.rewrite(CACHE).unwrap();
    // As much as nobody notes.
    let large: Vec<_> = (0..9).map(|n| cell(12, &[0x10, n], Some(&vec![n; 8 << 20]))).collect();
    catalog.apply(12, &[Change::PutCells(large)]).unwrap();
    assert!(!rewrite.settle().unwrap());
    assert!(rewrite.finish().unwrap().is_none());
    assert_eq!(pages(&disk), ["catalog.pages"]);
    let gone: Vec<_> = (0..9).map(|n| cell(13, &[0x10, n], None)).collect();
    catalog.apply(13, &[Change::PutCells(gone)]).unwrap();
    catalog.checkpoint().unwrap();
    let found = Contents::of(&open(&disk.after_power_cut()).unwrap()).unwrap();
    assert_eq!((found.tables, found.series), (expected.tables, expected.series));
}

#[test]
fn a_power_cut_leaves_one_of_the_two_and_what_is_not_in_use_goes() {
    let disk = MemoryDisk::new();
    let (catalog, expected) = emptied(&disk);
    let rewrite = catalog.rewrite(CACHE).unwrap();
    assert!(rewrite.settle().unwrap());
    let cut = disk.after_power_cut();
    let reopened = open(&cut).unwrap();
    assert_eq!(Contents::of(&reopened).unwrap(), expected);
    assert_eq!(pages(&cut).len(), 2, "the new one was durable");
    reopened.apply(12, &[series(5, 2..3)]).unwrap();
    reopened.checkpoint().unwrap();
    assert_eq!(pages(&cut), ["catalog.pages"]);
}

#[test]
fn without_room_nothing_changes() {
    let disk = MemoryDisk::new();
    let (catalog, expected) = emptied(&disk);
    for room in (0..8 << 20).step_by(100_000) {
        disk.set_quota(Some(disk.used() + room));
        let outcome = catalog.rewrite(CACHE).and_then(|rewrite| {
            rewrite.settle()?;
            rewrite.finish()
        });
        disk.set_quota(None);
        match outcome {
            Err(Error::DiskFull { .. }) => {}
            Ok(Some(new)) => {
                assert!(room > 0);
                assert_eq!(Contents::of(&new).unwrap(), expected);
                return;
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(pages(&disk), ["catalog.pages"], "{room}");
        assert_eq!(Contents::of(&catalog).unwrap(), expected, "{room}");
        assert_eq!(Contents::of(&open(&disk.after_power_cut()).unwrap()).unwrap(), expected, "{room}");
    }
    panic!("there is never enough room");
}
