//! Puts objects that are named by their hash: again and again, until it is certain that the store has them.

use std::io::{self, Read};

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::digest::{Concluded, Digests, Sum};
use super::exchange::observed;
use super::folder::{Copy, NotCopied};
use super::parts::Unfinished;
use super::source::Source;
use super::target::Target;
use super::trouble::{Kind, Trouble, is_unclear};
use super::verify::{Statement, Verified};
use crate::remote::Hash;

/// Bytes that are copied into a folder before the throttle is asked.
const TOGETHER: usize = 1 << 20;

/// How often what came out wrong is put again before it is given up.
const PUTS: usize = 2;

/// How an object is put.
pub struct Upload<'a> {
    /// Parts on their way at the same time, each of which is held in memory.
    pub parallel: usize,
    /// What is left of an upload of this object that was broken off.
    pub unfinished: Option<Unfinished>,
    /// Is told whenever an upload in parts got further, so that it can be gone on with.
    pub progress: &'a mut (dyn FnMut(&Unfinished) + Send),
}

impl<'a> Upload<'a> {
    /// Two parts at a time, from the beginning.
    pub fn new(progress: &'a mut (dyn FnMut(&Unfinished) + Send)) -> Self {
        Upload { parallel: 2, unfinished: None, progress }
    }
}

/// An object that is certainly there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// How that is known.
    pub verified: Verified,
    /// Whether it was there before.
    pub already_there: bool,
    /// Bytes of bodies sent, with those that were sent in vain.
    pub sent: u64,
    /// Bytes of bodies read.
    pub read: u64,
}

/// An object that is not certainly there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPut {
    /// What was to be sent is not what it should be: the damage is on this machine. Nothing of it is under the object's name.
    #[error(transparent)]
    Altered(#[from] Box<Altered>),
    /// The store, or this machine, did not do its part.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// What was to be sent is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is to have the hash {expected} in {bytes} bytes, and has {found} in {found_bytes}; it was not sent to {key:?}")]
pub struct Altered {
    /// The file.
    pub what: String,
    /// The object it was to become.
    pub key: String,
    /// The hash it should have.
    pub expected: Hash,
    /// The bytes it should have.
    pub bytes: u64,
    /// The hash of what was read of it.
    pub found: Hash,
    /// The bytes that were read of it, which may be fewer than it has where those are too many.
    pub found_bytes: u64,
}

/// What is put, and where.
pub(super) struct Object<'a> {
    pub(super) key: &'a str,
    pub(super) path: &'a Path,
    pub(super) source: &'a Source<'a>,
    pub(super) hash: Hash,
    pub(super) bytes: u64,
    /// Those of a part, where it goes in parts.
    pub(super) part_bytes: usize,
}

/// What was sent, and what the store said of it.
pub(super) struct Sent {
    pub(super) ours: Concluded,
    pub(super) stated: Statement,
}

impl Target {
    /// Puts an object whose name ends in its hash, or finds that it is there, and returns when that is certain. What is under the name and is
    /// something else, as a torn file, is replaced. May be asked again after any failure; of one object by one at a time.
    ///
    /// Up to 8 MiB go in one request, more in parts of at least 5 MiB, which are told to `progress`: with what that was told last, a later call
    /// goes on, after a restart too. Folders begin anew.
    ///
    /// # Errors
    ///
    /// [`NotPut::Altered`] where the file is not what it should be, [`Trouble`] where the store or this machine does not do its part.
    pub async fn put_object(
        &self,
        key: &str,
        source: &Source<'_>,
        hash: Hash,
        bytes: u64,
        upload: &mut Upload<'_>,
    ) -> Result<Delivered, NotPut> {
        let path = self.path(key)?;
        let part_bytes = self.shared.sizes.part_bytes(bytes);
        let object = Object { key, path: &path, source, hash, bytes, part_bytes };
        let (delivered, exchange) = observed(self.deliver(&object, upload)).await;
        let (verified, already_there) = delivered?;
        Ok(Delivered { verified, already_there, sent: exchange.sent, read: exchange.received })
    }

