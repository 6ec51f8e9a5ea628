//! Which fields a query returns, and the columns of its rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::model::TableSchema;

/// The fields of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Projection {
    /// Positions in the table, in the order they were asked for.
    fields: Vec<usize>,
    /// Whether they were named, rather than all being meant.
    named: bool,
}

impl Projection {
    /// The fields named, or all where none is. An unknown or repeated name is refused.
    pub(crate) fn new(schema: &TableSchema, names: &[String]) -> Result<Self> {
        if names.is_empty() {
            return Ok(Projection { fields: (0..schema.fields.len()).collect(), named: false });
        }
        let mut fields = Vec::with_capacity(names.len());
        for name in names {
            let position = schema.field_position(name).ok_or_else(|| Error::NoSuchColumn {
                table: schema.name.clone(),
                what: "field",
                name: name.clone(),
                known: comma_separated(schema.fields.iter().map(|field| field.name.as_str())),
            })?;
            if fields.contains(&position) {
                return Err(Error::invalid(format_args!("field {name:?} is asked for twice: name it once")));
            }
            fields.push(position);
        }
        Ok(Projection { fields, named: true })
    }

    /// Positions in the table, in the order they were asked for.
    pub(crate) fn fields(&self) -> &[usize] {
        &self.fields
    }

    /// Whether the fields were named, rather than all being meant.
    pub(crate) fn is_named(&self) -> bool {
        self.named
    }

    /// The columns of a query for rows: time, all tags, then the fields.
    pub(crate) fn row_schema(&self, schema: &TableSchema) -> SchemaRef {
        let mut columns = vec![schema.time_field()];
        columns.extend(schema.tags.iter().map(|tag| ArrowField::new(&tag.name, DataType::Utf8, true)));
        let fields = self.fields.iter().filter_map(|position| schema.fields.get(*position));
        columns.extend(fields.map(|field| ArrowField::new(&field.name, field.kind.arrow(), true)));
        Arc::new(Schema::new(columns))
    }
}

/// The positions of the tags named. An unknown or repeated name is refused.
pub(super) fn tag_positions(schema: &TableSchema, names: &[String]) -> Result<Vec<usize>> {
    let mut positions = Vec::with_capacity(names.len());
    for name in names {
        let position = schema.tag_position(name).ok_or_else(|| Error::NoSuchColumn {
            table: schema.name.clone(),
            what: "tag",
            name: name.clone(),
            known: comma_separated(schema.tags.iter().map(|tag| tag.name.as_str())),
        })?;
        if positions.contains(&position) {
            return Err(Error::invalid(format_args!("results are grouped by tag {name:?} twice: name it once")));
        }
        positions.push(position);
    }
    Ok(positions)
}

fn comma_separated<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FieldType, TableId, TableSpec};

    fn schema() -> TableSchema {
        let spec = TableSpec::new("air").tag("room").field("co2", FieldType::Float64).field("n", FieldType::Int64);
        spec.into_schema(TableId(0)).unwrap()
    }

    #[test]
    fn fields_come_in_the_order_asked_for() {
        let schema = schema();
        let some = Projection::new(&schema, &["n".to_owned(), "co2".to_owned()]).unwrap();
        assert_eq!(some.fields(), [1, 0]);
        assert!(some.is_named());
        let columns = some.row_schema(&schema);
        let names: Vec<_> = columns.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["time", "room", "n", "co2"]);
        assert_eq!(Projection::new(&schema, &[]).unwrap().row_schema(&schema), schema.arrow());
    }

    #[test]
    fn unknown_and_repeated_names_are_refused() {
        let schema = schema();
        let unknown = Projection::new(&schema, &["room".to_owned()]).unwrap_err();
        assert_eq!(unknown.to_string(), "table \"air\" has no field \"room\"; it has co2, n");
        let twice = Projection::new(&schema, &["n".to_owned(), "n".to_owned()]).unwrap_err();
        assert!(matches!(twice, Error::Invalid(_)), "{twice}");
        assert!(matches!(tag_positions(&schema, &["n".to_owned()]), Err(Error::NoSuchColumn { what: "tag", .. })));
    }
}
