//! Looks for what was sent, by connections of its own: only then is it held.

use std::sync::atomic::Ordering;

use alluvium::Sent;
use futures_util::{StreamExt, stream};

use super::Shared;
use super::failed::Failed;
use crate::objects::Target;
use crate::remote::Hash;

/// Segments that are looked for by one connection.
const TOGETHER: usize = 256;

impl Shared {
    /// Looks for some of what was sent. What is not there is to be sent again.
    pub(super) async fn confirm(&self) -> Result<(), Failed> {
        // Who sends meanwhile says so again.
        self.to_confirm.store(false, Ordering::Release);
        let outcome = self.look_for_sent().await;
        if !matches!(outcome, Ok(false)) {
            self.to_confirm.store(true, Ordering::Release);
        }
        outcome.map(drop)
    }

    /// Answers whether there is more to look for.
    async fn look_for_sent(&self) -> Result<bool, Failed> {
        let delivery = self.db.delivery(&self.name);
        let sent = delivery.unconfirmed(TOGETHER)?;
        if sent.is_empty() {
            return Ok(false);
        }
        let (is_full, target) = (sent.len() == TOGETHER, self.target.afresh()?);
        let mut looks = stream::iter(sent).map(|sent| look(&target, sent)).buffer_unordered(self.policy.parallel.max(1));
        let (mut found, mut outcome) = (Vec::new(), Ok(is_full));
        while let Some((sent, looked)) = looks.next().await {
            match looked {
                Ok(true) => found.push(sent),
                Ok(false) => {
                    delivery.missed(&sent)?;
                    outcome = Err(Failed::Missed { key: sent.place, target: self.target.to_string() });
                }
                Err(failed) => outcome = outcome.and(Err(failed)),
            }
        }
        delivery.confirm(&found)?;
        self.reporter.count(|counts| counts.confirmed += found.len() as u64);
        outcome
    }
}

async fn look(target: &Target, sent: Sent) -> (Sent, Result<bool, Failed>) {
    let looked = target.has(&sent.place, Hash(sent.hash), sent.bytes).await;
    (sent, looked.map_err(Failed::from))
}
