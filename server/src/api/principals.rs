//! Principals, roles and tokens.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{Action, Error, Grant, Principal, Target};
use axum::extract::Path;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::StatusCode;
use axum::routing::{delete, get, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Guard, Problem};
use crate::commands::access::{lines, token, user};
use crate::serve::Server;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/principals", get(list))
        .route("/principals/{name}", get(read).put(write).delete(remove))
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

async fn write(guard: Guard, name: Named, new: Result<Json<New>, JsonRejection>) -> Answer<Json<Value>> {
    let (Path(name), Json(New { roles, grants, disabled })) = (name?, new?);
    let mut principal = Principal { roles, grants: parse(&grants)?, ..Principal::new(&name) };
    principal.disabled = disabled;
    let (said, put) = (user::describe(&principal), principal);
    guard
        .administer("principal.put", &name, &said.to_string(), move |transaction| transaction.principals().put(&put).map(|_| ()))
        .await?;
    Ok(Json(said))
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
    let roles = guard.engine(|db| {
        let principals = db.principals();
        let named = |name: String| Ok(json!({ "grants": lines(&principals.role(&name)?.unwrap_or_default()), "name": name }));
        principals.roles()?.into_iter().map(named).collect::<Result<Vec<Value>, Error>>()
    });
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
