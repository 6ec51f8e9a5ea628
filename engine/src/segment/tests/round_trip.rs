use arrow::array::{Array, ArrayRef, Float32Array, Float64Array, StringArray};

use super::samples;
use super::*;
use crate::model::SeriesId;

/// Equal in every bit: arrow's own equality is, for floats as well, but only where both sides are arrays.
fn assert_same(found: &Column, expected: Option<&ArrayRef>, what: &str) {
    let expected = expected.filter(|array| array.null_count() < array.len());
    match (found, expected) {
        (None, None) => {}
        (Some(found), Some(expected)) => {
            assert_eq!(found.data_type(), expected.data_type(), "{what}");
            assert_eq!(found.len(), expected.len(), "{what}");
            for row in 0..found.len() {
                assert_eq!(found.is_valid(row), expected.is_valid(row), "{what}, row {row}");
            }
            if let (Some(found), Some(expected)) =
                (found.as_any().downcast_ref::<Float64Array>(), expected.as_any().downcast_ref::<Float64Array>())
            {
                let valid = (0..found.len()).filter(|row| found.is_valid(*row));
                valid.for_each(|row| assert_eq!(found.value(row).to_bits(), expected.value(row).to_bits(), "{what}, row {row}"));
            } else if let (Some(found), Some(expected)) =
                (found.as_any().downcast_ref::<Float32Array>(), expected.as_any().downcast_ref::<Float32Array>())
            {
                let valid = (0..found.len()).filter(|row| found.is_valid(*row));
                valid.for_each(|row| assert_eq!(found.value(row).to_bits(), expected.value(row).to_bits(), "{what}, row {row}"));
            } else {
                assert_eq!(found, expected, "{what}");
            }
        }
        (found, expected) => panic!("{what}: found {found:?}, expected {expected:?}"),
    }
}

/// Every page of every column is what was written.
pub(super) fn assert_all_there(segment: &Segment, rows: &Rows) {
    let cache = PageCache::new(1 << 20);
    let index = segment.index().clone();
    for (page, span) in index.pages.iter().enumerate() {
        let range = span.first_row as usize..(span.first_row + span.rows) as usize;
        assert_eq!(&segment.times(page, &cache).unwrap()[..], &rows.times[range.clone()], "times of page {page}");
        for (field, column) in rows.columns.iter().enumerate() {
            let expected = column.as_ref().map(|array| array.slice(range.start, range.len()));
            for what in ["cold", "warm"] {
                let found = segment.page(ColumnRef::Field(field), page, &cache).unwrap();
                assert_same(&found, expected.as_ref(), &format!("{what} page {page} of field {field}"));
            }
        }
        let keys: Vec<&SeriesKey> = rows.runs.iter().flat_map(|run| std::iter::repeat_n(&run.key, run.rows)).collect();
        for tag in 0..index.tags() {
            let found = segment.page(ColumnRef::Tag(tag), page, &cache).unwrap();
            let texts = found.as_ref().map(|array| array.as_any().downcast_ref::<StringArray>().unwrap());
            for (row, key) in keys[range.clone()].iter().enumerate() {
                let found = texts.and_then(|texts| texts.is_valid(row).then(|| texts.value(row)));
                assert_eq!(found, key.tag(tag), "tag {tag} of row {row} of page {page}");
            }
        }
    }
}

use crate::model::SeriesKey;

#[test]
fn rows_of_every_type_come_back() {
    let shapes: [(&str, Vec<usize>); 5] = [
        ("one row", vec![1]),
        ("many short series", vec![3; 2_000]),
        ("few long series", vec![9_000, 5_000, 2_100]),
        ("short and long mixed", vec![10, 3_000, 1, 1, 900, 2_048, 700, 12_000, 5]),
        ("one series", vec![700]),
    ];
    for (name, lengths) in shapes {
        for nulls in [0, 2, 10] {
            for profile in [Profile::Open, Profile::Compact] {
                let mut rows = samples::rows(&lengths, nulls, 11);
                let written = written(&samples::schema(), &mut rows, profile);
                println!("{name}, nulls {nulls}, {profile:?}: {} bytes", written.entry.bytes);
                assert_all_there(&written.open().unwrap(), &rows);
                assert_eq!(written.entry.rows as usize, rows.times.len());
                assert_eq!(written.entry.series as usize, lengths.len());
                let points: usize = rows.columns.iter().flatten().map(|column| column.len() - column.null_count()).sum();
                assert_eq!(written.entry.points as usize, points);
                let span = (*rows.times.iter().min().unwrap(), *rows.times.iter().max().unwrap());
                assert_eq!(written.entry.times, span);
            }
        }
    }
}

