//! What is sent: a file or bytes, read once from the beginning to the end.

use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::digest::{Concluded, Digests};

/// Bytes that are read and taken into what they come to while the processor still has them at hand.
const PIECE: u64 = 256 << 10;

/// Begins to read.
pub(super) type Opens = Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send>> + Send>;

/// What an object is made of.
#[derive(Debug, Clone)]
pub enum Source<'a> {
    /// A file.
    File(&'a Path),
    /// Bytes.
    Bytes(Bytes),
}

impl Source<'_> {
    /// Begins to read.
    pub(super) async fn open(&self) -> io::Result<Reader> {
        Ok(match self {
            Source::File(path) => Reader::File(File::open(path).await?),
            Source::Bytes(bytes) => Reader::Bytes(bytes.clone()),
        })
    }

    /// What begins to read where it may keep a thread waiting.
    pub(super) fn opens(&self) -> Opens {
        match self {
            Source::File(path) => {
                let path = path.to_path_buf();
                Box::new(move || Ok(Box::new(std::fs::File::open(path)?)))
            }
            Source::Bytes(bytes) => {
                let bytes = bytes.clone();
                Box::new(move || Ok(Box::new(io::Cursor::new(bytes))))
            }
        }
    }

    /// Which it is, in words.
    pub(super) fn name(&self) -> String {
        match self {
            Source::File(path) => path.display().to_string(),
            Source::Bytes(_) => "bytes in memory".to_owned(),
        }
    }

    /// All of it, or so much, and what that comes to: read where it keeps no other task waiting.
    pub(super) async fn whole(&self, most: u64, mut digests: Digests) -> io::Result<(Digests, Bytes)> {
        let path = match self {
            Source::Bytes(bytes) => {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                return digested(digests, bytes.slice(..bytes.len().min(most))).await;
            }
            Source::File(path) => path.to_path_buf(),
        };
        let read = move || {
            let mut file = std::fs::File::open(path)?.take(most);
            let mut bytes =
                Vec::with_capacity(usize::try_from(most.min(file.get_ref().metadata()?.len() + 1)).unwrap_or_default());
            loop {
                let before = bytes.len();
                (&mut file).take(PIECE).read_to_end(&mut bytes)?;
                match bytes.get(before..).unwrap_or_default() {
                    [] => return Ok((digests, bytes.into())),
                    piece => digests.update(piece),
                }
            }
        };
        tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
    }

    /// What all of it comes to.
    pub(super) async fn digest(&self, mut digests: Digests) -> io::Result<Concluded> {
        let mut reader = self.open().await?;
        loop {
            let bytes = reader.next(1 << 20).await?;
            if bytes.is_empty() {
                return Ok(digests.conclude());
            }
            (digests, _) = digested(digests, bytes).await?;
        }
    }
}

/// Takes bytes into what they come to, where that keeps no other task waiting.
pub(super) async fn digested(mut digests: Digests, bytes: Bytes) -> io::Result<(Digests, Bytes)> {
    let task = tokio::task::spawn_blocking(move || {
        digests.update(&bytes);
        (digests, bytes)
    });
    task.await.map_err(io::Error::other)
}

/// Reads on.
#[derive(Debug)]
pub(super) enum Reader {
    File(File),
    Bytes(Bytes),
}

impl Reader {
    /// The next bytes: as many as asked for, fewer only at the end.
    pub(super) async fn next(&mut self, wanted: usize) -> io::Result<Bytes> {
        match self {
            Reader::Bytes(bytes) => Ok(bytes.split_to(wanted.min(bytes.len()))),
            Reader::File(file) => {
                let mut read = Vec::with_capacity(wanted);
                file.take(wanted as u64).read_to_end(&mut read).await?;
                Ok(read.into())
            }
        }
    }
}
