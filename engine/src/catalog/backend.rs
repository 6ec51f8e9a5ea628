//! The file redb writes to: an image of pages that changes on disk only from one checkpoint to the next.
//!
//! redb trusts its pages and, between checkpoints, writes some of them whenever its cache is full. So it does not get the file
//! itself but an image of it. A page written goes to a slot of the page file that the last checkpoint does not use, and which
//! slot holds which page, with the page's CRC, is known in memory until a checkpoint commits it:
//!
//! 1. changed pages are written to unused slots and synced ([`SyncLabel::CatalogPages`]);
//! 2. one record naming the changed pages, their slots and CRCs is appended to the checksum file and synced
//!    (`SyncLabel::CatalogChecksums`).
//!
//! The second sync is the commit point. Before it, the image on disk is the last checkpoint, of which not a byte was
//! touched; after it, it is the new one. There is no state in between, so a power cut never leaves a page whose checksum is
//! in doubt, each page has exactly one right CRC, and redb's own syncs have nothing left to do. Every page read from the file
//! is checked first. Dropping the store drops what was not checkpointed; the log has it.
//!
//! A full disk never reaches redb, which would give up for good: pages that find no room stay in memory, further changes are
//! refused, and a checkpoint succeeds once there is room.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::guard::Latch;
use super::pagemap::{Cut, PageMap, Slot};
use super::sums::{Loaded, Record, Sums};
use crate::error::{Error, Result};
use crate::io::{Components, File, OpenMode, SyncLabel};

/// Bytes in a page, redb's and ours.
pub(super) const PAGE: usize = 4096;
/// Pages that are read at once to be checked.
const SCRUBBED_TOGETHER: usize = 64;
/// The page files there may be: a catalog that is written anew goes to the one that is not in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageFile {
    First,
    Second,
}

impl PageFile {
    pub(super) const ALL: [PageFile; 2] = [PageFile::First, PageFile::Second];

    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            PageFile::First => "catalog.pages",
            PageFile::Second => "catalog.pages.2",
        }
    }

    /// What the checksum file calls it.
    pub(super) fn digit(self) -> u8 {
        match self {
            PageFile::First => b'1',
            PageFile::Second => b'2',
        }
    }

    pub(super) fn of_digit(digit: u8) -> Option<PageFile> {
        PageFile::ALL.into_iter().find(|pages| pages.digit() == digit)
    }

    /// The other one.
    pub(super) fn other(self) -> PageFile {
        match self {
            PageFile::First => PageFile::Second,
            PageFile::Second => PageFile::First,
        }
    }
}

/// Written pages held in memory before they go to the file, so that one rewritten soon is written once.
const HELD_PAGES: usize = 64;
/// Pages held on a full disk before redb is told after all.
const HELD_PAGES_FULL: usize = 4096;
/// Unused slots at the end of the file worth cutting off.
const TRIM_SLOTS: u32 = 64;

type Page = [u8; PAGE];

/// The page file and its checksums.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) pages: PageFile,
    path: PathBuf,
    latch: Arc<Latch>,
    image: Mutex<Image>,
    /// `None` until the first checkpoint of a new store, and after [`Store::release`]. Held throughout a checkpoint.
    sums: Mutex<Option<Sums>>,
    /// Whether another took its place.
    superseded: AtomicBool,
}

#[derive(Debug)]
struct Image {
    /// `None` after [`Store::release`].
    file: Option<Arc<dyn File>>,
    /// Bytes redb thinks it has.
    len: u64,
    map: PageMap,
    /// Pages written but not in the file yet.
    held: BTreeMap<u32, Box<Page>>,
    /// How many pages may be held before they go to the file.
    flush_at: usize,
    /// Slots the file has room for.
    slots: u32,
}

