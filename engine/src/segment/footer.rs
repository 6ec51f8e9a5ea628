//! What makes the file a Parquet file that others can read: its schema and its footer.

use std::sync::Arc;

use parquet::basic::{
    Compression, Encoding as ParquetEncoding, LogicalType, Repetition, TimeUnit as ParquetUnit, Type as Physical, ZstdLevel,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::page_index::PageIndexBuilder;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, FileMetaData, KeyValue, OffsetIndexBuilder, ParquetMetaData, ParquetMetaDataBuilder,
    RowGroupMetaData, SortingColumn,
};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};

use super::bounds::Bounds;
use super::index::ColumnLayout;
use super::layout::PageSpan;
use super::values::ColumnKind;
use crate::model::{FieldType, TIME_COLUMN, TableSchema, TimeUnit};

/// Footer key of where our own notes lie in the file: `offset:length`.
pub(super) const NOTE_KEY: &str = "alluvium";
/// Footer keys for people and their tools; we do not read them.
const TABLE_KEY: &str = "alluvium.table";
const SEQUENCES_KEY: &str = "alluvium.sequences";
/// Version of Parquet's own format: 2, since DELTA_BINARY_PACKED and nanoseconds are not in 1.
const PARQUET_VERSION: i32 = 2;

/// The columns of a segment in order: time, tags, fields.
pub(super) fn kinds(schema: &TableSchema) -> Vec<ColumnKind> {
    let fields = schema.fields.iter().map(|field| ColumnKind::Field(field.kind));
    std::iter::once(ColumnKind::Time(schema.time_unit)).chain(schema.tags.iter().map(|_| ColumnKind::Tag)).chain(fields).collect()
}

/// The Parquet schema of a table. The same for every segment of one schema version, whatever values are there.
pub(super) fn parquet_schema(schema: &TableSchema) -> Result<SchemaDescPtr, ParquetError> {
    let tags = schema.tags.iter().map(|tag| (tag.name.as_str(), tag.id));
    let fields = schema.fields.iter().map(|field| (field.name.as_str(), field.id));
    let names = std::iter::once((TIME_COLUMN, 1)).chain(tags).chain(fields);
    let columns = names.zip(kinds(schema)).map(|((name, id), kind)| Ok(Arc::new(column_type(name, id, kind)?)));
    let columns = columns.collect::<Result<Vec<_>, ParquetError>>()?;
    let root = Type::group_type_builder("schema").with_fields(columns).build()?;
    Ok(Arc::new(SchemaDescriptor::new(Arc::new(root))))
}

fn column_type(name: &str, id: u32, kind: ColumnKind) -> Result<Type, ParquetError> {
    let (physical, logical) = match kind {
        ColumnKind::Time(unit) => {
            let unit = match unit {
                TimeUnit::Milli => ParquetUnit::MILLIS,
                TimeUnit::Micro => ParquetUnit::MICROS,
                TimeUnit::Nano => ParquetUnit::NANOS,
            };
            (Physical::INT64, Some(LogicalType::timestamp(true, unit)))
        }
        ColumnKind::Tag | ColumnKind::Field(FieldType::Utf8) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnKind::Field(FieldType::Binary) => (Physical::BYTE_ARRAY, None),
        ColumnKind::Field(FieldType::Float64) => (Physical::DOUBLE, None),
        ColumnKind::Field(FieldType::Float32) => (Physical::FLOAT, None),
        ColumnKind::Field(FieldType::Int64) => (Physical::INT64, None),
        ColumnKind::Field(FieldType::UInt64) => (Physical::INT64, Some(LogicalType::integer(64, false))),
        ColumnKind::Field(FieldType::Bool) => (Physical::BOOLEAN, None),
        ColumnKind::Field(FieldType::Decimal { scale }) => {
            (Physical::INT64, Some(LogicalType::decimal(i32::from(scale), i32::from(FieldType::DECIMAL_PRECISION))))
        }
    };
    let repetition = if kind.nullable() { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let mut builder = Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .with_id(Some(id.cast_signed()));
    if let ColumnKind::Field(FieldType::Decimal { scale }) = kind {
        builder = builder.with_precision(i32::from(FieldType::DECIMAL_PRECISION)).with_scale(i32::from(scale));
    }
    builder.build()
}

/// A column as it was written.
pub(super) struct WrittenColumn {
    pub(super) layout: ColumnLayout,
    /// Bounds of each page.
    pub(super) bounds: Vec<Bounds>,
}

/// All that the footer says.
pub(super) struct Footer<'a> {
    pub(super) schema: &'a TableSchema,
    pub(super) sequences: (u64, u64),
    pub(super) pages: &'a [PageSpan],
    pub(super) columns: &'a [WrittenColumn],
    /// Where our notes lie: first byte and length.
    pub(super) note: (u64, u64),
}

