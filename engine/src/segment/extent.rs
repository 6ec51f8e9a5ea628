//! What the end of a segment says of it, for who has no more of it than that.

use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::statistics::Statistics;

use super::foreign::check_lists;
use crate::fence::fence;

/// Length and magic at the end of every Parquet file.
const TAIL_BYTES: usize = 8;

/// Rows of a segment and their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentExtent {
    /// Rows.
    pub rows: u64,
    /// Earliest and latest time, both within, in the table's unit.
    pub times: (i64, i64),
}

/// Bytes that are not the end of a segment, or not all that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoExtent {
    /// The last bytes are needed, so many of them.
    #[error("{0} bytes of its end are needed")]
    Short(u64),
    /// It is no segment.
    #[error("it does not end as a segment does")]
    Malformed,
}

impl SegmentExtent {
    /// By the last bytes of a file, which may be anybody's.
    ///
    /// # Errors
    ///
    /// [`NoExtent`]: how many bytes it takes, or that these are of no segment.
    pub fn of_end(end: &[u8]) -> Result<SegmentExtent, NoExtent> {
        let Some((before, tail)) = end.split_last_chunk::<TAIL_BYTES>() else { return Err(NoExtent::Short(TAIL_BYTES as u64)) };
        let (length, b"PAR1") = (u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]), &tail[4..]) else {
            return Err(NoExtent::Malformed);
        };
        let short = NoExtent::Short(u64::from(length) + TAIL_BYTES as u64);
        let start = before.len().checked_sub(length as usize).ok_or(short)?;
        extent(&before[start..]).ok_or(NoExtent::Malformed)
    }
}

/// The footer's own form is left to the parquet crate, fenced.
fn extent(footer: &[u8]) -> Option<SegmentExtent> {
    check_lists(footer).ok()?;
    let metadata = fence(|| ParquetMetaDataReader::decode_metadata(footer)).ok()?.ok()?;
    let rows = u64::try_from(metadata.file_metadata().num_rows()).ok()?;
    let mut times: Option<(i64, i64)> = None;
    for group in metadata.row_groups() {
        // The time is the first column.
        let Some(Statistics::Int64(bounds)) = group.columns().first()?.statistics() else { return None };
        let (first, last) = (*bounds.min_opt()?, *bounds.max_opt()?);
        times = Some(times.map_or((first, last), |(earliest, latest)| (earliest.min(first), latest.max(last))));
    }
    Some(SegmentExtent { rows, times: times.filter(|(first, last)| first <= last)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Disk, OpenMode};
    use crate::testing::begin;
    use crate::{CutWhat, FieldType, RowBuilder, SendOrder, TableSpec};

    /// A segment as it lies on disk.
    fn segment() -> Vec<u8> {
        let (disk, _, db) = begin();
        let table = db.create_table(TableSpec::new("t").tag("device").field("v", FieldType::Float64)).unwrap();
        let mut rows = RowBuilder::new(table);
        for time in [60, 5, 7] {
            rows.row(time).tag("device", "a").unwrap().value("v", 1.5).unwrap();
        }
        db.append("t", &rows.finish().unwrap()).unwrap();
        let copy = db.delivery("copy");
        copy.begin().unwrap();
        let cut = copy.cut(CutWhat::All).unwrap().unwrap();
        copy.announce(cut.number, [1; 32], 0).unwrap();
        let shipment = copy.pending(SendOrder::Newest, 1).unwrap().remove(0);
        let mut file = vec![0; shipment.bytes as usize];
        disk.open(&shipment.path, OpenMode::Read).unwrap().read_exact_at(0, &mut file).unwrap();
        file
    }

    #[test]
    fn the_end_of_a_segment_tells_its_rows_and_times() {
        let file = segment();
        let whole = SegmentExtent::of_end(&file).unwrap();
        assert_eq!(whole, SegmentExtent { rows: 3, times: (5, 60) });
        let Err(NoExtent::Short(needed)) = SegmentExtent::of_end(&file[file.len() - 20..]) else { panic!("20 bytes do") };
        assert_eq!(SegmentExtent::of_end(&file[file.len() - needed as usize..]).unwrap(), whole);
        let short = SegmentExtent::of_end(&file[file.len() + 1 - needed as usize..]);
        assert_eq!(short, Err(NoExtent::Short(needed)));
    }

    #[test]
    fn what_is_no_end_of_a_segment_is_an_error() {
        let file = segment();
        assert_eq!(SegmentExtent::of_end(&[]), Err(NoExtent::Short(8)));
        assert_eq!(SegmentExtent::of_end(b"\0\0\0\0PAR2"), Err(NoExtent::Malformed));
        assert_eq!(SegmentExtent::of_end(b"\0\0\0\0PAR1"), Err(NoExtent::Malformed));
        assert_eq!(SegmentExtent::of_end(b"\xff\xff\xff\xffPAR1"), Err(NoExtent::Short((1 << 32) + 7)));
        // Any byte of it may be another's: an error or another answer, and no panic.
        for at in 0..file.len().min(600) {
            for bit in 0..8 {
                let mut altered = file.clone();
                let place = file.len() - 1 - at;
                altered[place] ^= 1 << bit;
                if let Ok(extent) = SegmentExtent::of_end(&altered) {
                    assert!(extent.times.0 <= extent.times.1);
                }
            }
        }
    }
}
