//! A centre in memory that fails when it is told to.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::super::super::tests::GATEWAY;
use super::super::{Centre, MemoryCentre};
use crate::postgres::{Advance, Applied, Error, Head, Held, KnownCut, KnownSegment, Line, MissingUnit, Segment};
use crate::remote::Incarnation;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is done, and answered.
    None,
    /// It is not done.
    Before,
    /// It is done, and the answer is lost.
    After,
    /// It is not done, and nothing ever comes back.
    HangsBefore,
    /// It is done, and nothing ever comes back.
    HangsAfter,
    /// It is refused.
    Refused,
}

#[derive(Debug)]
struct Inner {
    state: MemoryCentre,
    faults: VecDeque<Fault>,
    /// What happens where nothing else is planned.
    usual: Option<Fault>,
    calls: Vec<&'static str>,
}

/// The centre.
#[derive(Debug, Clone)]
pub(crate) struct InMemory {
    inner: Arc<Mutex<Inner>>,
    /// Somebody waits for ever.
    pub(crate) hung: Arc<Notify>,
}

impl Default for InMemory {
    fn default() -> Self {
        let inner = Inner { state: MemoryCentre::new(GATEWAY), faults: VecDeque::new(), usual: None, calls: Vec::new() };
        InMemory { inner: Arc::new(Mutex::new(inner)), hung: Arc::default() }
    }
}

impl InMemory {
    /// What happens to the next calls.
    pub(crate) fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.inner.lock().faults = faults.into_iter().collect();
    }

    /// What happens to all calls from now on.
    pub(crate) fn always(&self, fault: Option<Fault>) {
        self.inner.lock().usual = fault;
    }

    pub(crate) fn state(&self) -> MemoryCentre {
        self.inner.lock().state.clone()
    }

    /// It is put back.
    pub(crate) fn put_back(&self, state: MemoryCentre) {
        self.inner.lock().state = state;
    }

    /// Changes what it has.
    pub(crate) fn change(&self, change: impl FnOnce(&mut MemoryCentre)) {
        change(&mut self.inner.lock().state);
    }

    /// The calls since this was asked last.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.inner.lock().calls)
    }

    async fn call<T>(&self, name: &'static str, does: impl FnOnce(&mut MemoryCentre) -> Result<T, Error>) -> Result<T, Error> {
        let fault = {
            let mut inner = self.inner.lock();
            inner.calls.push(name);
            inner.faults.pop_front().or(inner.usual).unwrap_or(Fault::None)
        };
        let done = match fault {
            Fault::Before => return Err(Error::Unreachable("it is down".to_owned())),
            Fault::Refused => return Err(Error::Refused("the gateway is unknown, or its secret is another".to_owned())),
            Fault::HangsBefore => None,
            Fault::None | Fault::After | Fault::HangsAfter => Some(does(&mut self.inner.lock().state)),
        };
        match (fault, done) {
            (Fault::None, Some(done)) => done,
            (Fault::After, _) => Err(Error::Ambiguous("the answer is lost".to_owned())),
            _ => {
                self.hung.notify_one();
                std::future::pending().await
            }
        }
    }
}

#[async_trait]
impl Centre for InMemory {
    async fn head(&self) -> Result<Option<Head>, Error> {
        self.call("head", |state| Ok(state.head())).await
    }

    async fn advance(&self, manifest: &[u8]) -> Result<Advance, Error> {
        self.call("advance", |state| state.advance(manifest)).await
    }

    async fn hold(&self, segments: &[Segment]) -> Result<Held, Error> {
        self.call("hold", |state| state.hold(segments)).await
    }

    async fn metadata(&self, incarnation: Incarnation, cut: u64, lines: &[Line], complete: bool) -> Result<Applied, Error> {
        self.call("metadata", |state| state.metadata(incarnation, cut, lines, complete)).await
    }

    async fn cuts(&self, from: u64, most: u32) -> Result<Vec<KnownCut>, Error> {
        self.call("cuts", |state| Ok(state.cuts(from, most))).await
    }

    async fn missing(&self, from: u64, most: u32) -> Result<Vec<MissingUnit>, Error> {
        self.call("missing", |state| Ok(state.missing(from, most))).await
    }

    async fn segments(&self, after: i64, most: u32) -> Result<Vec<KnownSegment>, Error> {
        self.call("segments", |state| Ok(state.segments(after, most))).await
    }
}
