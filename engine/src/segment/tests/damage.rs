use fastrand::Rng;

use super::samples;
use super::*;

/// A file with every encoding that samples lead to, and its bytes.
fn sample() -> (Written, Rows, Vec<u8>) {
    let mut rows = samples::rows(&[2_100, 700, 3, 2_500], 5, 21);
    let written = written(&samples::schema(), &mut rows, Profile::Compact);
    let mut bytes = Vec::new();
    written.disk.corrupt(&written.path, |all| bytes = all.clone()).unwrap();
    (written, rows, bytes)
}

/// Reads everything; every page is either right or an error that says the file is damaged.
fn read_all(written: &Written, rows: &Rows) -> (usize, usize) {
    let segment = match written.open() {
        Ok(segment) => segment,
        Err(Error::Damaged { .. }) => return (0, 1),
        Err(other) => panic!("{other}"),
    };
    let cache = PageCache::new(1 << 20);
    let (mut good, mut bad) = (0, 0);
    for (page, span) in segment.index().pages.iter().enumerate() {
        for (field, column) in rows.columns.iter().enumerate() {
            match segment.page(ColumnRef::Field(field), page, &cache) {
                Ok(found) => {
                    let expected = column.as_ref().map(|array| array.slice(span.first_row as usize, span.rows as usize));
                    assert_eq!(found.map(|array| array.to_data()), expected.map(|array| array.to_data()));
                    good += 1;
                }
                Err(Error::Damaged { .. }) => bad += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    (good, bad)
}

#[test]
fn a_flipped_bit_is_an_error_or_does_no_harm() {
    let (written, rows, bytes) = sample();
    let seed = 77;
    let mut random = Rng::with_seed(seed);
    let mut noticed = 0;
    for round in 0..150 {
        let (byte, bit) = (random.usize(..bytes.len()), random.u64(..8));
        written.disk.corrupt(&written.path, |all| all[byte] ^= 1 << bit).unwrap();
        let (_, bad) = read_all(&written, &rows);
        noticed += usize::from(bad > 0);
        if round < 20 {
            assert!(!written.open().unwrap().verify(&written.entry.hash).unwrap().is_empty(), "seed {seed}, byte {byte}");
            assert!(rebuild(&written.disk, &written.path).is_err(), "seed {seed}, byte {byte}");
        }
        written.disk.corrupt(&written.path, |all| all[byte] ^= 1 << bit).unwrap();
    }
    assert!(noticed > 100, "{noticed} of 150 flips were noticed by reading columns");
    assert_eq!(read_all(&written, &rows).1, 0);
}

/// Without checksums in front, the decoders themselves must stand anything.
#[test]
fn decoders_stand_flipped_bits_behind_good_checksums() {
    let (mut written, rows, bytes) = sample();
    let seed = 78;
    let mut random = Rng::with_seed(seed);
    let whole = SegmentIndex::decode(&written.entry.index).unwrap();
    for round in 0..300 {
        let (byte, bit) = (random.usize(..bytes.len()), random.u64(..8));
        written.disk.corrupt(&written.path, |all| all[byte] ^= 1 << bit).unwrap();
        let mut index = whole.clone();
        let mut changed = bytes.clone();
        changed[byte] ^= 1 << bit;
        index.blocks = changed.chunks(BLOCK_BYTES as usize).map(crc32fast::hash).collect();
        written.entry.index = index.encode();
        let segment = written.open().unwrap();
        let cache = PageCache::new(1 << 20);
        for page in 0..index.pages.len() {
            for column in segment.columns() {
                match segment.page(column, page, &cache) {
                    Ok(found) => assert!(found.is_none_or(|array| array.len() == index.pages[page].rows as usize)),
                    Err(Error::Damaged { .. }) => {}
                    Err(other) => panic!("seed {seed}, round {round}: {other}"),
                }
            }
        }
        written.disk.corrupt(&written.path, |all| all[byte] ^= 1 << bit).unwrap();
    }
    written.entry.index = whole.encode();
    assert_eq!(read_all(&written, &rows).1, 0);
}

#[test]
fn a_file_cut_short_is_damaged() {
    let (written, rows, bytes) = sample();
    for keep in [0, 1, 100, bytes.len() / 2, bytes.len() - 1] {
        written.disk.corrupt(&written.path, |all| all.truncate(keep)).unwrap();
        assert_eq!(read_all(&written, &rows), (0, 1), "{keep} of {} bytes", bytes.len());
        assert!(matches!(rebuild(&written.disk, &written.path), Err(Error::Damaged { .. })));
        written.disk.corrupt(&written.path, |all| *all = bytes.clone()).unwrap();
    }
    // Cut while it was open.
    let segment = written.open().unwrap();
    written.disk.corrupt(&written.path, |all| all.truncate(100)).unwrap();
    assert!(matches!(segment.page(ColumnRef::Time, 0, &PageCache::new(1 << 20)), Err(Error::Damaged { .. })));
}

#[test]
fn an_intact_file_verifies() {
    let (written, ..) = sample();
    assert_eq!(written.open().unwrap().verify(&written.entry.hash).unwrap(), Vec::<String>::new());
    assert_eq!(written.open().unwrap().verify(&[0; 32]).unwrap().len(), 1);
}

#[test]
fn the_entry_can_be_had_back_from_the_file_alone() {
    let (written, rows, _) = sample();
    let rebuilt = rebuild(&written.disk, &written.path).unwrap();
    assert_eq!(rebuilt.entry, written.entry);
    assert_eq!(rebuilt.schema, samples::schema());
    let expected: Vec<_> = rows.runs.iter().map(|run| (run.series, run.key.clone())).collect();
    assert_eq!(rebuilt.series, expected);
    let elsewhere = written.path.with_file_name("notes.parquet");
    written.disk.rename(&written.path, &elsewhere).unwrap();
    assert!(rebuild(&written.disk, &elsewhere).is_err());
}

#[test]
fn hostile_indexes_are_refused_or_read_within_bounds() {
    let (mut written, ..) = sample();
    let seed = 79;
    let mut random = Rng::with_seed(seed);
    let good = written.entry.index.clone();
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..600 {
        let mut bytes = good.clone();
        match random.u64(..3) {
            0 => bytes.truncate(random.usize(..good.len())),
            1 => bytes[random.usize(..good.len())] ^= 1 << random.u64(..8),
            _ => bytes[random.usize(..200)] = random.u64(..) as u8,
        }
        written.entry.index = bytes;
        let Ok(segment) = written.open() else {
            refused += 1;
            continue;
        };
        taken += 1;
        let cache = PageCache::new(1 << 20);
        for page in 0..segment.index().pages.len().min(8) {
            for column in segment.columns().take(12) {
                // The answer may be wrong: the index has a checksum of its own where it is kept.
                let _ = segment.page(column, page, &cache);
            }
        }
        for slice in 0..segment.index().slices.len().min(8) {
            let _ = segment.index().statistics(slice, 3);
        }
    }
    println!("{refused} refused, {taken} taken (seed {seed})");
    assert!(refused > 100);
}
