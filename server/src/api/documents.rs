//! Documents of a collection.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{Action, Database, Error, PutDocument, Target};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Guard, Problem};
use crate::commands::doc::documents::describe;
use crate::commands::doc::query::{explained, filter, query};
use crate::commands::values::condition;
use crate::serve::Server;

/// Documents of a page.
const PAGE: usize = 1_000;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/collections/{name}/documents", post(store))
        .route("/collections/{name}/query", post(find))
        .route("/collections/{name}/documents/{id}", get(read).put(write).patch(merge).delete(remove))
        .route("/collections/{name}/documents/{id}/history", get(history))
        .route("/collections/{name}/documents/{id}/restore", post(restore))
}

/// Documents that are stored, each by itself: with `id`, or with a new one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Many {
    documents: Vec<One>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    id: Option<String>,
    document: Value,
}

/// Conditions, orders and where to go on, as on the command line.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    r#where: Vec<String>,
    #[serde(default)]
    order: Vec<String>,
    limit: Option<usize>,
    after: Option<String>,
    #[serde(default)]
    count: bool,
    /// How it would be answered.
    #[serde(default)]
    explain: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct How {
    #[serde(default)]
    if_absent: bool,
    if_revision: Option<u64>,
    expires_in_seconds: Option<f64>,
    /// Under a new id, whatever the path says.
    #[serde(default)]
    new: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Also if it was deleted and can be restored.
    #[serde(default)]
    deleted: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyIf {
    if_revision: Option<u64>,
    /// For good, with its history.
    #[serde(default)]
    purge: bool,
}

type Named = Result<Path<(String, String)>, PathRejection>;
type Body = Result<Json<Value>, JsonRejection>;

async fn store(
    guard: Guard,
    name: Result<Path<String>, PathRejection>,
    many: Result<Json<Many>, JsonRejection>,
) -> Answer<Json<Value>> {
    let (Path(name), Json(Many { documents })) = (name?, many?);
    guard.permit(Action::Write, Target::Collection(&name))?;
    let documents = documents.into_iter().map(|One { id, document }| (id, document)).collect();
    let outcome = guard.engine(move |db| db.collection(&name).put_many(documents)).await?;
    let stored: Vec<_> = outcome.stored.iter().map(|(id, revision)| json!({ "id": id, "revision": revision })).collect();
    let errors: Vec<_> = outcome.failed.iter().map(|(id, error)| json!({ "id": id, "error": error.to_string() })).collect();
    Ok(Json(json!({ "stored": stored.len(), "failed": errors.len(), "documents": stored, "errors": errors })))
}

async fn find(
    guard: Guard,
    name: Result<Path<String>, PathRejection>,
    asked: Result<Option<Json<Asked>>, JsonRejection>,
) -> Answer<Json<Value>> {
    let (Path(name), Json(asked)) = (name?, asked?.unwrap_or_default());
    guard.permit(Action::Read, Target::Collection(&name))?;
    let wanted = filter(&asked.r#where)?;
    if asked.count {
        let count = guard.engine(move |db| db.collection(&name).count(wanted)).await?;
        return Ok(Json(json!({ "count": count })));
    }
    let explain = asked.explain;
    let asked = query(wanted, &asked.order, asked.limit.unwrap_or(PAGE).min(PAGE), asked.after.as_deref())?;
    if explain {
        return Ok(Json(guard.engine(move |db| explained(db, &name, &asked)).await?));
    }
    let page = guard.engine(move |db| db.collection(&name).query(&asked)).await?;
    let documents: Vec<_> = page.documents.iter().map(describe).collect();
    Ok(Json(json!({ "documents": documents, "next": page.cursor, "examined": page.examined })))
}

async fn read(guard: Guard, name: Named, which: Result<Query<Which>, QueryRejection>) -> Answer<Json<Value>> {
    let (Path((name, id)), Query(Which { deleted })) = (name?, which?);
    guard.permit(Action::Read, Target::Collection(&name))?;
    Ok(Json(guard.engine(move |db| found(db, &name, &id, deleted)).await?))
}

fn found(db: &Database, name: &str, id: &str, deleted: bool) -> Result<Value, Error> {
    let documents = db.collection(name);
    let document = if deleted { documents.get_deleted(id)? } else { documents.get(id)? };
    let absent = || Error::NoSuchDocument { collection: name.to_owned(), id: id.to_owned() };
    document.map(|document| describe(&document)).ok_or_else(absent)
}

async fn write(guard: Guard, name: Named, how: Result<Query<How>, QueryRejection>, document: Body) -> Answer<Json<Value>> {
    let (Path((name, id)), Query(given), Json(document)) = (name?, how?, document?);
    guard.permit(Action::Write, Target::Collection(&name))?;
    let mut how = PutDocument::default().only_if(condition(given.if_absent, given.if_revision));
    if let Some(seconds) = given.expires_in_seconds {
        how = how.time_to_live(Duration::try_from_secs_f64(seconds).map_err(Problem::invalid)?);
    }
    let put = guard.engine(move |db| {
        let mut documents = db.collection(&name);
        let id = if given.new { documents.new_id()? } else { id };
        let revision = documents.put(&id, &document, how)?;
        Ok(json!({ "id": id, "revision": revision }))
    });
    Ok(Json(put.await?))
}

async fn merge(guard: Guard, name: Named, only: Result<Query<OnlyIf>, QueryRejection>, patch: Body) -> Answer<Json<Value>> {
    let (Path((name, id)), Query(OnlyIf { if_revision, .. }), Json(patch)) = (name?, only?, patch?);
    guard.permit(Action::Write, Target::Collection(&name))?;
    let changed = id.clone();
    let merged = guard.engine(move |db| db.collection(&name).merge(&changed, &patch, condition(false, if_revision)));
    Ok(Json(json!({ "id": id, "revision": merged.await? })))
}

async fn remove(guard: Guard, name: Named, only: Result<Query<OnlyIf>, QueryRejection>) -> Answer<StatusCode> {
    let (Path((name, id)), Query(OnlyIf { if_revision, purge })) = (name?, only?);
    guard.permit(Action::Delete, Target::Collection(&name))?;
    let removed = guard.engine(move |db| {
        let mut documents = db.collection(&name);
        let was_there = if purge { documents.purge(&id)? } else { documents.delete(&id, condition(false, if_revision))? };
        if was_there { Ok(()) } else { Err(Error::NoSuchDocument { collection: name, id }) }
    });
    removed.await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn history(guard: Guard, name: Named) -> Answer<Json<Value>> {
    let Path((name, id)) = name?;
    guard.permit(Action::Read, Target::Collection(&name))?;
    let past = guard.engine(move |db| db.collection(&name).history(&id)).await?;
    Ok(Json(json!({ "documents": past.iter().map(describe).collect::<Vec<_>>() })))
}

async fn restore(guard: Guard, name: Named) -> Answer<Json<Value>> {
    let Path((name, id)) = name?;
    guard.permit(Action::Write, Target::Collection(&name))?;
    let back = id.clone();
    let revision = guard.engine(move |db| db.collection(&name).restore(&back)).await?;
    Ok(Json(json!({ "id": id, "revision": revision })))
}
