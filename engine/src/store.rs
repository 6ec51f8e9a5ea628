//! The segments in use: opened when asked for, and only so many at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::fast::FixedState;
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use crate::catalog::CatalogSlot;
use crate::error::{Error, Result};
use crate::io::Disk;
use crate::record::{SegmentEntry, SegmentId};
use crate::segment::{self, PageCache, Segment, SegmentIndex};

#[derive(Debug, Clone)]
struct IndexWeight;

impl Weighter<SegmentId, Arc<Segment>> for IndexWeight {
    fn weight(&self, _id: &SegmentId, segment: &Arc<Segment>) -> u64 {
        segment.index().memory() as u64
    }
}

/// Opens segments and keeps the most used open. Their files go when nobody reads them any more.
#[derive(Debug)]
pub(crate) struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    catalog: Arc<CatalogSlot>,
    /// Hashed without randomness, as the pages are.
    open: Cache<SegmentId, Arc<Segment>, IndexWeight, FixedState>,
    pub(crate) pages: PageCache,
    /// Segments replaced by compaction, whose files may still be read.
    retired: Mutex<Vec<Arc<SegmentEntry>>>,
    stopped: AtomicBool,
}

impl Store {
    /// `index_bytes` bounds the memory for indexes of open segments, `page_bytes` that for decoded pages.
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path, catalog: Arc<CatalogSlot>, index_bytes: u64, page_bytes: usize) -> Self {
        const EXPECTED_SEGMENTS: usize = 256;
        Store {
            disk,
            dir: dir.to_owned(),
            catalog,
            open: Cache::with(EXPECTED_SEGMENTS, index_bytes, IndexWeight, FixedState::default(), DefaultLifecycle::default()),
            pages: PageCache::new(page_bytes),
            retired: Mutex::default(),
            stopped: AtomicBool::new(false),
        }
    }

    /// Long work on segments is to end.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// [`Error::Closed`] once the store was stopped.
    pub(crate) fn check_going_on(&self) -> Result<()> {
        if self.stopped.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// The segment of an entry.
    pub(crate) fn open(&self, entry: &SegmentEntry) -> Result<Arc<Segment>> {
        if let Some(segment) = self.open.get(&entry.id) {
            return Ok(segment);
        }
        let segment = Arc::new(Segment::open(&*self.disk, &self.path(entry), entry.id, Arc::new(self.index(entry)?))?);
        self.open.insert(entry.id, segment.clone());
        Ok(segment)
    }

    /// The file of an entry.
    pub(crate) fn path(&self, entry: &SegmentEntry) -> PathBuf {
        segment::path(&self.dir, entry)
    }

    /// Where segments lie.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The disk they lie on.
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Notes segments that are no longer part of a table. Queries that began earlier still read them.
    pub(crate) fn retire(&self, entries: impl IntoIterator<Item = Arc<SegmentEntry>>) {
        self.retired.lock().extend(entries);
    }

    /// Bytes of segments that were retired, whose files are there.
    pub(crate) fn retired_bytes(&self) -> u64 {
        self.retired.lock().iter().map(|entry| entry.bytes).sum()
    }

    /// Removes the files of retired segments that nobody holds any more. Answers how many.
    pub(crate) fn sweep(&self) -> Result<usize> {
        let mut retired = self.retired.lock();
        let (gone, kept): (Vec<_>, Vec<_>) = retired.drain(..).partition(|entry| Arc::strong_count(entry) == 1);
        *retired = kept;
        for entry in &gone {
            self.open.remove(&entry.id);
            let path = self.path(entry);
            self.disk.remove(&path).map_err(|source| Error::io("remove", &path, source))?;
        }
        Ok(gone.len())
    }

    fn index(&self, entry: &SegmentEntry) -> Result<SegmentIndex> {
        let path = self.path(entry);
        let bytes = match self.catalog.get() {
            Some(catalog) => catalog.segment_index(entry.id)?,
            None => None,
        };
        // On a full disk the catalog may be away; the file tells the same, only more slowly.
        let bytes = bytes.map_or_else(|| segment::rebuild(&*self.disk, &path).map(|rebuilt| rebuilt.entry.index), Ok)?;
        SegmentIndex::decode(&bytes)
            .map_err(|malformed| Error::damaged(&path, format_args!("its index is malformed: {malformed}")))
    }
}
