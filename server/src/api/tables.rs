//! Tables: what there is, and making, renaming and dropping them.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use alluvium::{Action, Error, FieldType, TableSpec, Target, TimeUnit};
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::response::NoContent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Created;
use super::document::says;
use super::{Answer, Guard, Name, Named, Paged, Problem};
use crate::commands::delete::Wanted;
use crate::commands::tables::describe;
use crate::serve::Server;
use crate::told;

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    let table = get_with(read, says("table_read", "A table with its columns."))
        .put_with(make, says("table_make", "Makes a table."))
        .patch_with(change, says("table_change", "Adds columns to a table, and renames it."))
        .delete_with(remove, says("table_drop", "Drops a table with all its rows."));
    ApiRouter::new()
        .api_route("/tables", get_with(list, says("table_list", "Tables of which one may read something, by name.")))
        .api_route("/tables/{name}", table)
        .api_route(
            "/tables/{name}/delete",
            post_with(delete, says("rows_delete", "Deletes rows between two times, of all series or some.")),
        )
}

#[derive(Debug, Serialize, JsonSchema)]
struct Tables {
    tables: Vec<told::Table>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

/// Columns of a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewTable")]
struct New {
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    fields: Vec<NewField>,
    /// `ms`, `us` or `ns`.
    time_unit: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewField {
    name: String,
    r#type: String,
}

/// Another name, and columns that are added.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChangedTable")]
struct Changed {
    name: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    fields: Vec<NewField>,
}

async fn list(guard: Guard, paged: Result<Query<Paged>, QueryRejection>) -> Answer<Json<Tables>> {
    let (Query(paged), rights) = (paged?, guard.server.access.rights(&guard.caller)?);
    let mut tables = guard.server.db.tables();
    tables.retain(|table| rights.scope(Action::Read, &table.name).is_some());
    let (tables, next) = paged.by_name(tables, |table| &table.name);
    Ok(Json(Tables { tables: tables.iter().map(|table| describe(table)).collect(), next }))
}

async fn read(guard: Guard, name: Named) -> Answer<Json<told::Table>> {
    let Path(Name { name }) = name?;
    guard.server.access.scope(&guard.caller, Action::Read, &name)?;
    Ok(Json(describe(&*guard.server.db.table(&name)?)))
}

async fn make(guard: Guard, name: Named, new: Result<Json<New>, JsonRejection>) -> Answer<Created<told::Table>> {
    let (Path(Name { name }), Json(New { tags, fields, time_unit })) = (name?, new?);
    guard.permit(Action::Define, Target::Table(&name))?;
    let mut spec = tags.into_iter().fold(TableSpec::new(&name), |spec, tag| spec.tag(tag));
    for (field, kind) in typed(fields)? {
        spec = spec.field(field, kind);
    }
    spec = match time_unit.as_deref() {
        None | Some("us") => spec,
        Some("ms") => spec.time_unit(TimeUnit::Milli),
        Some("ns") => spec.time_unit(TimeUnit::Nano),
        Some(other) => return Err(Problem::invalid(format_args!("{other:?} is no unit of time: there are ms, us and ns"))),
    };
    let made = guard.engine(move |db| db.create_table(spec)).await?;
    Ok(Created(describe(&made)))
}

async fn change(guard: Guard, name: Named, changed: Result<Json<Changed>, JsonRejection>) -> Answer<Json<told::Table>> {
    let (Path(Name { name }), Json(Changed { name: new_name, tags, fields })) = (name?, changed?);
    guard.permit(Action::Define, Target::Table(&name))?;
    if let Some(new_name) = &new_name {
        guard.permit(Action::Define, Target::Table(new_name))?;
    }
    let fields = typed(fields)?;
    let schema = guard.engine(move |db| {
        let mut schema = db.table(&name)?;
        if !tags.is_empty() || !fields.is_empty() {
            schema = db.add_columns(&name, &tags, &fields)?;
        }
        new_name.map_or(Ok(schema), |new_name| db.rename_table(&name, &new_name))
    });
    Ok(Json(describe(&*schema.await?)))
}

async fn remove(guard: Guard, name: Named) -> Answer<NoContent> {
    let Path(Name { name }) = name?;
    guard.permit(Action::Define, Target::Table(&name))?;
    guard.engine(move |db| db.drop_table(&name)).await?;
    Ok(NoContent)
}

/// Of the series that the caller may delete rows of.
async fn delete(guard: Guard, name: Named, wanted: Result<Json<Wanted>, JsonRejection>) -> Answer<Json<told::Deleted>> {
    let (Path(Name { name }), Json(wanted)) = (name?, wanted?);
    let scope = guard.server.access.scope(&guard.caller, Action::Delete, &name)?;
    let (filters, range) = wanted.select(&*guard.server.db.table(&name)?)?;
    let table = name.clone();
    let ack = guard.engine(move |db| db.delete_within(&table, &filters, range, &scope)).await?;
    Ok(Json(told::Deleted { table: name, sequence: ack.sequence }))
}

fn typed(fields: Vec<NewField>) -> Answer<Vec<(String, FieldType)>> {
    let typed = |NewField { name, r#type }| Ok((name, r#type.parse::<FieldType>().map_err(|error: Error| error)?));
    fields.into_iter().map(typed).collect::<Result<_, Error>>().map_err(Problem::from)
}
