//! Sees where the centre is. What it lacks of our chain is queued, from the bucket; where it went on from what is not ours, we fork.

use std::time::Duration;

use alluvium::Announced;
use bytes::Bytes;

use super::super::Shared;
use super::super::failed::Failed;
use super::queue::Mark;
use super::{Queued, Telling, WantedFork};
use crate::objects::{Kind, Target, Trouble};
use crate::postgres::{Error, Head};
use crate::remote::{Hash, Incarnation, Key, Link, MOST_BYTES, Manifest};

/// Manifests that are queued together.
const PAGE: usize = 64;
/// Two devices of one name would else take the centre from each other for ever.
const FORK_EVERY: Duration = Duration::from_secs(24 * 3600);

/// A manifest of our chain.
pub(crate) struct Found {
    pub(super) queued: Queued,
    pub(crate) manifest: Manifest,
    pub(super) bytes: Bytes,
}

impl Found {
    fn mark(&self) -> Mark {
        Mark { incarnation: self.manifest.incarnation, cut: self.manifest.cut, hash: self.queued.hash }
    }

    fn announced(&self) -> Announced {
        let Manifest { cut, through, sealed_at, incarnation, .. } = self.manifest;
        let (taken_at, incarnation, hash) = (sealed_at.as_microsecond(), incarnation.0, self.queued.hash.0);
        Announced { cut, through, taken_at, incarnation, hash }
    }
}

/// How our chain stands to the centre's.
enum Stands {
    /// What the centre has is ours, and all that it lacks is queued.
    Behind,
    /// Its last cut is none of ours.
    Beside,
}

impl From<&Head> for Mark {
    fn from(head: &Head) -> Self {
        Mark { incarnation: head.incarnation, cut: head.cut, hash: head.hash }
    }
}

impl Shared {
    /// Meets the centre.
    pub(super) async fn meet_centre(&self, telling: &Telling) -> Result<(), Failed> {
        let head = telling.centre.head().await?;
        let head = head.as_ref().map(Mark::from);
        let announced = self.db.delivery(&self.name).head()?.announced;
        let is_settled = self.settle_queue(announced)?;
        let Some(announced) = announced else { return Ok(()) };
        if head == Some(announced.into()) {
            if !is_settled {
                self.queue_reaches(announced.into())?;
            }
            return self.cuts_are_told(announced.into());
        }
        if let Stands::Beside = self.queue_lacking(telling, announced, head).await? {
            if !is_settled && self.queued(announced.cut)?.is_none() {
                // Whether the centre has it is found out by telling.
                let last = self.first_untold(telling, announced).await?;
                self.queue_before(&[(last.queued, last.manifest)])?;
            }
            self.find_common(telling, announced).await?;
        }
        if is_settled { Ok(()) } else { self.queue_reaches(announced.into()) }
    }

    /// Queues what the centre lacks, from the last cut that is queued, or was announced, backwards.
    async fn queue_lacking(&self, telling: &Telling, announced: Announced, head: Option<Mark>) -> Result<Stands, Failed> {
        if let Some(head) = head {
            if head.cut > announced.cut {
                return Ok(Stands::Beside);
            }
            if let Some(queued) = self.queued(head.cut)? {
                // It was told, and that was not noted.
                if queued.hash != head.hash {
                    return Ok(Stands::Beside);
                }
                self.cuts_are_told(head)?;
                return Ok(Stands::Behind);
            }
        }
        let (mut at, mut page) = (self.first_untold(telling, announced).await?, Vec::new());
        while let Some(link) = at.manifest.previous {
            let before = at.manifest.cut - 1;
            if let Some(head) = head.filter(|head| head.cut >= before) {
                let is_ours = (head.cut, head.incarnation, head.hash) == (before, link.incarnation, link.hash);
                page.push((at.queued, at.manifest));
                self.queue_before(&page)?;
                return Ok(if is_ours { Stands::Behind } else { Stands::Beside });
            }
            let next = self.manifest_of(link, before).await?;
            page.push((at.queued, at.manifest));
            if page.len() == PAGE {
                self.queue_before(&std::mem::take(&mut page))?;
            }
            at = next;
        }
        page.push((at.queued, at.manifest));
        self.queue_before(&page)?;
        Ok(if head.is_none() { Stands::Behind } else { Stands::Beside })
    }

    /// The first cut that is queued and announced, or else the last that was announced.
    async fn first_untold(&self, telling: &Telling, announced: Announced) -> Result<Found, Failed> {
        match self.first_queued()?.filter(|(cut, _)| *cut <= announced.cut) {
            Some((_, queued)) => self.found(telling, queued).await,
            None => {
                let link = Link { incarnation: Incarnation(announced.incarnation), hash: Hash(announced.hash) };
                self.manifest_of(link, announced.cut).await
            }
        }
    }

