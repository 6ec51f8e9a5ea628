//! Principals, roles and tokens.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{Action, Error, Grant, Principal, Target};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Guard, Problem};
use crate::commands::access::user::Change;
use crate::commands::access::{grant, lines, role, token, user};
use crate::serve::Server;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/principals", get(list))
        .route("/principals/{name}", get(read).put(write).patch(change).delete(remove))
        .route("/principals/{name}/check", post(check))
        .route("/roles", get(roles))
        .route("/roles/{name}", put(put_role).delete(remove_role))
        .route("/tokens", get(tokens).post(issue))
        .route("/tokens/{id}", delete(revoke_token))
}

/// What a principal may do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    grants: Vec<String>,
    #[serde(default)]
    disabled: bool,
}

/// Whether it may be there already.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IfAbsent {
    #[serde(default)]
    if_absent: bool,
}

/// Something that one may do or not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checked {
    action: String,
    object: String,
    #[serde(default)]
    tags: Vec<(String, String)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRole {
    grants: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    principal: String,
    #[serde(default)]
    label: String,
    lasts_seconds: Option<f64>,
}

type Named = Result<Path<String>, PathRejection>;

async fn list(guard: Guard) -> Answer<Json<Value>> {
    guard.permit(Action::Administer, Target::Database)?;
    let principals = guard.engine(|db| db.principals().list()).await?;
    Ok(Json(json!({ "principals": principals.iter().map(user::describe).collect::<Vec<_>>() })))
}

async fn read(guard: Guard, name: Named) -> Answer<Json<Value>> {
    let Path(name) = name?;
    // Everybody may know what they are themselves.
    if guard.caller.principal() != name {
        guard.permit(Action::Administer, Target::Database)?;
    }
    let asked = name.clone();
    let found = guard.engine(move |db| db.principals().get(&asked)).await?;
    let found = found.ok_or(Error::NoSuchPrincipal { name })?;
    Ok(Json(user::describe(&found)))
}

async fn write(
    guard: Guard,
    name: Named,
    only: Result<Query<IfAbsent>, QueryRejection>,
    new: Result<Json<New>, JsonRejection>,
) -> Answer<Json<Value>> {
    let (Path(name), Query(IfAbsent { if_absent }), Json(New { roles, grants, disabled })) = (name?, only?, new?);
    let mut principal = Principal { roles, grants: parse(&grants)?, ..Principal::new(&name) };
    principal.disabled = disabled;
    let (said, put) = (user::describe(&principal), principal);
    let what = if if_absent { "principal.add" } else { "principal.put" };
    guard
        .administer(what, &name, &said.to_string(), move |transaction| match if_absent {
            true => user::add_in(transaction, &put),
            false => transaction.principals().put(&put).map(|_| ()),
        })
        .await?;
    Ok(Json(said))
}

/// Changes one thing of it.
async fn change(guard: Guard, name: Named, change: Result<Json<Change>, JsonRejection>) -> Answer<Json<Value>> {
    let (Path(name), Json(change)) = (name?, change?);
    let (what, detail, whose) = (change.what(), change.detail().to_owned(), name.clone());
    let changed = guard.administer(what, &name, &detail, move |transaction| change.make(transaction, &whose)).await?;
    Ok(Json(user::describe(&changed)))
}

/// Says whether it may do something.
async fn check(guard: Guard, name: Named, asked: Result<Json<Checked>, JsonRejection>) -> Answer<Json<Value>> {
    let (Path(name), Json(Checked { action, object, tags })) = (name?, asked?);
    if guard.caller.principal() != name {
        guard.permit(Action::Administer, Target::Database)?;
    }
    let action: Action = action.parse().map_err(|error: Error| error)?;
    let allowed = guard.engine(move |db| Ok(grant::is_allowed(db, &name, action, &object, &tags))).await??;
    Ok(Json(json!({ "allowed": allowed })))
}

async fn remove(guard: Guard, name: Named) -> Answer<StatusCode> {
    let Path(name) = name?;
    let gone = name.clone();
    let remove = move |transaction: &mut alluvium::Transaction<'_>| match transaction.principals().remove(&gone)? {
        true => Ok(()),
        false => Err(Error::NoSuchPrincipal { name: gone.clone() }),
    };
    guard.administer("principal.remove", &name, "", remove).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn roles(guard: Guard) -> Answer<Json<Value>> {
    guard.permit(Action::Administer, Target::Database)?;
    let roles = guard.engine(role::all);
    Ok(Json(json!({ "roles": roles.await? })))
}

async fn put_role(guard: Guard, name: Named, new: Result<Json<NewRole>, JsonRejection>) -> Answer<Json<Value>> {
    let (Path(name), Json(NewRole { grants })) = (name?, new?);
    let parsed = parse(&grants)?;
    let (said, put) = (lines(&parsed), name.clone());
    guard
        .administer("role.put", &name, &said.join("; "), move |transaction| {
            transaction.principals().put_role(&put, &parsed).map(|_| ())
        })
        .await?;
    Ok(Json(json!({ "name": name, "grants": said })))
}

async fn remove_role(guard: Guard, name: Named) -> Answer<StatusCode> {
    let Path(name) = name?;
    let gone = name.clone();
    let remove = move |transaction: &mut alluvium::Transaction<'_>| match transaction.principals().remove_role(&gone)? {
        true => Ok(()),
        false => Err(Error::NoSuchRole { name: gone.clone() }),
    };
    guard.administer("role.remove", &name, "", remove).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn tokens(guard: Guard) -> Answer<Json<Value>> {
    guard.permit(Action::Administer, Target::Database)?;
    let tokens = guard.engine(|db| db.principals().tokens()).await?;
    Ok(Json(json!({ "tokens": tokens.iter().map(token::describe).collect::<Vec<_>>() })))
}

/// The token itself is in this answer and nowhere else.
async fn issue(guard: Guard, new: Result<Json<NewToken>, JsonRejection>) -> Answer<(StatusCode, Json<Value>)> {
    let Json(NewToken { principal, label, lasts_seconds }) = new?;
    let lasts = lasts_seconds.map(Duration::try_from_secs_f64).transpose().map_err(Problem::invalid)?;
    let (whose, said) = (principal.clone(), label.clone());
    let issue = move |transaction: &mut alluvium::Transaction<'_>| transaction.principals().issue_token(&whose, &said, lasts);
    let (text, issued) = guard.administer("token.issue", &principal, &label, issue).await?;
    let mut object = token::describe(&issued);
    object["token"] = json!(text);
    Ok((StatusCode::CREATED, Json(object)))
}

async fn revoke_token(guard: Guard, id: Named) -> Answer<StatusCode> {
    let Path(id) = id?;
    let gone = id.clone();
    let was_there =
        guard.administer("token.revoke", &id, "", move |transaction| transaction.principals().revoke_token(&gone)).await?;
    if was_there {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no token {id:?}")))
    }
}

fn parse(grants: &[String]) -> Answer<Vec<Grant>> {
    grants.iter().map(|grant| grant.parse().map_err(Problem::from)).collect()
}
