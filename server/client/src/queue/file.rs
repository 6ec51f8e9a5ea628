//! The file, and what is done to it. All of this blocks.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_protocol::message::DescribeTable;

use super::disk::{create, lock, make, new_of, remove, sync_directory, write_at};
use super::format::{HEAD, Head, Mark, RECORDS, WriterId, set_number};
use super::marks::Marks;
use super::records::{Described, Records};
use super::replay::{Place, Replay, Restored, replay};
use crate::{Error, Result};

/// Bytes of acknowledged records below which the file is not written anew.
const REWRITE_BYTES: u64 = 256 << 10;
/// Bytes that are written at once then.
const PIECE_BYTES: usize = 256 << 10;

/// A queue file that is open. Nobody else has it open.
#[derive(Debug)]
pub(crate) struct Queue {
    path: PathBuf,
    file: File,
    /// Held as long as this is open.
    _lock: File,
    writer: WriterId,
    marks: Marks,
    places: VecDeque<Place>,
    /// Bytes of these.
    kept: u64,
    end: u64,
    described: Described,
    /// Where the file ended when it could not be written anew. It is tried again once more has come.
    tried: u64,
    /// What went wrong so that it is not known what the file holds.
    broken: Option<Error>,
}

/// A batch that is to be kept.
#[derive(Debug)]
pub(crate) struct New {
    /// Its frame, whose number is written into it.
    pub(crate) frame: Vec<u8>,
    pub(crate) table: Arc<DescribeTable>,
}

impl Queue {
    /// Opens a file, or makes one for a writer of this id.
    pub(crate) fn open(path: &Path, writer: WriterId) -> Result<(Queue, Restored)> {
        let lock = lock(path)?;
        make(path, &writer)?;
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let file = opened.map_err(|error| Error::queue_io(path, "open", error))?;
        let Replay { writer, mark, held_at, places, end } = replay(path, &file)?;
        file.set_len(end).map_err(|error| Error::queue_io(path, "cut the torn tail of", error))?;
        // A process that was killed may have left what the disk does not have. It must not be sent and then lost.
        file.sync_data().map_err(|error| Error::queue_io(path, "sync", error))?;
        let restored = Restored {
            writer,
            sent_before: mark.sent_before,
            acknowledged: mark.acknowledged,
            waiting: places.iter().map(|place| (place.length, place.table.clone())).collect(),
        };
        let (path, marks, kept) = (path.to_owned(), Marks::new(mark, held_at), places.iter().map(Place::bytes).sum());
        // Tables are described again before what comes now: that is simpler than to know what the last record of each said.
        let (described, tried, broken) = Default::default();
        Ok((Queue { path, file, _lock: lock, writer, marks, places, kept, end, described, tried, broken }, restored))
    }

    fn io(&self, doing: &'static str) -> impl Fn(io::Error) -> Error {
        let path = self.path.clone();
        move |error| Error::queue_io(&path, doing, error)
    }

    /// The number of the first batch that is kept.
    fn first(&self) -> u64 {
        self.marks.now.acknowledged + 1
    }

