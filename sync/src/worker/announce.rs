//! Announces cuts: the metadata that changed, then the manifest, which is created only once.

use std::sync::Arc;

use alluvium::{Announced, Cut, DeliveryHead};
use bytes::Bytes;
use futures_util::TryStreamExt;

use super::failed::Failed;
use super::notes::{self, Offered};
use super::{Shared, send};
use crate::gather::{self, Announcer};
use crate::metadata::{Delta, NotWritten};
use crate::objects::{NewObject, Source, Upload};
use crate::remote::{Hash, Incarnation, Key, Link, MOST_BYTES, Manifest};

/// A manifest that is there, and is ours.
struct Put {
    hash: Hash,
    manifest: Manifest,
}

impl Shared {
    /// Announces the next cut, if there is one.
    pub(super) async fn announce(self: &Arc<Self>) -> Result<(), Failed> {
        let delivery = self.db.delivery(&self.name);
        let (head, Some(cut)) = (delivery.head()?, delivery.next()?) else { return Ok(()) };
        let put = match self.put_before(&head, &cut).await? {
            Some(put) => put,
            None => self.put_manifest(&head, &cut).await?,
        };
        let told = notes::offered(self, cut.number, put.hash)?;
        let through = put.manifest.metadata.map_or(0, |delta| delta.through);
        delivery.announce(cut.number, put.hash.0, through)?;
        // What is told once more where it ends here is told to no harm.
        if let Some(told) = told {
            notes::put_told(self, &told.told)?;
        }
        notes::forget_offers(self)?;
        self.reporter.count(|counts| counts.announced += 1);
        Ok(())
    }

    /// Looks whether a manifest of a cut is there that we put and did not hear of. One of somebody else's estranges us.
    async fn put_before(&self, head: &DeliveryHead, cut: &Cut) -> Result<Option<Put>, Failed> {
        let prefix = Key::of_incarnation(&self.gateway, Incarnation(head.incarnation));
        if self.creates_only_once().await? {
            return Ok(None);
        }
        let listed: Vec<_> = self.target.list(prefix.trim_end_matches('/')).try_collect().await?;
        for object in listed {
            match object.key.parse() {
                Ok(Key::Manifest { cut: number, .. }) if number == cut.number => {}
                _ => continue,
            }
            if let Some(put) = self.taken(head, cut, &object.key).await? {
                return Ok(Some(put));
            }
        }
        Ok(None)
    }

    /// What is there under the name of a manifest, if we put it.
    async fn taken(&self, head: &DeliveryHead, cut: &Cut, key: &str) -> Result<Option<Put>, Failed> {
        let bytes = self.target.get_bytes(key, MOST_BYTES).await?;
        let hash = Hash::of(&bytes);
        if notes::offered(self, cut.number, hash)?.is_none() {
            tracing::warn!(key, "a manifest of the next cut is there that is not ours");
            self.fork(head.announced)?;
            return Err(Failed::Estranged { key: key.to_owned() });
        }
        let manifest = Manifest::decode(&bytes).map_err(|why| Failed::Manifest { key: key.to_owned(), why })?;
        Ok(Some(Put { hash, manifest }))
    }

    async fn put_manifest(self: &Arc<Self>, head: &DeliveryHead, cut: &Cut) -> Result<Put, Failed> {
        let incarnation = Incarnation(head.incarnation);
        let delta = self.metadata(head).await?;
        if let Some(delta) = &delta {
            self.put_metadata(incarnation, cut.number, delta).await?;
        }
        let link = |announced: Announced| Link { incarnation: Incarnation(announced.incarnation), hash: Hash(announced.hash) };
        let announcer = Announcer { gateway: &self.gateway, incarnation, previous: head.announced.map(link) };
        let manifest = gather::manifest(&self.db, cut, &announcer, delta.as_ref().map(|delta| delta.about));
        let unusable = |why| Failed::Manifest { key: format!("of cut {}", cut.number), why };
        let bytes = Bytes::from(manifest.encode().map_err(unusable)?);
        let hash = Hash::of(&bytes);
        // Before it can be there: whatever becomes of the answer, it is known to be ours.
        let told = delta.map_or_else(|| notes::told(self), |delta| Ok(delta.told))?;
        notes::offer(self, hash, &Offered { cut: cut.number, told })?;
        let only_once = self.creates_only_once().await?;
        let named = (!only_once).then_some(hash);
        let key = Key::Manifest { gateway: self.gateway.clone(), incarnation, cut: cut.number, hash: named }.to_string();
        if !only_once {
            self.target
                .put_object(&key, &Source::Bytes(bytes.clone()), hash, bytes.len() as u64, &mut Upload::new(&mut |_| {}))
                .await?;
            return Ok(Put { hash, manifest });
        }
        match self.target.put_new(&key, &bytes).await? {
            NewObject::Created | NewObject::AlreadyThere => Ok(Put { hash, manifest }),
            NewObject::Taken { .. } => match self.taken(head, cut, &key).await? {
                Some(put) => Ok(put),
                None => Err(Failed::Estranged { key }),
            },
        }
    }

    /// Puts the manifest of the next cut, and notes nothing of it, as when the power fails.
    #[cfg(test)]
    pub(super) async fn put_manifest_and_die(self: &Arc<Self>) {
        let delivery = self.db.delivery(&self.name);
        let cut = delivery.next().unwrap().unwrap();
        self.put_manifest(&delivery.head().unwrap(), &cut).await.unwrap();
    }

    /// What changed since metadata were sent, in a file.
    async fn metadata(self: &Arc<Self>, head: &DeliveryHead) -> Result<Option<Delta>, Failed> {
        let (shared, after) = (self.clone(), head.metadata_through);
        let write = move || {
            let told = notes::told(&shared)?;
            let (wanted, mut looked) = (shared.policy.wanted, shared.looked.lock());
            let written = Delta::write(&shared.db, after, &told, wanted, &mut looked, &shared.scratch);
            written.map_err(|error: NotWritten| Failed::from(error))
        };
        tokio::task::spawn_blocking(write).await?
    }

    /// Whether metadata changed that are to be sent.
    pub(super) fn has_metadata(&self, after: u64) -> Result<bool, Failed> {
        let told = notes::told(self)?;
        Ok(Delta::is_any(&self.db, after, &told, self.policy.wanted, &mut self.looked.lock())?)
    }

    async fn put_metadata(&self, incarnation: Incarnation, cut: u64, delta: &Delta) -> Result<(), Failed> {
        let (hash, bytes) = (delta.about.hash, delta.about.bytes);
        let key = Key::Metadata { gateway: self.gateway.clone(), incarnation, cut, hash }.to_string();
        send::put(self, &key, &Source::File(delta.path()), hash, bytes).await
    }
}
