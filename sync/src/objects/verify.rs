//! Whether a store has what it was sent.

use std::io;
use std::path::PathBuf;

use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{GetResult, ObjectMeta, ObjectStoreExt};

use super::digest::{Concluded, Sum};
use super::exchange::observed;
use super::folder;
use super::target::Target;
use super::trouble::{Kind, Trouble};
use crate::remote::Hash;

/// By what it is known that a store has an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// The store says what it got comes to, and so does what was sent.
    Checksum,
    /// All of it was read back, and has the hash.
    ReadBack,
}

/// What can be believed without reading an object back.
#[derive(Debug, Clone, Default)]
pub(super) struct Statement {
    /// The store's mark for the object, which some make of its content.
    pub(super) etag: Option<String>,
    /// How it is known already.
    pub(super) verified: Option<Verified>,
}

impl Statement {
    /// What a store said, and whether it said of everything that it got, as it got it, that it was right.
    pub(super) fn of_store(etag: Option<String>, is_confirmed: bool) -> Self {
        Statement { etag, verified: is_confirmed.then_some(Verified::Checksum) }
    }

    /// It was read back before it had its name.
    pub(super) fn read_back() -> Self {
        Statement { etag: None, verified: Some(Verified::ReadBack) }
    }
}

impl Target {
    /// Reads an object for its hash, all of it and anew; none where there is no such object.
    ///
    /// # Errors
    ///
    /// [`Trouble`] of the store.
    pub async fn get_hash(&self, key: &str) -> Result<Option<Hash>, Trouble> {
        self.hash_of(key, &self.path(key)?).await
    }

    /// Whether the target has an object, as it says by now: a folder by all its bytes, which it may have lost since; stores by their own record of
    /// it, since they took it by its checksum or had it read back, and never give a name to another.
    ///
    /// # Errors
    ///
    /// [`Trouble`] of the store.
    pub async fn has(&self, key: &str, hash: Hash, bytes: u64) -> Result<bool, Trouble> {
        let path = self.path(key)?;
        if self.shared.folder.is_some() {
            return Ok(self.hash_of(key, &path).await? == Some(hash));
        }
        Ok(self.look(key, &path).await?.is_some_and(|(found, _)| found.size == bytes))
    }

    /// What there is of an object, and the MD5 that the store has of it; none where there is none.
    pub(super) async fn look(&self, key: &str, path: &Path) -> Result<Option<(ObjectMeta, Option<Sum>)>, Trouble> {
        let (found, exchange) = observed(self.shared.store.head(path)).await;
        match found {
            Ok(found) if found.e_tag.is_some() => Ok(Some((found, exchange.content_md5.as_deref().and_then(Sum::of_base64)))),
            Ok(_) => Err(Trouble::of(format!("looking for {key:?}"), &no_store(), &exchange)),
            Err(error) => match Trouble::of(format!("looking for {key:?}"), &error, &exchange) {
                Trouble { kind: Kind::NotFound, .. } => Ok(None),
                trouble => Err(trouble),
            },
        }
    }

    /// How it is known that the store has the bytes that come to this; none where it has others.
    pub(super) async fn verify(
        &self,
        key: &str,
        path: &Path,
        stated: &Statement,
        ours: &Concluded,
    ) -> Result<Option<Verified>, Trouble> {
        if stated.verified.is_some() {
            return Ok(stated.verified);
        }
        if stated.etag.as_deref().is_some_and(|etag| ours.is(etag)) {
            return Ok(Some(Verified::Checksum));
        }
        let there = self.hash_of(key, path).await?;
        Ok((there == Some(ours.hash)).then_some(Verified::ReadBack))
    }

    /// Reads an object for its hash; none where there is none.
    pub(super) async fn hash_of(&self, key: &str, path: &Path) -> Result<Option<Hash>, Trouble> {
        if let Some(root) = &self.shared.folder {
            return self.hash_of_file(key, root.join(path.as_ref())).await;
        }
        let reading = async {
            let found = answered(self.shared.store.get(path).await?)?;
            let (mut hasher, mut stream) = (blake3::Hasher::new(), found.into_stream());
            while let Some(bytes) = stream.try_next().await? {
                self.was_read(bytes.len());
                hasher.update(&bytes);
            }
            Ok(Hash(*hasher.finalize().as_bytes()))
        };
        let (read, exchange) = observed(reading).await;
        match read {
            Ok(hash) => Ok(Some(hash)),
            Err(error) => match Trouble::of(format!("reading {key:?} back"), &error, &exchange) {
                Trouble { kind: Kind::NotFound, .. } => Ok(None),
                trouble => Err(trouble),
            },
        }
    }
}

impl Target {
    /// The same in a folder, where a stream would ask another thread for every few KiB.
    async fn hash_of_file(&self, key: &str, file: PathBuf) -> Result<Option<Hash>, Trouble> {
        let read = tokio::task::spawn_blocking(move || folder::hash(&file)).await;
        match read.unwrap_or_else(|stopped| Err(io::Error::other(stopped))) {
            Ok((hash, bytes)) => {
                self.was_read(bytes);
                Ok(Some(hash))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Trouble::local(format!("reading {key:?} back"), &error)),
        }
    }
}

/// Takes an answer for that of a store. Every store marks its objects; who signs in to a hotel's network answers anything with a page that has
/// no mark, and is not to be taken for somebody who has taken our names.
pub(super) fn answered(found: GetResult) -> object_store::Result<GetResult> {
    if found.meta.e_tag.is_some() { Ok(found) } else { Err(no_store()) }
}

fn no_store() -> object_store::Error {
    object_store::Error::Generic { store: "some other", source: "what answers is no object store: the answer has no ETag".into() }
}
