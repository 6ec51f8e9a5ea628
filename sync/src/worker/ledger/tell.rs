//! Tells the centre what is queued.

use std::collections::HashSet;
use std::io::Read;

use bytes::Buf;
use tokio::sync::mpsc;

use super::super::Shared;
use super::super::failed::Failed;
use super::Telling;
use super::queue::{Mark, QueuedMetadata, QueuedSegment};
use crate::metadata::{Lines, NotRead};
use crate::postgres::{Applied, Error, Line, Segment};
use crate::remote::{Hash, Key};

/// Segments that are told together.
const SEGMENTS: usize = 256;
/// Bytes of lines, as they are written, and lines, after which no more are told together.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_LINES: usize = 2_000;

impl Shared {
    /// Tells the first cut that is queued, by the very bytes of its manifest.
    pub(super) async fn tell_cut(&self, telling: &Telling) -> Result<(), Failed> {
        let Some((cut, queued)) = self.first_queued()? else { return Ok(()) };
        let bytes = self.manifest_bytes(telling, &queued).await?;
        telling.centre.advance(&bytes).await?;
        let Ok(Key::Manifest { incarnation, .. }) = queued.key.parse() else {
            return Err(Failed::NotThere { cut: queued.key, hash: queued.hash });
        };
        self.cut_is_told(Mark { incarnation, cut, hash: queued.hash })
    }

    /// Tells the metadata of a cut.
    pub(super) async fn tell_metadata(&self, telling: &Telling, cut: u64) -> Result<(), Failed> {
        let Some(QueuedMetadata { incarnation, hash }) = self.queued_metadata_of(cut)? else { return Ok(()) };
        let key = Key::Metadata { gateway: self.gateway.clone(), incarnation, cut, hash }.to_string();
        let mut batches = self.batches(telling, &key, hash).await?;
        let mut next = Some(batches.recv().await.unwrap_or(Ok(Vec::new())));
        while let Some(lines) = next {
            next = batches.recv().await;
            let lines = lines.map_err(|why| Failed::Lines { key: key.clone(), why })?;
            // What comes next tells whether these are the last.
            match telling.centre.metadata(incarnation, cut, &lines, next.is_none()).await? {
                Applied::Newer(_) => {}
                Applied::UnknownCut => return Err(Failed::Forgotten { cut }),
            }
        }
        self.metadata_are_told(cut)
    }

    /// The lines of an object, a few of them at a time: of what was just put, or of a file that is fetched first.
    async fn batches(&self, telling: &Telling, key: &str, hash: Hash) -> Result<mpsc::Receiver<Batch>, Failed> {
        let (send, receive) = mpsc::channel(1);
        let fresh = telling.fresh.lock().get(hash);
        if let Some(bytes) = fresh {
            tokio::task::spawn_blocking(move || read(bytes.reader(), &send));
            return Ok(receive);
        }
        let path = self.scratch.join(format!("told-{hash}"));
        self.target.get_to_file(key, &path, hash).await.map_err(|not| Failed::NotGot(Box::new(not)))?;
        let file = std::fs::File::open(&path).map_err(|source| Failed::Scratch { path: path.clone(), source })?;
        // Who has it open reads on; where the system does not take that, it is fetched into the same place the next time.
        drop(std::fs::remove_file(&path));
        tokio::task::spawn_blocking(move || read(file, &send));
        Ok(receive)
    }

    /// Tells some segments.
    pub(super) async fn tell_segments(&self, telling: &Telling) -> Result<(), Failed> {
        let page = self.queued_segments(SEGMENTS)?;
        let (known, unknown): (Vec<_>, Vec<_>) = page
            .into_iter()
            .map(|(name, queued)| (name, queued.segment(&self.name), queued))
            .partition(|(_, of, _)| of.is_some());
        // Notes that say nothing were not written by us.
        self.segments_are_told(unknown.into_iter().map(|(name, ..)| name))?;
        let page: Vec<_> = known.into_iter().filter_map(|(name, of, queued)| Some((name, of?, queued))).collect();
        let segments: Vec<_> = page.iter().map(|(_, segment, _)| segment.clone()).collect();
        match self.hold_at_centre(telling, &segments).await {
            Err(Failed::Centre(Error::Invalid(_))) => self.tell_each(telling, page).await,
            Err(failed) => Err(failed),
            Ok(()) => self.segments_are_told(page.into_iter().map(|(name, ..)| name)),
        }
    }

    /// One by one, so that what is refused is known.
    async fn tell_each(&self, telling: &Telling, page: Vec<(Vec<u8>, Segment, QueuedSegment)>) -> Result<(), Failed> {
        for (name, segment, queued) in page {
            match self.hold_at_centre(telling, std::slice::from_ref(&segment)).await {
                Err(Failed::Centre(Error::Invalid(why))) => {
                    tracing::error!(segment = %segment.key, why, "the centre does not take a segment; it is in the target, and is not told again");
                    self.segment_is_refused(&name, &queued)?;
                }
                outcome => {
                    outcome?;
                    self.segments_are_told([name].into_iter())?;
                }
            }
        }
        Ok(())
    }

    /// Registers segments. Those of no cut that the centre has are of a branch that was left, unless it forgot cuts meanwhile.
    pub(super) async fn hold_at_centre(&self, telling: &Telling, segments: &[Segment]) -> Result<(), Failed> {
        if segments.is_empty() {
            return Ok(());
        }
        let held = telling.centre.hold(segments).await?;
        if held.unannounced.is_empty() {
            return Ok(());
        }
        let announced = self.db.delivery(&self.name).head()?.announced.map(Mark::from);
        let head = telling.centre.head().await?;
        if head.as_ref().map(Mark::from) != announced {
            return Err(Failed::Forgotten { cut: announced.map_or(0, |mark| mark.cut) });
        }
        let left: HashSet<_> = held.unannounced.into_iter().collect();
        for (_, segment) in segments.iter().enumerate().filter(|(at, _)| left.contains(at)) {
            tracing::warn!(segment = %segment.key, "a segment is of no cut that the centre has: of a branch that was left");
        }
        Ok(())
    }
}

/// Some lines, or why there are no more.
type Batch = Result<Vec<Line>, NotRead>;

/// Reads lines until nobody wants more.
fn read(object: impl Read, send: &mpsc::Sender<Batch>) {
    let mut lines = match Lines::new(object) {
        Ok(lines) => lines,
        Err(not) => return drop(send.blocking_send(Err(not))),
    };
    loop {
        match batch(&mut lines) {
            Ok(batch) if batch.is_empty() => return,
            batch => {
                let is_over = batch.is_err();
                if send.blocking_send(batch).is_err() || is_over {
                    return;
                }
            }
        }
    }
}

fn batch<R: Read>(lines: &mut Lines<R>) -> Batch {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while bytes < BATCH_BYTES && batch.len() < BATCH_LINES {
        let Some(line) = lines.next() else { break };
        let line = line?;
        let value = match &line.value {
            None => serde_json::Value::Null,
            Some(value) => {
                bytes += value.get().len();
                serde_json::from_str(value.get()).map_err(|error| lines.wrong(error))?
            }
        };
        bytes += line.key.iter().map(String::len).sum::<usize>();
        batch.push(Line { sequence: line.sequence, kind: line.kind, key: line.key, value });
    }
    Ok(batch)
}
