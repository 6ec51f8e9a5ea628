//! A table's schema.

use serde::{Deserialize, Serialize};

use super::super::DecodeError;
use crate::format::limits;
use crate::model::{Field, FieldType, Partitioning, TableId, TableSchema, Tag, TimeUnit};

const WHAT: &str = "table schema";

#[derive(Serialize, Deserialize)]
struct TableForm<'a> {
    id: u32,
    name: &'a str,
    version: u32,
    time_unit: UnitForm,
    partitioning: PartitioningForm,
    #[serde(borrow)]
    tags: Vec<TagForm<'a>>,
    #[serde(borrow)]
    fields: Vec<FieldForm<'a>>,
}

#[derive(Serialize, Deserialize)]
struct TagForm<'a> {
    name: &'a str,
    id: u32,
}

#[derive(Serialize, Deserialize)]
struct FieldForm<'a> {
    name: &'a str,
    id: u32,
    kind: TypeForm,
}

#[derive(Serialize, Deserialize)]
enum UnitForm {
    Milli,
    Micro,
    Nano,
}

#[derive(Serialize, Deserialize)]
enum PartitioningForm {
    Auto,
    Hour,
    Day,
    Month,
    Year,
}

#[derive(Serialize, Deserialize)]
enum TypeForm {
    Float64,
    Float32,
    Int64,
    UInt64,
    Bool,
    Utf8,
    Binary,
    Decimal { scale: u8 },
}

pub(crate) fn encode(schema: &TableSchema) -> Vec<u8> {
    super::write(&TableForm {
        id: schema.id.0,
        name: &schema.name,
        version: schema.version,
        time_unit: match schema.time_unit {
            TimeUnit::Milli => UnitForm::Milli,
            TimeUnit::Micro => UnitForm::Micro,
            TimeUnit::Nano => UnitForm::Nano,
        },
        partitioning: match schema.partitioning {
            Partitioning::Auto => PartitioningForm::Auto,
            Partitioning::Hour => PartitioningForm::Hour,
            Partitioning::Day => PartitioningForm::Day,
            Partitioning::Month => PartitioningForm::Month,
            Partitioning::Year => PartitioningForm::Year,
        },
        tags: schema.tags.iter().map(|tag| TagForm { name: &tag.name, id: tag.id }).collect(),
        fields: schema.fields.iter().map(|f| FieldForm { name: &f.name, id: f.id, kind: type_form(f.kind) }).collect(),
    })
}

pub(crate) fn decode(bytes: &[u8]) -> Result<TableSchema, DecodeError> {
    let form: TableForm<'_> = super::read(WHAT, bytes)?;
    let columns = 1 + form.tags.len() as u64 + form.fields.len() as u64;
    if columns > limits::COLUMNS {
        return Err(DecodeError::new(WHAT, format!("{columns} columns")));
    }
    if u64::from(form.id) >= limits::TABLES || form.version == u32::MAX {
        return Err(DecodeError::new(WHAT, format!("version {} of table number {}", form.version, form.id)));
    }
    let schema = TableSchema {
        id: TableId(form.id),
        name: form.name.to_owned(),
        version: form.version,
        time_unit: match form.time_unit {
            UnitForm::Milli => TimeUnit::Milli,
            UnitForm::Micro => TimeUnit::Micro,
            UnitForm::Nano => TimeUnit::Nano,
        },
        partitioning: match form.partitioning {
            PartitioningForm::Auto => Partitioning::Auto,
            PartitioningForm::Hour => Partitioning::Hour,
            PartitioningForm::Day => Partitioning::Day,
            PartitioningForm::Month => Partitioning::Month,
            PartitioningForm::Year => Partitioning::Year,
        },
        tags: form.tags.into_iter().map(|tag| Tag { name: tag.name.to_owned(), id: tag.id }).collect(),
        fields: form.fields.into_iter().map(field).collect::<Result<_, _>>()?,
    };
    schema.check().map_err(|error| DecodeError::new(WHAT, error.to_string()))?;
    Ok(schema)
}

fn type_form(kind: FieldType) -> TypeForm {
    match kind {
        FieldType::Float64 => TypeForm::Float64,
        FieldType::Float32 => TypeForm::Float32,
        FieldType::Int64 => TypeForm::Int64,
        FieldType::UInt64 => TypeForm::UInt64,
        FieldType::Bool => TypeForm::Bool,
        FieldType::Utf8 => TypeForm::Utf8,
        FieldType::Binary => TypeForm::Binary,
        FieldType::Decimal { scale } => TypeForm::Decimal { scale },
    }
}

fn field(form: FieldForm<'_>) -> Result<Field, DecodeError> {
    let kind = match form.kind {
        TypeForm::Float64 => FieldType::Float64,
        TypeForm::Float32 => FieldType::Float32,
        TypeForm::Int64 => FieldType::Int64,
        TypeForm::UInt64 => FieldType::UInt64,
        TypeForm::Bool => FieldType::Bool,
        TypeForm::Utf8 => FieldType::Utf8,
        TypeForm::Binary => FieldType::Binary,
        TypeForm::Decimal { scale } if scale <= FieldType::DECIMAL_PRECISION => FieldType::Decimal { scale },
        TypeForm::Decimal { scale } => return Err(DecodeError::new(WHAT, format!("decimal of scale {scale}"))),
    };
    Ok(Field { name: form.name.to_owned(), id: form.id, kind })
}
