//! SHA-256, by which newer stores of S3 say what they got.
//!
//! It takes the place of the sum with which bodies are signed, as the header that it is in is signed itself, so that it costs nothing here nor there; MD5,
//! by which all say what they got, takes longer than everything else that is done to a segment. Older stores do not know it, some that speak S3 refuse
//! whoever asks for it, and some repeat what they are told: each is tried once. (Amazon S3 User Guide, "Checking object integrity" and "Authenticating
//! Requests: unsigned payload option".)

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutOptions, PutPayload};
use tokio::sync::OnceCell;

use super::exchange::{Exchange, observed};
use super::target::Target;
use super::trouble::{Kind, Trouble};
use crate::remote::Incarnation;

/// The header in which it is sent, and answered.
pub(super) const HEADER: &str = "x-amz-checksum-sha256";

/// What a request carries in place of its body, as if it had been altered on the way.
#[derive(Debug, Clone)]
pub(super) struct Instead(pub(super) Bytes);

/// A client that sends sums and asks for them.
pub(super) struct Summed {
    pub(super) store: Arc<dyn ObjectStore>,
    /// Whether the store answers with them, once that was tried.
    works: OnceCell<bool>,
}

impl Summed {
    pub(super) fn new(store: Arc<dyn ObjectStore>) -> Self {
        Summed { store, works: OnceCell::new() }
    }
}

impl fmt::Debug for Summed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Summed").field("works", &self.works).finish_non_exhaustive()
    }
}

impl Exchange {
    /// Whether the store says of what it got what we say of what was sent.
    pub(super) fn is_confirmed_by_sum(&self) -> bool {
        self.sum_sent.is_some() && self.sum_sent == self.sum_answered
    }
}

impl Target {
    /// Finds out whether the store says by SHA-256 what it got, once for a target and its clones; until then it is not asked to. It is sent an object, which
    /// is then removed. `false` where it is not one of S3.
    ///
    /// # Errors
    ///
    /// [`Trouble`] where the store does not do its part.
    pub async fn learn_sums(&self, who: Incarnation) -> Result<bool, Trouble> {
        let Some(summed) = &self.shared.summed else { return Ok(false) };
        summed.works.get_or_try_init(|| self.try_sums(&summed.store, who)).await.copied()
    }

    /// The client that sends sums, where the store is known to answer with them.
    pub(super) fn summed(&self) -> Option<&Arc<dyn ObjectStore>> {
        let summed = self.shared.summed.as_ref()?;
        (summed.works.get() == Some(&true)).then_some(&summed.store)
    }

    async fn try_sums(&self, store: &Arc<dyn ObjectStore>, who: Incarnation) -> Result<bool, Trouble> {
        let key = Target::probe_key(who);
        let path = self.path(&key)?;
        let works = self.probe_sums(store, &path).await;
        self.delete(&key).await?;
        works
    }

    /// Whether it refuses what is not of its sum, and says of what is that it is.
    async fn probe_sums(&self, store: &Arc<dyn ObjectStore>, path: &Path) -> Result<bool, Trouble> {
        let mut altered = PutOptions::default();
        altered.extensions.insert(Instead(Bytes::from_static(b"altered")));
        match observed(store.put_opts(path, PutPayload::from_static(b"as sent"), altered)).await {
            (Ok(_), _) => return Ok(false),
            (Err(_), exchange) if exchange.status == Some(400) => {}
            (Err(error), exchange) => return self.without_sums(path, &error, &exchange).await,
        }
        match observed(store.put(path, PutPayload::from_static(b"as sent"))).await {
            (Ok(_), exchange) => Ok(exchange.is_confirmed_by_sum()),
            (Err(error), exchange) => self.without_sums(path, &error, &exchange).await,
        }
    }

    /// Where a store refuses, whether it does so for the sum: bodies that are not signed may also be forbidden there.
    async fn without_sums(&self, path: &Path, error: &object_store::Error, exchange: &Exchange) -> Result<bool, Trouble> {
        let trouble = Trouble::of("probing whether the store knows SHA-256", error, exchange);
        if !matches!(trouble.kind, Kind::Refused | Kind::Poisoned | Kind::Settings) {
            return Err(trouble);
        }
        match self.shared.store.put(path, PutPayload::from_static(b"plain")).await {
            Ok(_) => Ok(false),
            Err(_) => Err(trouble),
        }
    }
}
