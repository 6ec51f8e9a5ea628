//! The change feed, pushed: every change that the caller may see, from any sequence on, as it happens; and cursors, which keep how
//! far somebody came.

mod asked;
mod follower;
mod seen;

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::{get_with, put_with};
use alluvium::{Action, Target};
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, header};
use axum::response::NoContent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::says;
use super::{Answer, Guard, Name, Named, Paged};
use crate::serve::Server;
use crate::told;
use asked::{Asked, Heard, Pairs};
use follower::{Feed, Follower, Form};

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    let feed = "Changes that one may see, from a sequence on: lines of JSON, or server-sent events for those who accept them.";
    let cursor = put_with(acknowledge, says("cursor_put", "Moves a cursor forward, or makes it."))
        .delete_with(remove, says("cursor_remove", "Removes a cursor: history is no longer kept for it."));
    ApiRouter::new()
        .api_route("/changes", get_with(read, says("changes", feed)))
        .api_route("/cursors", get_with(cursors, says("cursor_list", "Cursors by name.")))
        .api_route("/cursors/{name}", cursor)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Acknowledged {
    /// The sequence up to which everything was dealt with.
    through: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Cursors {
    cursors: Vec<told::Cursor>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

/// Lines of JSON, or server-sent events for those who ask for them.
async fn read(guard: Guard, headers: HeaderMap, heard: Heard, pairs: Result<Query<Pairs>, QueryRejection>) -> Answer<Feed> {
    let Query(pairs) = pairs?;
    let form = Form::accepted(headers.get(header::ACCEPT));
    let asked = Asked::parse(pairs, form == Form::Events)?.behind(heard);
    asked.permit(&guard)?;
    let (rows, follows) = (asked.rows, asked.follows);
    let changes = guard.engine(move |db| asked.begin(db)).await?;
    Ok(Follower::new(guard, changes, form, rows, follows).into_feed())
}

async fn cursors(guard: Guard, paged: Result<Query<Paged>, QueryRejection>) -> Answer<Json<Cursors>> {
    guard.permit(Action::Read, Target::Database)?;
    let Query(paged) = paged?;
    let cursors = guard.engine(alluvium::Database::cursors).await?;
    let (cursors, next) = paged.by_name(cursors, |cursor| &cursor.name);
    let told = |cursor: alluvium::CursorState| told::Cursor { name: cursor.name, through: cursor.acknowledged };
    Ok(Json(Cursors { cursors: cursors.into_iter().map(told).collect(), next }))
}

/// Moves one forward, or makes it. History is kept for it from then on.
async fn acknowledge(
    guard: Guard,
    name: Named,
    through: Result<Json<Acknowledged>, JsonRejection>,
) -> Answer<Json<told::Cursor>> {
    let (Path(Name { name }), Json(Acknowledged { through })) = (name?, through?);
    guard.permit(Action::Operate, Target::Database)?;
    let called = name.clone();
    let through = guard.engine(move |db| {
        let mut cursor = db.cursor(&called)?;
        let at = cursor.begin(through)?;
        if at < through { cursor.acknowledge(through) } else { Ok(at) }
    });
    Ok(Json(told::Cursor { through: through.await?, name }))
}

async fn remove(guard: Guard, name: Named) -> Answer<NoContent> {
    let Path(Name { name }) = name?;
    guard.permit(Action::Operate, Target::Database)?;
    let called = name.clone();
    let was_there = guard.engine(move |db| db.cursor(&called)?.remove()).await?;
    if was_there { Ok(NoContent) } else { Err(alluvium::Error::NoSuchCursor { name }.into()) }
}
