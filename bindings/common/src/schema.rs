//! Tables that are to be there.

use std::sync::Arc;

use alluvium::{Database, Error, FieldType, Result, TableSchema, TableSpec, TimeUnit};

/// How often a table is looked for anew that others make, change or drop at the same time.
const TRIES: usize = 8;

/// Makes a table, or adds the columns to it that it lacks. Those it has besides stay.
///
/// # Errors
///
/// [`Error::Invalid`] where the table has another unit of time, or a column of the same name that is something else.
pub fn ensure(db: &Database, spec: &TableSpec) -> Result<Arc<TableSchema>> {
    let mut tries = 0;
    loop {
        tries += 1;
        let made = match db.table(&spec.name) {
            Ok(there) => extended(db, &there, spec),
            Err(Error::NoSuchTable { .. }) => db.create_table(spec.clone()),
            Err(error) => return Err(error),
        };
        match made {
            // Somebody did the same, or dropped it, between the two steps.
            Err(Error::TableExists { .. } | Error::NoSuchTable { .. }) if tries < TRIES => {}
            made => return made,
        }
    }
}

fn extended(db: &Database, there: &TableSchema, spec: &TableSpec) -> Result<Arc<TableSchema>> {
    let refuse = |what: String| Err(Error::invalid(format_args!("table {:?} is there already and {what}", spec.name)));
    if there.time_unit != spec.time_unit {
        let per_second = [there.time_unit, spec.time_unit].map(TimeUnit::per_second);
        return refuse(format!("counts {} to a second, not {}", per_second[0], per_second[1]));
    }
    let kind_of = |name: &str| there.field_position(name).and_then(|at| there.fields.get(at)).map(|field| field.kind);
    let mut tags = Vec::new();
    for tag in &spec.tags {
        if kind_of(tag).is_some() {
            return refuse(format!("has {tag:?} as a field, not as a tag"));
        }
        if there.tag_position(tag).is_none() {
            tags.push(tag.clone());
        }
    }
    let mut fields: Vec<(String, FieldType)> = Vec::new();
    for (field, kind) in &spec.fields {
        if there.tag_position(field).is_some() {
            return refuse(format!("has {field:?} as a tag, not as a field"));
        }
        match kind_of(field) {
            Some(known) if known != *kind => return refuse(format!("has {field:?} as {known}, not as {kind}")),
            Some(_) => {}
            None => fields.push((field.clone(), *kind)),
        }
    }
    db.add_columns(&spec.name, &tags, &fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_made_or_extended_and_never_changed() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(folder.path().join("data")).unwrap();
        let air = TableSpec::new("air").tag("room").field("co2", FieldType::Float64);
        let first = ensure(&db, &air).unwrap();
        assert_eq!(ensure(&db, &air).unwrap(), first);
        let more = TableSpec::new("air").tag("floor").field("lit", FieldType::Bool).field("co2", FieldType::Float64);
        let names = ensure(&db, &more).unwrap().column_names();
        assert_eq!(names, "room, floor, co2, lit");
        assert_eq!(ensure(&db, &air).unwrap().column_names(), names, "what is there stays");
        let refused = |spec: TableSpec| ensure(&db, &spec).unwrap_err().to_string();
        assert!(refused(TableSpec::new("air").field("co2", FieldType::Int64)).contains("float64"));
        assert!(refused(TableSpec::new("air").field("room", FieldType::Utf8)).contains("tag"));
        assert!(refused(TableSpec::new("air").tag("co2")).contains("field"));
        assert!(refused(TableSpec::new("air").time_unit(TimeUnit::Nano)).contains("to a second"));
    }
}
