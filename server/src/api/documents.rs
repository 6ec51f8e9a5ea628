//! Documents of a collection.

use std::sync::Arc;
use std::time::Duration;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, post_with};
use alluvium::{Action, Database, Error, PutDocument, Target};
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::response::NoContent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{says, says_without};
use super::page::Limit;
use super::{Answer, Guard, Name, Named, Paged, Problem};
use crate::commands::doc::documents::{describe, describe_stored};
use crate::commands::doc::query::{explained, filter, query};
use crate::commands::values::condition;
use crate::serve::Server;
use crate::told;

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    let document = get_with(read, says("document_read", "A document."))
        .put_with(write, says("document_put", "Puts a document, in the place of any there."))
        .patch_with(merge, says("document_merge", "Merges a patch (RFC 7396) into a document."))
        .delete_with(remove, says("document_delete", "Deletes a document."));
    let history = get_with(history, says("document_history", "What a document was before, the newest first."));
    let restore = post_with(restore, says("document_restore", "Restores a document that was deleted."));
    ApiRouter::new()
        .api_route("/collections/{name}/documents", post_with(store, says("document_store", "Stores documents, each by itself.")))
        .api_route(
            "/collections/{name}/query",
            post_with(find, says_without("document_query", "Documents that satisfy conditions.")),
        )
        .api_route("/collections/{name}/documents/{id}", document)
        .api_route("/collections/{name}/documents/{id}/history", history)
        .api_route("/collections/{name}/documents/{id}/restore", restore)
}

#[derive(Debug, Deserialize, JsonSchema)]
struct OfDocument {
    /// The collection, in which `/` is written `%2F`.
    name: String,
    /// The document's id, likewise.
    id: String,
}

