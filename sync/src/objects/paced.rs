//! Bodies as they go over a connection: as fast as may be, counted, and noticed where nothing moves.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpRequestBody};
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};

use super::exchange::Exchange;
use super::throttle::Admitted;

/// When something last moved.
#[derive(Debug)]
pub(super) struct Activity(Mutex<Instant>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Activity(Mutex::new(Instant::now())))
    }

    fn moved(&self) {
        *self.0.lock() = Instant::now();
    }

    /// Returns when nothing moved for so long.
    pub(super) async fn stalled(&self, patience: Duration) {
        loop {
            let until = *self.0.lock() + patience;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// Nothing moved.
#[derive(Debug, thiserror::Error)]
#[error("nothing moved for {} s", .0.as_secs())]
pub(super) struct Stalled(pub(super) Duration);

/// A body that goes out piece by piece, each when it may.
#[derive(Debug)]
pub(super) struct Outgoing {
    inner: HttpRequestBody,
    /// What of a frame did not go yet.
    rest: Bytes,
    /// What has been asked for and may go then.
    waiting: Option<(usize, Pin<Box<Sleep>>)>,
    admitted: Admitted,
    activity: Arc<Activity>,
    exchange: Arc<Mutex<Exchange>>,
}

impl Outgoing {
    pub(super) fn new(
        inner: HttpRequestBody,
        admitted: Admitted,
        activity: Arc<Activity>,
        exchange: Arc<Mutex<Exchange>>,
    ) -> Self {
        Outgoing { inner, rest: Bytes::new(), waiting: None, admitted, activity, exchange }
    }

    fn go(&mut self, bytes: usize) -> Frame<Bytes> {
        let piece = self.rest.split_to(bytes.min(self.rest.len()));
        self.admitted.passed(piece.len() as u64);
        self.exchange.lock().sent += piece.len() as u64;
        self.activity.moved();
        Frame::data(piece)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = self.get_mut();
        if let Some((bytes, sleep)) = &mut this.waiting {
            ready!(sleep.as_mut().poll(cx));
            let bytes = *bytes;
            this.waiting = None;
            return Poll::Ready(Some(Ok(this.go(bytes))));
        }
        while this.rest.is_empty() {
            match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => this.rest = frame.into_data().unwrap_or_default(),
                other => return Poll::Ready(other),
            }
        }
        let bytes = this.rest.len().min(this.admitted.throttle().piece());
        let Some(may) = this.admitted.throttle().passes_at(bytes) else { return Poll::Ready(Some(Ok(this.go(bytes)))) };
        let mut sleep = Box::pin(tokio::time::sleep_until(may));
        let ready = sleep.as_mut().poll(cx);
        if ready.is_ready() {
            return Poll::Ready(Some(Ok(this.go(bytes))));
        }
        this.waiting = Some((bytes, sleep));
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint().exact().unwrap_or_default();
        SizeHint::with_exact(self.rest.len() as u64 + inner)
    }
}

/// A body that comes in, and is given up where nothing comes.
pub(super) struct Incoming<B> {
    inner: B,
    patience: Duration,
    until: Pin<Box<Sleep>>,
    exchange: Arc<Mutex<Exchange>>,
}

impl<B> Incoming<B> {
    pub(super) fn new(inner: B, patience: Duration, exchange: Arc<Mutex<Exchange>>) -> Self {
        Incoming { inner, patience, until: Box::pin(tokio::time::sleep(patience)), exchange }
    }
}

impl<B: Body<Data = Bytes, Error = HttpError> + Unpin> Body for Incoming<B> {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                this.exchange.lock().received += frame.data_ref().map_or(0, Bytes::len) as u64;
                this.until.as_mut().reset(Instant::now() + this.patience);
            }
            return Poll::Ready(frame);
        }
        ready!(this.until.as_mut().poll(cx));
        Poll::Ready(Some(Err(HttpError::new(HttpErrorKind::Timeout, Stalled(this.patience)))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
