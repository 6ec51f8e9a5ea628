//! Tables that are made for the rows that come.

use alluvium::{Database, Error, FieldType, Result, TableSchema, TableSpec};

use crate::import::{Batch, Role, time_unit};

/// Makes a table, or the columns that it lacks.
pub(in crate::serve) fn make(db: &Database, spec: &TableSpec) -> Result<()> {
    match db.create_table(spec.clone()) {
        Ok(_) => return Ok(()),
        Err(Error::TableExists { .. }) => {}
        Err(error) => return Err(error),
    }
    let schema = db.table(&spec.name)?;
    let tags: Vec<_> = spec.tags.iter().filter(|tag| schema.tag_position(tag).is_none()).cloned().collect();
    let fields: Vec<_> = spec.fields.iter().filter(|(name, _)| schema.field_position(name).is_none()).cloned().collect();
    if tags.is_empty() && fields.is_empty() {
        return Ok(());
    }
    db.add_columns(&spec.name, &tags, &fields).map(|_| ())
}

/// The table that rows need.
pub(crate) fn spec_of(table: &str, batch: &Batch) -> TableSpec {
    let mut spec = TableSpec::new(table).time_unit(time_unit(&batch.rows));
    for column in &batch.added {
        spec = match column.role {
            Role::Tag => spec.tag(&column.name),
            Role::Field(kind) => spec.field(&column.name, kind),
            Role::Undecided => spec,
        };
    }
    spec
}

/// Whether a table has what was to be made of it, and not something else that others made meanwhile. Its unit of time counts only if
/// it is new.
pub(super) fn fits(schema: &TableSchema, spec: &TableSpec, is_new: bool) -> bool {
    let kind = |name: &str| -> Option<FieldType> { Some(schema.fields.get(schema.field_position(name)?)?.kind) };
    (!is_new || schema.time_unit == spec.time_unit)
        && spec.tags.iter().all(|tag| schema.tag_position(tag).is_some())
        && spec.fields.iter().all(|(name, asked)| kind(name) == Some(*asked))
}