/// Documents that are stored, each by itself: with `id`, or with a new one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDocuments")]
struct Many {
    documents: Vec<One>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDocument")]
struct One {
    /// A new one where none is given.
    id: Option<String>,
    document: Value,
}

/// Conditions, orders and where to go on, as on the command line.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DocumentQuery")]
struct Asked {
    /// Conditions, as `room=A`, `kw>=3` or `room in ["A","B"]`.
    #[serde(default)]
    r#where: Vec<String>,
    /// Fields, as `room` or `kw:desc`.
    #[serde(default)]
    order: Vec<String>,
    /// Documents at most.
    #[serde(default)]
    limit: Limit,
    /// Goes on behind this: the `next` of the page before.
    after: Option<String>,
    /// Only says how many there are.
    #[serde(default)]
    count: bool,
    /// How it would be answered.
    #[serde(default)]
    explain: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct How {
    /// Only if there is none.
    #[serde(default)]
    if_absent: bool,
    /// Only if it is of this revision.
    if_revision: Option<u64>,
    #[schemars(range(min = 0.0))]
    expires_in_seconds: Option<f64>,
    /// Under a new id, whatever the path says.
    #[serde(default)]
    new: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Also if it was deleted and can be restored.
    #[serde(default)]
    deleted: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OnlyIf {
    /// Only if it is of this revision.
    if_revision: Option<u64>,
    /// For good, with its history.
    #[serde(default)]
    purge: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DocumentHistory")]
struct History {
    documents: Vec<told::Document>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

type OfOne = Result<Path<OfDocument>, PathRejection>;
type Body = Result<Json<Value>, JsonRejection>;

async fn store(guard: Guard, name: Named, many: Result<Json<Many>, JsonRejection>) -> Answer<Json<told::StoredDocuments>> {
    let (Path(Name { name }), Json(Many { documents })) = (name?, many?);
    guard.permit(Action::Write, Target::Collection(&name))?;
    let documents = documents.into_iter().map(|One { id, document }| (id, document)).collect();
    let outcome = guard.engine(move |db| db.collection(&name).put_many(documents)).await?;
    Ok(Json(describe_stored(outcome)))
}

async fn find(guard: Guard, name: Named, asked: Result<Option<Json<Asked>>, JsonRejection>) -> Answer<Json<told::Found>> {
    let (Path(Name { name }), Json(asked)) = (name?, asked?.unwrap_or_default());
    guard.permit(Action::Read, Target::Collection(&name))?;
    let wanted = filter(&asked.r#where)?;
    if asked.count {
        let count = guard.engine(move |db| db.collection(&name).count(wanted)).await?;
        return Ok(Json(told::Found::Count { count }));
    }
    let explain = asked.explain;
    let asked = query(wanted, &asked.order, asked.limit.get(), asked.after.as_deref())?;
    if explain {
        return Ok(Json(told::Found::Explained(guard.engine(move |db| explained(db, &name, &asked)).await?)));
    }
    let page = guard.engine(move |db| db.collection(&name).query(&asked)).await?;
    let documents = page.documents.iter().map(describe).collect();
    Ok(Json(told::Found::Documents { documents, next: page.cursor, examined: page.examined }))
}

async fn read(guard: Guard, name: OfOne, which: Result<Query<Which>, QueryRejection>) -> Answer<Json<told::Document>> {
    let (Path(OfDocument { name, id }), Query(Which { deleted })) = (name?, which?);
    guard.permit(Action::Read, Target::Collection(&name))?;
    Ok(Json(guard.engine(move |db| found(db, &name, &id, deleted)).await?))
}

fn found(db: &Database, name: &str, id: &str, deleted: bool) -> Result<told::Document, Error> {
    let documents = db.collection(name);
    let document = if deleted { documents.get_deleted(id)? } else { documents.get(id)? };
    let absent = || Error::NoSuchDocument { collection: name.to_owned(), id: id.to_owned() };
    document.map(|document| describe(&document)).ok_or_else(absent)
}

async fn write(
    guard: Guard,
    name: OfOne,
    how: Result<Query<How>, QueryRejection>,
    document: Body,
) -> Answer<Json<told::StoredDocument>> {
    let (Path(OfDocument { name, id }), Query(given), Json(document)) = (name?, how?, document?);
    guard.permit(Action::Write, Target::Collection(&name))?;
    let mut how = PutDocument::default().only_if(condition(given.if_absent, given.if_revision));
    if let Some(seconds) = given.expires_in_seconds {
        how = how.time_to_live(Duration::try_from_secs_f64(seconds).map_err(Problem::invalid)?);
    }
    let put = guard.engine(move |db| {
        let mut documents = db.collection(&name);
        let id = if given.new { documents.new_id()? } else { id };
        let revision = documents.put(&id, &document, how)?;
        Ok(told::StoredDocument { id, revision })
    });
    Ok(Json(put.await?))
}

async fn merge(
    guard: Guard,
    name: OfOne,
    only: Result<Query<OnlyIf>, QueryRejection>,
    patch: Body,
) -> Answer<Json<told::StoredDocument>> {
    let (Path(OfDocument { name, id }), Query(OnlyIf { if_revision, .. }), Json(patch)) = (name?, only?, patch?);
    guard.permit(Action::Write, Target::Collection(&name))?;
    let changed = id.clone();
    let merged = guard.engine(move |db| db.collection(&name).merge(&changed, &patch, condition(false, if_revision)));
    Ok(Json(told::StoredDocument { id, revision: merged.await? }))
}

async fn remove(guard: Guard, name: OfOne, only: Result<Query<OnlyIf>, QueryRejection>) -> Answer<NoContent> {
    let (Path(OfDocument { name, id }), Query(OnlyIf { if_revision, purge })) = (name?, only?);
    guard.permit(Action::Delete, Target::Collection(&name))?;
    let removed = guard.engine(move |db| {
        let mut documents = db.collection(&name);
        let was_there = if purge { documents.purge(&id)? } else { documents.delete(&id, condition(false, if_revision))? };
        if was_there { Ok(()) } else { Err(Error::NoSuchDocument { collection: name, id }) }
    });
    removed.await?;
    Ok(NoContent)
}

async fn history(guard: Guard, name: OfOne, paged: Result<Query<Paged>, QueryRejection>) -> Answer<Json<History>> {
    let (Path(OfDocument { name, id }), Query(paged)) = (name?, paged?);
    guard.permit(Action::Read, Target::Collection(&name))?;
    let before = paged.after_number::<u64>()?.unwrap_or(u64::MAX);
    let mut past = guard.engine(move |db| db.collection(&name).history(&id)).await?;
    past.retain(|document| document.revision < before);
    let (past, next) = paged.first(past, |document| document.revision.to_string());
    Ok(Json(History { documents: past.iter().map(describe).collect(), next }))
}

async fn restore(guard: Guard, name: OfOne) -> Answer<Json<told::StoredDocument>> {
    let Path(OfDocument { name, id }) = name?;
    guard.permit(Action::Write, Target::Collection(&name))?;
    let back = id.clone();
    let revision = guard.engine(move |db| db.collection(&name).restore(&back)).await?;
    Ok(Json(told::StoredDocument { id, revision }))
}
