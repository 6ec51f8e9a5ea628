//! Principals, roles and tokens.

use std::sync::Arc;
use std::time::Duration;

use aide::axum::ApiRouter;
use aide::axum::routing::{delete_with, get_with, post_with, put_with};
use alluvium::{Action, Error, Grant, Principal, Target};
use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::NoContent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::Created;
use super::document::says;
use super::{Answer, Guard, Name, Named, Paged, Problem};
use crate::commands::access::user::Change;
use crate::commands::access::{grant, lines, token, user};
use crate::serve::Server;
use crate::told;

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    let principal = get_with(read, says("principal_read", "A principal; everybody may read what they are themselves."))
        .put_with(write, says("principal_put", "Puts a principal, in the place of any of that name."))
        .patch_with(change, says("principal_change", "Changes one thing of a principal."))
        .delete_with(remove, says("principal_remove", "Removes a principal with its tokens."));
    let role = put_with(put_role, says("role_put", "Puts a role, in the place of any of that name."))
        .delete_with(remove_role, says("role_remove", "Removes a role."));
    let all_tokens = get_with(tokens, says("token_list", "Tokens that hold, by id."))
        .post_with(issue, says("token_issue", "Issues a token, which is told this once."));
    let check = post_with(check, says("principal_check", "Says whether a principal may do something."));
    ApiRouter::new()
        .api_route("/principals", get_with(list, says("principal_list", "Principals by name.")))
        .api_route("/principals/{name}", principal)
        .api_route("/principals/{name}/check", check)
        .api_route("/roles", get_with(roles, says("role_list", "Roles by name.")))
        .api_route("/roles/{name}", role)
        .api_route("/tokens", all_tokens)
        .api_route("/tokens/{id}", delete_with(revoke_token, says("token_revoke", "Revokes a token.")))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "TokenId")]
struct Id {
    /// What the token is called.
    id: String,
}

/// What a principal may do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPrincipal")]
struct New {
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    grants: Vec<String>,
    #[serde(default)]
    disabled: bool,
}

/// Whether it may be there already.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct IfAbsent {
    /// Refuses where there is one.
    #[serde(default)]
    if_absent: bool,
}

