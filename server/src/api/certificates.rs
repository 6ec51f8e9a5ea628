//! Certificates: those that were issued or revoked. Keys stay where they were made.

use std::sync::Arc;

use aide::axum::ApiRouter;
use aide::axum::routing::{delete_with, get_with};
use alluvium::{Action, Target, Transaction};
use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Created;
use super::document::says;
use super::{Answer, Guard, Name, Named, Paged, Problem};
use crate::certificates::Issued;
use crate::commands::access::cert::register::{self, Having};
use crate::serve::Server;
use crate::told;

/// For how many days a certificate holds unless somebody says otherwise, as on the command line.
const DAYS: u32 = 3_650;

pub(super) fn routes() -> ApiRouter<Arc<Server>> {
    let all = get_with(list, says("certificate_list", "Certificates that were issued or revoked, by key."))
        .post_with(issue, says("certificate_issue", "Certifies the key of a device, which stays where it was made."));
    let revoke = delete_with(
        revoke,
        says(
            "certificate_revoke",
            "Revokes the certificates of a principal, or of a key by the beginning of its hash, and closes their connections.",
        ),
    );
    ApiRouter::new().api_route("/certificates", all).api_route("/certificates/{name}", revoke)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewCertificate")]
struct Wanted {
    /// Whose it is.
    principal: String,
    /// A signing request in PEM.
    csr: String,
    /// For how long it holds; ten years unless somebody says otherwise.
    days: Option<u32>,
    /// Only if it has this.
    #[serde(default)]
    having: Having,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Certificates {
    certificates: Vec<told::Certificate>,
    /// What the next page is `after`; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RevokedCertificates")]
struct Revoked {
    revoked: Vec<told::Certificate>,
}

async fn list(guard: Guard, paged: Result<Query<Paged>, QueryRejection>) -> Answer<Json<Certificates>> {
    guard.permit(Action::Administer, Target::Database)?;
    let Query(paged) = paged?;
    let told: Vec<_> = guard.engine(|db| db.principals().certificates()).await?.iter().map(register::describe).collect();
    let (certificates, next) = paged.by_name(told, |certificate| &certificate.key);
    Ok(Json(Certificates { certificates, next }))
}

/// Certifies a device's key. Certificates that it had before hold on.
async fn issue(guard: Guard, wanted: Result<Json<Wanted>, JsonRejection>) -> Answer<Created<told::Certified>> {
    let Json(Wanted { principal, csr, days, having }) = wanted?;
    guard.permit(Action::Administer, Target::Database)?;
    let office = guard.server.office.clone();
    let office = office.ok_or_else(|| Problem::invalid("the server was started without certificates: leave out --dev"))?;
    let days = days.unwrap_or(DAYS).max(1);
    let (whose, now) = (principal.clone(), office.now_micros() / 1_000_000);
    let issued = guard.engine(move |_| Ok(office.certify(&whose, &csr, days))).await??;
    let Issued { certificate, chain, .. } = issued;
    let told = register::describe(&certificate);
    let put = move |transaction: &mut Transaction<'_>| register::put_in(transaction, &certificate, having, now);
    guard.administer(having.what(), &principal, &told.key, put).await?;
    Ok(Created(told::Certified { certificate: told, chain }))
}

/// Revokes those of a principal, or of a key by its hash or the beginning of it. Connections that use them are closed.
async fn revoke(guard: Guard, name: Named) -> Answer<Json<Revoked>> {
    let Path(Name { name }) = name?;
    let called = name.clone();
    let revoked =
        guard.administer("certificate.revoke", &name, "", move |transaction| register::revoke_in(transaction, &called)).await?;
    Ok(Json(Revoked { revoked: revoked.iter().map(register::describe).collect() }))
}