impl Footer<'_> {
    pub(super) fn metadata(&self, descriptor: &SchemaDescPtr) -> Result<ParquetMetaData, ParquetError> {
        let rows: i64 = self.pages.iter().map(|page| i64::from(page.rows)).sum();
        let mut chunks = Vec::with_capacity(self.columns.len());
        let mut index = PageIndexBuilder::new(1, self.columns.len());
        for (place, column) in self.columns.iter().enumerate() {
            chunks.push(chunk(column, descriptor, place, rows)?);
            index.put_offset_index(offset_index(column, self.pages).build(), 0, place);
            if let Some(bounds) = column_index(column, descriptor.column(place).physical_type()) {
                index.put_column_index(bounds.build()?, 0, place);
            }
        }
        let plain = chunks.iter().map(ColumnChunkMetaData::uncompressed_size).sum();
        let group = RowGroupMetaData::builder(descriptor.clone())
            .set_num_rows(rows)
            .set_total_byte_size(plain)
            .set_sorting_columns(Some(self.sorting()))
            .set_column_metadata(chunks)
            .set_ordinal(0)
            .set_file_offset(4)
            .build()?;
        let notes = vec![
            KeyValue::new(NOTE_KEY.into(), format!("{}:{}", self.note.0, self.note.1)),
            KeyValue::new(TABLE_KEY.into(), self.schema.name.clone()),
            KeyValue::new(SEQUENCES_KEY.into(), format!("{}-{}", self.sequences.0, self.sequences.1)),
        ];
        let writer = Some(concat!("alluvium version ", env!("CARGO_PKG_VERSION")).to_owned());
        let file = FileMetaData::new(PARQUET_VERSION, rows, writer, Some(notes), descriptor.clone(), None);
        Ok(ParquetMetaDataBuilder::new(file).add_row_group(group).set_page_index(Some(Arc::new(index.build()))).build())
    }

    /// Tags, missing ones first, then time.
    fn sorting(&self) -> Vec<SortingColumn> {
        let tags = 1..=self.schema.tags.len() as i32;
        let by = |column_idx| SortingColumn { column_idx, descending: false, nulls_first: true };
        tags.map(by).chain(std::iter::once(by(0))).collect()
    }
}

fn chunk(
    column: &WrittenColumn,
    descriptor: &SchemaDescPtr,
    place: usize,
    rows: i64,
) -> Result<ColumnChunkMetaData, ParquetError> {
    let layout = &column.layout;
    let mut encodings = vec![layout.encoding.parquet()];
    if layout.kind.nullable() {
        encodings.push(ParquetEncoding::RLE);
    }
    if layout.dictionary.is_some() {
        encodings.push(ParquetEncoding::PLAIN);
    }
    let headers: u64 = layout.pages.iter().map(|page| u64::from(page.header)).sum();
    let bodies: u64 = layout.pages.iter().map(|page| u64::from(page.plain)).sum();
    let dictionary =
        layout.dictionary.as_ref().map_or(0, |dictionary| u64::from(dictionary.header) + u64::from(dictionary.plain));
    let compression = if layout.zstd { Compression::ZSTD(ZstdLevel::default()) } else { Compression::UNCOMPRESSED };
    let bounds = column.bounds.iter().cloned().fold(Bounds::default(), Bounds::merge);
    ColumnChunkMetaData::builder(descriptor.column(place))
        .set_encodings(encodings)
        .set_compression(compression)
        .set_num_values(rows)
        .set_total_compressed_size((layout.end() - layout.start()) as i64)
        .set_total_uncompressed_size((headers + bodies + dictionary) as i64)
        .set_data_page_offset(layout.pages.first().map_or(0, |page| page.offset) as i64)
        .set_dictionary_page_offset(layout.dictionary.as_ref().map(|dictionary| dictionary.offset as i64))
        .set_statistics(bounds.statistics(layout.kind))
        .build()
}

fn offset_index(column: &WrittenColumn, pages: &[PageSpan]) -> OffsetIndexBuilder {
    let mut builder = OffsetIndexBuilder::new();
    for (layout, span) in column.layout.pages.iter().zip(pages) {
        builder.append_row_count(i64::from(span.rows));
        builder.append_offset_and_size(layout.offset as i64, (layout.header + layout.stored).cast_signed());
    }
    builder
}

/// `None` where some page has values whose bounds cannot be told.
fn column_index(column: &WrittenColumn, physical: Physical) -> Option<ColumnIndexBuilder> {
    let mut builder = ColumnIndexBuilder::new(physical);
    let nans = column.layout.kind.is_float().then_some(0);
    for bounds in &column.bounds {
        let nulls = bounds.nulls as i64;
        match bounds.bytes(column.layout.kind) {
            Some((min, max)) => builder.append(false, min, max, nulls, nans),
            None if bounds.is_empty() => builder.append(true, Vec::new(), Vec::new(), nulls, nans),
            None => return None,
        }
    }
    Some(builder)
}
