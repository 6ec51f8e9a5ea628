//! Gets objects, and what there is.

use std::io::{self, SeekFrom};
use std::ops::Range;
use std::path::{Path as File, PathBuf};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStoreExt};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::exchange::observed;
use super::target::Target;
use super::trouble::{Kind, Trouble};
use super::verify::answered;
use crate::remote::Hash;

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name below the target's prefix.
    pub key: String,
    /// Its bytes.
    pub bytes: u64,
    /// When it was put, by the store's clock; none where it does not say.
    pub put_at: Option<Timestamp>,
}

/// An object that was not got.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotGot {
    /// What is there is not what its name says.
    #[error("{key:?} is to have the hash {expected}, and comes to {found}; it is damaged, or another's: nothing of it was kept")]
    Altered {
        /// The object.
        key: String,
        /// The hash it should have.
        expected: Hash,
        /// The hash of what was read.
        found: Hash,
    },
    /// The store, or this machine, did not do its part.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

impl Target {
    /// An object's bytes.
    ///
    /// # Errors
    ///
    /// [`Trouble`] of the store; of the kind [`Kind::NotFound`] where there is no such object, and [`Kind::Poisoned`] where it has more than
    /// `most` bytes.
    pub async fn get_bytes(&self, key: &str, most: usize) -> Result<Bytes, Trouble> {
        let path = self.path(key)?;
        let doing = format!("reading {key:?}");
        let reading = async {
            let found = answered(self.shared.store.get(&path).await?)?;
            if found.meta.size > most as u64 {
                return Ok(Err(found.meta.size));
            }
            found.bytes().await.map(Ok)
        };
        let (read, exchange) = observed(reading).await;
        match read {
            Ok(Ok(bytes)) => {
                self.was_read(bytes.len());
                Ok(bytes)
            }
            Ok(Err(bytes)) => {
                let detail = format!("it has {bytes} bytes, and no such object has more than {most}");
                Err(Trouble { kind: Kind::Poisoned, doing, detail })
            }
            Err(error) => Err(Trouble::of(doing, &error, &exchange)),
        }
    }

    /// Some of an object's bytes.
    ///
    /// # Errors
    ///
    /// [`Trouble`] of the store; of the kind [`Kind::NotFound`] where there is no such object.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Trouble> {
        let path = self.path(key)?;
        let range = Some(GetRange::Bounded(range));
        let reading = async {
            let found = self.shared.store.get_opts(&path, GetOptions { range, ..GetOptions::default() }).await?;
            answered(found)?.bytes().await
        };
        let (read, exchange) = observed(reading).await;
        let bytes = read.map_err(|error| Trouble::of(format!("reading {key:?}"), &error, &exchange))?;
        self.was_read(bytes.len());
        Ok(bytes)
    }

    /// Writes an object to a file, which is there, whole and synced, when its hash is right, and not before. What was read before a failure is
    /// kept beside it, in `<file>.partial`, and gone on with by the next call. Returns the bytes of the object.
    ///
    /// # Errors
    ///
    /// [`NotGot::Altered`] where the object does not have the hash, [`Trouble`] where the store or this machine does not do its part.
    pub async fn get_to_file(&self, key: &str, file: &File, hash: Hash) -> Result<u64, NotGot> {
        let path = self.path(key)?;
        let mut partial = file.as_os_str().to_owned();
        partial.push(".partial");
        let get = Get { target: self, key, path: &path, partial: PathBuf::from(partial) };
        let before = get.kept().await.map_err(|error| get.local(&error))?;
        let went_on = before.count() > 0;
        let mut found = get.go_on(before).await?;
        if of(&found) != hash && went_on {
            // What was kept may have been damaged, or of another: the object decides, from its beginning.
            tokio::fs::remove_file(&get.partial).await.map_err(|error| get.local(&error))?;
            found = get.go_on(blake3::Hasher::new()).await?;
        }
        if of(&found) != hash {
            tokio::fs::remove_file(&get.partial).await.map_err(|error| get.local(&error))?;
            return Err(NotGot::Altered { key: key.to_owned(), expected: hash, found: of(&found) });
        }
        tokio::fs::rename(&get.partial, file).await.map_err(|error| get.local(&error))?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(File::new("."));
        let synced = async { tokio::fs::File::open(folder).await?.sync_all().await }.await;
        synced.map_err(|error| get.local(&error))?;
        Ok(found.count())
    }

    /// The objects whose names begin with these whole parts between slashes, in no order, or all, with an empty one.
    ///
    /// An item that is an error ends it: what comes later is not known.
    pub fn list<'a>(&'a self, prefix: &str) -> impl Stream<Item = Result<Listed, Trouble>> + Send + 'a {
        let doing = format!("listing {prefix:?}");
        let below = prefix.trim_end_matches('/');
        let full = if below.is_empty() { Ok(self.store().1.clone()) } else { self.path(below) };
        let full = match full {
            Ok(full) => full,
            Err(trouble) => return stream::iter([Err(trouble)]).left_stream(),
        };
        let listed = self.shared.store.list(Some(&full));
        let items = stream::unfold(Some(listed), move |listed| {
            let doing = doing.clone();
            async move {
                let mut listed = listed?;
                let (item, exchange) = observed(listed.next()).await;
                Some(match item? {
                    Ok(object) => (self.listed(&object).map(Ok), Some(listed)),
                    Err(error) => (Some(Err(Trouble::of(doing, &error, &exchange))), None),
                })
            }
        });
        items.filter_map(|item| async move { item }).right_stream()
    }

    fn listed(&self, object: &object_store::ObjectMeta) -> Option<Listed> {
        let put_at = Timestamp::from_second(object.last_modified.timestamp()).ok();
        Some(Listed { key: self.key(&object.location)?, bytes: object.size, put_at })
    }
}