    async fn deliver(&self, object: &Object<'_>, upload: &mut Upload<'_>) -> Result<(Verified, bool), NotPut> {
        if let Some(verified) = self.is_there(object).await? {
            if let Some(unfinished) = upload.unfinished.take() {
                // What is left of it is in nobody's way but the bill's.
                let _ = self.abandon(&unfinished).await;
            }
            return Ok((verified, true));
        }
        for _ in 0..PUTS {
            let sent = match self.send(object, upload).await {
                Ok(sent) => sent,
                Err(Failed::Settled(verified)) => return Ok((verified, false)),
                Err(Failed::NotPut(error)) => return Err(error),
            };
            if let Some(verified) = self.verify(object.key, object.path, &sent.stated, &sent.ours).await? {
                self.keep(object.key).await?;
                return Ok((verified, false));
            }
        }
        self.delete(object.key).await?;
        let detail = "what the store has of it is not what was sent; it was removed there".to_owned();
        Err(Trouble { kind: Kind::Poisoned, doing: format!("putting {:?}", object.key), detail }.into())
    }

    /// How it is known that the object is there; none where it is not, or is something else.
    pub(super) async fn is_there(&self, object: &Object<'_>) -> Result<Option<Verified>, NotPut> {
        let Some((found, md5)) = self.look(object.key, object.path).await? else { return Ok(None) };
        if found.size != object.bytes {
            return Ok(None);
        }
        let ours = object.source.digest(self.digests(object)).await.map_err(|error| object.unreadable(&error))?;
        object.check(&ours)?;
        let stated = Statement::of_store(found.e_tag, ours.is_sum(md5));
        let verified = self.verify(object.key, object.path, &stated, &ours).await?;
        if verified.is_some() {
            self.settle(object.key).await?;
        }
        Ok(verified)
    }

    async fn send(&self, object: &Object<'_>, upload: &mut Upload<'_>) -> Result<Sent, Failed> {
        self.sweep(object.path);
        match (&self.shared.folder, &self.shared.parts) {
            (Some(root), _) => self.as_file(root, object).await,
            (None, Some(store)) if object.bytes > self.shared.sizes.in_one => self.in_parts(&**store, object, upload).await,
            (None, _) => self.in_one(object).await,
        }
    }

    /// What has to be known of an object's bytes to believe what the store says of them.
    fn digests(&self, object: &Object<'_>) -> Digests {
        match self.shared.may_tell {
            false => Digests::hash_alone(),
            true if object.bytes <= self.shared.sizes.in_one => Digests::in_one(),
            true => Digests::in_parts(object.part_bytes),
        }
    }

    async fn in_one(&self, object: &Object<'_>) -> Result<Sent, Failed> {
        let summed = self.summed();
        let digests = summed.map_or_else(|| self.digests(object), |_| Digests::hash_alone());
        let read = object.source.whole(object.bytes.saturating_add(1), digests).await;
        let (digests, bytes) = read.map_err(|error| object.unreadable(&error))?;
        let ours = digests.conclude();
        object.check(&ours)?;
        let doing = object.doing();
        self.pass(bytes.len(), &doing).await?;
        let (put, exchange) = observed(summed.unwrap_or(&self.shared.store).put(object.path, PutPayload::from(bytes))).await;
        match put {
            Ok(put) => {
                let md5 = exchange.content_md5.as_deref().and_then(Sum::of_base64);
                let is_confirmed = exchange.is_confirmed_by_sum() || ours.is_sum(md5);
                Ok(Sent { ours, stated: Statement::of_store(put.e_tag, is_confirmed) })
            }
            Err(error) => {
                let trouble = Trouble::of(doing, &error, &exchange);
                let is_unclear = is_unclear(&error, &exchange);
                Err(self.after(object, is_unclear, trouble).await)
            }
        }
    }

