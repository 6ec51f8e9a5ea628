//! Puts large objects in parts, several at a time, and goes on where it was broken off.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use object_store::PutPayload;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::digest::{Concluded, Digests, Sum};
use super::exchange::{Exchange, observed};
use super::put::{Failed, NotPut, Object, Sent, Upload};
use super::source::digested;
use super::target::Target;
use super::trouble::{Kind, Trouble};
use super::verify::Statement;
use crate::remote::Hash;

/// How much it says against an upload that the store answers to a part that it failed, or refuses it: some do where they know it no more.
const ANSWERED: u32 = 3;
/// The same where no answer is heard, as where a store does not wait for the end of a part to say that.
const UNHEARD: u32 = 1;
/// With so much against it in a row an upload is begun anew.
const MOST_DOUBTS: u32 = 9;
/// The most parts that S3 takes.
const MOST_PARTS: u64 = 10_000;

/// From which size on objects go in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes that go in one request, at most.
    pub in_one: u64,
    /// Bytes of a part that is not the last, at least.
    pub part: u64,
}

impl Default for Sizes {
    /// Up to 8 MiB in one request, more in parts of 5 MiB: the least that stores take.
    fn default() -> Self {
        Sizes { in_one: 8 << 20, part: 5 << 20 }
    }
}

impl Sizes {
    /// The bytes of a part of an object: no more than said, and of one so large that they would be too many, as many MiB as are needed.
    pub(super) fn part_bytes(self, bytes: u64) -> usize {
        let least = bytes.div_ceil(MOST_PARTS);
        let part = if least <= self.part { self.part } else { least.next_multiple_of(1 << 20) };
        usize::try_from(part.max(1)).unwrap_or(usize::MAX)
    }
}

/// An upload in parts that was begun. Kept by the caller, as JSON or otherwise, and given back to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unfinished {
    /// The object.
    pub key: String,
    /// Its hash.
    pub hash: Hash,
    /// Its bytes.
    pub bytes: u64,
    /// Those of a part.
    pub part_bytes: u64,
    /// What the store calls the upload. Empty where it goes by the name of the object.
    pub upload_id: String,
    /// The parts that arrived, by their number from 0; null those that did not.
    pub parts: Vec<Option<PartDone>>,
    /// What speaks against going on with it: parts that failed since the last one arrived. One that the store answered counts three times.
    pub doubts: u32,
}

/// A part that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartDone {
    /// What the store calls it.
    pub id: String,
    /// The MD5 of what was sent.
    md5: Sum,
    /// Whether the store said the same of what it got.
    pub confirmed: bool,
}

impl Unfinished {
    fn is_of(&self, object: &Object<'_>) -> bool {
        let Unfinished { key, hash, bytes, part_bytes, parts, .. } = self;
        let fits = *part_bytes == object.part_bytes as u64 && parts.len() as u64 == object.bytes.div_ceil(*part_bytes);
        let is_alive = self.doubts < MOST_DOUBTS;
        key == object.key && *hash == object.hash && *bytes == object.bytes && fits && is_alive
    }

    /// Whether this part arrived as it would be sent now.
    fn has(&self, index: usize, md5: Sum) -> bool {
        self.parts.get(index).is_some_and(|part| part.as_ref().is_some_and(|part| part.md5 == md5))
    }
}

/// How a round of sending parts ended early.
enum Broken {
    /// The store knows the upload no more.
    Stale(Trouble),
    /// It did not do it, for a reason that may be the same, and speaks that much for it.
    Doubtful(Trouble, u32),
    Failed(Failed),
}

impl Broken {
    fn of(trouble: Trouble, exchange: &Exchange) -> Self {
        match trouble.kind {
            Kind::NotFound => Broken::Stale(trouble),
            Kind::Unreachable if exchange.status.is_none() => Broken::Doubtful(trouble, UNHEARD),
            Kind::Unreachable | Kind::Refused => Broken::Doubtful(trouble, ANSWERED),
            _ => trouble.into(),
        }
    }
}

impl<E: Into<Failed>> From<E> for Broken {
    fn from(error: E) -> Self {
        Broken::Failed(error.into())
    }
}

impl Target {
    /// Gives up an upload in parts, so that nothing of it takes room in the store. That it is known no more is no trouble.
    ///
    /// # Errors
    ///
    /// [`Trouble`] of the store.
    pub async fn abandon(&self, unfinished: &Unfinished) -> Result<(), Trouble> {
        let Some(store) = &self.shared.parts else { return Ok(()) };
        let path = self.path(&unfinished.key)?;
        let (aborted, exchange) = observed(store.abort_multipart(&path, &unfinished.upload_id)).await;
        let Err(error) = aborted else { return Ok(()) };
        match Trouble::of(format!("giving up the upload of {:?}", unfinished.key), &error, &exchange) {
            Trouble { kind: Kind::NotFound, .. } => Ok(()),
            trouble => Err(trouble),
        }
    }