/// An object on its way into a file.
struct Get<'a> {
    target: &'a Target,
    key: &'a str,
    path: &'a Path,
    partial: PathBuf,
}

impl Get<'_> {
    /// What is kept of an earlier try.
    async fn kept(&self) -> io::Result<blake3::Hasher> {
        let mut hasher = blake3::Hasher::new();
        let mut file = match tokio::fs::File::open(&self.partial).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(hasher),
            file => file?,
        };
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer).await? {
                0 => return Ok(hasher),
                read => hasher.update(buffer.get(..read).unwrap_or_default()),
            };
        }
    }

    /// Reads what is behind what is kept, and syncs all of it.
    async fn go_on(&self, mut hasher: blake3::Hasher) -> Result<blake3::Hasher, Trouble> {
        let from = hasher.count();
        let reading = async {
            // At its place, not at the end: what an earlier try that was dropped still writes is the same there.
            let mut file = tokio::fs::OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .open(&self.partial)
                .await
                .map_err(written)?;
            file.seek(SeekFrom::Start(from)).await.map_err(written)?;
            if from > 0 && self.target.shared.store.head(self.path).await?.size <= from {
                // Nothing is behind what is kept, which no range could say.
                return file.sync_all().await.map_err(written);
            }
            let range = (from > 0).then_some(GetRange::Offset(from));
            let found = self.target.shared.store.get_opts(self.path, GetOptions { range, ..GetOptions::default() }).await?;
            let found = answered(found)?;
            let mut stream = found.into_stream();
            let copied = async {
                while let Some(bytes) = stream.try_next().await? {
                    self.target.was_read(bytes.len());
                    hasher.update(&bytes);
                    file.write_all(&bytes).await.map_err(written)?;
                }
                Ok(())
            };
            let copied: Result<(), NotRead> = copied.await;
            // What came is kept, whatever became of the rest.
            file.flush().await.map_err(written)?;
            copied?;
            file.sync_all().await.map_err(written)
        };
        let (read, exchange) = observed(reading).await;
        match read {
            Ok(()) => Ok(hasher),
            Err(NotRead::Here(error)) => Err(self.local(&error)),
            Err(NotRead::There(error)) => Err(Trouble::of(format!("reading {:?}", self.key), &error, &exchange)),
        }
    }

    fn local(&self, error: &io::Error) -> Trouble {
        Trouble::local(format!("writing {:?} to {}", self.key, self.partial.display()), error)
    }
}

/// On which side reading failed.
enum NotRead {
    Here(io::Error),
    There(object_store::Error),
}

impl From<object_store::Error> for NotRead {
    fn from(error: object_store::Error) -> Self {
        NotRead::There(error)
    }
}

fn written(error: io::Error) -> NotRead {
    NotRead::Here(error)
}

fn of(hasher: &blake3::Hasher) -> Hash {
    Hash(*hasher.finalize().as_bytes())
}
