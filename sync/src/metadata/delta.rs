//! Writes what changed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use alluvium::record::Moment;
use alluvium::{Database, SeriesId, TableId};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::line::Line;
use super::told::{self, Wanted, wall};
use crate::remote::{self, Hash};

/// How much it is worth to make these smaller: they are written once, and sent over slow links.
const LEVEL: i32 = 9;
/// Series asked for at a time.
const SERIES: usize = 4_096;

/// What was sent of tables and series: kept by whoever sends, and given back for the next.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Told {
    /// By number.
    tables: BTreeMap<u32, TableTold>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct TableTold {
    version: u32,
    dropped: bool,
    series: u32,
}

/// Up to where there is nothing to be sent, as far as that is known: where much changes that nobody wants, it is not looked at again with
/// every cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looked {
    /// The record behind which it was looked, and the last one of which nothing was to be sent.
    between: (u64, u64),
}

impl Looked {
    /// The record behind which there is anything to be looked at.
    pub(super) fn from(self, after: u64) -> u64 {
        if self.between.0 == after { self.between.1.max(after) } else { after }
    }

    fn found_nothing(&mut self, after: u64, through: u64) {
        self.between = (after, through);
    }
}

/// Metadata that changed, in a file that goes with this.
#[derive(Debug)]
pub struct Delta {
    /// Where it is, how long it is, and what it is of.
    pub about: remote::Delta,
    /// What is sent once it is.
    pub told: Told,
    file: NamedTempFile,
}

/// Metadata could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// The database did not tell.
    #[error("the metadata that changed cannot be read: {0}")]
    Database(#[from] alluvium::Error),
    /// The file was not to be had.
    #[error("the metadata that changed cannot be written to {path:?}: {source}")]
    File {
        /// Where.
        path: std::path::PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Delta {
    /// Writes down, in a directory, what changed after a record, as of now. `told` is what was sent of tables and series, `looked` what an
    /// earlier call with the same wants came to. `None` where nothing is to be sent.
    ///
    /// # Errors
    ///
    /// [`NotWritten`]; nothing is left of the file.
    pub fn write(
        db: &Database,
        after: u64,
        told: &Told,
        wanted: Wanted,
        looked: &mut Looked,
        dir: &Path,
    ) -> Result<Option<Delta>, NotWritten> {
        let failed = |source| NotWritten::File { path: dir.to_owned(), source };
        let file = NamedTempFile::with_prefix_in("metadata-", dir).map_err(failed)?;
        let mut lines = Lines::new(file.as_file()).map_err(failed)?;
        // All tables by now, of which no metadata are newer than what is read below.
        let mut told = if after == 0 { Told::default() } else { told.clone() };
        let changed = db.changed_since(looked.from(after))?;
        let (through, now) = (changed.through(), db.now());
        told.tables(db, through, &mut lines).map_err(failed)?;
        for changed in changed {
            let changed = changed?;
            if let Some(line) = told::line(changed.sequence, &changed.event, wanted, now).map_err(|error| failed(error.into()))? {
                lines.put(&line).map_err(failed)?;
            }
        }
        if lines.count == 0 || through <= after {
            looked.found_nothing(after, through);
            return Ok(None);
        }
        let (hash, bytes, keys) = lines.finish().map_err(failed)?;
        let about = remote::Delta { hash, bytes, keys, after, through, at: at(now) };
        Ok(Some(Delta { about, told, file }))
    }

    /// Whether anything is to be sent of what changed after a record.
    ///
    /// # Errors
    ///
    /// [`NotWritten`] where the database does not tell.
    pub fn is_any(db: &Database, after: u64, told: &Told, wanted: Wanted, looked: &mut Looked) -> Result<bool, NotWritten> {
        if told.lacks(db) {
            return Ok(true);
        }
        let all = db.changed_since(looked.from(after))?;
        let through = all.through();
        for changed in all {
            let changed = changed?;
            // What cannot be written down is noticed when it is to be.
            if told::line(changed.sequence, &changed.event, wanted, db.now()).is_ok_and(|line| line.is_some()) {
                return Ok(true);
            }
        }
        looked.found_nothing(after, through);
        Ok(false)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

fn at(now: Moment) -> jiff::Timestamp {
    wall(now.wall_micros)
}

impl Told {
    /// Whether there is a table or a series that was not sent.
    fn lacks(&self, db: &Database) -> bool {
        let tables = (0..).map(TableId).map_while(|id| Some((id, db.table_of(id)?)));
        let mut lacking = tables.filter(|(id, schema)| {
            let known = self.tables.get(&id.0);
            let is_known = |known: &&TableTold| known.version >= schema.version;
            known.filter(is_known).is_none_or(|known| !db.series_of(*id, SeriesId(known.series), 1).is_empty())
        });
        lacking.next().is_some()
    }

    /// Writes lines of tables and series that were not sent, and notes that they are.
    fn tables(&mut self, db: &Database, through: u64, lines: &mut Lines<'_>) -> io::Result<()> {
        // Numbers are dense, and those of dropped tables stay taken.
        for id in (0..).map(TableId) {
            let Some(schema) = db.table_of(id) else { return Ok(()) };
            let dropped = db.table(&schema.name).map(|table| table.id).ok() != Some(id);
            let known = self.tables.get(&id.0).copied();
            if known.is_none_or(|known| known.version < schema.version || known.dropped != dropped) {
                lines.put(&told::table(through, &schema, dropped)?)?;
            }
            let mut series = known.map_or(0, |known| known.series);
            loop {
                let keys = db.series_of(id, SeriesId(series), SERIES);
                for (number, key) in (series..).zip(&keys) {
                    lines.put(&told::series(through, id.0, number, key)?)?;
                }
                series += keys.len() as u32;
                if keys.len() < SERIES {
                    break;
                }
            }
            self.tables.insert(id.0, TableTold { version: schema.version, dropped, series });
        }
        Ok(())
    }
}

/// Lines on their way into a file: compressed, then hashed.
struct Lines<'f> {
    out: zstd::Encoder<'static, Hashed<'f>>,
    count: u64,
}

impl<'f> Lines<'f> {
    fn new(file: &'f File) -> io::Result<Self> {
        let hashed = Hashed { file: BufWriter::new(file), hasher: blake3::Hasher::new() };
        Ok(Lines { out: zstd::Encoder::new(hashed, LEVEL)?, count: 0 })
    }

    fn put(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")?;
        self.count += 1;
        Ok(())
    }

    /// Hash and length of the file, and how many lines it has.
    fn finish(self) -> io::Result<(Hash, u64, u64)> {
        let mut hashed = self.out.finish()?;
        hashed.file.flush()?;
        Ok((Hash(*hashed.hasher.finalize().as_bytes()), hashed.hasher.count(), self.count))
    }
}

struct Hashed<'f> {
    file: BufWriter<&'f File>,
    hasher: blake3::Hasher,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