    fn at(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first())?).ok()
    }

    /// Keeps batches behind those that are there, and numbers them. They are durable then, or none of them is kept; unless it was
    /// the sync that failed: then it shows when the file is opened again.
    pub(crate) fn append(&mut self, batches: &mut [New]) -> Result<()> {
        let first = self.first() + self.places.len() as u64;
        let numbered = (first..).zip(batches.iter_mut()).map(|(number, batch)| {
            set_number(&mut batch.frame, number);
            (number, batch.frame.as_slice(), &batch.table)
        });
        let places = self.write(&numbered.collect::<Vec<_>>())?;
        self.kept += places.iter().map(Place::bytes).sum::<u64>();
        self.places.extend(places);
        Ok(())
    }

    /// Keeps another batch in the place of one.
    pub(crate) fn replace(&mut self, number: u64, new: &mut New) -> Result<()> {
        set_number(&mut new.frame, number);
        let written = self.write(&[(number, &new.frame, &new.table)])?;
        let place = self.at(number).and_then(|at| self.places.get_mut(at));
        if let (Some(place), Some(written)) = (place, written.into_iter().next()) {
            self.kept = self.kept - place.bytes() + written.bytes();
            *place = written;
        }
        Ok(())
    }

    /// Writes records behind the last, and syncs them.
    fn write(&mut self, batches: &[(u64, &[u8], &Arc<DescribeTable>)]) -> Result<Vec<Place>> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let mut records = Records::new(self.end, self.described.clone());
        let places = batches.iter().map(|(number, frame, table)| records.batch(*number, frame, table)).collect::<Result<_>>()?;
        if let Err(error) = write_at(&self.file, self.end, &records.bytes) {
            // As on a full disk. What was written of it must not be taken for records.
            return match self.file.set_len(self.end).and_then(|()| self.file.sync_data()) {
                Ok(()) => Err(self.io("write to")(error)),
                Err(error) => Err(self.broke("cut", error)),
            };
        }
        if let Err(error) = self.file.sync_data() {
            // As much as can be done about it.
            let _ = self.file.set_len(self.end);
            return Err(self.broke("sync", error));
        }
        self.marks.synced();
        (self.end, self.described) = (records.end(), records.described);
        self.marks.now.synced = self.end;
        // It only says what is true already, and later marks say it again.
        let _ = self.marks.write(&self.file);
        Ok(places)
    }

    /// After a failed sync nobody knows what is on the disk.
    fn broke(&mut self, doing: &'static str, error: io::Error) -> Error {
        let error = self.io(doing)(error);
        self.broken = Some(error.clone());
        error
    }

    /// Writes the mark, and syncs it.
    fn mark(&mut self) -> io::Result<()> {
        self.marks.write(&self.file)?;
        self.file.sync_data()?;
        self.marks.synced();
        Ok(())
    }

    /// Notes durably that something may have been sent from now on.
    pub(crate) fn note(&mut self) -> Result<()> {
        self.marks.now.sent_before = true;
        // In both places, so that it holds even if one of them is damaged.
        let noted = self.mark().and_then(|()| self.mark());
        noted.map_err(self.io("note in"))
    }

    /// The frame of a batch that is not acknowledged.
    pub(crate) fn read(&mut self, number: u64) -> Result<Vec<u8>> {
        let place = self.at(number).and_then(|at| self.places.get(at));
        let place = place.ok_or_else(|| self.io("find a batch in")(io::ErrorKind::NotFound.into()))?;
        self.read_place(number, place)
    }

    fn read_place(&self, number: u64, place: &Place) -> Result<Vec<u8>> {
        let (mut file, start) = (&self.file, place.offset - HEAD as u64);
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.take(place.bytes()).read_to_end(&mut bytes));
        read.map_err(self.io("read"))?;
        let whole = bytes
            .split_first_chunk::<HEAD>()
            .filter(|(head, frame)| Head::read(head).is_some_and(|head| head.number == number && head.holds(frame)));
        match whole {
            Some((_, frame)) => Ok(frame.to_vec()),
            None => Err(Error::QueueDamaged {
                path: self.path.clone(),
                offset: start,
                detail: format!("batch {number} is not what was written"),
            }),
        }
    }

    /// Lets go of all up to a batch. Space is given back where it is worth it.
    pub(crate) fn acknowledge(&mut self, through: u64) -> Result<()> {
        let gone = usize::try_from(through.saturating_sub(self.marks.now.acknowledged)).unwrap_or(usize::MAX);
        if gone == 0 {
            return Ok(());
        }
        self.kept -= self.places.drain(..self.places.len().min(gone)).map(|place| place.bytes()).sum::<u64>();
        self.marks.now.acknowledged = through;
        self.marks.write(&self.file).map_err(self.io("mark"))?;
        let unwanted = (self.end - RECORDS).saturating_sub(self.kept);
        if self.end == self.tried || unwanted <= self.kept.max(REWRITE_BYTES) {
            return Ok(());
        }
        self.tried = self.end;
        self.rewrite(self.writer, self.marks.now)
    }

    /// Goes on as another writer, which has sent nothing: what is kept is numbered from 1.
    pub(crate) fn renew(&mut self, writer: WriterId) -> Result<()> {
        self.rewrite(writer, Mark::default())
    }

    /// Writes what is kept to a new file, which takes the place of the old one. If it cannot, the old one stays as it is.
    fn rewrite(&mut self, writer: WriterId, mark: Mark) -> Result<()> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        let new = new_of(&self.path);
        let written = self.write_anew(&new, writer, mark).and_then(|written| {
            std::fs::rename(&new, &self.path).map_err(self.io("put in its place the new"))?;
            Ok(written)
        });
        if written.is_err() {
            // It takes room, and is removed at the next opening at the latest.
            let _ = remove(&new);
        }
        (self.file, self.marks, self.places, self.end, self.described) = written?;
        self.writer = writer;
        // Until the directory is synced, a power cut may bring back the old file, which lacks what would come now.
        sync_directory(&self.path).map_err(|error| self.broke("sync the directory of", error))
    }

    /// The new file, synced, and what is in it.
    fn write_anew(&self, new: &Path, writer: WriterId, mark: Mark) -> Result<(File, Marks, VecDeque<Place>, u64, Described)> {
        let failed = self.io("write anew");
        let file = create(new, &writer, &mark).map_err(&failed)?;
        let (mut records, mut places) = (Records::new(RECORDS, Described::new()), VecDeque::new());
        for (at, place) in (0..).zip(&self.places) {
            let mut frame = self.read_place(self.first() + at, place)?;
            let number = mark.acknowledged + 1 + at;
            set_number(&mut frame, number);
            places.push_back(records.batch(number, &frame, &place.table)?);
            if records.bytes.len() >= PIECE_BYTES {
                write_at(&file, records.at, &records.bytes).map_err(&failed)?;
                records.written();
            }
        }
        write_at(&file, records.at, &records.bytes).map_err(&failed)?;
        let mut marks = Marks::new(Mark { synced: records.end(), ..mark }, 0);
        marks.write(&file).and_then(|()| file.sync_all()).map_err(&failed)?;
        marks.synced();
        Ok((file, marks, places, records.end(), records.described))
    }

    /// Makes the last mark durable: nothing of what was acknowledged is sent again.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.mark().map_err(self.io("sync"))
    }
}
