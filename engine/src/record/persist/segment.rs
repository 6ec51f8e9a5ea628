//! Segment entries, and the records that put them in place.

use serde::{Deserialize, Serialize};

use super::super::{Compacted, DecodeError, Sealed, SegmentEntry, SegmentId};
use super::RangeForm;
use crate::model::{Partition, PartitionKind, TableId};

const WHAT: &str = "segment entry";
const MOST_SEGMENTS: u64 = 1 << 60;

#[derive(Serialize, Deserialize)]
struct EntryForm<'a> {
    id: u64,
    table: u32,
    partition: Option<PartitionForm>,
    first_sequence: u64,
    last_sequence: u64,
    deletions_through: u64,
    rows: u64,
    points: u64,
    bytes: u64,
    min_time: i64,
    max_time: i64,
    series: u32,
    hash: [u8; 32],
    #[serde(serialize_with = "super::as_bytes")]
    index: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct PartitionForm {
    kind: PartitionKindForm,
    range: RangeForm,
}

#[derive(Serialize, Deserialize)]
enum PartitionKindForm {
    Hour,
    Day,
    Month,
    Year,
}

#[derive(Serialize, Deserialize)]
struct SealedForm<'a> {
    through: u64,
    #[serde(borrow)]
    segments: Vec<EntryForm<'a>>,
}

#[derive(Serialize, Deserialize)]
struct CompactedForm<'a> {
    removed: Vec<u64>,
    #[serde(borrow)]
    added: Vec<EntryForm<'a>>,
    retired_deletions: Vec<u64>,
}

pub(crate) fn encode(entry: &SegmentEntry) -> Vec<u8> {
    super::write(&form(entry))
}

pub(crate) fn decode(bytes: &[u8]) -> Result<SegmentEntry, DecodeError> {
    super::read(WHAT, bytes).and_then(entry)
}

pub(crate) fn encode_sealed(sealed: &Sealed) -> Vec<u8> {
    super::write(&SealedForm { through: sealed.through, segments: sealed.segments.iter().map(form).collect() })
}

pub(crate) fn decode_sealed(bytes: &[u8]) -> Result<Sealed, DecodeError> {
    let form: SealedForm<'_> = super::read("seal", bytes)?;
    Ok(Sealed { through: form.through, segments: form.segments.into_iter().map(entry).collect::<Result<_, _>>()? })
}

pub(crate) fn encode_compacted(compacted: &Compacted) -> Vec<u8> {
    super::write(&CompactedForm {
        removed: compacted.removed.iter().map(|id| id.0).collect(),
        added: compacted.added.iter().map(form).collect(),
        retired_deletions: compacted.retired_deletions.clone(),
    })
}

pub(crate) fn decode_compacted(bytes: &[u8]) -> Result<Compacted, DecodeError> {
    let form: CompactedForm<'_> = super::read("compaction", bytes)?;
    Ok(Compacted {
        removed: form.removed.into_iter().map(SegmentId).collect(),
        added: form.added.into_iter().map(entry).collect::<Result<_, _>>()?,
        retired_deletions: form.retired_deletions,
    })
}

fn form(entry: &SegmentEntry) -> EntryForm<'_> {
    EntryForm {
        id: entry.id.0,
        table: entry.table.0,
        partition: entry.partition.map(|partition| PartitionForm {
            kind: match partition.kind {
                PartitionKind::Hour => PartitionKindForm::Hour,
                PartitionKind::Day => PartitionKindForm::Day,
                PartitionKind::Month => PartitionKindForm::Month,
                PartitionKind::Year => PartitionKindForm::Year,
            },
            range: partition.range.into(),
        }),
        first_sequence: entry.first_sequence,
        last_sequence: entry.last_sequence,
        deletions_through: entry.deletions_through,
        rows: entry.rows,
        points: entry.points,
        bytes: entry.bytes,
        min_time: entry.times.0,
        max_time: entry.times.1,
        series: entry.series,
        hash: entry.hash,
        index: &entry.index,
    }
}

fn entry(form: EntryForm<'_>) -> Result<SegmentEntry, DecodeError> {
    // Segments are counted one by one; a number that leaves no room for the next was never given.
    if form.id >= MOST_SEGMENTS {
        return Err(DecodeError::new(WHAT, format!("segment number {}", form.id)));
    }
    Ok(SegmentEntry {
        id: SegmentId(form.id),
        table: TableId(form.table),
        partition: form.partition.map(|partition| Partition {
            kind: match partition.kind {
                PartitionKindForm::Hour => PartitionKind::Hour,
                PartitionKindForm::Day => PartitionKind::Day,
                PartitionKindForm::Month => PartitionKind::Month,
                PartitionKindForm::Year => PartitionKind::Year,
            },
            range: partition.range.into(),
        }),
        first_sequence: form.first_sequence,
        last_sequence: form.last_sequence,
        deletions_through: form.deletions_through,
        rows: form.rows,
        points: form.points,
        bytes: form.bytes,
        times: (form.min_time, form.max_time),
        series: form.series,
        hash: form.hash,
        index: form.index.to_vec(),
    })
}
