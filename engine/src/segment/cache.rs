//! A bounded cache of decoded pages and dictionary frames, shared by all segments.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use foldhash::fast::FixedState;
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use zstd::bulk::Decompressor;

use super::values::Values;
use crate::error::{Error, Result};
use crate::record::SegmentId;

/// What a cached item is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) segment: SegmentId,
    /// Position among all columns of the segment.
    pub(super) column: u32,
    pub(super) part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Page(u32),
    Frame(u32),
}

#[derive(Clone)]
pub(super) enum Item {
    Page(ArrayRef),
    Frame(Arc<Values>),
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Item> for Weight {
    fn weight(&self, _key: &Key, item: &Item) -> u64 {
        let bytes = match item {
            Item::Page(array) => array.get_array_memory_size(),
            Item::Frame(values) => match values.as_ref() {
                Values::Words(words) => size_of_val(words.as_slice()),
                Values::Halves(halves) => size_of_val(halves.as_slice()),
                Values::Bits(bits) => bits.len(),
                Values::Texts(texts) => texts.bytes.len() + size_of_val(texts.ends.as_slice()),
            },
        };
        // The key, and what the cache itself spends on an item.
        bytes as u64 + 128
    }
}

/// Buffers of one reader, used again by the next.
#[derive(Default)]
pub(super) struct Scratch {
    stored: Vec<u8>,
    plain: Vec<u8>,
    /// Its state takes 100 kB: made for the first page that is compressed.
    decompressor: Option<Decompressor<'static>>,
}

impl Scratch {
    /// The buffers, and what decompresses where that `is_needed`.
    pub(super) fn parts(&mut self, is_needed: bool) -> Result<(&mut Vec<u8>, &mut Vec<u8>, Option<&mut Decompressor<'static>>)> {
        let Scratch { stored, plain, decompressor } = self;
        if is_needed && decompressor.is_none() {
            *decompressor = Some(Decompressor::new().map_err(|error| Error::Internal(format!("zstd: {error}")))?);
        }
        Ok((stored, plain, decompressor.as_mut().filter(|_| is_needed)))
    }
}

/// Buffers larger than this are not kept for the next reader.
const SCRATCH_BYTES: usize = 256 << 10;
/// Sets of buffers kept.
const SCRATCHES: usize = 4;
/// What a decoded page usually takes; sizes the cache's own tables.
const USUAL_PAGE_BYTES: usize = 32 << 10;

/// Decoded pages of all segments, within a budget of bytes.
pub(crate) struct PageCache {
    /// Hashed without randomness, so that a simulation evicts the same pages every time.
    items: Cache<Key, Item, Weight, FixedState>,
    scratches: Mutex<Vec<Scratch>>,
}

impl std::fmt::Debug for PageCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageCache").field("items", &self.items.len()).field("bytes", &self.items.weight()).finish_non_exhaustive()
    }
}

impl PageCache {
    /// Keeps at most `bytes` of decoded pages.
    pub(crate) fn new(bytes: usize) -> PageCache {
        let expected = (bytes / USUAL_PAGE_BYTES).max(16);
        let items = Cache::with(expected, bytes as u64, Weight, FixedState::default(), DefaultLifecycle::default());
        PageCache { items, scratches: Mutex::new(Vec::new()) }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.items.clear();
    }

    pub(super) fn get(&self, key: &Key) -> Option<Item> {
        self.items.get(key)
    }

    pub(super) fn put(&self, key: Key, item: Item) {
        self.items.insert(key, item);
    }

    /// Lends buffers. They are not given back after a failure, whose state nobody knows.
    pub(super) fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> Result<T>) -> Result<T> {
        let lent = self.scratches.lock().pop();
        let mut scratch = lent.unwrap_or_default();
        let result = work(&mut scratch)?;
        let mut kept = self.scratches.lock();
        if kept.len() < SCRATCHES && scratch.stored.capacity() + scratch.plain.capacity() <= SCRATCH_BYTES {
            kept.push(scratch);
        }
        Ok(result)
    }
}
