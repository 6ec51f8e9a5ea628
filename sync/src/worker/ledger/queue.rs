//! What is still to be told, in notes of the delivery. They are written before what they are of counts as announced or held, so that
//! nothing is forgotten, and go away once it was told. Nothing of it is held in memory.
//!
//! ```text
//! centre/cut/<cut>                        its manifest
//! centre/metadata/<cut>                   its metadata
//! centre/segment/<incarnation>/<hash>     a segment that the target was seen to have
//! centre/refused/<incarnation>/<hash>     one that the centre does not take
//! centre/queued                           the last cut that was queued: those before it were told, or are queued
//! centre/told                             the last cut that was told
//! centre/forked                           when the delivery forked for the centre's sake
//! ```

use std::ops::Range;

use alluvium::{Announced, Database, Shipment};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::failed::Failed;
use super::super::{Shared, notes};
use crate::postgres::Segment;
use crate::remote::{Delta, Hash, Incarnation, Key, Manifest, SegmentKey};

const CUT: &str = "centre/cut/";
const METADATA: &str = "centre/metadata/";
const SEGMENT: &str = "centre/segment/";
const REFUSED: &str = "centre/refused/";
const QUEUED: &str = "centre/queued";
const TOLD: &str = "centre/told";
const FORKED: &str = "centre/forked";

/// Notes that are looked at together.
const PAGE: usize = 256;

/// A note and what it is to say.
type Note = (Vec<u8>, Option<Vec<u8>>);

/// Where a manifest that is to be told is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::worker) struct Queued {
    pub(in crate::worker) key: String,
    pub(in crate::worker) hash: Hash,
}

/// Metadata that are to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QueuedMetadata {
    pub(super) incarnation: Incarnation,
    pub(super) hash: Hash,
}

/// A segment that is to be told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct QueuedSegment {
    key: String,
    rows: u64,
    bytes: u64,
    times: (i64, i64),
}

/// A cut of some incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) incarnation: Incarnation,
    pub(super) cut: u64,
    pub(super) hash: Hash,
}

/// The last cut that was queued, and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    last: Mark,
    before: Option<Mark>,
}

impl From<Announced> for Mark {
    fn from(announced: Announced) -> Self {
        Mark { incarnation: Incarnation(announced.incarnation), cut: announced.cut, hash: Hash(announced.hash) }
    }
}

impl QueuedSegment {
    /// As the centre is told of it; none where the note is none of ours.
    pub(super) fn segment(&self, target: &str) -> Option<Segment> {
        let Ok(Key::Segment(key)) = self.key.parse() else { return None };
        let (first, last) = self.times;
        Some(Segment { key, rows: self.rows, bytes: self.bytes, first, last, target: target.to_owned() })
    }
}

/// What the centre was told of a delivery, as far as is noted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Told {
    /// The last cut; none before the first.
    pub cut: Option<u64>,
    /// Cuts that are to be told, as far as they were found.
    pub cuts: u64,
    /// Cuts whose metadata are.
    pub metadata: u64,
    /// Segments that are.
    pub segments: u64,
    /// Segments that the centre does not take.
    pub refused: u64,
}

/// What the centre was told of a delivery; none where it never was to be.
///
/// # Errors
///
/// [`Failed`] where there is no such delivery.
pub fn told(db: &Database, delivery: &str) -> Result<Option<Told>, Failed> {
    let of = db.delivery(delivery);
    if of.notes_from(b"centre/", &[], 1)?.is_empty() {
        return Ok(None);
    }
    let count = |beginning: &str| of.count_notes(beginning.as_bytes());
    let last = of.note(TOLD.as_bytes())?.map(|note| serde_json::from_slice::<Mark>(&note)).transpose()?;
    let cut = last.map(|mark| mark.cut);
    Ok(Some(Told { cut, cuts: count(CUT)?, metadata: count(METADATA)?, segments: count(SEGMENT)?, refused: count(REFUSED)? }))
}

impl Shared {
    /// Queues a cut that is about to be announced, behind all that were.
    pub(in crate::worker) fn queue_next(&self, queued: &Queued, manifest: &Manifest) -> Result<(), Failed> {
        let _queueing = self.queueing.lock();
        let announced = self.db.delivery(&self.name).head()?.announced.map(Mark::from);
        let before = match self.last_queued()? {
            // It was queued before, and then not announced.
            Some(last) if Some(last.last) != announced => last.before.filter(|before| Some(*before) == announced),
            last => last.map(|last| last.last),
        };
        let last = Mark { incarnation: manifest.incarnation, cut: manifest.cut, hash: queued.hash };
        let mut notes = of_cut(queued, manifest)?;
        // Where those before it were never queued, the next meeting does that.
        if before == announced {
            notes.push(note(QUEUED, &Last { last, before })?);
        }
        self.put_all(notes)
    }

