//! Tests of whole segments.

mod damage;
mod fleet;
mod golden;
mod known;
mod round_trip;
mod samples;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::io::MemoryDisk;
use crate::model::{Column, TableSchema};
use crate::settings::Profile;

/// Rows in memory.
#[derive(Clone)]
pub(super) struct Rows {
    pub(super) runs: Vec<SeriesRun>,
    pub(super) times: Vec<i64>,
    pub(super) columns: Vec<Column>,
}

impl RowSource for Rows {
    fn runs(&self) -> &[SeriesRun] {
        &self.runs
    }

    fn times(&self) -> &[i64] {
        &self.times
    }

    fn column(&mut self, position: usize, rows: Range<usize>) -> Result<Column> {
        Ok(self.columns[position].as_ref().map(|array| array.slice(rows.start, rows.len())))
    }
}

/// A segment in a directory of a disk in memory.
pub(super) struct Written {
    pub(super) disk: MemoryDisk,
    pub(super) entry: SegmentEntry,
    pub(super) path: PathBuf,
}

impl Written {
    pub(super) fn open(&self) -> Result<Segment> {
        let index = SegmentIndex::decode(&self.entry.index).map_err(|flaw| Error::damaged(&self.path, flaw))?;
        Segment::open(&self.disk, &self.path, self.entry.id, Arc::new(index))
    }
}

pub(super) fn written(schema: &TableSchema, rows: &mut Rows, profile: Profile) -> Written {
    let disk = MemoryDisk::new();
    let dir = PathBuf::from("segments");
    disk.create_dir_all(&dir).unwrap();
    let spec = SegmentSpec { schema, id: SegmentId(7), partition: None, sequences: (10, 20), profile };
    let entry = write(&disk, &dir, &spec, rows).unwrap();
    publish(&disk, &dir, std::slice::from_ref(&entry)).unwrap();
    let path = path(&dir, &entry);
    Written { disk, entry, path }
}