    /// The centre's last cut is none of ours: finds the last one of ours that it has. An incarnation that it does not know yet goes on
    /// from there by itself; one that it knows, and went on from elsewhere, forks.
    async fn find_common(&self, telling: &Telling, announced: Announced) -> Result<(), Failed> {
        // Who has nothing to tell leaves the centre to who has.
        let Some((_, queued)) = self.first_queued()?.filter(|(cut, _)| *cut <= announced.cut) else { return Ok(()) };
        let mut at = self.found(telling, queued).await?;
        let mut known: Option<Found> = None;
        loop {
            match telling.centre.advance(&at.bytes).await {
                Ok(crate::postgres::Advance::Registered) => return self.cuts_are_told(at.mark()),
                Ok(crate::postgres::Advance::Already) => {
                    self.cut_is_told(at.mark())?;
                    match self.first_queued()?.filter(|(cut, _)| *cut <= announced.cut) {
                        Some((_, queued)) => {
                            let next = self.found(telling, queued).await?;
                            known = Some(std::mem::replace(&mut at, next));
                        }
                        None => return Ok(()),
                    }
                }
                Err(stands @ (Error::Conflict { .. } | Error::Behind { .. } | Error::UnknownPrevious { .. })) => {
                    if let Some(common) = &known {
                        return Err(self.want_fork(telling, common.announced(), stands)?);
                    }
                    let Some(link) = at.manifest.previous else { return Err(Failed::OtherBeginning(stands)) };
                    let before = self.manifest_of(link, at.manifest.cut - 1).await?;
                    self.queue_before(&[(before.queued.clone(), before.manifest.clone())])?;
                    at = before;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Asks whoever announces cuts to fork; tells why nothing is told until then.
    fn want_fork(&self, telling: &Telling, common: Announced, stands: Error) -> Result<Failed, Failed> {
        if let Some(at) = self.forked_at()?
            && let Some(left) = FORK_EVERY.checked_sub(self.since(at)).filter(|left| !left.is_zero())
        {
            return Ok(Failed::Contested { stands, left });
        }
        let incarnation = self.db.delivery(&self.name).head()?.incarnation;
        *telling.fork.lock() = Some(WantedFork { incarnation, common });
        self.orders.send_modify(|orders| orders.meetings += 1);
        Ok(Failed::Displaced { stands, common: common.cut })
    }

    /// A manifest that is queued.
    pub(super) async fn found(&self, telling: &Telling, queued: Queued) -> Result<Found, Failed> {
        let bytes = self.manifest_bytes(telling, &queued).await?;
        let manifest = Manifest::decode(&bytes).map_err(|why| Failed::Manifest { key: queued.key.clone(), why })?;
        Ok(Found { queued, manifest, bytes })
    }

    /// Its bytes, which are those of its hash.
    pub(super) async fn manifest_bytes(&self, telling: &Telling, queued: &Queued) -> Result<Bytes, Failed> {
        let fresh = telling.fresh.lock().get(queued.hash);
        if let Some(bytes) = fresh {
            return Ok(bytes);
        }
        let bytes = self.target.get_bytes(&queued.key, MOST_BYTES).await?;
        match Hash::of(&bytes) == queued.hash {
            true => Ok(bytes),
            false => Err(Failed::NotThere { cut: queued.key.clone(), hash: queued.hash }),
        }
    }

    /// The manifest of a cut in the bucket.
    pub(super) async fn manifest_of(&self, link: Link, cut: u64) -> Result<Found, Failed> {
        manifest_of(&self.target, &self.gateway, link, cut).await
    }
}

/// The manifest of a cut in a bucket, by its hash, under its name with or without that.
pub(crate) async fn manifest_of(target: &Target, gateway: &str, link: Link, cut: u64) -> Result<Found, Failed> {
    for hash in [None, Some(link.hash)] {
        let key = Key::Manifest { gateway: gateway.to_owned(), incarnation: link.incarnation, cut, hash }.to_string();
        match target.get_bytes(&key, MOST_BYTES).await {
            Ok(bytes) if Hash::of(&bytes) == link.hash => {
                let manifest = Manifest::decode(&bytes).map_err(|why| Failed::Manifest { key: key.clone(), why })?;
                if (manifest.incarnation, manifest.cut) == (link.incarnation, cut) {
                    return Ok(Found { queued: Queued { key, hash: link.hash }, manifest, bytes });
                }
            }
            Ok(_) | Err(Trouble { kind: Kind::NotFound, .. }) => {}
            Err(trouble) => return Err(trouble.into()),
        }
    }
    let cut = format!("{cut} of {}", link.incarnation);
    Err(Failed::NotThere { cut, hash: link.hash })
}
