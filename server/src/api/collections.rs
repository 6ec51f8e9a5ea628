//! Collections, and the versions of their schemas.

use std::sync::Arc;
use std::time::Duration;

use aide::axum::ApiRouter;
use aide::axum::routing::get_with;
use alluvium::{Action, CollectionSpec, Error, SchemaVersion, Target, Where};
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::response::NoContent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::Made;
use super::document::{says, says_without};
use super::{Answer, Guard, Name, Named, Paged, Problem};
use crate::commands::doc::collections::describe;
use crate::serve::Server;
use crate::told;

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    let collection = get_with(read, says("collection_read", "A collection."))
        .put_with(make, says_without("collection_make", "Makes a collection."))
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
}

/// What a collection is to be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewCollection")]
struct New {
    #[serde(default)]
    soft_delete: bool,
    /// For how long what was deleted can be restored.
    #[schemars(range(min = 0.0))]
    keep_deleted_seconds: Option<f64>,
    /// Earlier versions of a document that are kept.
    #[serde(default)]
    history: u32,
    #[serde(default)]
    indexes: Vec<NewIndex>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewIndex {
    name: String,
    paths: Vec<String>,
    #[serde(default)]
    unique: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Collections {
    collections: Vec<told::Collection>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Schemas {
    versions: Vec<Version>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

/// A version of a schema.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SchemaVersion")]
struct Version {
    version: u64,
    schema: Value,
}

/// The version that a schema is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SetSchema")]
struct Set {
    version: u64,
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

async fn make(guard: Guard, name: Named, new: Result<Option<Json<New>>, JsonRejection>) -> Answer<Made> {
    let (Path(Name { name }), Json(new)) = (name?, new?.unwrap_or_default());
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
    let told = |SchemaVersion { version, schema, .. }| Version { version: version.into(), schema };
    Ok(Json(Schemas { versions: versions.into_iter().map(told).collect(), next }))
}

async fn set_schema(guard: Guard, name: Named, schema: Result<Json<Value>, JsonRejection>) -> Answer<Json<Set>> {
    let (Path(Name { name }), Json(schema)) = (name?, schema?);
    guard.permit(Action::Define, Target::Collection(&name))?;
    let version = guard.engine(move |db| db.collections().set_schema(&name, &schema)).await?;
    Ok(Json(Set { version: version.into() }))
}

async fn remove_schema(guard: Guard, name: Named) -> Answer<NoContent> {
    let Path(Name { name }) = name?;
    guard.permit(Action::Define, Target::Collection(&name))?;
    guard.engine(move |db| db.collections().remove_schema(&name)).await?;
    Ok(NoContent)
}
