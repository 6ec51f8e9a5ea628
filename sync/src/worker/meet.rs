//! Sees whether the target still knows what we know; where it does not, goes on behind what both know.

use alluvium::Announced;
use bytes::Bytes;
use futures_util::TryStreamExt;

use super::failed::Failed;
use super::{Shared, notes};
use crate::objects::{Kind, Trouble};
use crate::remote::{Hash, Incarnation, Key, MOST_BYTES, Manifest};

impl Shared {
    /// Meets the target. Answers whether everything is to be cut again.
    pub(super) async fn meet(&self) -> Result<bool, Failed> {
        if self.fork_for_the_centre()? {
            return Ok(true);
        }
        self.creates_only_once().await?;
        let head = self.db.delivery(&self.name).head()?;
        self.target.learn_sums(Incarnation(head.incarnation)).await?;
        self.target.clean(&Key::of_incarnation(&self.gateway, Incarnation(head.incarnation))).await?;
        self.sweep_uploads().await?;
        let Some(announced) = head.announced else { return Ok(false) };
        if self.is_there(announced).await? {
            return Ok(false);
        }
        let common = self.last_common(announced).await?;
        tracing::warn!(
            delivery = self.name,
            announced = announced.cut,
            common = common.map_or(0, |common| common.cut),
            "the target does not have what was announced to it; what it lacks is sent again, under a new incarnation"
        );
        self.fork(common)?;
        Ok(true)
    }

    /// Forks where the centre has another head than ours.
    fn fork_for_the_centre(&self) -> Result<bool, Failed> {
        let incarnation = self.db.delivery(&self.name).head()?.incarnation;
        let Some(common) = self.centre.as_ref().and_then(|telling| telling.take_fork(incarnation)) else { return Ok(false) };
        tracing::warn!(
            delivery = self.name,
            common = common.cut,
            "the centre went on from what is not ours; what follows is sent again, under a new incarnation"
        );
        self.put_forked()?;
        self.fork(Some(common))?;
        Ok(true)
    }

    /// Goes on under a new incarnation behind a cut that both sides know.
    pub(super) fn fork(&self, common: Option<Announced>) -> Result<(), Failed> {
        if self.centre.is_some() {
            self.unqueue_behind(common)?;
        }
        notes::forget_offers(self)?;
        notes::forget_creates_only_once(self)?;
        self.db.delivery(&self.name).fork(common)?;
        self.reporter.count(|counts| counts.forks += 1);
        Ok(())
    }

    /// Whether the target creates a name only once.
    pub(super) async fn creates_only_once(&self) -> Result<bool, Failed> {
        let find_out = || async {
            if let Some(known) = notes::creates_only_once(self)? {
                return Ok(known);
            }
            let who = Incarnation(self.db.delivery(&self.name).head()?.incarnation);
            let found = self.target.create_only_works(who).await?;
            notes::put_creates_only_once(self, found)?;
            Ok(found)
        };
        self.create_only.get_or_try_init(find_out).await.copied()
    }

    /// Whether the manifest of a cut is there, under its name with or without its hash.
    async fn is_there(&self, announced: Announced) -> Result<bool, Failed> {
        let (cut, ours) = (announced.cut, Hash(announced.hash));
        for hash in [None, Some(ours)] {
            let (gateway, incarnation) = (self.gateway.clone(), Incarnation(announced.incarnation));
            let key = Key::Manifest { gateway, incarnation, cut, hash }.to_string();
            match self.get_twice(&key, Some(ours)).await {
                Ok(bytes) if Hash::of(&bytes) == ours => return Ok(true),
                Ok(_) | Err(Trouble { kind: Kind::NotFound, .. }) => {}
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Ok(false)
    }

    /// A manifest, read until it has a hash that is known, or twice the same: what is forked for cannot be taken back, and is not to be an
    /// answer that came out wrong.
    pub(super) async fn get_twice(&self, key: &str, expected: Option<Hash>) -> Result<Bytes, Trouble> {
        let first = self.target.get_bytes(key, MOST_BYTES).await?;
        if expected == Some(Hash::of(&first)) {
            return Ok(first);
        }
        let second = self.target.get_bytes(key, MOST_BYTES).await?;
        if first == second || expected == Some(Hash::of(&second)) {
            return Ok(second);
        }
        let detail = "it was read twice, and was something else each time".to_owned();
        Err(Trouble { kind: Kind::Unreachable, doing: format!("reading {key:?}"), detail })
    }

    /// The last cut before one that the target has of the same incarnation.
    async fn last_common(&self, announced: Announced) -> Result<Option<Announced>, Failed> {
        let prefix = Key::of_incarnation(&self.gateway, Incarnation(announced.incarnation));
        let listed: Vec<_> = self.target.list(prefix.trim_end_matches('/')).try_collect().await?;
        let cuts = listed.iter().filter_map(|object| match object.key.parse() {
            Ok(Key::Manifest { cut, .. }) if cut < announced.cut => Some((cut, object.key.as_str())),
            _ => None,
        });
        let Some((cut, key)) = cuts.max() else { return Ok(None) };
        let bytes = self.get_twice(key, None).await?;
        let manifest = Manifest::decode(&bytes).map_err(|why| Failed::Manifest { key: key.to_owned(), why })?;
        let taken_at = manifest.sealed_at.as_microsecond();
        let (through, incarnation) = (manifest.through, announced.incarnation);
        Ok(Some(Announced { cut, through, taken_at, incarnation, hash: Hash::of(&bytes).0 }))
    }
}