    pub(super) async fn in_parts(
        &self,
        store: &dyn MultipartStore,
        object: &Object<'_>,
        upload: &mut Upload<'_>,
    ) -> Result<Sent, Failed> {
        let mut unfinished = match upload.unfinished.take() {
            Some(unfinished) if unfinished.is_of(object) => unfinished,
            other => {
                if let Some(other) = other {
                    // Nobody goes on with it; whether it could be given up changes nothing for this one.
                    let _ = self.abandon(&other).await;
                }
                self.begin(store, object, upload).await?
            }
        };
        let mut is_anew = false;
        loop {
            let trouble = match self.round(store, object, upload, &mut unfinished).await {
                Ok(sent) => return Ok(sent),
                Err(Broken::Failed(failed)) => return Err(self.keep_or_abandon(failed, unfinished, upload).await),
                Err(Broken::Doubtful(trouble, doubts)) => {
                    unfinished.doubts += doubts;
                    (upload.progress)(&unfinished);
                    return Err(self.keep_or_abandon(trouble.into(), unfinished, upload).await);
                }
                Err(Broken::Stale(trouble)) => trouble,
            };
            // It may be known no more because it was completed, and the answer to that was lost.
            match self.after(object, true, trouble).await {
                Failed::NotPut(NotPut::Trouble(_)) if !is_anew => {}
                settled => return Err(settled),
            }
            let _ = self.abandon(&unfinished).await;
            unfinished = self.begin(store, object, upload).await?;
            is_anew = true;
        }
    }

    /// What failed for a reason that goes away is gone on with, the rest takes no room in the store.
    async fn keep_or_abandon(&self, failed: Failed, unfinished: Unfinished, upload: &mut Upload<'_>) -> Failed {
        let is_hopeless = match &failed {
            Failed::NotPut(NotPut::Altered(_)) => true,
            Failed::NotPut(NotPut::Trouble(trouble)) => trouble.kind == Kind::Poisoned,
            Failed::Settled(_) => return failed,
        };
        if is_hopeless {
            // What cannot be given up now is swept by the store's own rules.
            let _ = self.abandon(&unfinished).await;
        } else {
            upload.unfinished = Some(unfinished);
        }
        failed
    }

    async fn begin(
        &self,
        store: &dyn MultipartStore,
        object: &Object<'_>,
        upload: &mut Upload<'_>,
    ) -> Result<Unfinished, Trouble> {
        let (begun, exchange) = observed(store.create_multipart(object.path)).await;
        let upload_id = begun.map_err(|error| Trouble::of(object.doing(), &error, &exchange))?;
        let part_bytes = object.part_bytes as u64;
        let parts = vec![None; usize::try_from(object.bytes.div_ceil(part_bytes)).unwrap_or_default()];
        let (key, hash, bytes) = (object.key.to_owned(), object.hash, object.bytes);
        let unfinished = Unfinished { key, hash, bytes, part_bytes, upload_id, parts, doubts: 0 };
        (upload.progress)(&unfinished);
        Ok(unfinished)
    }

    /// Sends the parts that are missing, and ends the upload.
    async fn round(
        &self,
        store: &dyn MultipartStore,
        object: &Object<'_>,
        upload: &mut Upload<'_>,
        unfinished: &mut Unfinished,
    ) -> Result<Sent, Broken> {
        let ours = self.send_parts(store, object, upload, unfinished).await?;
        // Nothing has the name yet: what is wrong here is not sent under it.
        object.check(&ours)?;
        let done: Option<Vec<_>> = unfinished.parts.iter().cloned().collect();
        let done = done.unwrap_or_default();
        let ids = done.iter().map(|part| PartId { content_id: part.id.clone() }).collect();
        let (completed, exchange) = observed(store.complete_multipart(object.path, &unfinished.upload_id, ids)).await;
        match completed {
            Ok(put) => {
                // Parts that arrived are not yet the whole.
                let is_other = put.e_tag.as_deref().is_some_and(|etag| ours.is_not(etag));
                let is_confirmed = !is_other && done.iter().all(|part| part.confirmed);
                Ok(Sent { ours, stated: Statement::of_store(put.e_tag, is_confirmed) })
            }
            Err(error) => {
                let trouble = Trouble::of(object.doing(), &error, &exchange);
                if trouble.kind == Kind::NotFound {
                    return Err(Broken::Stale(trouble));
                }
                // Whatever it says of that: the object is whole or not there.
                Err(match self.after(object, true, trouble).await {
                    Failed::NotPut(NotPut::Trouble(trouble)) => Broken::of(trouble, &exchange),
                    other => Broken::Failed(other),
                })
            }
        }
    }