impl Store {
    /// A new, empty store. Nothing is durable before the first checkpoint.
    pub(super) fn create(components: &Components, dir: &Path, pages: PageFile, latch: Arc<Latch>) -> Result<Self> {
        let path = dir.join(pages.name());
        let file = components.disk.open(&path, OpenMode::CreateNew).map_err(|source| Error::io("create", &path, source))?;
        let image =
            Image { file: Some(file), len: 0, map: PageMap::default(), held: BTreeMap::new(), flush_at: HELD_PAGES, slots: 0 };
        Ok(Store::over(pages, path, latch, image, None))
    }

    /// The store as its last checkpoint left it.
    pub(super) fn open(components: &Components, dir: &Path, latch: Arc<Latch>) -> Result<Self> {
        let Loaded { sums, len, slots } = Sums::load(&components.disk, dir, &latch)?;
        let path = dir.join(sums.pages.name());
        let file = components.disk.open(&path, OpenMode::Write).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::damaged(&path, "the file is missing"),
            _ => Error::io("open", &path, source),
        })?;
        let file_len = file.len().map_err(|source| Error::io("measure", &path, source))?;
        let room = u32::try_from(file_len / PAGE as u64).unwrap_or(u32::MAX);
        if slots.values().any(|slot| slot.at >= room) {
            return Err(Error::damaged(&path, "the file is shorter than its checksums say"));
        }
        if len == 0 {
            return Err(Error::damaged(&path, "the file holds no database"));
        }
        let map = PageMap::new(slots).ok_or_else(|| Error::damaged(&path, "two pages lie in one place"))?;
        let image = Image { file: Some(file), len, map, held: BTreeMap::new(), flush_at: HELD_PAGES, slots: room };
        Ok(Store::over(sums.pages, path, latch, image, Some(sums)))
    }

    fn over(pages: PageFile, path: PathBuf, latch: Arc<Latch>, image: Image, sums: Option<Sums>) -> Self {
        Store { pages, path, latch, image: Mutex::new(image), sums: Mutex::new(sums), superseded: AtomicBool::new(false) }
    }

    /// From now on the checksum file speaks of another.
    pub(super) fn supersede(&self) {
        self.superseded.store(true, Ordering::Release);
    }

    /// Makes pages durable of which no checksum speaks yet, so that a checkpoint has the less to do.
    pub(super) fn write_out(&self) -> Result<()> {
        let file = {
            let mut image = self.image.lock();
            image.flush(&self.latch, &self.path)?;
            image.file.clone().ok_or(Error::Closed)?
        };
        file.sync(SyncLabel::CatalogPages).map_err(|source| self.latch.failed("sync", &self.path, source))
    }

    /// Bytes of the pages in use, and of those that redb has freed but not given back.
    pub(super) fn bytes_in_use(&self) -> u64 {
        self.image.lock().map.len() as u64 * PAGE as u64
    }

    /// Path of the page file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The first failure.
    pub(super) fn latch(&self) -> &Latch {
        &self.latch
    }

    /// Makes sure that there is room for written pages, with [`Error::DiskFull`] while there is none.
    pub(super) fn make_room(&self) -> Result<()> {
        let mut image = self.image.lock();
        if image.held.len() > HELD_PAGES { image.flush(&self.latch, &self.path) } else { Ok(()) }
    }

    /// Commits the image as it stands. After [`Error::DiskFull`] it may be tried again.
    pub(super) fn checkpoint(&self, components: &Components, dir: &Path) -> Result<()> {
        self.latch.check()?;
        let mut sums = self.sums.lock();
        if self.superseded.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let (file, cut, record) = {
            let mut image = self.image.lock();
            let file = image.file.clone().ok_or(Error::Closed)?;
            image.flush(&self.latch, &self.path)?;
            let cut = image.map.cut();
            if cut.is_empty() && sums.is_some() {
                return Ok(());
            }
            let record = image.record(&cut, sums.as_ref());
            (file, cut, record)
        };
        let committed = file
            .sync(SyncLabel::CatalogPages)
            .map_err(|source| self.latch.failed("sync", &self.path, source))
            .and_then(|()| match &mut *sums {
                Some(sums) => sums.commit(&self.latch, &record),
                none => Sums::create(components, dir, &self.latch, self.pages, &record).map(|created| *none = Some(created)),
            });
        let mut image = self.image.lock();
        match committed {
            Ok(()) => {
                image.map.committed(cut);
                image.trim();
                Ok(())
            }
            Err(error) => {
                image.map.rolled_back(cut);
                Err(error)
            }
        }
    }

    /// Reads every page in the file, as they lie there, and says which fail their checksums.
    pub(super) fn scrub(&self) -> Result<Vec<Error>> {
        let (file, mut slots) = {
            let image = self.image.lock();
            let held = |page: &u32| image.held.contains_key(page);
            let slots: Vec<_> = image.map.slots().filter(|(page, _)| !held(page)).collect();
            (image.file.clone().ok_or(Error::Closed)?, slots)
        };
        slots.sort_unstable_by_key(|(_, slot)| slot.at);
        let mut problems = Vec::new();
        let mut bytes = vec![0; SCRUBBED_TOGETHER * PAGE];
        let runs = slots.chunk_by(|(_, one), (_, next)| one.at + 1 == next.at);
        for run in runs.flat_map(|run| run.chunks(SCRUBBED_TOGETHER)) {
            let out = bytes.get_mut(..run.len() * PAGE).unwrap_or_default();
            match run.first().map(|(_, first)| file.read_exact_at(first.offset(), out)) {
                // One that is not all there is found among its neighbours.
                Some(Err(_)) => self.scrub_apart(&*file, run, &mut problems)?,
                _ => problems.extend(run.iter().zip(out.chunks_exact(PAGE)).filter_map(|(at, page)| self.unsound(*at, page))),
            }
        }
        Ok(problems)
    }

    /// The same for each page by itself.
    fn scrub_apart(&self, file: &dyn File, slots: &[(u32, Slot)], problems: &mut Vec<Error>) -> Result<()> {
        let mut bytes = [0; PAGE];
        for (page, slot) in slots {
            match file.read_exact_at(slot.offset(), &mut bytes) {
                Ok(()) => problems.extend(self.unsound((*page, *slot), &bytes)),
                Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                    problems.push(Error::damaged(&self.path, bad_page(*page, *slot)));
                }
                Err(source) => return Err(Error::io("read", &self.path, source)),
            }
        }
        Ok(())
    }

    /// What is wrong with a page that was read, unless it was written elsewhere meanwhile.
    fn unsound(&self, (page, slot): (u32, Slot), bytes: &[u8]) -> Option<Error> {
        let sound = crc32fast::hash(bytes) == slot.crc || self.image.lock().map.slot(page) != Some(slot);
        (!sound).then(|| Error::damaged(&self.path, bad_page(page, slot)))
    }

    /// Closes the files. Whatever redb still tries is refused and nothing more is written.
    pub(super) fn release(&self) {
        self.image.lock().file = None;
        *self.sums.lock() = None;
    }

    /// What redb is told. A place that no image has can only come from damage that no checksum shows.
    fn refused(&self, error: Error) -> io::Error {
        io::Error::other(match error {
            Error::Limit { .. } | Error::Internal(_) => self.latch.damaged(&self.path, error),
            other => other,
        })
    }

    /// Fills a buffer from the image, reading as much at once as lies together.
    fn read(&self, mut offset: u64, mut out: &mut [u8]) -> Result<()> {
        self.latch.check()?;
        let mut whole = [0; PAGE];
        while !out.is_empty() {
            let (page, within) = split(offset)?;
            let (wanted, source) = self.image.lock().locate(page, within, out.len(), offset)?;
            let (part, rest) = out.split_at_mut(wanted);
            match source {
                Source::Zero => part.fill(0),
                Source::Held(held) => part.copy_from_slice(held.get(within..within + wanted).unwrap_or_default()),
                Source::File(file, slots) if wanted.is_multiple_of(PAGE) => {
                    self.read_run(&*file, page, &slots, part)?;
                }
                Source::File(file, slots) => {
                    self.read_run(&*file, page, &slots, &mut whole)?;
                    part.copy_from_slice(whole.get(within..within + wanted).unwrap_or_default());
                }
            }
            offset += wanted as u64;
            out = rest;
        }
        Ok(())
    }

    /// Reads pages from neighbouring slots and checks them.
    fn read_run(&self, file: &dyn File, page: u32, slots: &[Slot], out: &mut [u8]) -> Result<()> {
        let Some(first) = slots.first() else { return Ok(()) };
        file.read_exact_at(first.offset(), out).map_err(|source| self.latch.read_failed(&self.path, source))?;
        for ((bytes, slot), page) in out.chunks_exact(PAGE).zip(slots).zip(page..) {
            if crc32fast::hash(bytes) != slot.crc {
                return Err(self.latch.damaged(&self.path, bad_page(page, *slot)));
            }
        }
        Ok(())
    }

    fn write(&self, mut offset: u64, mut data: &[u8]) -> Result<()> {
        self.latch.check()?;
        let mut image = self.image.lock();
        image.file.as_ref().ok_or(Error::Closed)?;
        let end = offset.checked_add(data.len() as u64).ok_or_else(too_large)?;
        image.len = image.len.max(end.next_multiple_of(PAGE as u64));
        while !data.is_empty() {
            let (page, within) = split(offset)?;
            let (part, rest) = data.split_at((PAGE - within).min(data.len()));
            if part.len() < PAGE && !image.held.contains_key(&page) {
                let before = self.read_for_patch(&image, page)?;
                image.held.insert(page, before);
            }
            let held = image.held.entry(page).or_insert_with(|| Box::new([0; PAGE]));
            if let Some(target) = held.get_mut(within..within + part.len()) {
                target.copy_from_slice(part);
            }
            offset += part.len() as u64;
            data = rest;
        }
        if image.held.len() <= image.flush_at {
            return Ok(());
        }
        match image.flush(&self.latch, &self.path) {
            Err(Error::DiskFull { .. }) if image.held.len() <= HELD_PAGES_FULL => Ok(()),
            Err(Error::DiskFull { path }) => Err(self.latch.failed("write", &path, io::ErrorKind::StorageFull.into())),
            other => other,
        }
    }

    fn read_for_patch(&self, image: &Image, page: u32) -> Result<Box<Page>> {
        let mut bytes = Box::new([0; PAGE]);
        if let (Some(slot), Some(file)) = (image.map.slot(page), &image.file) {
            self.read_run(&**file, page, &[slot], &mut *bytes)?;
        }
        Ok(bytes)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.latch.check()?;
        let mut image = self.image.lock();
        image.file.as_ref().ok_or(Error::Closed)?;
        let (pages, within) = split(len)?;
        if within != 0 {
            return Err(Error::Internal(format!("a catalog of {len} bytes, which is no number of pages")));
        }
        if len < image.len {
            drop(image.held.split_off(&pages));
            image.map.truncate(pages);
        }
        image.len = len;
        Ok(())
    }
}

