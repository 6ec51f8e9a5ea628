//! A bad link: a proxy between a client and a store that does to chosen requests what links, and stores, do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::short;
use super::stores::Kind;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// It never arrives; the connection is cut.
    Lost,
    /// It breaks off within its body.
    BrokenOff,
    /// It is done, and its answer is lost.
    ReplyLost,
    /// It is done, and the answer ends after so many bytes of its body.
    Truncated(usize),
    /// It is done, and something says 503 all the same.
    Mistaken,
    /// It is not done, and this is the answer: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// It is late.
    Late(Duration),
    /// It is done twice, and the second answer is told.
    Twice,
    /// It is done so much later, whether anybody still waits for it or not, and nothing is answered.
    Stray(Duration),
    /// A bit of its body is turned, and the checksums that go with it are not.
    Corrupted,
    /// A bit of the answer's body is turned.
    Garbled,
    /// A header of it is left out.
    Without(&'static str),
    /// A header of the answer is another.
    Marked(&'static str, &'static str),
}

/// Whether a request is of a kind, by its method and its path with the query, and behind `#` the range that it asks for.
type Of = Box<dyn Fn(&str, &str) -> bool + Send>;

/// Which requests a fault becomes of.
pub(crate) struct Rule {
    /// Those of this kind.
    pub(crate) of: Of,
    /// How many of them are let pass before.
    pub(crate) after: usize,
    /// How many of them then it becomes of.
    pub(crate) times: usize,
    pub(crate) fault: Fault,
    /// How often it did: not where there are no bytes that it could have been done to.
    pub(crate) struck: Arc<AtomicUsize>,
}

impl Rule {
    /// Of the next request whose method and path are of this kind.
    pub(crate) fn once(fault: Fault, of: impl Fn(&str, &str) -> bool + Send + 'static) -> Self {
        Rule { of: Box::new(of), after: 0, times: 1, fault, struck: Arc::default() }
    }

    /// Of all such requests.
    pub(crate) fn always(fault: Fault, of: impl Fn(&str, &str) -> bool + Send + 'static) -> Self {
        Rule { times: usize::MAX, ..Rule::once(fault, of) }
    }
}

/// A request that was made.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
}

/// The proxy, which runs in the runtime that made it until it is dropped.
pub(crate) struct Proxy {
    pub(crate) at: SocketAddr,
    link: Arc<Link>,
    hearing: JoinHandle<()>,
}

struct Link {
    to: SocketAddr,
    /// Whether the store takes no long names.
    is_short: bool,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    /// Requests with a body that are on their way, and the most of them.
    under_way: AtomicUsize,
    most: AtomicUsize,
}

type Answer = Response<BoxBody<Bytes, Cut>>;
/// A fault, and what is told when it is one.
type Struck = (Fault, Arc<AtomicUsize>);

/// The connection is closed.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

impl Proxy {
    pub(crate) async fn before(kind: Kind) -> Self {
        let (to, is_short) = (kind.at(), kind == Kind::S3s);
        let heard = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = heard.local_addr().unwrap();
        let (under_way, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let link = Arc::new(Link { to, is_short, rules: Mutex::default(), seen: Mutex::default(), under_way, most });
        let of = Arc::clone(&link);
        let hearing = tokio::spawn(async move {
            while let Ok((stream, _)) = heard.accept().await {
                let link = Arc::clone(&of);
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let link = Arc::clone(&link);
                        async move { link.carry(request).await }
                    });
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Proxy { at, link, hearing }
    }

    /// From now on these.
    pub(crate) fn rules(&self, rules: impl IntoIterator<Item = Rule>) {
        *self.link.rules.lock().unwrap() = rules.into_iter().collect();
    }

    /// What was seen since it was asked last.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.link.seen.lock().unwrap())
    }

    /// Most requests with a body that were on their way at the same time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.link.most.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.hearing.abort();
    }
}

impl Link {
    fn fault(&self, method: &str, path: &str) -> Option<Struck> {
        let mut rules = self.rules.lock().unwrap();
        for rule in rules.iter_mut().filter(|rule| rule.times > 0) {
            if !(rule.of)(method, path) {
                continue;
            }
            if rule.after > 0 {
                rule.after -= 1;
                continue;
            }
            rule.times = rule.times.saturating_sub(1);
            return Some((rule.fault.clone(), Arc::clone(&rule.struck)));
        }
        None
    }

    async fn carry(&self, request: Request<Incoming>) -> Result<Answer, Cut> {
        let (method, mut path) = (request.method().to_string(), request.uri().to_string());
        if let Some(range) = request.headers().get("range") {
            path = format!("{path}#{}", range.to_str().unwrap());
        }
        let fault = self.fault(&method, &path);
        let has_body = !request.body().is_end_stream();
        if has_body {
            let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
        }
        let answer = self.treat(request, fault, &method, &path).await;
        if has_body {
            self.under_way.fetch_sub(1, Ordering::Relaxed);
        }
        answer
    }

