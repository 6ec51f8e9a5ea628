//! Someone who reads the feed, and goes on as they read.

use std::convert::Infallible;
use std::time::Duration;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Told};
use alluvium::{Changes, Error, Rights};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::super::answer::text;
use super::super::doors::Live;
use super::super::{Guard, Problem};
use super::seen::{Sight, Viewer};
use crate::failure::{Failure, Outcome};
use crate::serve::failed;

/// Bytes that are read at once, about.
const PIECE_BYTES: usize = 64 << 10;
/// Changes that are looked at at once, shown or not, so that whoever may see little does not hold a thread for long.
const LOOKED_AT: usize = 4_096;
/// How often whoever waits hears how far the feed has come.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How changes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An object a line.
    Lines,
    /// Server-sent events, each with its sequence as its id.
    Events,
}

impl Form {
    /// What a client accepts.
    pub(super) fn accepted(accept: Option<&HeaderValue>) -> Form {
        let accepts = |form: &str| accept.and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains(form));
        if accepts("text/event-stream") { Form::Events } else { Form::Lines }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Form::Lines => "application/x-ndjson",
            Form::Events => "text/event-stream",
        }
    }

    /// Writes an object. `through` is where reading goes on behind it.
    fn write(self, out: &mut Vec<u8>, name: &str, through: u64, object: &impl Serialize) -> Outcome {
        if self == Form::Events {
            out.extend_from_slice(format!("event: {name}\nid: {through}\ndata: ").as_bytes());
        }
        serde_json::to_writer(&mut *out, object).map_err(Failure::failed)?;
        out.extend_from_slice(if self == Form::Events { b"\n\n" } else { b"\n" });
        Ok(())
    }
}

/// Changes on their way.
#[derive(Debug)]
pub(super) struct Feed {
    form: Form,
    follows: bool,
    body: Body,
}

impl IntoResponse for Feed {
    fn into_response(self) -> Response {
        let headers = [(header::CONTENT_TYPE, self.form.content_type()), (header::CACHE_CONTROL, "no-store")];
        let mut response = (headers, self.body).into_response();
        if self.follows {
            response.extensions_mut().insert(Live);
        }
        response
    }
}

impl OperationOutput for Feed {
    type Inner = String;

    fn inferred_responses(context: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Told)> {
        let forms = [Form::Lines, Form::Events].map(Form::content_type);
        vec![(Some(200), text(context, "Changes, as they happen.", &forms))]
    }
}

/// Reads for a caller, no further than they take it.
pub(super) struct Follower {
    guard: Guard,
    changes: Changes,
    form: Form,
    rows: bool,
    follows: bool,
    /// When it is time to say how far the feed has come.
    beat: Instant,
}

/// What was read at once.
struct Piece {
    changes: Changes,
    text: Vec<u8>,
    /// Whether there is no more at present.
    at_end: bool,
}

impl Follower {
    pub(super) fn new(guard: Guard, changes: Changes, form: Form, rows: bool, follows: bool) -> Self {
        Follower { guard, changes, form, rows, follows, beat: Instant::now() + HEARTBEAT }
    }

    /// The changes, which end when nobody takes them any more.
    pub(super) fn into_feed(self) -> Feed {
        let (form, follows) = (self.form, self.follows);
        let pieces = stream::unfold(Some(self), |follower| async {
            let (piece, rest) = follower?.next().await?;
            Some((Ok::<_, Infallible>(piece), rest))
        });
        // Whoever packs it asks once more after the end.
        Feed { form, follows, body: Body::from_stream(pieces.fuse()) }
    }

    /// What comes next, and who goes on behind it.
    async fn next(mut self) -> Option<(Bytes, Option<Follower>)> {
        let server = self.guard.server.clone();
        loop {
            // What they may see may have changed since the last piece.
            let rights = match server.access.rights(&self.guard.caller) {
                Ok(rights) => rights,
                Err(failed) => return Some((self.form.last(failed.into()), None)),
            };
            let (form, rows, changes) = (self.form, self.rows, self.changes);
            let read = server.blocking(move |_| Ok(Piece::read(changes, &rights, rows, form))).await;
            let Piece { changes, text, at_end } = match read {
                Ok(Ok(Ok(piece))) => piece,
                Ok(Ok(Err(failure))) => return Some((form.last(failure.into()), None)),
                Ok(Err(error)) => return Some((form.last(error.into()), None)),
                Err(failed) => return Some((form.last(failed.into()), None)),
            };
            self.changes = changes;
            if text.is_empty() && at_end && !self.follows {
                return None;
            }
            if !text.is_empty() || self.beat <= Instant::now() {
                let piece = if text.is_empty() { self.heartbeat() } else { text.into() };
                self.beat = Instant::now() + HEARTBEAT;
                return Some((piece, Some(self)));
            }
            if !at_end {
                continue;
            }
            tokio::select! {
                biased;
                () = server.is_closing() => return Some((form.last(failed::closing().into()), None)),
                more = self.changes.changed() => match more {
                    Ok(()) => {}
                    Err(error) => return Some((form.last(error.into()), None)),
                },
                () = sleep_until(self.beat) => {}
            }
        }
    }

    /// Says that there is nothing more, and through which record.
    fn heartbeat(&self) -> Bytes {
        let through = self.changes.through();
        let mut text = Vec::new();
        // A number always has a form.
        let _ = self.form.write(&mut text, "through", through, &json!({ "through": through }));
        text.into()
    }
}

impl Form {
    /// Says why nothing more comes.
    fn last(self, problem: Problem) -> Bytes {
        let mut text = Vec::new();
        let object = problem.describe();
        if self == Form::Events {
            text.extend_from_slice(format!("event: failed\ndata: {object}\n\n").as_bytes());
        } else {
            text.extend_from_slice(format!("{}\n", json!({ "failed": object })).as_bytes());
        }
        text.into()
    }
}

impl Piece {
    fn read(mut changes: Changes, rights: &Rights, rows: bool, form: Form) -> Outcome<Piece> {
        let viewer = Viewer { rights, rows };
        let mut text = Vec::new();
        for _ in 0..LOOKED_AT {
            let gap = match changes.next() {
                None => return Ok(Piece { changes, text, at_end: true }),
                Some(Err(Error::Gap { from, to })) => (from, to),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(change)) => match viewer.look(&change)? {
                    Sight::Hidden => continue,
                    Sight::Blurred(from) => (from, change.sequence),
                    Sight::Shown(shown) => {
                        form.write(&mut text, "change", change.sequence, &shown)?;
                        if text.len() >= PIECE_BYTES {
                            break;
                        }
                        continue;
                    }
                },
            };
            form.write(&mut text, "gap", gap.1, &json!({ "gap": { "from": gap.0, "to": gap.1 } }))?;
        }
        Ok(Piece { changes, text, at_end: false })
    }
}