    /// Queues cuts that the centre lacks, before all that are queued.
    pub(super) fn queue_before(&self, cuts: &[(Queued, Manifest)]) -> Result<(), Failed> {
        let notes: Result<Vec<_>, Failed> = cuts.iter().map(|(queued, manifest)| of_cut(queued, manifest)).collect();
        self.put_all(notes?.into_iter().flatten().collect())
    }

    /// Notes that all cuts up to one are queued or told; and so are those that were queued behind it meanwhile.
    pub(super) fn queue_reaches(&self, through: Mark) -> Result<(), Failed> {
        let _queueing = self.queueing.lock();
        let (mut last, mut before) = (through, None);
        while let Some(queued) = self.queued(last.cut + 1)? {
            let Ok(Key::Manifest { incarnation, cut, .. }) = queued.key.parse() else { break };
            (before, last) = (Some(last), Mark { incarnation, cut, hash: queued.hash });
        }
        self.put_all(vec![note(QUEUED, &Last { last, before })?])
    }

    /// Queues the metadata of a cut once more.
    pub(super) fn queue_metadata(&self, manifest: &Manifest) -> Result<(), Failed> {
        let notes = manifest.metadata.map(|delta| of_metadata(manifest, &delta)).transpose()?;
        self.put_all(notes.into_iter().collect())
    }

    /// Queues a segment that the target was seen to have.
    pub(in crate::worker) fn queue_segment(&self, key: &SegmentKey, shipment: &Shipment) -> Result<(), Failed> {
        let Shipment { rows, bytes, times, .. } = *shipment;
        self.put_all(vec![of_segment(key, rows, bytes, times)?])
    }

    /// The same of some that were found there.
    pub(super) fn queue_found(&self, found: &[Segment]) -> Result<(), Failed> {
        let notes = found.iter().map(|one| of_segment(&one.key, one.rows, one.bytes, (one.first, one.last)));
        self.put_all(notes.collect::<Result<_, _>>()?)
    }

    /// Makes the queue that of the cuts which are announced: those up to the last one, each of which is queued or was told. Answers whether
    /// it is; where it is not, nothing is queued.
    pub(super) fn settle_queue(&self, announced: Option<Announced>) -> Result<bool, Failed> {
        let announced = announced.map(Mark::from);
        let Some(Last { last, before }) = self.last_queued()? else {
            self.unqueue(1..u64::MAX)?;
            return Ok(announced.is_none());
        };
        // The last one may be about to be announced, or was not: then what is comes yet, in its place.
        if Some(last) == announced || before == announced {
            return Ok(true);
        }
        self.unqueue(1..u64::MAX)?;
        notes::forget(self, QUEUED)?;
        Ok(announced.is_none())
    }

    /// The delivery is about to fork behind a cut: what was queued behind it is another branch's.
    pub(in crate::worker) fn unqueue_behind(&self, common: Option<Announced>) -> Result<(), Failed> {
        let announced = self.db.delivery(&self.name).head()?.announced;
        let is_settled = self.settle_queue(announced)?;
        self.unqueue(common.map_or(0, |common| common.cut) + 1..u64::MAX)?;
        match common {
            Some(common) if is_settled => self.queue_reaches(common.into()),
            _ => notes::forget(self, QUEUED),
        }
    }

    /// Forgets cuts that are queued, and their metadata.
    fn unqueue(&self, cuts: Range<u64>) -> Result<(), Failed> {
        self.unqueue_of(CUT, &cuts)?;
        self.unqueue_of(METADATA, &cuts)
    }

    fn unqueue_of(&self, beginning: &str, cuts: &Range<u64>) -> Result<(), Failed> {
        let delivery = self.db.delivery(&self.name);
        loop {
            let page = delivery.notes_from(beginning.as_bytes(), &name_of(beginning, cuts.start), PAGE)?;
            let (is_last, names) = (page.len() < PAGE, page.into_iter().map(|(name, _)| name));
            let gone: Vec<_> = names.take_while(|name| number(name, beginning).is_none_or(|cut| cut < cuts.end)).collect();
            let is_over = is_last || gone.len() < PAGE;
            self.put_all(gone.into_iter().map(|name| (name, None)).collect())?;
            if is_over {
                return Ok(());
            }
        }
    }

    /// Forgets cuts up to one: the centre has them.
    pub(super) fn cuts_are_told(&self, through: Mark) -> Result<(), Failed> {
        self.unqueue_of(CUT, &(0..through.cut + 1))?;
        self.put_all(vec![note(TOLD, &through)?])
    }

    /// A cut was told.
    pub(super) fn cut_is_told(&self, mark: Mark) -> Result<(), Failed> {
        self.put_all(vec![(name_of(CUT, mark.cut), None), note(TOLD, &mark)?])
    }

    /// The metadata of a cut were told.
    pub(super) fn metadata_are_told(&self, cut: u64) -> Result<(), Failed> {
        self.put_all(vec![(name_of(METADATA, cut), None)])
    }

    /// Segments, by their notes, were told, or never will be.
    pub(super) fn segments_are_told(&self, names: impl Iterator<Item = Vec<u8>>) -> Result<(), Failed> {
        self.put_all(names.map(|name| (name, None)).collect())
    }