    /// Whether what failed was done all the same, where only a look can tell.
    pub(super) async fn after(&self, object: &Object<'_>, is_unclear: bool, trouble: Trouble) -> Failed {
        if is_unclear {
            match self.is_there(object).await {
                Ok(Some(verified)) => return Failed::Settled(verified),
                Err(altered @ NotPut::Altered(_)) => return Failed::NotPut(altered),
                // Whoever does not answer now is asked when it is tried again.
                Ok(None) | Err(NotPut::Trouble(_)) => {}
            }
        }
        Failed::NotPut(trouble.into())
    }

    /// Into a folder, where it has no name before it is whole.
    async fn as_file(&self, root: &std::path::Path, object: &Object<'_>) -> Result<Sent, Failed> {
        // As a whole: it begins anew, so that of one that goes a bit each day nothing would ever arrive.
        let mut admitted = self.admit(object.bytes, &object.doing())?;
        let (opens, file, most) = (object.source.opens(), root.join(object.path.as_ref()), object.bytes.saturating_add(1));
        let begin = move || Copy::begin(Box::new(opens().map_err(NotCopied::Source)?.take(most)), &file);
        let mut copy = object.copying(begin).await?;
        loop {
            let (copied, then) = object.copying(move || Ok((copy.go_on(TOGETHER)?, copy))).await?;
            copy = then;
            if copied == 0 {
                break;
            }
            self.go(copied, &mut admitted).await;
        }
        let copied = object.copying(|| copy.conclude()).await?;
        self.was_read(copied.bytes);
        if (copied.hash, copied.bytes as u64) == (object.hash, object.bytes) {
            let ours = Concluded::hash_alone(copied.hash, object.bytes);
            object.copying(|| copied.name().map_err(NotCopied::Folder)).await?;
            return Ok(Sent { ours, stated: Statement::read_back() });
        }
        // Either it is not what it should be, or the folder has something else of it, which gets no name.
        let ours = object.source.digest(self.digests(object)).await.map_err(|error| object.unreadable(&error))?;
        object.check(&ours)?;
        Ok(Sent { ours, stated: Statement::default() })
    }
}

impl Object<'_> {
    /// Refuses what is not what it should be.
    pub(super) fn check(&self, ours: &Concluded) -> Result<(), NotPut> {
        if ours.hash == self.hash && ours.bytes == self.bytes {
            return Ok(());
        }
        let altered = Altered {
            what: self.source.name(),
            key: self.key.to_owned(),
            expected: self.hash,
            bytes: self.bytes,
            found: ours.hash,
            found_bytes: ours.bytes,
        };
        Err(NotPut::Altered(Box::new(altered)))
    }

    /// Does some of copying it into a folder, where that keeps no other task waiting.
    async fn copying<T: Send + 'static>(
        &self,
        some: impl FnOnce() -> Result<T, NotCopied> + Send + 'static,
    ) -> Result<T, Trouble> {
        match tokio::task::spawn_blocking(some).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(NotCopied::Source(error))) => Err(self.unreadable(&error)),
            Ok(Err(NotCopied::Folder(error))) => Err(Trouble::of_folder(self.doing(), error)),
            Err(stopped) => Err(Trouble::of_folder(self.doing(), io::Error::other(stopped))),
        }
    }

    pub(super) fn doing(&self) -> String {
        format!("putting {:?}", self.key)
    }

    pub(super) fn unreadable(&self, error: &io::Error) -> Trouble {
        let mut trouble = Trouble::local(format!("reading {}", self.source.name()), error);
        // To read takes no room.
        trouble.kind = Kind::Local;
        trouble
    }
}

/// What became of sending an object, where the store did not say that it has it.
pub(super) enum Failed {
    /// It has it all the same.
    Settled(Verified),
    /// It has not.
    NotPut(NotPut),
}

impl From<NotPut> for Failed {
    fn from(error: NotPut) -> Self {
        Failed::NotPut(error)
    }
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Failed::NotPut(trouble.into())
    }
}
