//! Collections, and the versions of their schemas.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{Action, CollectionSpec, Error, Target, Where};
use axum::extract::Path;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Guard, Problem};
use crate::commands::doc::collections::describe;
use crate::serve::Server;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/collections", get(list))
        .route("/collections/{name}", get(read).put(make).delete(remove))
        .route("/collections/{name}/schema", get(schemas).put(set_schema).delete(remove_schema))
}

/// What a collection is to be.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    #[serde(default)]
    soft_delete: bool,
    keep_deleted_seconds: Option<f64>,
    #[serde(default)]
    history: u32,
    #[serde(default)]
    indexes: Vec<NewIndex>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewIndex {
    name: String,
    paths: Vec<String>,
    #[serde(default)]
    unique: bool,
}

type Named = Result<Path<String>, PathRejection>;

async fn list(guard: Guard) -> Answer<Json<Value>> {
    let rights = guard.server.access.rights(&guard.caller)?;
    let seen = guard.engine(move |db| {
        let all = db.collections().list()?.into_iter();
        let seen = all.filter(|spec| rights.permit(Action::Read, Target::Collection(&spec.name)));
        seen.map(|spec| Ok(describe(&spec, db.collection(&spec.name).count(Where::all())?)))
            .collect::<Result<Vec<Value>, Error>>()
    });
    Ok(Json(json!({ "collections": seen.await? })))
}

async fn read(guard: Guard, name: Named) -> Answer<Json<Value>> {
    let Path(name) = name?;
    guard.permit(Action::Read, Target::Collection(&name))?;
    let found = guard.engine(move |db| Ok(describe(&db.collections().get(&name)?, db.collection(&name).count(Where::all())?)));
    Ok(Json(found.await?))
}

async fn make(guard: Guard, name: Named, new: Result<Option<Json<New>>, JsonRejection>) -> Answer<StatusCode> {
    let (Path(name), Json(new)) = (name?, new?.unwrap_or_default());
    guard.permit(Action::Define, Target::Collection(&name))?;
    let mut spec = CollectionSpec::new(&name).history(new.history);
    let keep = new.keep_deleted_seconds.map(Duration::try_from_secs_f64).transpose().map_err(Problem::invalid)?;
    if new.soft_delete {
        spec = spec.soft_delete(keep);
    }
    for NewIndex { name, paths, unique } in &new.indexes {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        spec = if *unique { spec.unique(name, &paths)? } else { spec.index(name, &paths)? };
    }
    guard.engine(move |db| db.collections().create(spec)).await?;
    Ok(StatusCode::CREATED)
}

async fn remove(guard: Guard, name: Named) -> Answer<StatusCode> {
    let Path(name) = name?;
    guard.permit(Action::Define, Target::Collection(&name))?;
    guard.engine(move |db| db.collections().drop(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn schemas(guard: Guard, name: Named) -> Answer<Json<Value>> {
    let Path(name) = name?;
    guard.permit(Action::Read, Target::Collection(&name))?;
    let versions = guard.engine(move |db| db.collections().schemas(&name)).await?;
    let said = versions.iter().map(|version| json!({ "version": version.version, "schema": version.schema }));
    Ok(Json(json!({ "versions": said.collect::<Vec<_>>() })))
}

async fn set_schema(guard: Guard, name: Named, schema: Result<Json<Value>, JsonRejection>) -> Answer<Json<Value>> {
    let (Path(name), Json(schema)) = (name?, schema?);
    guard.permit(Action::Define, Target::Collection(&name))?;
    let version = guard.engine(move |db| db.collections().set_schema(&name, &schema)).await?;
    Ok(Json(json!({ "version": version })))
}

async fn remove_schema(guard: Guard, name: Named) -> Answer<StatusCode> {
    let Path(name) = name?;
    guard.permit(Action::Define, Target::Collection(&name))?;
    guard.engine(move |db| db.collections().remove_schema(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
