//! Creates names once: what fences off a second gateway that believes to be the first.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutPayload};

use super::exchange::observed;
use super::target::Target;
use super::trouble::{Kind, Trouble, is_unclear};
use crate::remote::{Hash, Incarnation};

/// What became of a name that was to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewObject {
    /// It was created, with these bytes.
    Created,
    /// It is there with these bytes: created before, or by a request whose answer was lost.
    AlreadyThere,
    /// It is there with others, of this hash. They stay.
    Taken {
        /// The hash of what is there.
        hash: Hash,
    },
}

impl Target {
    /// Creates an object under a name that nobody may have used. Whatever is not a clear answer is settled by a look at what is there.
    /// May be asked again after any failure.
    ///
    /// # Errors
    ///
    /// [`Trouble`] where the store does not do its part, or where no look tells: the object may then be there or not.
    pub async fn put_new(&self, key: &str, bytes: &Bytes) -> Result<NewObject, Trouble> {
        let path = self.path(key)?;
        let doing = format!("creating {key:?}");
        self.pass(bytes.len(), &doing).await?;
        let payload = PutPayload::from(bytes.clone());
        let (put, exchange) = observed(self.shared.store.put_opts(&path, payload, PutMode::Create.into())).await;
        let trouble = match put {
            Ok(_) => None,
            Err(error) if is_unclear(&error, &exchange) => Some(Trouble::of(doing, &error, &exchange)),
            Err(error) => return Err(Trouble::of(doing, &error, &exchange)),
        };
        let ours = Hash::of(bytes);
        // After a clear answer too: what a store without create-only wrote over is seen here by all but the last.
        let there = self.hash_of(key, &path).await?;
        self.sweep(&path);
        match (there, trouble) {
            (Some(hash), None) if hash == ours => {
                self.keep(key).await?;
                Ok(NewObject::Created)
            }
            (Some(hash), Some(_)) if hash == ours => {
                self.settle(key).await?;
                Ok(NewObject::AlreadyThere)
            }
            (Some(hash), _) => Ok(NewObject::Taken { hash }),
            (None, Some(trouble)) => Err(trouble),
            (None, None) => {
                let detail = "the store says that it was created, and that it is not there".to_owned();
                Err(Trouble { kind: Kind::Unreachable, doing: format!("creating {key:?}"), detail })
            }
        }
    }

    /// Whether the store creates a name only once. It is asked to create one twice, which is then removed: of `who` asks alone, so that what
    /// was left by one that came to no end is removed by the next.
    ///
    /// Where it does not, manifests are named by their hash and put by [`Target::put_object`], and two of a cut are a conflict.
    ///
    /// # Errors
    ///
    /// [`Trouble`] where the store does not do its part.
    pub async fn create_only_works(&self, who: Incarnation) -> Result<bool, Trouble> {
        let key = Target::probe_key(who);
        let path = self.path(&key)?;
        let works = self.probe(&key, &path).await;
        let deleted = self.delete(&key).await;
        self.sweep(&path);
        let works = works?;
        deleted?;
        Ok(works)
    }

    /// The object by which it is found out what a store does.
    pub(super) fn probe_key(who: Incarnation) -> String {
        format!(".alluvium-probe-{who}")
    }

    async fn probe(&self, key: &str, path: &Path) -> Result<bool, Trouble> {
        match self.create(path, b"first").await {
            Created::Yes => {}
            // One of our own was left there.
            Created::Exists => return Ok(true),
            Created::Failed { error, trouble } => return self.without_create(path, &error, trouble).await,
        }
        match self.create(path, b"second").await {
            Created::Yes => Ok(false),
            // It has to be left as it was, too.
            Created::Exists => Ok(self.hash_of(key, path).await? == Some(Hash::of(b"first"))),
            Created::Failed { trouble, .. } => Err(trouble),
        }
    }

    /// Where not even a first name can be created so: whether that is for want of create-only, as of links in a file system, or of the store.
    async fn without_create(&self, path: &Path, error: &object_store::Error, trouble: Trouble) -> Result<bool, Trouble> {
        let is_refused = matches!(error, object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. });
        if !is_refused && !matches!(trouble.kind, Kind::Refused | Kind::Poisoned | Kind::Settings) && self.shared.folder.is_none()
        {
            return Err(trouble);
        }
        match self.shared.store.put(path, PutPayload::from_static(b"plain")).await {
            Ok(_) => Ok(false),
            Err(_) => Err(trouble),
        }
    }

    async fn create(&self, path: &Path, bytes: &'static [u8]) -> Created {
        let payload = PutPayload::from_static(bytes);
        let (put, exchange) = observed(self.shared.store.put_opts(path, payload, PutMode::Create.into())).await;
        match put {
            Ok(_) => Created::Yes,
            Err(object_store::Error::AlreadyExists { .. }) => Created::Exists,
            Err(error) => {
                let trouble = Trouble::of("probing whether names are created only once", &error, &exchange);
                Created::Failed { error, trouble }
            }
        }
    }
}

/// What became of a probe.
enum Created {
    Yes,
    Exists,
    Failed { error: object_store::Error, trouble: Trouble },
}
