//! Certificates: those that were issued or revoked. Keys stay where they were made.

use std::sync::Arc;

use alluvium::{Action, Target, Transaction};
use axum::extract::Path;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Guard, Problem};
use crate::certificates::Issued;
use crate::commands::access::cert::register;
use crate::serve::Server;

/// For how many days a certificate holds unless somebody says otherwise, as on the command line.
const DAYS: u32 = 3_650;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/certificates", get(list).post(issue)).route("/certificates/{name}", delete(revoke))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    principal: String,
    /// A signing request in PEM.
    csr: String,
    days: Option<u32>,
}

async fn list(guard: Guard) -> Answer<Json<Value>> {
    guard.permit(Action::Administer, Target::Database)?;
    let certificates = guard.engine(|db| db.principals().certificates()).await?;
    Ok(Json(json!({ "certificates": certificates.iter().map(register::describe).collect::<Vec<_>>() })))
}

/// Certifies a device's key. Certificates that it had before hold on.
async fn issue(guard: Guard, wanted: Result<Json<Wanted>, JsonRejection>) -> Answer<(StatusCode, Json<Value>)> {
    let Json(Wanted { principal, csr, days }) = wanted?;
    guard.permit(Action::Administer, Target::Database)?;
    let office = guard.server.office.clone();
    let office = office.ok_or_else(|| Problem::invalid("the server was started without certificates: leave out --dev"))?;
    let days = days.unwrap_or(DAYS).max(1);
    let whose = principal.clone();
    let issued = guard.engine(move |_| Ok(office.certify(&whose, &csr, days))).await??;
    let Issued { certificate, chain, .. } = issued;
    let mut object = register::describe(&certificate);
    let put = move |transaction: &mut Transaction<'_>| register::put_in(transaction, &certificate);
    guard.administer("certificate.issue", &principal, &object["key"].to_string(), put).await?;
    object["chain"] = json!(chain);
    Ok((StatusCode::CREATED, Json(object)))
}

/// Revokes those of a principal, or of a key by its hash or the beginning of it. Connections that use them are closed.
async fn revoke(guard: Guard, name: Result<Path<String>, PathRejection>) -> Answer<Json<Value>> {
    let Path(name) = name?;
    let called = name.clone();
    let revoked =
        guard.administer("certificate.revoke", &name, "", move |transaction| register::revoke_in(transaction, &called)).await?;
    Ok(Json(json!({ "revoked": revoked.iter().map(register::describe).collect::<Vec<_>>() })))
}
