//! The HTTP client that stores are asked through: it keeps to the throttle, gives up what does not move, and writes down what was answered.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, DATE, HeaderMap, RETRY_AFTER};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use parking_lot::Mutex;
use rustls::ClientConfig;

use super::exchange::{self, Exchange};
use super::paced::{Activity, Incoming, Outgoing, Stalled};
use super::throttle::Throttle;
use super::{summed, tls};

/// Of an answer that says what is wrong, at most that much is read.
const MOST_COMPLAINT: usize = 64 << 10;
/// Connections are left open for so long between requests.
const IDLE: Duration = Duration::from_secs(20);

/// Makes clients for a target.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) tls: ClientConfig,
    /// Whether anything may go in the clear.
    pub(super) allow_http: bool,
    /// Within what a connection has to be made.
    pub(super) connect: Duration,
    /// After how long without a byte an exchange is given up.
    pub(super) patience: Duration,
    pub(super) throttle: Arc<Throttle>,
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        // Where a machine gets its credentials from is asked in the clear, of this machine's network alone.
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.connect)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("alluvium/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| object_store::Error::Generic { store: "HTTP", source: error.into() })?;
        let (patience, throttle) = (self.patience, Arc::clone(&self.throttle));
        Ok(HttpClient::new(Service { client, allow_http: self.allow_http, patience, throttle }))
    }
}

#[derive(Debug)]
struct Service {
    client: reqwest::Client,
    allow_http: bool,
    patience: Duration,
    throttle: Arc<Throttle>,
}

/// Today's budget does not suffice.
#[derive(Debug, thiserror::Error)]
#[error("the bytes that may be sent today are spent until {0}")]
struct Exhausted(Timestamp);

/// It would go in the clear.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not asked without TLS")]
struct InTheClear(String);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let exchange = exchange::current();
        let of_machine = request.uri().host().is_some_and(is_of_machine);
        exchange.lock().of_machine = of_machine;
        if request.uri().scheme_str() != Some("https") && !self.allow_http && !of_machine {
            let host = request.uri().host().unwrap_or_default().to_owned();
            return Err(HttpError::new(HttpErrorKind::Unknown, InTheClear(host)));
        }
        let activity = Activity::new();
        let request = self.outgoing(request, &activity, &exchange)?;
        let answered = tokio::select! {
            answered = self.client.execute(request) => answered.map_err(|error| failed(error, &exchange)),
            () = activity.stalled(self.patience) => Err(HttpError::new(HttpErrorKind::Timeout, Stalled(self.patience))),
        };
        let answered: http::Response<reqwest::Body> = answered.inspect_err(|_| forget(&exchange))?.into();
        let (parts, body) = answered.into_parts();
        note(&exchange, parts.status, &parts.headers, self.throttle.now());
        let watched = Arc::clone(&exchange);
        let body = body.map_err(move |error| failed(error, &watched));
        let body = Incoming::new(body, self.patience, Arc::clone(&exchange));
        if parts.status.is_client_error() || parts.status.is_server_error() {
            let complaint = Limited::new(body, MOST_COMPLAINT).collect().await;
            let complaint = complaint.map(|read| read.to_bytes()).unwrap_or_default();
            complained(&exchange, &complaint);
            // What has no end, or not the letters it should have, is as good as nothing.
            let text = if std::str::from_utf8(&complaint).is_ok() { complaint } else { Bytes::new() };
            return Ok(HttpResponse::from_parts(parts, HttpResponseBody::from(text)));
        }
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

impl Service {
    /// A request as it goes out, where today's budget suffices.
    fn outgoing(
        &self,
        request: HttpRequest,
        activity: &Arc<Activity>,
        exchange: &Arc<Mutex<Exchange>>,
    ) -> Result<reqwest::Request, HttpError> {
        let (parts, body) = request.into_parts();
        exchange.lock().sum_sent = text(&parts.headers, summed::HEADER);
        let body = parts.extensions.get::<summed::Instead>().map_or(body, |instead| instead.0.clone().into());
        let url = parts.uri.to_string().parse().map_err(|error| HttpError::new(HttpErrorKind::Unknown, NotAUrl(error)))?;
        let length = body.content_length() as u64;
        // What ends an upload, and what only asks, may always go: nothing would be gained by keeping it.
        let ends = parts.uri.query().is_some_and(|query| query.contains("comp=blocklist"));
        let regardless = parts.method != Method::PUT || ends;
        let admitted = self.throttle.admit(length, regardless).map_err(|until| {
            exchange.lock().exhausted = Some(until);
            HttpError::new(HttpErrorKind::Unknown, Exhausted(until))
        })?;
        let has_body = length > 0 || matches!(parts.method, Method::PUT | Method::POST);
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        if has_body {
            let body = Outgoing::new(body, admitted, Arc::clone(activity), Arc::clone(exchange));
            *request.body_mut() = Some(reqwest::Body::wrap(body));
        }
        Ok(request)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a request has no URL that can be asked: {0}")]
struct NotAUrl(url::ParseError);

/// Whether it is where a machine in a cloud asks who it is.
fn is_of_machine(host: &str) -> bool {
    host.starts_with("169.254.") || host == "[fd00:ec2::254]"
}

/// No answer: what an earlier one said no longer holds.
fn forget(exchange: &Mutex<Exchange>) {
    let mut exchange = exchange.lock();
    (exchange.status, exchange.code, exchange.message) = (None, None, None);
    (exchange.retry_after, exchange.ahead, exchange.content_md5, exchange.sum_answered) = (None, None, None, None);
}

fn note(exchange: &Mutex<Exchange>, status: StatusCode, headers: &HeaderMap, now: Timestamp) {
    let text = |name: &str| text(headers, name);
    let date = text(DATE.as_str()).and_then(|date| jiff::fmt::rfc2822::parse(&date).ok());
    forget(exchange);
    let mut exchange = exchange.lock();
    exchange.distrust = None;
    exchange.status = Some(status.as_u16());
    exchange.code = text("x-ms-error-code");
    exchange.retry_after = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
    exchange.ahead = date.map(|date| date.timestamp().duration_since(now));
    // Of what was compressed on the way it would be another's.
    exchange.content_md5 = text("content-md5").filter(|_| !headers.contains_key(CONTENT_ENCODING));
    exchange.sum_answered = text(summed::HEADER);
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The store's words for what is wrong, of XML that needs no reader for that.
fn complained(exchange: &Mutex<Exchange>, complaint: &[u8]) {
    let text = String::from_utf8_lossy(complaint);
    let within = |tag: &str| {
        let (_, behind) = text.split_once(&format!("<{tag}>"))?;
        let (value, _) = behind.split_once("</")?;
        Some(value.trim().lines().next().unwrap_or_default().to_owned())
    };
    let detail = within("AuthenticationErrorDetail");
    let mut exchange = exchange.lock();
    if let Some(code) = within("Code") {
        exchange.code = Some(code);
    }
    exchange.message = match (within("Message"), detail) {
        (Some(message), Some(detail)) => Some(format!("{message} {detail}")),
        (message, detail) => message.or(detail),
    };
}

/// Sorts what a client says by whether the request can have arrived, for who decides on asking again.
fn failed(error: reqwest::Error, exchange: &Mutex<Exchange>) -> HttpError {
    exchange.lock().distrust = tls::distrust(&error);
    let kind = if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_timeout() {
        HttpErrorKind::Timeout
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, error.without_url())
}