    async fn treat(&self, request: Request<Incoming>, fault: Option<Struck>, method: &str, path: &str) -> Result<Answer, Cut> {
        self.seen.lock().unwrap().push(Seen { method: method.to_owned(), path: path.to_owned() });
        let (fault, struck) = fault.unzip();
        let strikes = || struck.as_ref().map(|struck| struck.fetch_add(1, Ordering::Relaxed));
        if !matches!(fault, Some(Fault::Corrupted | Fault::Garbled | Fault::Truncated(_))) {
            strikes();
        }
        let (mut parts, mut body) = request.into_parts();
        if self.is_short {
            short::there(&mut parts);
        }
        match &fault {
            Some(Fault::Lost) => return Err(Cut),
            Some(Fault::BrokenOff) => {
                body.frame().await;
                return Err(Cut);
            }
            _ => {}
        }
        let mut sent = body.collect().await.map_err(|_| Cut)?.to_bytes();
        match fault.clone() {
            Some(Fault::Answer(status, headers, text)) => {
                let mut answer = Response::builder().status(status);
                for (name, value) in headers {
                    answer = answer.header(name, value);
                }
                return Ok(answer.body(full(text.into())).unwrap());
            }
            Some(Fault::Late(by)) => tokio::time::sleep(by).await,
            Some(Fault::Stray(by)) => {
                let (to, request) = (self.to, Request::from_parts(parts, Full::new(sent)));
                tokio::spawn(async move {
                    tokio::time::sleep(by).await;
                    ask(to, request).await.map(drop)
                });
                return std::future::pending().await;
            }
            Some(Fault::Twice) => {
                let first = Request::from_parts(parts.clone(), Full::new(sent.clone()));
                ask(self.to, first).await.map_err(|_| Cut)?;
            }
            Some(Fault::Corrupted) if !sent.is_empty() => {
                strikes();
                sent = turned(&sent);
            }
            Some(Fault::Without(name)) => drop(parts.headers.remove(name)),
            _ => {}
        }
        let (mut head, mut answered) = ask(self.to, Request::from_parts(parts, Full::new(sent))).await.map_err(|_| Cut)?;
        if self.is_short {
            answered = short::back(answered);
        }
        match fault {
            Some(Fault::ReplyLost) => Err(Cut),
            Some(Fault::Marked(name, value)) => {
                head.headers.insert(name, value.parse().unwrap());
                Ok(Response::from_parts(head, full(answered)))
            }
            Some(Fault::Mistaken) => Ok(Response::builder().status(503).body(full(Bytes::new())).unwrap()),
            Some(Fault::Garbled) if !answered.is_empty() => {
                strikes();
                Ok(Response::from_parts(head, full(turned(&answered))))
            }
            Some(Fault::Truncated(at)) if answered.len() > at => {
                strikes();
                let length = answered.len() as u64;
                let mut answer = Response::from_parts(head, BodyExt::boxed(StreamBody::new(broken_off(answered.slice(..at)))));
                answer.headers_mut().insert("content-length", length.into());
                Ok(answer)
            }
            _ => Ok(Response::from_parts(head, full(answered))),
        }
    }
}

/// Bytes behind which nothing comes: when they are out, or else they would be lost with what is before them.
fn broken_off(bytes: Bytes) -> impl Stream<Item = Result<Frame<Bytes>, Cut>> {
    let end = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(Cut)
    };
    StreamExt::chain(stream::iter([Ok(Frame::data(bytes))]), stream::once(end))
}

/// With a bit in the middle turned.
fn turned(bytes: &Bytes) -> Bytes {
    let mut turned = bytes.to_vec();
    let middle = turned.len() / 2;
    turned[middle] ^= 4;
    turned.into()
}

fn full(bytes: Bytes) -> BoxBody<Bytes, Cut> {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed()
}

/// Asks a store as it was asked.
async fn ask<B>(
    to: SocketAddr,
    request: Request<B>,
) -> Result<(http::response::Parts, Bytes), Box<dyn std::error::Error + Send + Sync>>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let is_head = request.method() == http::Method::HEAD;
    let stream = TcpStream::connect(to).await?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new().handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (mut head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    // What it is of is said anew, except of what has none.
    if !is_head {
        clean(&mut head.headers);
    }
    Ok((head, body))
}

fn clean(headers: &mut HeaderMap) {
    for name in ["transfer-encoding", "content-length", "connection"] {
        headers.remove(name);
    }
}

/// Asks a store directly.
pub(crate) async fn raw<B>(to: SocketAddr, mut request: Request<B>) -> (u16, Vec<u8>)
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let path = request.uri().path_and_query().unwrap().as_str().parse().unwrap();
    *request.uri_mut() = path;
    request.headers_mut().insert("host", to.to_string().parse().unwrap());
    let (head, body) = ask(to, request).await.unwrap();
    (head.status.as_u16(), body.to_vec())
}