    /// A segment is not taken: it is noted as that.
    pub(super) fn segment_is_refused(&self, name: &[u8], segment: &QueuedSegment) -> Result<(), Failed> {
        let rest = name.get(SEGMENT.len()..).unwrap_or_default();
        let refused = [REFUSED.as_bytes(), rest].concat();
        self.put_all(vec![(name.to_vec(), None), (refused, Some(serde_json::to_vec(segment)?))])
    }

    /// The first cut that is queued.
    pub(super) fn first_queued(&self) -> Result<Option<(u64, Queued)>, Failed> {
        Ok(self.first::<Queued>(CUT, 1)?.pop().and_then(|(name, queued)| Some((number(&name, CUT)?, queued))))
    }

    /// A cut that is queued.
    pub(super) fn queued(&self, cut: u64) -> Result<Option<Queued>, Failed> {
        let found = self.db.delivery(&self.name).note(&name_of(CUT, cut))?;
        Ok(found.map(|note| serde_json::from_slice(&note)).transpose()?)
    }

    /// The first cuts whose metadata are queued.
    pub(super) fn queued_metadata(&self, most: usize) -> Result<Vec<(u64, QueuedMetadata)>, Failed> {
        let found = self.first::<QueuedMetadata>(METADATA, most)?;
        Ok(found.into_iter().filter_map(|(name, queued)| Some((number(&name, METADATA)?, queued))).collect())
    }

    /// The metadata of a cut, if they are queued.
    pub(super) fn queued_metadata_of(&self, cut: u64) -> Result<Option<QueuedMetadata>, Failed> {
        let found = self.db.delivery(&self.name).note(&name_of(METADATA, cut))?;
        Ok(found.map(|note| serde_json::from_slice(&note)).transpose()?)
    }

    /// The first segments that are queued, with their notes' names.
    pub(super) fn queued_segments(&self, most: usize) -> Result<Vec<(Vec<u8>, QueuedSegment)>, Failed> {
        self.first(SEGMENT, most)
    }

    /// When the delivery last forked for the centre's sake, by the wall clock.
    pub(super) fn forked_at(&self) -> Result<Option<i64>, Failed> {
        let found = self.db.delivery(&self.name).note(FORKED.as_bytes())?;
        Ok(found.map(|note| serde_json::from_slice(&note)).transpose()?)
    }

    /// It does so now.
    pub(in crate::worker) fn put_forked(&self) -> Result<(), Failed> {
        self.put_all(vec![note(FORKED, &self.db.now().wall_micros)?])
    }

    fn last_queued(&self) -> Result<Option<Last>, Failed> {
        let found = self.db.delivery(&self.name).note(QUEUED.as_bytes())?;
        Ok(found.map(|note| serde_json::from_slice(&note)).transpose()?)
    }

    fn first<T: DeserializeOwned>(&self, beginning: &str, most: usize) -> Result<Vec<(Vec<u8>, T)>, Failed> {
        let found = self.db.delivery(&self.name).notes_from(beginning.as_bytes(), &[], most)?;
        found.into_iter().map(|(name, note)| Ok((name, serde_json::from_slice(&note)?))).collect()
    }

    fn put_all(&self, notes: Vec<Note>) -> Result<(), Failed> {
        if notes.is_empty() { Ok(()) } else { Ok(self.db.delivery(&self.name).put_notes(notes)?) }
    }
}

fn of_cut(queued: &Queued, manifest: &Manifest) -> Result<Vec<Note>, Failed> {
    let mut notes = vec![(name_of(CUT, manifest.cut), Some(serde_json::to_vec(queued)?))];
    if let Some(delta) = &manifest.metadata {
        notes.push(of_metadata(manifest, delta)?);
    }
    Ok(notes)
}

fn of_metadata(manifest: &Manifest, delta: &Delta) -> Result<Note, Failed> {
    let queued = QueuedMetadata { incarnation: manifest.incarnation, hash: delta.hash };
    Ok((name_of(METADATA, manifest.cut), Some(serde_json::to_vec(&queued)?)))
}

fn of_segment(key: &SegmentKey, rows: u64, bytes: u64, times: (i64, i64)) -> Result<Note, Failed> {
    let name = format!("{SEGMENT}{}/{}", key.incarnation, key.hash);
    let queued = QueuedSegment { key: key.to_string(), rows, bytes, times };
    Ok((name.into_bytes(), Some(serde_json::to_vec(&queued)?)))
}

fn note(name: &str, value: &impl Serialize) -> Result<Note, Failed> {
    Ok((name.as_bytes().to_vec(), Some(serde_json::to_vec(value)?)))
}

/// The note of a cut: with as many digits as any number has, so that they are in order.
fn name_of(beginning: &str, cut: u64) -> Vec<u8> {
    format!("{beginning}{cut:020}").into_bytes()
}

fn number(name: &[u8], beginning: &str) -> Option<u64> {
    std::str::from_utf8(name).ok()?.strip_prefix(beginning)?.parse().ok()
}
