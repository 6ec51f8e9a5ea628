//! The way over HTTP, to the server on this machine, with TLS where it serves no other.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request as Head, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::answer::Answer as AnyAnswer;
use super::request::Request;
use super::told::Error;
use crate::certificates::Store;
use crate::failure::{Failure, Outcome};
use crate::local::{Found, Local};

/// How long it may take to be connected.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long the server may take until it begins to answer. Some requests wait for something, for less.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the server is, and how it lets us in.
pub(super) struct Place {
    at: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    token: Option<String>,
    token_file: PathBuf,
}

impl Place {
    /// As the server itself left word of it.
    pub(super) fn of(data: &Path, local: &Local, found: &Found) -> Outcome<Place> {
        let tls = if found.https { Some(tls(data, &found.gateway)?) } else { None };
        Ok(Place { at: found.http, tls, token: local.token()?, token_file: local.token_file() })
    }

    /// What to do where the token is refused.
    pub(super) fn about_token(&self) -> String {
        format!(
            "the token in {} does not hold: remove that file and start the server again, which makes another",
            self.token_file.display()
        )
    }

    /// Asks for something, on a connection of its own.
    pub(super) async fn ask(&self, request: &Request) -> Result<AnyAnswer, Error> {
        let late = |what: &str, time: Duration| Error::Unreachable(format!("it {what} for {} s", time.as_secs()));
        let stream = timeout(CONNECTING, TcpStream::connect(self.at)).await;
        let stream =
            stream.map_err(|_| late("said nothing", CONNECTING))?.map_err(|error| Error::Unreachable(error.to_string()))?;
        let answer = async {
            match &self.tls {
                None => self.converse(stream, request).await,
                Some((connector, name)) => {
                    let stream = connector.connect(name.clone(), stream).await;
                    self.converse(stream.map_err(|error| Error::Unreachable(error.to_string()))?, request).await
                }
            }
        };
        timeout(PATIENCE, answer).await.map_err(|_| late("did not answer", PATIENCE))?.map(AnyAnswer::Http)
    }

    async fn converse(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: &Request,
    ) -> Result<Answer, Error> {
        let lost = |error: &dyn fmt::Display| Error::Other(error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| lost(&error))?;
        let driver = Driver(tokio::spawn(connection));
        let answer = sender.send_request(self.head(request)?).await.map_err(|error| lost(&error))?;
        Ok(Answer { status: answer.status().as_u16(), body: answer.into_body(), _driver: driver, _sender: sender })
    }

    fn head(&self, request: &Request) -> Result<Head<Full<Bytes>>, Error> {
        let mut head = Head::builder().method(request.method).uri(format!("/api/v1{}", request.path));
        head = head.header(header::HOST, self.at.to_string());
        if let Some(token) = &self.token {
            head = head.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !request.body.is_empty() {
            head = head.header(header::CONTENT_TYPE, request.content_type);
        }
        if let Some(accept) = request.accept {
            head = head.header(header::ACCEPT, accept);
        }
        head.body(Full::from(request.body.clone())).map_err(|error| Error::Other(error.to_string()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.at)
    }
}

/// TLS with whom the directory's authority certifies.
fn tls(data: &Path, gateway: &str) -> Outcome<(TlsConnector, ServerName<'static>)> {
    let name = ServerName::try_from(gateway.to_owned())
        .map_err(|error| Failure::failed(format_args!("the gateway's id {gateway:?} is no name of a server: {error}")))?;
    Ok((TlsConnector::from(Arc::new(Store::open(data)?.client_config()?)), name))
}

/// What the server says.
pub(super) struct Answer {
    pub(super) status: u16,
    body: Incoming,
    _driver: Driver,
    _sender: http1::SendRequest<Full<Bytes>>,
}

impl Answer {
    /// The next piece of it.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| Error::Other(format!("its answer was cut: {error}")))?;
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
    }
}

/// A connection, which ends with its only answer.
struct Driver(JoinHandle<hyper::Result<()>>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}
