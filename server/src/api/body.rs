//! Bodies of requests that hold rows: as large as is allowed, within their time, unpacked in bounded memory.

use std::borrow::Cow;
use std::io::{self, Read};
use std::time::Duration;

use alluvium_protocol::code::Code;
use alluvium_protocol::message::Failed;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::{Answer, Problem};
use crate::serve::intake::Share;
use crate::serve::{Caller, Server};

/// Bytes that have to come in a second at least, after the time that any body has.
const SLOWEST_PER_SECOND: usize = 16 << 10;
/// Bytes that are unpacked at once.
const STEP: usize = 256 << 10;

/// A body as it came.
#[derive(Debug)]
pub(super) struct Received {
    bytes: Vec<u8>,
    is_packed: bool,
    most_unpacked: usize,
    share: Share,
}

/// Receives a body.
pub(super) async fn receive(server: &Server, caller: &Caller, headers: &HeaderMap, mut body: Body) -> Answer<Received> {
    let (is_packed, settings) = (is_packed(headers)?, &server.settings);
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let most = settings.bulk_bytes;
    if announced.is_some_and(|bytes| bytes > most) {
        return Err(too_large(most, "a body"));
    }
    let mut share = Share::new(server, caller);
    let mut bytes = Vec::with_capacity(announced.unwrap_or_default());
    share.grow(bytes.capacity()).await?;
    let began = Instant::now();
    loop {
        let slowest = Duration::from_secs((bytes.len() / SLOWEST_PER_SECOND) as u64);
        let frame = timeout_at(began + settings.progress + slowest, body.frame()).await;
        let Some(frame) = frame.map_err(|_| Failed::new(Code::Timeout, "the rest of the body did not come in time"))? else {
            let most_unpacked = settings.unpacked_bytes;
            return Ok(Received { bytes, is_packed, most_unpacked, share });
        };
        let Ok(piece) = frame.map_err(|error| Problem::invalid(format_args!("the body broke off: {error}")))?.into_data() else {
            continue;
        };
        if bytes.len() + piece.len() > most {
            return Err(too_large(most, "a body"));
        }
        share.grow(bytes.len() + piece.len()).await?;
        bytes.extend_from_slice(&piece);
    }
}

fn is_packed(headers: &HeaderMap) -> Answer<bool> {
    match headers.get(header::CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_ascii_lowercase()).as_deref() {
        None | Some(b"identity" | b"") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(other) => {
            let said = format!("bodies come plain or as gzip, not as {}", other.escape_ascii());
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, said))
        }
    }
}

fn too_large(most: usize, what: &str) -> Problem {
    Failed::new(Code::Limit, format!("{what} has {most} bytes at most: send less at once")).into()
}

impl Received {
    /// The body, unpacked if need be. It takes as much time as that.
    pub(super) fn open(&mut self) -> Answer<Cow<'_, [u8]>> {
        if !self.is_packed {
            return Ok(Cow::Borrowed(&self.bytes));
        }
        let Received { bytes, most_unpacked, share, .. } = self;
        let (mut plain, mut packed) = (Vec::new(), MultiGzDecoder::new(&bytes[..]));
        let broken = |error: io::Error| Problem::invalid(format_args!("the body is not the gzip that it is said to be: {error}"));
        loop {
            share.grow_now(bytes.len() + plain.len() + STEP)?;
            let taken = (&mut packed).take(STEP as u64).read_to_end(&mut plain).map_err(broken)?;
            if plain.len() > *most_unpacked {
                return Err(too_large(*most_unpacked, "a body, unpacked,"));
            }
            if taken == 0 {
                return Ok(Cow::Owned(plain));
            }
        }
    }
}