/// Where bytes of a page are to be had.
enum Source {
    Zero,
    Held(Box<Page>),
    File(Arc<dyn File>, Vec<Slot>),
}

impl Image {
    /// How many of the wanted bytes from here on can be had at once, and where.
    fn locate(&self, page: u32, within: usize, wanted: usize, offset: u64) -> Result<(usize, Source)> {
        let file = self.file.as_ref().ok_or(Error::Closed)?;
        if offset + wanted as u64 > self.len {
            return Err(Error::Internal(format!("read beyond the end of the catalog at {offset}")));
        }
        let in_page = wanted.min(PAGE - within);
        if let Some(held) = self.held.get(&page) {
            return Ok((in_page, Source::Held(held.clone())));
        }
        let Some(first) = self.map.slot(page) else { return Ok((in_page, Source::Zero)) };
        let mut slots = vec![first];
        if in_page == PAGE {
            let neighbours = (page.saturating_add(1)..).zip(first.at.saturating_add(1)..).take(wanted / PAGE - 1);
            let neighbours = neighbours
                .map_while(|(page, at)| self.map.slot(page).filter(|slot| slot.at == at && !self.held.contains_key(&page)));
            slots.extend(neighbours);
        }
        Ok((if in_page < PAGE { in_page } else { slots.len() * PAGE }, Source::File(file.clone(), slots)))
    }