/// Something that one may do or not.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Checked {
    /// As in a grant: `read`, `write` and so on.
    action: String,
    /// As in a grant: `table:NAME` and so on.
    object: String,
    /// Names and values of the tags of rows.
    #[serde(default)]
    tags: Vec<(String, String)>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewRole {
    grants: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    principal: String,
    #[serde(default)]
    label: String,
    /// For good without.
    #[schemars(range(min = 0.0))]
    lasts_seconds: Option<f64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Principals {
    principals: Vec<told::Principal>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Roles {
    roles: Vec<told::Role>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Tokens {
    tokens: Vec<told::Token>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

type Page = Result<Query<Paged>, QueryRejection>;

async fn list(guard: Guard, page: Page) -> Answer<Json<Principals>> {
    guard.permit(Action::Administer, Target::Database)?;
    let Query(paged) = page?;
    let (page, next) = paged.by_name(guard.engine(|db| db.principals().list()).await?, |principal| &principal.name);
    Ok(Json(Principals { principals: page.iter().map(user::describe).collect(), next }))
}

async fn read(guard: Guard, name: Named) -> Answer<Json<told::Principal>> {
    let Path(Name { name }) = name?;
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
) -> Answer<Json<told::Principal>> {
    let (Path(Name { name }), Query(IfAbsent { if_absent }), Json(New { roles, grants, disabled })) = (name?, only?, new?);
    let mut principal = Principal { roles, grants: parse(&grants)?, ..Principal::new(&name) };
    principal.disabled = disabled;
    let (said, put) = (user::describe(&principal), principal);
    let what = if if_absent { "principal.add" } else { "principal.put" };
    guard
        .administer(what, &name, &json!(said).to_string(), move |transaction| match if_absent {
            true => user::add_in(transaction, &put),
            false => transaction.principals().put(&put).map(|_| ()),
        })
        .await?;
    Ok(Json(said))
}

/// Changes one thing of it.
async fn change(guard: Guard, name: Named, change: Result<Json<Change>, JsonRejection>) -> Answer<Json<told::Principal>> {
    let (Path(Name { name }), Json(change)) = (name?, change?);
    let (what, detail, whose) = (change.what(), change.detail().to_owned(), name.clone());
    let changed = guard.administer(what, &name, &detail, move |transaction| change.make(transaction, &whose)).await?;
    Ok(Json(user::describe(&changed)))
}

/// Says whether it may do something.
async fn check(guard: Guard, name: Named, asked: Result<Json<Checked>, JsonRejection>) -> Answer<Json<told::Checked>> {
    let (Path(Name { name }), Json(Checked { action, object, tags })) = (name?, asked?);
    if guard.caller.principal() != name {
        guard.permit(Action::Administer, Target::Database)?;
    }
    let action: Action = action.parse().map_err(|error: Error| error)?;
    let allowed = guard.engine(move |db| Ok(grant::is_allowed(db, &name, action, &object, &tags))).await??;
    Ok(Json(told::Checked { allowed }))
}

async fn remove(guard: Guard, name: Named) -> Answer<NoContent> {
    let Path(Name { name }) = name?;
    let gone = name.clone();
    let remove = move |transaction: &mut alluvium::Transaction<'_>| match transaction.principals().remove(&gone)? {
        true => Ok(()),
        false => Err(Error::NoSuchPrincipal { name: gone.clone() }),
    };
    guard.administer("principal.remove", &name, "", remove).await?;
    Ok(NoContent)
}

async fn roles(guard: Guard, page: Page) -> Answer<Json<Roles>> {
    guard.permit(Action::Administer, Target::Database)?;
    let Query(paged) = page?;
    let roles = guard.engine(move |db| {
        let principals = db.principals();
        let (page, next) = paged.by_name(principals.roles()?, |name| name);
        let named = |name: String| Ok(told::Role { grants: lines(&principals.role(&name)?.unwrap_or_default()), name });
        Ok(Roles { roles: page.into_iter().map(named).collect::<Result<_, Error>>()?, next })
    });
    Ok(Json(roles.await?))
}

async fn put_role(guard: Guard, name: Named, new: Result<Json<NewRole>, JsonRejection>) -> Answer<Json<told::Role>> {
    let (Path(Name { name }), Json(NewRole { grants })) = (name?, new?);
    let parsed = parse(&grants)?;
    let (said, put) = (lines(&parsed), name.clone());
    guard
        .administer("role.put", &name, &said.join("; "), move |transaction| {
            transaction.principals().put_role(&put, &parsed).map(|_| ())
        })
        .await?;
    Ok(Json(told::Role { name, grants: said }))
}

async fn remove_role(guard: Guard, name: Named) -> Answer<NoContent> {
    let Path(Name { name }) = name?;
    let gone = name.clone();
    let remove = move |transaction: &mut alluvium::Transaction<'_>| match transaction.principals().remove_role(&gone)? {
        true => Ok(()),
        false => Err(Error::NoSuchRole { name: gone.clone() }),
    };
    guard.administer("role.remove", &name, "", remove).await?;
    Ok(NoContent)
}

async fn tokens(guard: Guard, page: Page) -> Answer<Json<Tokens>> {
    guard.permit(Action::Administer, Target::Database)?;
    let Query(paged) = page?;
    let (page, next) = paged.by_name(guard.engine(|db| db.principals().tokens()).await?, |token| &token.id);
    Ok(Json(Tokens { tokens: page.iter().map(token::describe).collect(), next }))
}

/// The token itself is in this answer and nowhere else.
async fn issue(guard: Guard, new: Result<Json<NewToken>, JsonRejection>) -> Answer<Created<told::Issued>> {
    let Json(NewToken { principal, label, lasts_seconds }) = new?;
    let lasts = lasts_seconds.map(Duration::try_from_secs_f64).transpose().map_err(Problem::invalid)?;
    let (whose, said) = (principal.clone(), label.clone());
    let issue = move |transaction: &mut alluvium::Transaction<'_>| transaction.principals().issue_token(&whose, &said, lasts);
    let (text, issued) = guard.administer("token.issue", &principal, &label, issue).await?;
    Ok(Created(told::Issued { issued: token::describe(&issued), token: text }))
}

async fn revoke_token(guard: Guard, id: Result<Path<Id>, PathRejection>) -> Answer<NoContent> {
    let Path(Id { id }) = id?;
    let gone = id.clone();
    let was_there =
        guard.administer("token.revoke", &id, "", move |transaction| transaction.principals().revoke_token(&gone)).await?;
    if was_there { Ok(NoContent) } else { Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no token {id:?}"))) }
}

fn parse(grants: &[String]) -> Answer<Vec<Grant>> {
    grants.iter().map(|grant| grant.parse().map_err(Problem::from)).collect()
}