#[test]
fn columns_added_later_are_absent() {
    let mut rows = samples::rows(&[100, 50], 3, 5);
    let written = written(&samples::schema(), &mut rows, Profile::Open);
    let segment = written.open().unwrap();
    let cache = PageCache::new(1 << 20);
    assert!(segment.page(ColumnRef::Field(9), 0, &cache).unwrap().is_none());
    assert!(segment.page(ColumnRef::Tag(2), 0, &cache).unwrap().is_none());
    assert!(segment.page(ColumnRef::Field(0), 1, &cache).is_err(), "there is only one page");
    assert_eq!(segment.index().statistics(0, 9), Known::NoValues);
}

#[test]
fn slices_cover_the_rows_and_lie_within_their_pages() {
    let lengths = [10, 3_000, 1, 1, 900, 2_048, 700, 12_000, 5];
    let mut rows = samples::rows(&lengths, 0, 3);
    let written = written(&samples::schema(), &mut rows, Profile::Open);
    let index = SegmentIndex::decode(&written.entry.index).unwrap();
    let mut row = 0;
    for (place, slice) in index.slices.iter().enumerate() {
        let page = index.pages[slice.page as usize];
        assert_eq!(slice.first_row, row);
        assert!(page.first_row <= slice.first_row && slice.first_row + slice.rows <= page.first_row + page.rows);
        assert!(index.page_slices(slice.page as usize).contains(&place));
        assert_eq!(slice.min_time, rows.times[row as usize]);
        assert_eq!(slice.max_time, rows.times[(row + slice.rows) as usize - 1]);
        row += slice.rows;
    }
    assert_eq!(row as usize, rows.times.len());
    let mut start = 0;
    for run in &rows.runs {
        let slices = &index.slices[index.series_slices(run.series)];
        assert!(slices.iter().all(|slice| slice.series == run.series));
        assert_eq!(slices.iter().map(|slice| slice.rows as usize).sum::<usize>(), run.rows);
        assert_eq!(slices[0].first_row as usize, start);
        start += run.rows;
    }
    assert!(index.series_slices(SeriesId(99_999)).is_empty());
    assert_eq!(index.series().count(), lengths.len());
}

#[test]
fn the_same_rows_make_the_same_bytes() {
    let mut rows = samples::rows(&[3_000, 20, 4_000], 4, 8);
    let first = written(&samples::schema(), &mut rows, Profile::Open);
    let second = written(&samples::schema(), &mut rows, Profile::Open);
    assert_eq!(first.entry, second.entry);
}

#[test]
fn a_failed_write_leaves_no_file_and_the_next_one_succeeds() {
    let disk = MemoryDisk::new();
    let dir = PathBuf::from("segments");
    disk.create_dir_all(&dir).unwrap();
    let schema = samples::schema();
    let mut rows = samples::rows(&[9_000], 0, 2);
    let spec = SegmentSpec { schema: &schema, id: SegmentId(1), partition: None, sequences: (1, 2), profile: Profile::Open };
    disk.set_quota(Some(40_000));
    assert!(matches!(write(&disk, &dir, &spec, &mut rows), Err(Error::DiskFull { .. })));
    assert_eq!(disk.used(), 0);
    disk.set_quota(None);
    let entry = write(&disk, &dir, &spec, &mut rows).unwrap();
    publish(&disk, &dir, std::slice::from_ref(&entry)).unwrap();
    let names: Vec<String> = disk.list(&dir).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, [file_name(&entry)]);
    assert_eq!(parse_file_name(&path(&dir, &entry)).unwrap().hash, entry.hash);
    assert!(disk.after_power_cut().open(&path(&dir, &entry), crate::io::OpenMode::Read).is_ok());
}
