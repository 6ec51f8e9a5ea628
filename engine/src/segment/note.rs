//! Our own notes inside a segment file: enough to make its entry again, and the table's schema, from the file alone.
//!
//! They lie between the columns and Parquet's footer, which says where: the length of [`Note`] as four little-endian bytes, the
//! note (postcard), and the layout part of the index.

use serde::{Deserialize, Serialize};

use super::Malformed;
use super::bits::Reader;
use super::index::{ColumnLayout, SegmentIndex};
use super::values::ColumnKind;
use super::write::SegmentSpec;
use crate::format::limits;
use crate::model::{Field, Partition, PartitionKind, Partitioning, TableId, TableSchema, Tag, TimeRange, TimeUnit};

/// Frozen: what a segment file says of itself. Types of columns are in the layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    table: u32,
    table_name: String,
    schema_version: u32,
    partitioning: u8,
    /// Name and number of each tag.
    tags: Vec<(String, u32)>,
    /// Name and number of each field.
    fields: Vec<(String, u32)>,
    segment: u64,
    sequences: (u64, u64),
    /// Kind, start, end.
    partition: Option<(u8, i64, i64)>,
}

const PARTITIONINGS: [Partitioning; 5] =
    [Partitioning::Auto, Partitioning::Hour, Partitioning::Day, Partitioning::Month, Partitioning::Year];
const PARTITION_KINDS: [PartitionKind; 4] = [PartitionKind::Hour, PartitionKind::Day, PartitionKind::Month, PartitionKind::Year];

/// What a note says, in the terms of the model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) schema: TableSchema,
    pub(super) sequences: (u64, u64),
    pub(super) partition: Option<Partition>,
}

/// The bytes of the notes of a segment.
pub(super) fn encode(spec: &SegmentSpec<'_>, layout: &SegmentIndex) -> Result<Vec<u8>, postcard::Error> {
    let schema = spec.schema;
    let code = |place: Option<usize>| place.unwrap_or_default() as u8;
    let note = Note {
        table: schema.id.0,
        table_name: schema.name.clone(),
        schema_version: schema.version,
        partitioning: code(PARTITIONINGS.iter().position(|one| *one == schema.partitioning)),
        tags: schema.tags.iter().map(|tag| (tag.name.clone(), tag.id)).collect(),
        fields: schema.fields.iter().map(|field| (field.name.clone(), field.id)).collect(),
        segment: spec.id.0,
        sequences: spec.sequences,
        partition: spec.partition.map(|partition| {
            let kind = code(PARTITION_KINDS.iter().position(|one| *one == partition.kind));
            (kind, partition.range.start, partition.range.end)
        }),
    };
    let note = postcard::to_stdvec(&note)?;
    let mut out = (note.len() as u32).to_le_bytes().to_vec();
    out.extend_from_slice(&note);
    out.extend_from_slice(&layout.encode_layout());
    Ok(out)
}

/// Reads the notes: what they say, and the bytes of the layout after them.
pub(super) fn decode(bytes: &[u8]) -> Result<(Note, &[u8]), Malformed> {
    let mut reader = Reader::new(bytes);
    let length = reader.u32()? as usize;
    let note = postcard::from_bytes(reader.take(length)?).map_err(|_| Malformed("its notes do not read"))?;
    Ok((note, reader.rest()))
}

impl Note {
    /// Joins names and numbers with the types of the columns.
    pub(super) fn tell(self, columns: &[ColumnLayout]) -> Result<Told, Malformed> {
        const MISFIT: Malformed = Malformed("its notes and its columns differ");
        let kinds: Vec<ColumnKind> = columns.iter().map(|column| column.kind).collect();
        let time_unit: TimeUnit = match kinds.first() {
            Some(ColumnKind::Time(unit)) => *unit,
            _ => return Err(MISFIT),
        };
        let tags = self.tags.len();
        if kinds.len() != 1 + tags + self.fields.len() || kinds.len() as u64 > limits::COLUMNS {
            return Err(MISFIT);
        }
        let mut fields = Vec::with_capacity(self.fields.len());
        for ((name, id), kind) in self.fields.into_iter().zip(&kinds[1 + tags..]) {
            let ColumnKind::Field(kind) = *kind else { return Err(MISFIT) };
            fields.push(Field { name, id, kind });
        }
        let partitioning = *PARTITIONINGS.get(usize::from(self.partitioning)).ok_or(MISFIT)?;
        let mut partition = None;
        if let Some((kind, start, end)) = self.partition {
            let kind = *PARTITION_KINDS.get(usize::from(kind)).ok_or(MISFIT)?;
            partition = Some(Partition { kind, range: TimeRange { start, end } });
        }
        let schema = TableSchema {
            id: TableId(self.table),
            name: self.table_name,
            version: self.schema_version,
            time_unit,
            partitioning,
            tags: self.tags.into_iter().map(|(name, id)| Tag { name, id }).collect(),
            fields,
        };
        Ok(Told { schema, sequences: self.sequences, partition })
    }
}
