//! What the worker asks of the centre.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::postgres::{Advance, Applied, Error, Head, Held, KnownCut, KnownSegment, Ledger, Line, MissingUnit, Segment};
use crate::remote::Incarnation;

/// The centre, as one gateway sees it: where it registers what it cut and delivered. [`Ledger`] is the real one, in PostgreSQL, and
/// [`MemoryCentre`](super::MemoryCentre) one for tests.
///
/// All calls may be made again, whatever became of them before: to tell the centre what it knows changes nothing. What is answered is
/// durable. An error says what to do; of one that leaves open whether a call was done it is safe to make it again. A centre may forget
/// whatever it was told, as one does that is put back to a backup: the worker tells it again.
#[async_trait]
pub trait Centre: fmt::Debug + Send + Sync {
    /// The last cut of the branch: the one that was registered last, of the incarnation that came last. None where there is none.
    async fn head(&self) -> Result<Option<Head>, Error>;

    /// Registers a manifest, of these very bytes, which then is the head: one that follows the head, or begins an incarnation behind any
    /// cut that is known, which leaves what followed that cut off the branch. One that is there already changes nothing, wherever it is.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`], [`Error::Behind`] and [`Error::UnknownPrevious`] where it is neither, with the head; [`Error::Invalid`] where it
    /// is no manifest of this gateway.
    async fn advance(&self, manifest: &[u8]) -> Result<Advance, Error>;

    /// Registers segments that a target was seen to have. Those of records that no cut of their incarnation reaches are left out, and named.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where one of them cannot be a segment of this gateway: then none is registered.
    async fn hold(&self, segments: &[Segment]) -> Result<Held, Error>;

    /// Takes in lines of the metadata that travelled with a cut. Of each key the line of the latest incarnation holds, and of those the one
    /// of the highest sequence, in whatever order they come. With `complete` the metadata of the cut are there.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where a line cannot be one: then none is taken in.
    async fn metadata(&self, incarnation: Incarnation, cut: u64, lines: &[Line], complete: bool) -> Result<Applied, Error>;

    /// The cuts of the branch from one on, in order, `most` and 10,000 at most.
    async fn cuts(&self, from: u64, most: u32) -> Result<Vec<KnownCut>, Error>;

    /// The units of the branch that no segment holds and that no cut states to be gone, from a cut on and in the order of cuts, `most` and
    /// 10,000 at most.
    async fn missing(&self, from: u64, most: u32) -> Result<Vec<MissingUnit>, Error>;

    /// The segments registered behind one, in the order in which they were, `most` and 10,000 at most; from the beginning behind 0. The worker
    /// asks this of nobody: it is for who compares.
    async fn segments(&self, after: i64, most: u32) -> Result<Vec<KnownSegment>, Error>;
}

#[async_trait]
impl Centre for Ledger {
    async fn head(&self) -> Result<Option<Head>, Error> {
        Ledger::head(self).await
    }

    async fn advance(&self, manifest: &[u8]) -> Result<Advance, Error> {
        Ledger::advance(self, manifest).await
    }

    async fn hold(&self, segments: &[Segment]) -> Result<Held, Error> {
        Ledger::hold(self, segments).await
    }

    async fn metadata(&self, incarnation: Incarnation, cut: u64, lines: &[Line], complete: bool) -> Result<Applied, Error> {
        Ledger::metadata(self, incarnation, cut, lines, complete).await
    }

    async fn cuts(&self, from: u64, most: u32) -> Result<Vec<KnownCut>, Error> {
        Ledger::cuts(self, from, most).await
    }

    async fn missing(&self, from: u64, most: u32) -> Result<Vec<MissingUnit>, Error> {
        Ledger::missing(self, from, most).await
    }

    async fn segments(&self, after: i64, most: u32) -> Result<Vec<KnownSegment>, Error> {
        Ledger::segments(self, after, most).await
    }
}

/// The same one, shared.
#[async_trait]
impl<C: Centre + ?Sized> Centre for Arc<C> {
    async fn head(&self) -> Result<Option<Head>, Error> {
        C::head(self).await
    }

    async fn advance(&self, manifest: &[u8]) -> Result<Advance, Error> {
        C::advance(self, manifest).await
    }

    async fn hold(&self, segments: &[Segment]) -> Result<Held, Error> {
        C::hold(self, segments).await
    }

    async fn metadata(&self, incarnation: Incarnation, cut: u64, lines: &[Line], complete: bool) -> Result<Applied, Error> {
        C::metadata(self, incarnation, cut, lines, complete).await
    }

    async fn cuts(&self, from: u64, most: u32) -> Result<Vec<KnownCut>, Error> {
        C::cuts(self, from, most).await
    }

    async fn missing(&self, from: u64, most: u32) -> Result<Vec<MissingUnit>, Error> {
        C::missing(self, from, most).await
    }

    async fn segments(&self, after: i64, most: u32) -> Result<Vec<KnownSegment>, Error> {
        C::segments(self, after, most).await
    }
}