    async fn send_parts(
        &self,
        store: &dyn MultipartStore,
        object: &Object<'_>,
        upload: &mut Upload<'_>,
        unfinished: &mut Unfinished,
    ) -> Result<Concluded, Broken> {
        let part_bytes = object.part_bytes;
        let mut reader = object.source.open().await.map_err(|error| object.unreadable(&error))?;
        let mut digests = Digests::in_parts(part_bytes);
        let id = unfinished.upload_id.clone();
        let mut on_their_way = FuturesUnordered::new();
        let mut outcome = Ok(());
        for index in 0..unfinished.parts.len() {
            let read = async { digested(digests, reader.next(part_bytes).await?).await };
            let bytes;
            (digests, bytes) = read.await.map_err(|error| object.unreadable(&error))?;
            let md5 = digests.last_part();
            if !unfinished.has(index, md5) {
                on_their_way.push(self.send_part(store, object, &id, index, bytes, md5));
            }
            while outcome.is_ok() && on_their_way.len() >= upload.parallel.max(1) {
                outcome = on_their_way.next().await.map_or(Ok(()), |sent| arrived(sent, unfinished, upload));
            }
            if outcome.is_err() {
                break;
            }
        }
        // Of those that are on their way what arrives has arrived, whatever became of another.
        while let Some(sent) = on_their_way.next().await {
            let this = arrived(sent, unfinished, upload);
            outcome = outcome.and(this);
        }
        outcome?;
        // What is behind the last part would make it another object.
        let more = reader.next(1).await.map_err(|error| object.unreadable(&error))?;
        digests.update(&more);
        Ok(digests.conclude())
    }

    async fn send_part(
        &self,
        store: &dyn MultipartStore,
        object: &Object<'_>,
        id: &String,
        index: usize,
        bytes: bytes::Bytes,
        md5: Sum,
    ) -> Result<(usize, PartDone), Broken> {
        let doing = format!("putting part {} of {:?}", index + 1, object.key);
        self.pass(bytes.len(), &doing).await?;
        let path: &Path = object.path;
        let (put, exchange) = observed(store.put_part(path, id, index, PutPayload::from(bytes))).await;
        match put {
            Ok(PartId { content_id }) => {
                let said = exchange.content_md5.as_deref().and_then(Sum::of_base64).or_else(|| Sum::of_etag(&content_id));
                Ok((index, PartDone { id: content_id, md5, confirmed: said == Some(md5) }))
            }
            Err(error) => {
                let trouble = Trouble::of(doing, &error, &exchange);
                Err(Broken::of(trouble, &exchange))
            }
        }
    }
}

fn arrived(sent: Result<(usize, PartDone), Broken>, unfinished: &mut Unfinished, upload: &mut Upload<'_>) -> Result<(), Broken> {
    let (index, part) = sent?;
    if let Some(place) = unfinished.parts.get_mut(index) {
        *place = Some(part);
    }
    unfinished.doubts = 0;
    (upload.progress)(unfinished);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_parts_than_a_store_takes() {
        const MIB: u64 = 1 << 20;
        let sizes = Sizes::default();
        let most = sizes.part * MOST_PARTS;
        for (bytes, expected) in [(0, 5 * MIB), (most, 5 * MIB), (most + 1, 6 * MIB), (1 << 40, 105 * MIB)] {
            assert_eq!(sizes.part_bytes(bytes) as u64, expected, "{bytes}");
            assert!(bytes.div_ceil(expected) <= MOST_PARTS);
        }
        assert_eq!(Sizes { in_one: 10, part: 7 }.part_bytes(60_000), 7);
    }

    #[test]
    fn what_is_kept_of_an_upload_stays_readable() {
        let done = PartDone { id: "\"e\"".to_owned(), md5: Sum::of(b""), confirmed: true };
        let unfinished = Unfinished {
            key: "a".to_owned(),
            hash: Hash::of(b""),
            bytes: 10 << 20,
            part_bytes: 5 << 20,
            upload_id: "u".to_owned(),
            parts: vec![Some(done), None],
            doubts: 1,
        };
        let kept = r#"{"key":"a","hash":"af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262","bytes":10485760,"part_bytes":5242880,"upload_id":"u","parts":[{"id":"\"e\"","md5":"d41d8cd98f00b204e9800998ecf8427e","confirmed":true},null],"doubts":1}"#;
        assert_eq!(serde_json::to_string(&unfinished).unwrap(), kept);
        assert_eq!(serde_json::from_str::<Unfinished>(kept).unwrap(), unfinished);
    }
}
