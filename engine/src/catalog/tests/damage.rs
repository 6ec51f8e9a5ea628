//! Flipped bits, torn and stale pages: an error or the right answer, never a wrong one.

use std::collections::BTreeMap;

use super::super::opening::Opening;
use super::*;
use crate::io::OpenMode;

/// A catalog of several checkpoints, with what it held at each.
fn aged() -> (MemoryDisk, BTreeMap<u64, Contents>) {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    let mut now = Contents::default();
    let mut contents = BTreeMap::from([(0, now.clone())]);
    let steps = [
        all_kinds(),
        vec![series(1, 50..400), Change::PutSegment(segment(9, 20_000))],
        vec![Change::RemoveSegment(SegmentId(2)), series(2, 3..90)],
        vec![Change::PutReceipt { sequence: 40, receipt: receipt("again") }],
    ];
    for (sequence, changes) in (10..).step_by(10).zip(steps) {
        catalog.apply(sequence, &changes).unwrap();
        now.apply(sequence, &changes);
        catalog.checkpoint().unwrap();
        contents.insert(sequence, now.clone());
    }
    (disk, contents)
}

/// Whether the damage was noticed; panics if it was not and mattered. At most the last checkpoint may have been taken back.
fn noticed(disk: &MemoryDisk, contents: &BTreeMap<u64, Contents>, context: &str) -> bool {
    let read = open(disk).and_then(|catalog| {
        let read = Contents::of(&catalog);
        if read.is_err() {
            assert!(matches!(catalog.tables(), Err(Error::Damaged { .. })), "{context}: damage is remembered");
            assert!(matches!(catalog.apply(99, &[]), Err(Error::Damaged { .. })), "{context}: damage is remembered");
        }
        read
    });
    match read {
        Ok(read) => {
            assert!(read.applied >= 30, "{context}: went back to {}", read.applied);
            assert_eq!(Some(&read), contents.get(&read.applied), "{context}");
            false
        }
        Err(Error::Damaged { .. }) => true,
        Err(other) => panic!("{context}: {other}"),
    }
}

fn flip_everywhere(name: &str, stride: usize, dense: usize) -> (usize, usize) {
    let (disk, contents) = aged();
    let len = len(&disk, &path(name));
    let (mut flips, mut found) = (0, 0);
    for at in (0..len).filter(|at| at % 4096 < dense || at % stride == 0) {
        for bit in 0..8 {
            let disk = disk.after_power_cut();
            disk.corrupt(&path(name), |bytes| bytes[at] ^= 1 << bit).unwrap();
            flips += 1;
            found += usize::from(noticed(&disk, &contents, &format!("bit {bit} of byte {at} of {name}")));
        }
    }
    (flips, found)
}

#[test]
fn a_flipped_bit_in_the_pages_is_noticed() {
    let (flips, found) = flip_everywhere("catalog.pages", 397, 3);
    assert!(found * 3 > flips, "{found} of {flips} noticed: most pages in use matter");
}

#[test]
fn a_flipped_bit_in_the_checksums_is_noticed_or_takes_back_one_checkpoint() {
    let (flips, found) = flip_everywhere("catalog.sums", 397, 100);
    assert!(found * 2 > flips, "{found} of {flips} noticed: most records have others behind them");
}

#[test]
fn a_bad_record_of_the_journal_with_good_ones_behind_it_is_damage() {
    let (disk, _) = aged();
    let mut starts = Vec::new();
    let find = |bytes: &mut Vec<u8>| {
        starts.extend((0..bytes.len()).step_by(4_096).filter(|&at| bytes[at..].starts_with(b"ALVSUMS")));
    };
    disk.corrupt(&path("catalog.sums"), find).unwrap();
    assert!(starts.len() > 3, "{starts:?}");
    for at in &starts[..starts.len() - 1] {
        let disk = disk.after_power_cut();
        disk.corrupt(&path("catalog.sums"), |bytes| bytes[at + 20] ^= 1).unwrap();
        let error = open(&disk).unwrap_err();
        assert!(matches!(&error, Error::Damaged { path, .. } if path.ends_with("catalog.sums")), "{error}");
    }
}

#[test]
fn a_short_file_is_noticed() {
    let (disk, contents) = aged();
    for name in ["catalog.pages", "catalog.sums"] {
        for cut in (0..len(&disk, &path(name))).step_by(1_000) {
            let disk = disk.after_power_cut();
            disk.corrupt(&path(name), |bytes| bytes.truncate(cut)).unwrap();
            noticed(&disk, &contents, &format!("{name} cut to {cut} bytes"));
        }
    }
    disk.corrupt(&path("catalog.pages"), |bytes| bytes.truncate(bytes.len() / 2)).unwrap();
    assert!(matches!(open(&disk), Err(Error::Damaged { .. })));
}

/// In debug builds redb reads every page on opening.
#[cfg(not(debug_assertions))]
#[test]
fn opening_reads_little() {
    let disk = MemoryDisk::new();
    let catalog = create(&disk);
    catalog.apply(1, &[Change::PutTable(schema(1)), series(1, 0..10_000)]).unwrap();
    catalog.checkpoint().unwrap();
    drop(catalog);
    let pages = len(&disk, &path("catalog.pages")) / 4096;
    let needed = (0..pages).filter(|page| {
        let disk = disk.after_power_cut();
        disk.corrupt(&path("catalog.pages"), |bytes| bytes[page * 4096] ^= 1).unwrap();
        open(&disk).is_err()
    });
    let needed = needed.count();
    assert!((1..12).contains(&needed), "{needed} of {pages} pages are read to open");
}

