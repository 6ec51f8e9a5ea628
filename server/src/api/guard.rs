//! Who asks, and what they may.

use std::sync::Arc;
use std::time::Instant;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Told};
use alluvium::{Action, AuditEntry, AuditOutcome, Database, Error, Target, Transaction};
use alluvium_protocol::message::Failed;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, debug, info_span};

use super::document::needs_token;
use super::problem::told;
use super::{Answer, Problem};
use crate::import::{Look, Part};
use crate::serve::intake::{self, Numbered, Put};
use crate::serve::metrics::Kind;
use crate::serve::{Caller, Server, failed};

/// What a request is called in its answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of what a client calls its request.
const REQUEST_ID_BYTES: usize = 64;

/// Whoever asks, known.
pub(super) struct Guard {
    pub(super) server: Arc<Server>,
    pub(super) caller: Caller,
}

impl FromRequestParts<Arc<Server>> for Guard {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Answer<Guard> {
        Guard::enter(parts, server, secret(&parts.headers))
    }
}

/// The token that comes along.
fn secret(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Token "))
}

/// Whose token this is.
fn bearer(secret: Option<&str>, server: &Server) -> Answer<Caller> {
    let missing = || Problem::new(StatusCode::UNAUTHORIZED, "a token is needed: see `alluvium token issue`");
    let wrong = || Problem::new(StatusCode::UNAUTHORIZED, "the token does not hold, or its principal does not: issue another");
    let token = server.db.principals().authenticate(secret.ok_or_else(missing)?.trim())?.ok_or_else(wrong)?;
    Ok(Caller::Bearer { principal: token.principal.into() })
}

/// It needs a token, and may be refused.
impl OperationInput for Guard {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        needs_token(operation);
    }

    fn inferred_early_responses(context: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Told)> {
        vec![
            (Some(401), told(context, "Nobody is known by this token, or there is none.")),
            (Some(403), told(context, "It is not allowed to whom the token is of.")),
        ]
    }
}

impl Guard {
    /// Lets in whom the transport knows, or else whose token comes along.
    pub(super) fn enter(parts: &Parts, server: &Arc<Server>, secret: Option<&str>) -> Answer<Guard> {
        let caller = match parts.extensions.get::<Caller>() {
            Some(caller) => caller.clone(),
            None => bearer(secret, server)?,
        };
        server.access.rights(&caller)?;
        Ok(Guard { server: server.clone(), caller })
    }

    /// Refuses what is not allowed.
    pub(super) fn permit(&self, action: Action, target: Target<'_>) -> Answer<()> {
        Ok(self.server.access.permit(&self.caller, action, target)?)
    }

    /// Whether something is allowed, without a word if not: for what is left out of lists.
    pub(super) fn may(&self, action: Action, target: Target<'_>) -> Answer<bool> {
        Ok(self.server.access.rights(&self.caller)?.permit(action, target))
    }

    /// Does something of the engine.
    pub(super) async fn engine<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, Error> + Send + 'static,
    ) -> Answer<T> {
        self.server.blocking(work).await?.map_err(Problem::from)
    }

    /// Puts rows, which `read` reads from what was received: see [`intake::put`].
    pub(super) async fn put<T: Send + 'static, E: From<Failed> + From<Error> + Send + 'static>(
        self,
        numbered: Option<Numbered>,
        read: impl FnMut(&mut Look<'_, E>) -> Result<(Vec<Part>, T), E> + Send + 'static,
    ) -> Result<(Put, T), E> {
        let Guard { server, caller } = self;
        let put = tokio::task::spawn_blocking(move || intake::put(&server, &caller, numbered, read)).await;
        put.map_err(|_| failed::gave_up())?
    }

    /// Changes who may do what, which the audit trail tells of, and has everybody asked anew.
    pub(super) async fn administer<T: Send + 'static>(
        &self,
        what: &'static str,
        object: &str,
        detail: &str,
        change: impl Fn(&mut Transaction<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Answer<T> {
        self.permit(Action::Administer, Target::Database)?;
        let entry = AuditEntry::new(self.caller.principal(), what, AuditOutcome::Done).object(object).detail(detail);
        let changed = self.engine(move |db| {
            db.transaction(|transaction| {
                let changed = change(transaction)?;
                transaction.trail().append(entry.clone())?;
                Ok(changed)
            })
        });
        let changed = changed.await?;
        self.server.access.changed();
        Ok(changed)
    }
}

/// Gives a request a name, which its answer bears, and notes and counts how it ended.
pub(super) async fn identify(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let (begun, kind) = (Instant::now(), request.extensions().get().copied().unwrap_or(Kind::Http));
    let (method, route) = (request.method().clone(), request.extensions().get::<MatchedPath>().cloned());
    let sane = |id: &&HeaderValue| id.len() <= REQUEST_ID_BYTES && id.to_str().is_ok();
    let id = request.headers().get(&REQUEST_ID).filter(sane).cloned().unwrap_or_else(new_id);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let said = id.to_str().unwrap_or_default().to_owned();
    let span = info_span!("request", id = said, method = %request.method(), path = request.uri().path());
    let mut response = next.run(request).instrument(span.clone()).await;
    span.in_scope(|| debug!(status = response.status().as_u16(), "answered"));
    server.metrics.request(kind, method.as_str(), route.as_ref().map_or("", MatchedPath::as_str), begun.elapsed());
    if let Some(code) = response.extensions().get() {
        server.metrics.error(kind, *code);
    }
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

fn new_id() -> HeaderValue {
    HeaderValue::from_str(&format!("{:016x}", fastrand::u64(..))).unwrap_or(HeaderValue::from_static("-"))
}
