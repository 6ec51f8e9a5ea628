//! Announces cuts: the metadata that changed, then the manifest, which is created only once.

use std::sync::Arc;

use alluvium::{Announced, Cut, DeliveryHead};
use bytes::Bytes;
use futures_util::TryStreamExt;

use super::failed::Failed;
use super::ledger::Queued;
use super::notes::{self, Offered};
use super::{Shared, send};
use crate::gather::{self, Announcer};
use crate::metadata::{Delta, NotWritten};
use crate::objects::{NewObject, Source, Upload};
use crate::remote::{Hash, Incarnation, Key, Link, Manifest};

/// Bytes of a manifest that is noted until it is announced, at most.
const MOST_KEPT: usize = 4 << 20;

/// A manifest that is there, and is ours.
struct Put {
    queued: Queued,
    manifest: Manifest,
    bytes: Bytes,
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
        let hash = put.queued.hash;
        let told = notes::offered(self, cut.number, hash)?;
        let through = put.manifest.metadata.map_or(0, |delta| delta.through);
        // Before it counts as announced, so that the centre is told of it whatever happens.
        if let Some(telling) = &self.centre {
            self.queue_next(&put.queued, &put.manifest)?;
            telling.fresh.lock().put(hash, put.bytes);
        }
        delivery.announce(cut.number, hash.0, through)?;
        self.ring();
        // What is told once more where it ends here is told to no harm.
        if let Some(told) = told {
            notes::put_told(self, &told.told)?;
        }
        notes::forget_offers(self)?;
        self.reporter.count(|counts| counts.announced += 1);
        Ok(())
    }

    /// Where names can be created again: looks whether a manifest of a cut is there that we put and did not hear of, or puts once more what
    /// was offered before. One of somebody else's estranges us.
    async fn put_before(&self, head: &DeliveryHead, cut: &Cut) -> Result<Option<Put>, Failed> {
        let prefix = Key::of_incarnation(&self.gateway, Incarnation(head.incarnation));
        if self.creates_only_once().await? {
            return Ok(None);
        }
        let offered = notes::offered_of(self, cut.number)?;
        let ours = offered.as_ref().map(|offered| Hash::of(offered.as_bytes()));
        let listed: Vec<_> = self.target.list(prefix.trim_end_matches('/')).try_collect().await?;
        for object in listed {
            match object.key.parse() {
                // Whether it is whole shows when it is put once more.
                Ok(Key::Manifest { cut: number, hash, .. }) if number == cut.number && (hash.is_none() || hash != ours) => {}
                _ => continue,
            }
            if let Some(put) = self.taken(head, cut, &object.key).await? {
                return Ok(Some(put));
            }
        }
        // One that was given up may still be on its way: it is put again, and not another one beside it.
        let Some(offered) = offered else { return Ok(None) };
        let manifest = Manifest::decode(offered.as_bytes());
        let manifest = manifest.map_err(|why| Failed::Manifest { key: format!("of cut {}", cut.number), why })?;
        self.put_named(manifest, offered.into()).await.map(Some)
    }

    /// Puts a manifest under a name that ends in its hash.
    async fn put_named(&self, manifest: Manifest, bytes: Bytes) -> Result<Put, Failed> {
        let (hash, length) = (Hash::of(&bytes), bytes.len() as u64);
        let (gateway, incarnation, cut) = (self.gateway.clone(), manifest.incarnation, manifest.cut);
        let key = Key::Manifest { gateway, incarnation, cut, hash: Some(hash) }.to_string();
        let mut upload = |_: &_| {};
        self.target.put_object(&key, &Source::Bytes(bytes.clone()), hash, length, &mut Upload::new(&mut upload)).await?;
        Ok(Put { queued: Queued { key, hash }, manifest, bytes })
    }

    /// What is there under the name of a manifest, if we put it.
    async fn taken(&self, head: &DeliveryHead, cut: &Cut, key: &str) -> Result<Option<Put>, Failed> {
        let bytes = self.get_twice(key, None).await?;
        let hash = Hash::of(&bytes);
        if notes::offered(self, cut.number, hash)?.is_none() {
            tracing::warn!(key, "a manifest of the next cut is there that is not ours");
            self.fork(head.announced)?;
            return Err(Failed::Estranged { key: key.to_owned() });
        }
        let manifest = Manifest::decode(&bytes).map_err(|why| Failed::Manifest { key: key.to_owned(), why })?;
        Ok(Some(Put { queued: Queued { key: key.to_owned(), hash }, manifest, bytes }))
    }

    async fn put_manifest(self: &Arc<Self>, head: &DeliveryHead, cut: &Cut) -> Result<Put, Failed> {
        let incarnation = Incarnation(head.incarnation);
        let delta = self.metadata(head).await?;
        if let Some(delta) = &delta {
            self.put_metadata(incarnation, cut.number, delta).await?;
            if let Some(telling) = &self.centre {
                telling.fresh.lock().put_file(delta.about.hash, delta.path());
            }
        }
        let link = |announced: Announced| Link { incarnation: Incarnation(announced.incarnation), hash: Hash(announced.hash) };
        let announcer = Announcer { gateway: &self.gateway, incarnation, previous: head.announced.map(link) };
        let manifest = gather::manifest(&self.db, cut, &announcer, delta.as_ref().map(|delta| delta.about));
        let unusable = |why| Failed::Manifest { key: format!("of cut {}", cut.number), why };
        let bytes = Bytes::from(manifest.encode().map_err(unusable)?);
        let hash = Hash::of(&bytes);
        let only_once = self.creates_only_once().await?;
        // Before it can be there: whatever becomes of the answer, it is known to be ours.
        let told = delta.map_or_else(|| notes::told(self), |delta| Ok(delta.told))?;
        let kept = (!only_once && bytes.len() <= MOST_KEPT).then(|| String::from_utf8_lossy(&bytes).into_owned());
        notes::offer(self, hash, &Offered { cut: cut.number, told, manifest: kept })?;
        if !only_once {
            return self.put_named(manifest, bytes).await;
        }
        let key = Key::Manifest { gateway: self.gateway.clone(), incarnation, cut: cut.number, hash: None }.to_string();
        match self.target.put_new(&key, &bytes).await? {
            NewObject::Created | NewObject::AlreadyThere => Ok(Put { queued: Queued { key, hash }, manifest, bytes }),
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

    /// The same, and queues it for the centre.
    #[cfg(test)]
    pub(super) async fn put_manifest_queue_it_and_die(self: &Arc<Self>) {
        let delivery = self.db.delivery(&self.name);
        let cut = delivery.next().unwrap().unwrap();
        let put = self.put_manifest(&delivery.head().unwrap(), &cut).await.unwrap();
        self.queue_next(&put.queued, &put.manifest).unwrap();
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
