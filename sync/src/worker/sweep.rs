//! Gives up uploads that nobody goes on with: of segments that were folded into others meanwhile, and of metadata of cuts that were announced.

use std::sync::atomic::Ordering;

use super::failed::Failed;
use super::{Shared, notes};
use crate::objects::Unfinished;
use crate::remote::Key;

impl Shared {
    /// Does that once, before anything is under way. What cannot be given up is tried again after the next start.
    pub(super) async fn sweep_uploads(&self) -> Result<(), Failed> {
        if self.is_swept.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        for unfinished in notes::uploads(self)? {
            if self.goes_on(&unfinished)? {
                continue;
            }
            match self.target.abandon(&unfinished).await {
                Ok(()) => notes::put_upload(self, unfinished.hash, None)?,
                Err(trouble) => tracing::warn!(unfinished.key, %trouble, "parts of an upload stay that nobody goes on with"),
            }
        }
        Ok(())
    }

    /// Whether an object is still to be sent.
    fn goes_on(&self, unfinished: &Unfinished) -> Result<bool, Failed> {
        let delivery = self.db.delivery(&self.name);
        match unfinished.key.parse() {
            Ok(Key::Segment(_)) => {
                let pending = delivery.pending_if(self.policy.order, 1, |shipment| shipment.hash == unfinished.hash.0)?;
                Ok(!pending.is_empty())
            }
            Ok(Key::Metadata { cut, .. } | Key::Manifest { cut, .. }) => {
                Ok(delivery.head()?.announced.is_none_or(|announced| announced.cut < cut))
            }
            Err(_) => Ok(false),
        }
    }
}
