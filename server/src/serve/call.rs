//! Calls: what is asked in JSON, answered by the same as over HTTP.

use alluvium_protocol::code::Code;
use alluvium_protocol::frame::{BODY, Frame};
use alluvium_protocol::message::{AnswerDone, AnswerHead, Call, Failed};
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::metrics::Kind;
use super::session::Session;
use super::stream::{Ended, Writer};
use crate::remote::ARROW_STREAM;

/// Where the API begins.
const ROOT: &str = "/api/v1";
/// How an Arrow IPC stream begins, and JSON cannot.
const ARROW: [u8; 4] = [0xff; 4];

/// Answers a call, unless the client ends it before: what waits or goes on for ever ends then.
pub(super) async fn serve(session: &Session, call: Call, mut writer: Writer) {
    let unwanted = writer.unwanted();
    let answered = tokio::select! {
        answered = answer(session, call, &mut writer) => answered,
        () = unwanted => Err(Ended::Gone),
    };
    match answered {
        Ok(()) => writer.finish().await,
        Err(ended) => writer.fail(ended).await,
    }
}

async fn answer(session: &Session, Call { method, path, body }: Call, writer: &mut Writer) -> Result<(), Ended> {
    let mut request = Request::builder()
        .method(method.as_str())
        .uri(format!("{ROOT}{path}"))
        .extension(session.caller.clone())
        .extension(Kind::Call);
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, if body.starts_with(&ARROW) { ARROW_STREAM } else { "application/json" });
    }
    let request = request.body(Body::from(body));
    let request = request.map_err(|error| Failed::new(Code::Invalid, format!("{method} {path}: {error}")))?;
    // Its errors are answers too.
    let Ok(response) = session.api.clone().oneshot(request).await;
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let head = AnswerHead { status: response.status().as_u16(), content_type: content_type.unwrap_or_default().to_owned() };
    writer.message(&head).await?;
    let (mut body, mut bytes) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failed::new(Code::Internal, format!("the answer broke off: {error}")))?;
        let Ok(piece) = frame.into_data() else { continue };
        for payload in piece.chunks(session.server.settings.bulk_bytes) {
            bytes += payload.len() as u64;
            writer.frame(&Frame { kind: BODY, payload: payload.to_vec() }).await?;
        }
    }
    writer.message(&AnswerDone { bytes }).await
}
