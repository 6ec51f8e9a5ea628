//! What went over the wire for one operation: more than the store's client tells of it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

/// What is known of the requests of an operation. Status and what follows it are of the last answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Exchange {
    /// Bytes of bodies that went out.
    pub(super) sent: u64,
    /// Bytes of bodies that came in.
    pub(super) received: u64,
    /// The status of the answer; none where none came.
    pub(super) status: Option<u16>,
    /// The store's word for what is wrong.
    pub(super) code: Option<String>,
    /// The same in its sentence.
    pub(super) message: Option<String>,
    /// When it wants to be asked again.
    pub(super) retry_after: Option<Duration>,
    /// How far the store's clock is ahead of ours.
    pub(super) ahead: Option<SignedDuration>,
    /// The MD5 that the store computed of a body, in base64.
    pub(super) content_md5: Option<String>,
    /// When today's budget, which did not suffice, ends.
    pub(super) exhausted: Option<Timestamp>,
    /// Why no connection was trusted.
    pub(super) distrust: Option<Distrust>,
    /// Whether it was the machine's provider that was asked, for credentials, not the store.
    pub(super) of_machine: bool,
    /// The SHA-256 of the last body that went out, in base64, where the store was asked for it.
    pub(super) sum_sent: Option<String>,
    /// The same as the store computed it.
    pub(super) sum_answered: Option<String>,
}

/// Why a server's certificate is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distrust {
    /// By our clock it does not hold yet or no more.
    Time,
    /// Nobody we know signed it, or it is another's.
    Signer,
}

tokio::task_local! {
    static CURRENT: Arc<Mutex<Exchange>>;
}

/// Runs an operation and tells what went over the wire for it.
pub(super) async fn observed<T>(operation: impl Future<Output = T>) -> (T, Exchange) {
    let exchange = Arc::new(Mutex::new(Exchange::default()));
    let result = CURRENT.scope(Arc::clone(&exchange), operation).await;
    let seen = exchange.lock().clone();
    // Of what it is part of it is part.
    let whole = current();
    let mut whole = whole.lock();
    whole.sent += seen.sent;
    whole.received += seen.received;
    (result, seen)
}

/// Where the operation that this is part of is written down. Of what nobody observes, nowhere that lasts.
pub(super) fn current() -> Arc<Mutex<Exchange>> {
    CURRENT.try_with(Arc::clone).unwrap_or_default()
}
