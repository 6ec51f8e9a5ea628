//! What stands before the API over HTTP: who may come, by which name, from which web pages; and how answers are packed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::Authority;
use axum::http::{Extensions, HeaderMap, HeaderName, Method, StatusCode, Version, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tracing::debug;

use super::{Answer, Problem};
use crate::config::{ANY, HttpSettings, Network, Origin};

/// For how long browsers may remember what pages may ask.
const REMEMBERED: Duration = Duration::from_secs(3_600);

/// An answer that is told as it happens, and would wait in a packer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live;

/// Hangs the doors before the API. `at` is where it listens, `gateway` what it is called.
pub(crate) fn hang(api: Router, settings: &HttpSettings, at: SocketAddr, gateway: &str) -> Router {
    let doorkeeper = Arc::new(Doorkeeper {
        networks: settings.allow_from.clone(),
        hosts: hosts(settings.allow_hosts.as_deref(), at.ip(), gateway),
    });
    let api = match settings.cors_origins.as_slice() {
        [] => api.layer(own_pages(&[])),
        origins if origins.iter().any(|origin| origin.named().is_none()) => api.layer(cors(origins)),
        origins => api.layer(own_pages(origins)).layer(cors(origins)),
    };
    // The last is the first that a request meets.
    api.layer(packing()).layer(middleware::from_fn_with_state(doorkeeper, meet))
}

/// Who lets in.
#[derive(Debug)]
struct Doorkeeper {
    networks: Vec<Network>,
    /// Names in lower case; `None` for any.
    hosts: Option<Vec<String>>,
}

async fn meet(State(doorkeeper): State<Arc<Doorkeeper>>, request: Request, next: Next) -> Response {
    match doorkeeper.admit(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            debug!(reason = problem.detail(), "refused at the door");
            problem.into_response()
        }
    }
}

impl Doorkeeper {
    fn admit(&self, request: &Request) -> Answer<()> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let is_near = peer.is_some_and(|peer| self.networks.iter().any(|network| network.contains(peer)));
        if !is_near {
            return Err(refused("requests from this address are not answered: see http.allow_from in the server's settings"));
        }
        let Some(allowed) = &self.hosts else { return Ok(()) };
        let headers = request.headers().get_all(header::HOST).iter();
        let mut hosts = headers.map(|host| Authority::try_from(host.as_bytes()).ok()).peekable();
        // Browsers always name it, and other clients of this version.
        let is_named = request.uri().authority().is_some() || hosts.peek().is_some();
        let is_known = request.uri().authority().is_none_or(|host| is_among(allowed, host));
        if is_named && is_known && hosts.all(|host| host.is_some_and(|host| is_among(allowed, &host))) {
            return Ok(());
        }
        Err(refused("this server is called otherwise: ask for it by a name in http.allow_hosts of its settings, or add this one"))
    }
}

fn refused(why: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, why)
}

/// Names that are allowed. A page of a name that its owner lets point to this machine (DNS rebinding) is not to reach a server that
/// everybody here may use.
fn hosts(named: Option<&[String]>, at: IpAddr, gateway: &str) -> Option<Vec<String>> {
    let lower = |names: &[String]| names.iter().map(|name| name.trim_matches(['[', ']']).to_ascii_lowercase()).collect();
    match named {
        Some(names) if names.iter().any(|name| name == ANY) => None,
        Some(names) => Some(lower(names)),
        None if at.is_loopback() => {
            Some(lower(&["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), at.to_string(), gateway.to_owned()]))
        }
        None => None,
    }
}

/// Whether a host is called so, on whatever port.
fn is_among(allowed: &[String], host: &Authority) -> bool {
    let host = host.host().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    allowed.contains(&host)
}

/// Nothing is changed for pages of other sites: browsers send what is simple without asking first, and this server may be open to
/// everybody on this machine.
fn own_pages(origins: &[Origin]) -> CsrfLayer<impl FnMut(ProtectionError) -> Response + Clone + Send + Sync + 'static> {
    let refuse = |_: ProtectionError| {
        refused("pages of other sites change nothing here: see http.cors_origins in the server's settings").into_response()
    };
    // An origin that the settings took is one here, too.
    let trust = |layer: CsrfLayer, origin: &Origin| layer.clone().add_trusted_origin(origin.to_string()).unwrap_or(layer);
    origins.iter().fold(CsrfLayer::new(), trust).with_rejection_response(refuse)
}

/// What pages of these origins may ask and see: all, with a token that they know.
fn cors(origins: &[Origin]) -> CorsLayer {
    let named: Option<Vec<_>> = origins.iter().map(Origin::named).collect();
    let sent = ["idempotency-key", "last-event-id", "x-request-id"].map(HeaderName::from_static);
    let sent = sent.into_iter().chain([header::AUTHORIZATION, header::CONTENT_TYPE, header::CONTENT_ENCODING]);
    CorsLayer::new()
        .allow_origin(named.map_or(AllowOrigin::from(Any), AllowOrigin::list))
        .allow_methods([Method::GET, Method::PUT, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers(sent.collect::<Vec<_>>())
        .expose_headers([header::RETRY_AFTER, HeaderName::from_static("x-request-id")])
        .max_age(REMEMBERED)
}

/// Packs answers for those who accept it, but not what they wait for.
fn packing() -> CompressionLayer<impl Predicate> {
    let is_whole = |_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions| extensions.get::<Live>().is_none();
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(DefaultPredicate::new().and(is_whole))
}
