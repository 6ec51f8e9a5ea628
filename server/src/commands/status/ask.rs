//! Asking the server on this machine, over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::failure::{Failure, Outcome};
use crate::local::Local;
use crate::status::Document;

/// How long the server may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer, at most.
const ANSWER_BYTES: usize = 4 << 20;

/// What the server says of itself.
pub(super) async fn status(local: &Local, at: SocketAddr) -> Outcome<Document> {
    let token = local.token()?;
    let asked = timeout(PATIENCE, get(at, "/api/v1/status", token.as_deref())).await;
    let cannot = |why: &dyn std::fmt::Display| Failure::failed(format_args!("the server at http://{at} cannot be asked: {why}"));
    let (status, body) = asked
        .map_err(|_| cannot(&format_args!("it said nothing for {} s", PATIENCE.as_secs())))?
        .map_err(|error| cannot(&error))?;
    match status {
        StatusCode::OK => {
            serde_json::from_slice(&body).map_err(|error| cannot(&format_args!("its answer is another's: {error}")))
        }
        StatusCode::UNAUTHORIZED => Err(cannot(&format_args!(
            "the token in {} does not hold: remove that file and start the server again, which makes another",
            local.token_file().display()
        ))),
        status => Err(cannot(&format_args!("it answers {status}: {}", String::from_utf8_lossy(&body)))),
    }
}

async fn get(
    at: SocketAddr,
    path: &str,
    token: Option<&str>,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(at).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driven = tokio::spawn(connection);
    let mut request = Request::get(path).header(header::HOST, at.to_string());
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await?.to_bytes();
    drop(sender);
    // It ends with its only request.
    driven.abort();
    Ok((status, body))
}