    /// Writes held pages to unused slots. If that fails they stay held.
    fn flush(&mut self, latch: &Latch, path: &Path) -> Result<()> {
        let Some(file) = self.file.clone() else { return Err(Error::Closed) };
        let mut placed = Vec::with_capacity(self.held.len());
        for (page, bytes) in &self.held {
            if bytes.iter().all(|byte| *byte == 0) {
                continue;
            }
            let (at, new) = self.map.place(*page).ok_or_else(too_large)?;
            placed.push((Slot { at, crc: crc32fast::hash(&bytes[..]) }, new, *page));
        }
        placed.sort_unstable_by_key(|(slot, ..)| slot.at);
        // Each by itself: of one larger write the page cache makes one large folio, which then counts as written whole each
        // time that one of its pages is overwritten.
        let written = placed.iter().try_for_each(|(slot, _, page)| match self.held.get(page) {
            Some(bytes) => file.write_all_at(slot.offset(), &bytes[..]).map_err(|source| latch.write_failed(path, source)),
            None => Ok(()),
        });
        if let Err(error) = written {
            placed.iter().filter(|(_, new, _)| *new).for_each(|(slot, ..)| self.map.unplace(slot.at));
            self.flush_at = 2 * self.held.len();
            return Err(error);
        }
        for (slot, _, page) in placed {
            self.held.remove(&page);
            self.map.set(page, slot);
        }
        for page in std::mem::take(&mut self.held).into_keys() {
            self.map.set_zero(page);
        }
        self.slots = self.slots.max(self.map.end());
        self.flush_at = HELD_PAGES;
        Ok(())
    }

