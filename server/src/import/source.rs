//! Where the rows come from: a file, or a stream such as standard input.

use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use alluvium::io::{Disk, OpenMode, OsDisk};

use super::Failure;

/// How much of a file is looked at to tell the types of its columns.
const LOOK_AT_FILE: u64 = 32 << 20;

/// How much of a pipe, which has to be kept in memory meanwhile.
const LOOK_AT_PIPE: u64 = 4 << 20;

/// How the rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values with a header
    #[value(name = "csv")]
    Csv,
    /// One JSON object per line
    #[value(name = "jsonl", alias = "ndjson")]
    JsonLines,
    /// Influx line protocol
    #[value(name = "lp", alias = "influx")]
    LineProtocol,
    /// Parquet
    #[value(name = "parquet")]
    Parquet,
}

impl Format {
    /// The format that a file's name tells.
    fn of_name(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "csv" | "tsv" | "txt" => Some(Format::Csv),
            "jsonl" | "ndjson" | "json" => Some(Format::JsonLines),
            "lp" | "influx" | "line" => Some(Format::LineProtocol),
            "parquet" | "pq" => Some(Format::Parquet),
            _ => None,
        }
    }
}

/// Rows not yet read.
#[derive(Debug)]
pub(crate) struct Source {
    origin: Origin,
    /// How its rows are written.
    pub(crate) format: Format,
    read: Arc<AtomicU64>,
}

/// A stream of bytes.
pub(crate) type Bytes = Box<dyn Read + Send>;

enum Origin {
    /// A file, or a pipe with a name.
    Path(PathBuf),
    /// What can be read once; `None` once it is.
    Stream(Mutex<Option<Bytes>>),
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Path(path) => write!(f, "{path:?}"),
            Origin::Stream(_) => f.write_str("a stream"),
        }
    }
}

impl Source {
    /// `-` is standard input, which needs a `format`; a file's is told by its name.
    pub(crate) fn new(path: &Path, format: Option<Format>) -> Result<Source, Failure> {
        let named = Some(path).filter(|path| *path != Path::new("-"));
        let format = format.or_else(|| Format::of_name(named?)).ok_or_else(|| {
            Failure::Input("the name does not tell the format: add --format csv, jsonl, lp or parquet".to_owned())
        })?;
        Ok(match named {
            Some(path) => Source { origin: Origin::Path(path.to_owned()), format, read: Arc::default() },
            None => Source::stream(Box::new(io::stdin()), format),
        })
    }

    /// What comes in a stream.
    pub(crate) fn stream(input: Bytes, format: Format) -> Source {
        Source { origin: Origin::Stream(Mutex::new(Some(input))), format, read: Arc::default() }
    }

    fn path(&self) -> Option<&Path> {
        match &self.origin {
            Origin::Path(path) => Some(path),
            Origin::Stream(_) => None,
        }
    }

    /// Opens the file once, so that its absence is told before anything is made for it.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self.path() {
            Some(path) if path.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            // Opening a pipe twice would lose its writer.
            Some(path) if path.is_file() => File::open(path).map(|_| ()),
            Some(path) => std::fs::metadata(path).map(|_| ()),
            None => Ok(()),
        }
    }

    /// How many bytes there are, where that is known.
    pub(crate) fn len(&self) -> Option<u64> {
        let metadata = std::fs::metadata(self.path()?).ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// A counter of the bytes read so far.
    pub(crate) fn meter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }

    /// The beginning, to look at. What is looked at of a pipe is kept.
    pub(crate) fn look(&self) -> Result<Look, Failure> {
        let input = self.open()?;
        Ok(match self.len() {
            Some(_) => Look { input, left: LOOK_AT_FILE, kept: None, cut: false },
            None => Look { input, left: LOOK_AT_PIPE, kept: Some(Vec::new()), cut: false },
        })
    }

    /// All of it, from the beginning.
    pub(crate) fn read(&self, look: Look) -> Result<Bytes, Failure> {
        let input: Bytes = match look.kept {
            Some(kept) => Box::new(Cursor::new(kept).chain(look.input)),
            None => self.open()?,
        };
        Ok(Box::new(Metered { input, read: self.meter() }))
    }

    fn open(&self) -> Result<Bytes, Failure> {
        match &self.origin {
            Origin::Path(path) => Ok(Box::new(File::open(path)?)),
            Origin::Stream(input) => {
                let input = input.lock().unwrap_or_else(PoisonError::into_inner).take();
                Ok(input.unwrap_or_else(|| Box::new(io::empty())))
            }
        }
    }

    /// A file to read at any position. What comes through a pipe is put into a temporary file first.
    pub(crate) fn file(&self) -> Result<Arc<dyn alluvium::io::File>, Failure> {
        if let (Some(path), Some(_)) = (self.path(), self.len()) {
            return Ok(OsDisk.open(path, OpenMode::Read)?);
        }
        let mut input = self.open()?;
        // Its name goes when this returns, its bytes with the last handle.
        let mut file = tempfile::NamedTempFile::new()?;
        io::copy(&mut input, &mut file)?;
        Ok(OsDisk.open(file.path(), OpenMode::Read)?)
    }
}

/// The first bytes of an input, up to a limit.
pub(crate) struct Look {
    input: Bytes,
    left: u64,
    kept: Option<Vec<u8>>,
    cut: bool,
}

impl Look {
    /// Whether there may have been more than was looked at.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }
}

impl Read for Look {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if limit == 0 {
            self.cut = true;
            return Ok(0);
        }
        let buffer = buffer.get_mut(..limit).unwrap_or_default();
        let read = self.input.read(buffer)?;
        self.left -= read as u64;
        if let (Some(kept), Some(bytes)) = (&mut self.kept, buffer.get(..read)) {
            kept.extend_from_slice(bytes);
        }
        Ok(read)
    }
}

/// Counts bytes as they are read.
struct Metered {
    input: Bytes,
    read: Arc<AtomicU64>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
impl Look {
    /// A pipe with this in it, looked at up to `limit` bytes.
    pub(crate) fn at(text: &[u8], limit: u64) -> Look {
        Look { input: Box::new(Cursor::new(text.to_vec())), left: limit, kept: Some(Vec::new()), cut: false }
    }
}
