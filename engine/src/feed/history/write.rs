//! Writing history files: what log files hold besides rows, in small and in order.

use std::path::PathBuf;
use std::sync::Arc;

use super::bytes::{ChunkBuilder, DATA_START, Header, Kept};
use crate::error::{Error, Result};
use crate::feed::shown;
use crate::io::{Disk, File, OpenMode, SyncLabel};
use crate::model::Sequence;
use crate::record::{self, Record, RecordKind, RowsOutline, Transaction};

/// Bytes of a chunk: what damage to one of them costs.
const CHUNK_BYTES: usize = 16 << 10;

/// The file being written to.
#[derive(Debug)]
pub(super) struct HistoryFile {
    file: Arc<dyn File>,
    path: PathBuf,
    salt: u64,
    pub(super) first: Sequence,
    /// The first record that is not accounted for.
    pub(super) next: Sequence,
    pub(super) bytes: u64,
}

impl HistoryFile {
    /// Begins a file. One of that name is what a crash left behind before its log files were let go of.
    pub(super) fn create(disk: &dyn Disk, path: PathBuf, salt: u64, first: Sequence) -> Result<HistoryFile> {
        let open = || {
            match disk.remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = disk.open(&path, OpenMode::CreateNew)?;
            file.write_all_at(0, &Header { salt, first }.encode())?;
            Ok(file)
        };
        let file = open().map_err(|source| Error::io("create", &path, source))?;
        Ok(HistoryFile { file, path, salt, first, next: first, bytes: DATA_START })
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync(SyncLabel::History).map_err(|source| Error::io("sync", &self.path, source))
    }

    fn append(&mut self, chunk: ChunkBuilder, last: Sequence) -> Result<()> {
        let bytes = chunk.finish(self.salt, last);
        self.file.write_all_at(self.bytes, &bytes).map_err(|source| Error::io("write", &self.path, source))?;
        self.bytes += bytes.len() as u64;
        self.next = last + 1;
        Ok(())
    }
}

/// Makes chunks of records, which come in order.
#[derive(Debug)]
pub(super) struct Condenser {
    chunk: ChunkBuilder,
    /// Rows that lie in segments, one record after the other.
    run: Option<(Sequence, Sequence, Vec<RowsOutline>)>,
    last: Sequence,
}

impl Condenser {
    pub(super) fn new(first: Sequence) -> Self {
        Condenser { chunk: ChunkBuilder::new(first), run: None, last: first - 1 }
    }

    /// Adds a record.
    pub(super) fn record(&mut self, sequence: Sequence, kind: u8, payload: &[u8]) -> Result<()> {
        self.last = sequence;
        let condensed = match RecordKind::from_code(kind) {
            Some(RecordKind::PutRows) => record::outline_rows(payload).map(|rows| {
                self.rows(sequence, &[rows]);
                None
            }),
            Some(RecordKind::Transaction) => return self.transaction(sequence, payload),
            // The segment list says the rest of them.
            Some(RecordKind::Sealed | RecordKind::Compacted) => Record::decode(kind, payload).map(without_indexes),
            _ => {
                self.put(sequence, &Kept::Record { kind, payload });
                return Ok(());
            }
        };
        match condensed {
            Ok(None) => {}
            Ok(Some(record)) => self.put(sequence, &Kept::Record { kind, payload: &record.encode()? }),
            Err(_) => self.lost(sequence, sequence),
        }
        Ok(())
    }

    /// Notes records that cannot be read.
    pub(super) fn lost(&mut self, first: Sequence, last: Sequence) {
        self.put(first, &Kept::Lost { last });
        self.last = last;
    }

    /// Keys that the feed never shows need not be kept.
    fn transaction(&mut self, sequence: Sequence, payload: &[u8]) -> Result<()> {
        let outlined = record::outline_transaction(payload).and_then(|outline| {
            let tables = outline.rows.iter().map(|rows| record::outline_rows(rows)).collect::<Result<Vec<_>, _>>()?;
            Ok((outline.at, outline.cells, outline.deletions, tables))
        });
        let Ok((at, mut cells, deletions, tables)) = outlined else {
            self.lost(sequence, sequence);
            return Ok(());
        };
        cells.retain(|cell| shown(&cell.key));
        if cells.is_empty() && deletions.is_empty() {
            if !tables.is_empty() {
                self.rows(sequence, &tables);
            }
            return Ok(());
        }
        let payload = Record::Transaction(Transaction { at, cells, rows: Vec::new(), deletions }).encode()?;
        let kind = RecordKind::Transaction.code();
        match tables.is_empty() {
            true => self.put(sequence, &Kept::Record { kind, payload: &payload }),
            false => self.put(sequence, &Kept::Transaction { tables, payload: &payload }),
        }
        Ok(())
    }

    fn rows(&mut self, sequence: Sequence, rows: &[RowsOutline]) {
        let (_, last, tables) = self.run.get_or_insert_with(|| (sequence, sequence, Vec::new()));
        *last = sequence;
        for more in rows {
            match tables.iter_mut().find(|known| known.table == more.table) {
                Some(known) => *known = joined(known, more),
                None => tables.push(*more),
            }
        }
    }

    fn put(&mut self, sequence: Sequence, kept: &Kept<'_>) {
        self.end_run();
        self.chunk.push(sequence, kept);
    }

    fn end_run(&mut self) {
        if let Some((first, last, tables)) = self.run.take() {
            self.chunk.push(first, &Kept::Rows { last, tables });
        }
    }

    /// Writes what there is, if it is enough for a chunk or all there will be.
    pub(super) fn flush(&mut self, file: &mut HistoryFile, through: Option<Sequence>) -> Result<()> {
        if through.is_none() && self.chunk.bytes() < CHUNK_BYTES {
            return Ok(());
        }
        self.end_run();
        let last = through.unwrap_or(self.last);
        let chunk = std::mem::replace(&mut self.chunk, ChunkBuilder::new(last + 1));
        file.append(chunk, last)
    }
}

fn joined(a: &RowsOutline, b: &RowsOutline) -> RowsOutline {
    let times = match (a.times, b.times) {
        (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
        (times, None) | (None, times) => times,
    };
    RowsOutline { rows: a.rows + b.rows, times, ..*a }
}

fn without_indexes(mut record: Record) -> Option<Record> {
    if let Record::Sealed(record::Sealed { segments, .. }) | Record::Compacted(record::Compacted { added: segments, .. }) =
        &mut record
    {
        segments.iter_mut().for_each(|entry| entry.index = Vec::new());
    }
    Some(record)
}
