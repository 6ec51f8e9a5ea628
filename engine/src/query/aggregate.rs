//! What an aggregating query asks of which field, and the columns of its answer.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};

use super::projection::{Projection, tag_positions};
use super::{Aggregate, Aggregation};
use crate::error::{Error, Result};
use crate::model::{FieldType, TableSchema};

/// The type in which a function of a field comes out.
pub(super) fn result_type(function: Aggregate, kind: FieldType) -> DataType {
    const WIDEST: u8 = 38;
    match (function, kind) {
        (Aggregate::Count, _) => DataType::Int64,
        (Aggregate::Mean | Aggregate::Stddev, _) => DataType::Float64,
        (Aggregate::Sum, FieldType::Float64 | FieldType::Float32) => DataType::Float64,
        (Aggregate::Sum, FieldType::Decimal { scale }) => DataType::Decimal128(WIDEST, scale.cast_signed()),
        (Aggregate::Sum, _) => DataType::Decimal128(WIDEST, 0),
        (Aggregate::Min | Aggregate::Max | Aggregate::First | Aggregate::Last, _) => kind.arrow(),
    }
}

/// The functions of one field.
#[derive(Debug, Clone)]
pub(super) struct FieldPlan {
    /// Position in the table.
    pub(super) position: usize,
    /// What it holds.
    pub(super) kind: FieldType,
    /// In the order asked for.
    pub(super) functions: Vec<Aggregate>,
}

/// An aggregation, checked against a table.
#[derive(Debug, Clone)]
pub(super) struct AggregatePlan {
    /// In the order of the columns; every function of a field stands together.
    pub(super) fields: Vec<FieldPlan>,
    /// Positions of the tags grouped by, in the order asked for.
    pub(super) by: Vec<usize>,
    /// Time where there is a window, the tags grouped by, then every function of every field.
    pub(super) columns: SchemaRef,
}

impl AggregatePlan {
    /// Refuses unknown tags, functions asked for twice or not at all, and arithmetic on a named field that holds no
    /// numbers; where all fields are meant, such a field is left out for these functions.
    pub(super) fn new(schema: &TableSchema, aggregation: &Aggregation, projection: &Projection) -> Result<Self> {
        check_functions(&aggregation.functions)?;
        let by = tag_positions(schema, &aggregation.by)?;
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        if aggregation.window.is_some() {
            columns.push(schema.time_field());
        }
        columns.extend(aggregation.by.iter().map(|tag| ArrowField::new(tag, DataType::Utf8, true)));
        for position in projection.fields() {
            let field = &schema.fields[*position];
            let mut functions = aggregation.functions.clone();
            functions.retain(|function| answers(*function, field.kind));
            if projection.is_named()
                && let Some(unfit) = aggregation.functions.iter().find(|function| !answers(**function, field.kind))
            {
                return Err(Error::invalid(format_args!(
                    "{} of {:?} makes no sense: it is {}; use count, min, max, first or last",
                    unfit.name(),
                    field.name,
                    field.kind
                )));
            }
            columns.extend(functions.iter().map(|function| {
                let name = format!("{}({})", function.name(), field.name);
                ArrowField::new(name, result_type(*function, field.kind), *function != Aggregate::Count)
            }));
            if !functions.is_empty() {
                fields.push(FieldPlan { position: *position, kind: field.kind, functions });
            }
        }
        if fields.is_empty() {
            return Err(Error::invalid(format_args!(
                "no field of table {:?} can answer {}: it has no numbers",
                schema.name,
                aggregation.functions.iter().map(|function| function.name()).collect::<Vec<_>>().join(", ")
            )));
        }
        Ok(AggregatePlan { fields, by, columns: Arc::new(Schema::new(columns)) })
    }

    /// Whether a function is asked for of some field.
    pub(super) fn asks(&self, test: impl Fn(Aggregate) -> bool) -> bool {
        self.fields.iter().flat_map(|field| &field.functions).any(|function| test(*function))
    }
}

fn answers(function: Aggregate, kind: FieldType) -> bool {
    kind.is_numeric() || !matches!(function, Aggregate::Sum | Aggregate::Mean | Aggregate::Stddev)
}

fn check_functions(functions: &[Aggregate]) -> Result<()> {
    if functions.is_empty() {
        let known: Vec<_> = Aggregate::ALL.iter().map(|aggregate| aggregate.name()).collect();
        return Err(Error::invalid(format_args!("windows and groups need a function: name one of {}", known.join(", "))));
    }
    for (i, function) in functions.iter().enumerate() {
        if functions[..i].contains(function) {
            return Err(Error::invalid(format_args!("{} is asked for twice: name it once", function.name())));
        }
    }
    Ok(())
}
