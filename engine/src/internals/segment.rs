//! Segments on a disk in memory, and files that claim to be segments.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::Array;

use crate::error::{Error, Result};
use crate::io::{self, Disk, MemoryDisk, OpenMode};
use crate::merge::MergePlan;
use crate::model::{Block, SeriesId, SeriesKey, TableId, TableSchema};
use crate::record::{SegmentEntry, SegmentId};
use crate::seal::MergedRows;
use crate::segment::{self, PageCache, Segment, SegmentIndex, SegmentSpec, SeriesRun};
use crate::settings::Profile;

const DIR: &str = "segments";

/// A segment on a disk in memory.
#[derive(Debug)]
pub struct SegmentOnDisk {
    disk: MemoryDisk,
    entry: SegmentEntry,
}

impl SegmentOnDisk {
    /// Writes rows sorted by series and time. Series are named after their numbers.
    pub fn write(schema: &Arc<TableSchema>, rows: &Block, profile: Profile) -> Result<Self> {
        let (disk, dir) = (MemoryDisk::new(), Path::new(DIR));
        disk.create_dir_all(dir).map_err(|source| Error::io("create", dir, source))?;
        let run = |rows: &[u32]| {
            let series = SeriesId(rows[0]);
            let key = SeriesKey(schema.tags.iter().map(|_| Some(format!("{:08}", series.0))).collect());
            SeriesRun { series, key, rows: rows.len() }
        };
        let runs = rows.series.chunk_by(|a, b| a == b).map(run).collect();
        let mut source = MergedRows::new(schema.clone(), vec![rows.clone()], MergePlan::of_one(rows.times.to_vec()), runs);
        let spec = SegmentSpec { schema, id: SegmentId(1), partition: None, sequences: (1, 1), profile };
        let entry = segment::write(&disk, dir, &spec, &mut source)?;
        segment::publish(&disk, dir, std::slice::from_ref(&entry))?;
        Ok(SegmentOnDisk { disk, entry })
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.entry.bytes
    }

    /// The file.
    pub fn file(&self) -> Result<Vec<u8>> {
        let path = segment::path(Path::new(DIR), &self.entry);
        io::read_file(&self.disk, &path, self.entry.bytes).map_err(|source| Error::io("read", &path, source))
    }

    /// Its index, as the segment list has it.
    pub fn index(&self) -> Vec<u8> {
        self.entry.index.clone()
    }

    /// What the file says of its own layout, for [`read_as_told`].
    pub fn layout(&self) -> Result<Vec<u8>> {
        let index = SegmentIndex::decode(&self.entry.index).map_err(|flaw| Error::damaged(Path::new(DIR), flaw))?;
        Ok(index.encode_layout())
    }

    /// Reads every page of every column and answers how many values are present.
    pub fn read(&self) -> Result<u64> {
        let path = segment::path(Path::new(DIR), &self.entry);
        let index = SegmentIndex::decode(&self.entry.index).map_err(|malformed| Error::damaged(&path, malformed))?;
        let segment = Segment::open(&self.disk, &path, self.entry.id, Arc::new(index))?;
        let passing = PageCache::new(0);
        let mut present = 0;
        for column in segment.columns() {
            for page in 0..segment.index().pages.len() {
                present += segment.page(column, page, &passing)?.map_or(0, |array| (array.len() - array.null_count()) as u64);
            }
        }
        Ok(present)
    }
}

/// Reads every page and statistic of a file with the layout that is told of it, whatever both are; checksums are made to fit.
/// Answers how many pages were read and how many were refused.
///
/// # Panics
/// If a page is not as long as the layout says.
pub fn read_as_told(layout: &[u8], file: &[u8]) -> Result<(usize, usize)> {
    let path = Path::new("told.parquet");
    let blocks = file.chunks(segment::BLOCK_BYTES as usize).map(crc32fast::hash).collect();
    let index = SegmentIndex::decode_layout(layout, file.len() as u64, blocks).map_err(|flaw| Error::damaged(path, flaw))?;
    let disk = MemoryDisk::new();
    put(&disk, path, file)?;
    let segment = Segment::open(&disk, path, SegmentId(1), Arc::new(index))?;
    read_all(&segment)
}

/// Every page either has the rows that the index says or is damaged. Nothing else may come of hostile bytes.
fn read_all(segment: &Segment) -> Result<(usize, usize)> {
    let index = segment.index();
    let cache = PageCache::new(1 << 20);
    let (mut good, mut bad) = (0, 0);
    for column in segment.columns() {
        for (page, span) in index.pages.iter().enumerate() {
            match segment.page(column, page, &cache) {
                Ok(array) => {
                    assert!(array.is_none_or(|array| array.len() == span.rows as usize), "rows of page {page} of {column:?}");
                    good += 1;
                }
                Err(Error::Damaged { .. }) => bad += 1,
                Err(error) => return Err(error),
            }
        }
    }
    for slice in 0..index.slices.len() {
        for field in 0..index.fields() {
            std::hint::black_box((index.statistics(slice, field), index.last_value(slice, field)));
        }
    }
    Ok((good, bad))
}

/// Takes a file for the segment `id` of table `table`, as opening does when all else is lost: entry, schema and series are made
/// from it again. Answers how many pages were read and how many were refused.
///
/// # Panics
/// If what was made of it is not the same when read back.
#[expect(clippy::expect_used, reason = "a panic is what a fuzzer looks for")]
pub fn adopt(table: TableId, id: SegmentId, file: &[u8]) -> Result<(usize, usize)> {
    let hash = blake3::hash(file).to_hex();
    let path = PathBuf::from(format!("t{}-{}-{hash}.parquet", table.0, id.0));
    let disk = MemoryDisk::new();
    put(&disk, &path, file)?;
    let rebuilt = segment::rebuild(&disk, &path)?;
    let entry = &rebuilt.entry;
    assert_eq!((entry.table, entry.id, entry.bytes), (table, id, file.len() as u64));
    assert_eq!(segment::path(Path::new(""), entry), path);
    let index = SegmentIndex::decode(&entry.index).expect("an index that was just made");
    assert_eq!(index.encode(), entry.index);
    assert_eq!((index.rows() as u64, index.points()), (entry.rows, entry.points));
    let segment = Segment::open(&disk, &path, id, Arc::new(index))?;
    let counts = read_all(&segment)?;
    assert_eq!(segment.verify(&entry.hash)?.len(), counts.1, "every page refused is a problem, and nothing else is");
    Ok(counts)
}

fn put(disk: &MemoryDisk, path: &Path, bytes: &[u8]) -> Result<()> {
    let written = disk.open(path, OpenMode::CreateNew).and_then(|file| file.write_all_at(0, bytes));
    written.map_err(|source| Error::io("write", path, source))
}
