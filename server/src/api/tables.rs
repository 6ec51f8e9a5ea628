//! Tables: what there is, and making, renaming and dropping them.

use std::sync::Arc;

use alluvium::{Action, Error, FieldType, TableSpec, Target, TimeUnit};
use axum::extract::Path;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Guard, Problem};
use crate::commands::tables::describe;
use crate::serve::Server;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/tables", get(list)).route("/tables/{name}", get(read).put(make).patch(change).delete(remove))
}

/// Columns of a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    fields: Vec<NewField>,
    /// `ms`, `us` or `ns`.
    time_unit: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewField {
    name: String,
    r#type: String,
}

/// Another name, and columns that are added.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    name: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    fields: Vec<NewField>,
}

type Named = Result<Path<String>, PathRejection>;

async fn list(guard: Guard) -> Answer<Json<Value>> {
    let rights = guard.server.access.rights(&guard.caller)?;
    let tables = guard.server.db.tables();
    let seen = tables.iter().filter(|table| rights.scope(Action::Read, &table.name).is_some());
    Ok(Json(json!({ "tables": seen.map(|table| describe(table)).collect::<Vec<_>>() })))
}

async fn read(guard: Guard, name: Named) -> Answer<Json<Value>> {
    let Path(name) = name?;
    guard.server.access.scope(&guard.caller, Action::Read, &name)?;
    Ok(Json(describe(&*guard.server.db.table(&name)?)))
}

async fn make(guard: Guard, name: Named, new: Result<Json<New>, JsonRejection>) -> Answer<(StatusCode, Json<Value>)> {
    let (Path(name), Json(New { tags, fields, time_unit })) = (name?, new?);
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
    Ok((StatusCode::CREATED, Json(describe(&made))))
}

async fn change(guard: Guard, name: Named, changed: Result<Json<Changed>, JsonRejection>) -> Answer<Json<Value>> {
    let (Path(name), Json(Changed { name: new_name, tags, fields })) = (name?, changed?);
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

async fn remove(guard: Guard, name: Named) -> Answer<StatusCode> {
    let Path(name) = name?;
    guard.permit(Action::Define, Target::Table(&name))?;
    guard.engine(move |db| db.drop_table(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn typed(fields: Vec<NewField>) -> Answer<Vec<(String, FieldType)>> {
    let typed = |NewField { name, r#type }| Ok((name, r#type.parse::<FieldType>().map_err(|error: Error| error)?));
    fields.into_iter().map(typed).collect::<Result<_, Error>>().map_err(Problem::from)
}
