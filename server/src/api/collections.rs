//! Collections, and the versions of their schemas.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::{delete_with, get_with, post_with};
use alluvium::{Action, CollectionSpec, Database, Error, Target, Where};
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::response::NoContent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::Made;
use super::document::{says, says_without};
use super::{Answer, Guard, Name, Named, Paged};
use crate::commands::doc::collections::describe;
use crate::commands::doc::define;
use crate::commands::doc::wanted::{ChangedCollection, NewCollection, NewIndex, NewReference};
use crate::serve::Server;
use crate::told;

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    let collection = get_with(read, says("collection_read", "A collection."))
        .put_with(make, says_without("collection_make", "Makes a collection."))
        .patch_with(change, says("collection_change", "Gives a collection another name, or its schema another compatibility."))
        .delete_with(remove, says("collection_drop", "Drops a collection with all its documents."));
    let schema = get_with(schemas, says("schema_list", "Versions of the schema of a collection, the oldest first."))
        .put_with(
            set_schema,
            says("schema_set", "Gives a collection another version of its schema, which has to agree with those before."),
        )
        .delete_with(remove_schema, says("schema_remove", "Lets documents of a collection be of any form."));
    ApiRouter::new()
        .api_route("/collections", get_with(list, says("collection_list", "Collections that one may read, by name.")))
        .api_route("/collections/{name}", collection)
        .api_route("/collections/{name}/schema", schema)
        .api_route(
            "/collections/{name}/indexes",
            post_with(make_index, says("index_make", "Makes an index over documents that are there.")),
        )
        .api_route("/collections/{name}/indexes/{index}", delete_with(drop_index, says("index_drop", "Drops an index.")))
        .api_route(
            "/collections/{name}/references",
            post_with(
                make_reference,
                says("reference_make", "Has documents that are there refer to those of another collection."),
            ),
        )
}

#[derive(Debug, Deserialize, JsonSchema)]
struct OfIndex {
    /// The collection, in which `/` is written `%2F`.
    name: String,
    /// The index's name, likewise.
    index: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Collections {
    collections: Vec<told::Collection>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Schemas {
    versions: Vec<told::SchemaVersion>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

async fn list(guard: Guard, paged: Result<Query<Paged>, QueryRejection>) -> Answer<Json<Collections>> {
    let (Query(paged), rights) = (paged?, guard.server.access.rights(&guard.caller)?);
    let seen = guard.engine(move |db| {
        let mut all = db.collections().list()?;
        all.retain(|spec| rights.permit(Action::Read, Target::Collection(&spec.name)));
        let (page, next) = paged.by_name(all, |spec| &spec.name);
        let counted = |spec: &CollectionSpec| Ok(describe(spec, db.collection(&spec.name).count(Where::all())?));
        Ok(Collections { collections: page.iter().map(counted).collect::<Result<_, Error>>()?, next })
    });
    Ok(Json(seen.await?))
}

async fn read(guard: Guard, name: Named) -> Answer<Json<told::Collection>> {
    let Path(Name { name }) = name?;
    guard.permit(Action::Read, Target::Collection(&name))?;
    let found = guard.engine(move |db| Ok(describe(&db.collections().get(&name)?, db.collection(&name).count(Where::all())?)));
    Ok(Json(found.await?))
}

async fn make(guard: Guard, name: Named, new: Result<Option<Json<NewCollection>>, JsonRejection>) -> Answer<Made> {
    let (Path(Name { name }), Json(new)) = (name?, new?.unwrap_or_default());
    guard.permit(Action::Define, Target::Collection(&name))?;
    let spec = new.spec(&name)?;
    guard.engine(move |db| db.collections().create(spec)).await?;
    Ok(Made)
}

async fn change(guard: Guard, name: Named, changed: Result<Json<ChangedCollection>, JsonRejection>) -> Answer<NoContent> {
    let (Path(Name { name }), Json(ChangedCollection { name: new_name, compatibility })) = (name?, changed?);
    guard.permit(Action::Define, Target::Collection(&name))?;
    if let Some(new_name) = &new_name {
        guard.permit(Action::Define, Target::Collection(new_name))?;
    }
    let change = move |db: &Database| {
        let mut collections = db.collections();
        if let Some(compatibility) = compatibility {
            collections.set_compatibility(&name, compatibility.into())?;
        }
        new_name.map_or(Ok(()), |new_name| collections.rename(&name, &new_name))
    };
    guard.engine(change).await?;
    Ok(NoContent)
}

async fn make_index(guard: Guard, name: Named, new: Result<Json<NewIndex>, JsonRejection>) -> Answer<Made> {
    let (Path(Name { name }), Json(new)) = (name?, new?);
    guard.permit(Action::Define, Target::Collection(&name))?;
    let spec = new.spec()?;
    guard.engine(move |db| db.create_index(&name, spec)).await?;
    Ok(Made)
}

async fn drop_index(guard: Guard, index: Result<Path<OfIndex>, PathRejection>) -> Answer<NoContent> {
    let Path(OfIndex { name, index }) = index?;
    guard.permit(Action::Define, Target::Collection(&name))?;
    guard.engine(move |db| db.collections().drop_index(&name, &index)).await?;
    Ok(NoContent)
}

async fn make_reference(guard: Guard, name: Named, new: Result<Json<NewReference>, JsonRejection>) -> Answer<Made> {
    let (Path(Name { name }), Json(new)) = (name?, new?);
    guard.permit(Action::Define, Target::Collection(&name))?;
    let spec = new.spec()?;
    guard.engine(move |db| db.create_reference(&name, spec)).await?;
    Ok(Made)
}

async fn remove(guard: Guard, name: Named) -> Answer<NoContent> {
    let Path(Name { name }) = name?;
    guard.permit(Action::Define, Target::Collection(&name))?;
    guard.engine(move |db| db.collections().drop(&name)).await?;
    Ok(NoContent)
}

async fn schemas(guard: Guard, name: Named, paged: Result<Query<Paged>, QueryRejection>) -> Answer<Json<Schemas>> {
    let (Path(Name { name }), Query(paged)) = (name?, paged?);
    guard.permit(Action::Read, Target::Collection(&name))?;
    let after = paged.after_number::<u64>()?.unwrap_or(0);
    let mut versions = guard.engine(move |db| db.collections().schemas(&name)).await?;
    versions.retain(|version| u64::from(version.version) > after);
    let (versions, next) = paged.first(versions, |version| version.version.to_string());
    Ok(Json(Schemas { versions: versions.into_iter().map(define::describe).collect(), next }))
}

async fn set_schema(guard: Guard, name: Named, schema: Result<Json<Value>, JsonRejection>) -> Answer<Json<told::SetSchema>> {
    let (Path(Name { name }), Json(schema)) = (name?, schema?);
    guard.permit(Action::Define, Target::Collection(&name))?;
    let version = guard.engine(move |db| db.collections().set_schema(&name, &schema)).await?;
    Ok(Json(told::SetSchema { version }))
}

async fn remove_schema(guard: Guard, name: Named) -> Answer<NoContent> {
    let Path(Name { name }) = name?;
    guard.permit(Action::Define, Target::Collection(&name))?;
    guard.engine(move |db| db.collections().remove_schema(&name)).await?;
    Ok(NoContent)
}