    /// What a checkpoint says of these changes: all pages, where the checksum file is new or has become too long.
    fn record(&self, cut: &Cut, sums: Option<&Sums>) -> Record {
        let generation = sums.map_or(0, |sums| sums.generation + 1);
        let whole = sums.is_none_or(|sums| sums.outgrown(self.map.len()));
        let (shrunk_to, entries) = match whole {
            true => (0, self.map.slots().map(|(page, slot)| (page, Some(slot))).collect()),
            false => (cut.shrunk_to, cut.entries.clone()),
        };
        Record { generation, len: self.len, shrunk_to, entries }
    }

    /// Cuts unused slots off the end of the file.
    fn trim(&mut self) {
        let end = self.map.end();
        if self.slots - end < TRIM_SLOTS {
            return;
        }
        // A file that stays too long is no harm, so a refusal is none.
        if let Some(Ok(())) = self.file.as_ref().map(|file| file.set_len(u64::from(end) * PAGE as u64)) {
            self.slots = end;
        }
    }
}

impl Slot {
    fn offset(self) -> u64 {
        u64::from(self.at) * PAGE as u64
    }
}

/// Page and position within it.
fn split(offset: u64) -> Result<(u32, usize)> {
    let page = u32::try_from(offset / PAGE as u64).map_err(|_| too_large())?;
    Ok((page, (offset % PAGE as u64) as usize))
}

fn too_large() -> Error {
    Error::Limit { what: "pages of the catalog", found: u64::MAX, limit: u64::from(u32::MAX), setting: "" }
}

fn bad_page(page: u32, slot: Slot) -> String {
    format!("page {page}, at byte {}, fails its checksum", slot.offset())
}

/// The store as redb wants it.
#[derive(Debug)]
pub(super) struct Backend(pub(super) Arc<Store>);

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.image.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out).map_err(|error| self.0.refused(error))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len).map_err(|error| self.0.refused(error))
    }

    /// Nothing to do: only a checkpoint makes anything durable.
    fn sync_data(&self) -> io::Result<()> {
        self.0.latch.check().map_err(io::Error::other)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data).map_err(|error| self.0.refused(error))
    }
}