#[test]
fn pages_in_each_others_place_are_noticed() {
    let (disk, contents) = aged();
    let pages = len(&disk, &path("catalog.pages")) / 4096;
    let mut found = 0;
    for page in 1..pages {
        let disk = disk.after_power_cut();
        disk.corrupt(&path("catalog.pages"), |bytes| bytes.copy_within((page - 1) * 4096..page * 4096, page * 4096)).unwrap();
        found += usize::from(noticed(&disk, &contents, &format!("page {page} replaced by the one before")));
    }
    assert!(found > 0);
}

#[test]
fn files_of_different_catalogs_are_noticed() {
    let (disk, _) = aged();
    let other = MemoryDisk::new();
    let catalog = create(&other);
    catalog.apply(1, &[series(1, 0..3_000)]).unwrap();
    catalog.checkpoint().unwrap();
    let mut pages = Vec::new();
    other.corrupt(&path("catalog.pages"), |bytes| pages = bytes.clone()).unwrap();
    disk.corrupt(&path("catalog.pages"), |bytes| *bytes = pages).unwrap();
    let read = open(&disk).and_then(|catalog| Contents::of(&catalog));
    assert!(matches!(read, Err(Error::Damaged { .. })));
}

#[test]
fn damage_that_no_answer_needs_is_found_by_verifying() {
    let (disk, contents) = aged();
    let catalog = open(&disk).unwrap();
    assert_eq!(Contents::of(&catalog).unwrap(), contents[&40]);
    // Everything was just read, so that redb holds it in its cache.
    disk.corrupt(&path("catalog.pages"), |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0xFF)).unwrap();
    let problems = catalog.verify().unwrap();
    assert!(problems.iter().all(|problem| matches!(problem, Error::Damaged { .. })));
    assert!(problems.len() > 5, "{problems:?}");
}

/// Whatever redb makes of pages that are whole but not its own, nothing gets past the guard. (With much of its bookkeeping
/// forged, redb 4.5 can panic while it cleans up after a panic, which ends the process: see `opening`.)
#[test]
fn nonsense_with_right_checksums_does_not_panic() {
    let mut seed = 0x1234_5678_9ABC_DEF1_u64;
    println!("seed {seed:#x}");
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..200 {
        let (disk, _) = aged();
        let (mut pages, mut sums) = (Vec::new(), Vec::new());
        disk.corrupt(&path("catalog.pages"), |bytes| pages = bytes.clone()).unwrap();
        disk.corrupt(&path("catalog.sums"), |bytes| sums = bytes.clone()).unwrap();
        for _ in 0..2 {
            let at = next() as usize % pages.len();
            pages[at] ^= 1 << (next() % 8);
        }
        resum(&mut sums, &pages);
        disk.corrupt(&path("catalog.pages"), |bytes| *bytes = pages).unwrap();
        disk.corrupt(&path("catalog.sums"), |bytes| *bytes = sums).unwrap();
        if let Ok(catalog) = open(&disk) {
            let _ = Contents::of(&catalog);
            let _ = catalog.apply(99, &all_kinds());
            let _ = catalog.checkpoint();
        }
    }
}

/// Makes the checksum file agree with the page file, entry by entry.
pub(crate) fn resum(sums: &mut [u8], pages: &[u8]) {
    for record in sums.chunks_exact_mut(4096) {
        let count = u32::from_le_bytes(record[36..40].try_into().unwrap()) as usize;
        assert!(40 + 12 * count + 4 <= 4096, "records of this test fit a block");
        for entry in record[40..40 + 12 * count].chunks_exact_mut(12) {
            let at = u32::from_le_bytes(entry[4..8].try_into().unwrap()) as usize;
            if let Some(page) = at.checked_mul(4096).and_then(|at| pages.get(at..at + 4096)) {
                entry[8..12].copy_from_slice(&crc32fast::hash(page).to_le_bytes());
            }
        }
        let crc = crc32fast::hash(&record[..40 + 12 * count]);
        record[40 + 12 * count..44 + 12 * count].copy_from_slice(&crc.to_le_bytes());
    }
}

#[test]
fn a_catalog_that_several_processes_died_of_is_damaged() {
    let (disk, contents) = aged();
    let mark = path("opening");
    let died = |times: usize| {
        disk.open(&mark, OpenMode::CreateNew).unwrap().write_all_at(0, &b"!!!!"[..times]).unwrap();
        let read = open(&disk).and_then(|catalog| Contents::of(&catalog));
        assert!(disk.open(&mark, OpenMode::Read).is_err(), "what ended leaves no mark");
        read
    };
    assert_eq!(died(2).unwrap(), contents[&40]);
    let refused = died(3).unwrap_err();
    assert_eq!(refused.to_string(), "db/catalog is damaged: 3 processes in a row died while they opened it");
}

#[test]
fn an_opening_in_progress_leaves_a_mark() {
    let disk = MemoryDisk::new();
    let begin = || Opening::begin(&on(Arc::new(disk.clone())), &dir()).unwrap();
    disk.create_dir_all(&dir()).unwrap();
    // A process that dies does not drop anything.
    std::mem::forget(begin());
    std::mem::forget(begin());
    assert_eq!(len(&disk, &path("opening")), 2);
    drop(begin());
    assert_eq!(disk.list(&dir()).unwrap(), []);
}
