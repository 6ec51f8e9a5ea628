//! Segments, ours and others'.

use std::sync::Arc;

use alluvium::internals::SegmentOnDisk;
use alluvium::{ParquetWriter, Profile};
use alluvium_fuzz::segment::{FOREIGN, OURS, TOLD};
use arrow::array::{ArrayRef, Date32Array, RecordBatch, StringArray, TimestampMillisecondArray};

use crate::{Seeds, samples};

/// A segment with only some of the fields, so that it is small.
pub fn sample(fields: &[usize], series: u32, rows: usize, profile: Profile) -> SegmentOnDisk {
    let block = samples::narrow(samples::block(0, series, rows, samples::START), fields);
    SegmentOnDisk::write(&samples::narrow_schema(fields), &block, profile).expect("a segment")
}

pub fn seeds() -> Seeds {
    let mut seeds = Seeds::new();
    for (told_name, name, foreign_name, segment) in [
        ("told-numbers", "ours-numbers", "foreign-numbers", sample(&[0, 2], 2, 10, Profile::Open)),
        ("told-texts", "ours-texts", "foreign-texts", sample(&[5, 6, 4], 2, 12, Profile::Open)),
        ("told-compact", "ours-compact", "foreign-compact", sample(&[0, 1], 1, 40, Profile::Compact)),
        ("told-long", "ours-long", "foreign-long", sample(&[3, 7], 1, 600, Profile::Open)),
        ("told-dictionary", "ours-dictionary", "foreign-dictionary", sample(&[5], 1, 800, Profile::Open)),
    ] {
        let (file, layout) = (segment.file().expect("its bytes"), segment.layout().expect("its layout"));
        let length = u16::try_from(layout.len()).expect("a small layout").to_le_bytes();
        seeds.push((told_name, [&[TOLD][..], &length, &layout, &file].concat()));
        seeds.push((name, [&[OURS], &file[..]].concat()));
        seeds.push((foreign_name, [&[FOREIGN], &file[..]].concat()));
    }
    seeds.push(("foreign-written", [vec![FOREIGN], exported()].concat()));
    seeds
}

/// A file as `alluvium query --format parquet` writes it.
fn exported() -> Vec<u8> {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![19_000, 19_001, 19_002]));
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1, 2, 3]));
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("bc")]));
    let batch = RecordBatch::try_from_iter([("day", days), ("time", times), ("word", words)]).expect("columns of one length");
    let mut writer = ParquetWriter::new(Vec::new(), batch.schema()).expect("a new file");
    writer.write(&batch).expect("room");
    writer.finish().expect("room")
}
