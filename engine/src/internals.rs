//! Doors to inner parts, for benchmarks and fuzzing. Nothing is promised about them.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::io::{Disk, MemoryDisk};
use crate::memtable::Run;
use crate::merge::MergePlan;
use crate::model::{Block, SeriesId, SeriesKey, TableId, TableSchema, TableSpec};
use crate::record::{SegmentEntry, SegmentId};
use crate::seal::MergedRows;
use crate::segment::{self, PageCache, Segment, SegmentIndex, SegmentSpec, SeriesRun};
use crate::settings::Profile;

/// The schema of a table that is in no database.
pub fn schema(spec: TableSpec) -> Result<Arc<TableSchema>> {
    spec.into_schema(TableId(0)).map(Arc::new)
}

/// Batches in memory, as they wait to be merged.
#[derive(Debug)]
pub struct Runs {
    schema: Arc<TableSchema>,
    runs: Vec<Arc<Run>>,
}

impl Runs {
    /// Sorts each block, oldest first.
    pub fn new(schema: Arc<TableSchema>, blocks: impl IntoIterator<Item = Block>) -> Result<Self> {
        let numbered = |(number, block)| Ok(Arc::new(Run::from_batch(&schema, block)?.numbered(number)));
        let runs = (1..).zip(blocks).map(numbered).collect::<Result<_>>()?;
        Ok(Runs { schema, runs })
    }

    /// One block of all, newest values winning.
    pub fn merge(&self) -> Result<Block> {
        Ok(Run::consolidate(&self.schema, &self.runs)?.block)
    }
}

/// A segment on a disk in memory.
#[derive(Debug)]
pub struct SegmentOnDisk {
    disk: MemoryDisk,
    entry: SegmentEntry,
}

impl SegmentOnDisk {
    /// Writes rows sorted by series and time. Series are named after their numbers.
    pub fn write(schema: &Arc<TableSchema>, rows: &Block, profile: Profile) -> Result<Self> {
        let (disk, dir) = (MemoryDisk::new(), Path::new("segments"));
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

    /// Reads every page of every column and answers how many values are present.
    pub fn read(&self) -> Result<u64> {
        let path = segment::path(Path::new("segments"), &self.entry);
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
