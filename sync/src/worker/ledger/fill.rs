//! Finds in the bucket what the centre lacks though it should not: it came later, or was put back to a backup. Only what the centre misses is
//! looked for, and only in this gateway's own places: a bucket may have those of a hundred thousand others.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use alluvium::{Database, NoExtent, SegmentExtent, TableId};
use bytes::Bytes;
use futures_util::TryStreamExt;

use super::super::failed::Failed;
use super::super::{Shared, notes};
use super::Telling;
use crate::gather::partition_kind;
use crate::objects::{Kind, Listed, Trouble};
use crate::postgres::{MissingUnit, Segment};
use crate::remote::{Key, Link, SegmentKey};

/// Cuts and units that are asked for together.
const CUTS: u32 = 1_000;
const UNITS: u32 = 1_000;
/// Bytes at the end of a segment that are read first.
const END: u64 = 64 << 10;
/// Bytes of the longest end that is read.
const MOST_OF_END: u64 = 64 << 20;

impl Shared {
    /// Queues or tells whatever is found.
    pub(super) async fn fill(&self, telling: &Telling) -> Result<(), Failed> {
        self.fill_metadata(telling).await?;
        self.fill_segments(telling).await
    }

    /// Metadata are told in the order of cuts: what of them is lacking is at the end, but for what was set aside.
    async fn fill_metadata(&self, telling: &Telling) -> Result<(), Failed> {
        let Some(head) = telling.centre.head().await? else { return Ok(()) };
        let mut through = head.cut;
        loop {
            let from = through.saturating_sub(u64::from(CUTS) - 1).max(1);
            let cuts = telling.centre.cuts(from, CUTS).await?;
            let lacking: Vec<_> = cuts.into_iter().filter(|cut| !cut.metadata && cut.cut <= through).collect();
            for cut in &lacking {
                let link = Link { incarnation: cut.incarnation, hash: cut.hash };
                if self.queued_metadata_of(cut.cut)?.is_none()
                    && let Some(found) = there(self.manifest_of(link, cut.cut).await)?
                {
                    self.queue_metadata(&found.manifest)?;
                }
            }
            if lacking.is_empty() || from == 1 {
                return Ok(());
            }
            through = from - 1;
        }
    }

    async fn fill_segments(&self, telling: &Telling) -> Result<(), Failed> {
        let mut from = 1;
        loop {
            let page = telling.centre.missing(from, UNITS).await?;
            let Some(last) = page.last().map(|unit| unit.cut) else { return Ok(()) };
            let is_last = page.len() < UNITS as usize;
            let lacking = page.into_iter().filter_map(|unit| match is_wanted(&self.db, &self.name, &unit) {
                Ok(true) => None,
                Ok(false) => Some(Ok(unit)),
                Err(failed) => Some(Err(failed)),
            });
            let lacking = lacking.collect::<Result<Vec<_>, _>>()?;
            self.find(&lacking).await?;
            if is_last {
                return Ok(());
            }
            // Where one cut has more of them than a page, those behind are found once these are there.
            from = if last > from { last } else { last + 1 };
        }
    }

    /// Tells the segments that are where these units would be.
    async fn find(&self, lacking: &[MissingUnit]) -> Result<(), Failed> {
        let mut names = HashMap::new();
        let mut places = BTreeSet::new();
        for unit in lacking {
            let names = match names.entry(unit.table) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(notes::sent_as(self, unit.table)?),
            };
            places.extend(names.iter().flat_map(|name| SegmentKey::places(name, unit.period, &self.gateway)));
        }
        for place in places {
            let mut listed = std::pin::pin!(self.target.list(&place));
            let mut found = Vec::new();
            while let Some(object) = listed.try_next().await? {
                let Ok(Key::Segment(key)) = object.key.parse() else { continue };
                if lacking.iter().any(|unit| is_held(unit, &key)) {
                    found.extend(self.described(key, &object).await?);
                }
            }
            // In the queue, so that nothing of it is found again if this ends here.
            self.queue_found(&found)?;
        }
        Ok(())
    }

    /// As the centre is told of it; none where it is no segment, which is for a proof to say.
    async fn described(&self, key: SegmentKey, object: &Listed) -> Result<Option<Segment>, Failed> {
        let mut end = END.min(object.bytes);
        loop {
            let bytes = self.end_of(object, end).await?;
            match SegmentExtent::of_end(&bytes) {
                Ok(SegmentExtent { rows, times: (first, last), .. }) => {
                    return Ok(Some(Segment { key, rows, bytes: object.bytes, first, last, target: self.name.clone() }));
                }
                Err(NoExtent::Short(needed)) if end < needed && needed <= object.bytes.min(MOST_OF_END) => end = needed,
                Err(_) => {
                    tracing::warn!(object.key, "what is called a segment does not end as one, and the centre is not told of it");
                    return Ok(None);
                }
            }
        }
    }

    /// The last bytes of an object. They have no checksum of their own, and are believed where they come the same twice.
    async fn end_of(&self, object: &Listed, bytes: u64) -> Result<Bytes, Failed> {
        let range = object.bytes - bytes..object.bytes;
        let first = self.target.get_range(&object.key, range.clone()).await?;
        if first == self.target.get_range(&object.key, range).await? {
            return Ok(first);
        }
        let (doing, detail) =
            (format!("reading the end of {:?}", object.key), "it was read twice, and was something else then".to_owned());
        Err(Trouble { kind: Kind::Unreachable, doing, detail }.into())
    }
}

/// Whether a unit is still to be sent, so that nobody can have it.
pub(crate) fn is_wanted(db: &Database, delivery: &str, unit: &MissingUnit) -> Result<bool, Failed> {
    let Some(table) = db.table_of(TableId(unit.table)) else { return Ok(false) };
    let Some(start) = unit.period.start.checked_mul(table.time_unit.per_second()) else { return Ok(false) };
    let kind = partition_kind(unit.period.kind);
    Ok(db.delivery(delivery).wants(TableId(unit.table), kind, start, unit.records)?)
}

/// Whether a segment holds a unit.
fn is_held(unit: &MissingUnit, key: &SegmentKey) -> bool {
    let is_of = (key.incarnation, key.table) == (unit.incarnation, unit.table) && key.period.holds(unit.period);
    is_of && key.records.0 <= unit.records.0 && unit.records.1 <= key.records.1
}

/// What is in this bucket. What is not may be another device's, which has another.
fn there<T>(found: Result<T, Failed>) -> Result<Option<T>, Failed> {
    match found {
        Err(Failed::NotThere { .. }) => Ok(None),
        found => found.map(Some),
    }
}
