//! Takes cuts.

use std::time::{Duration, Instant};

use alluvium::{CutWhat, DeliveryHead};

use super::Shared;
use super::failed::Failed;

impl Shared {
    /// Takes the next cut, if anything is new: of everything if that is asked for, or was not for too long; else of what is sealed.
    pub(super) fn cut(&self, everything: bool) -> Result<(), Failed> {
        let delivery = self.db.delivery(&self.name);
        let head = delivery.head()?;
        let what = match everything || self.is_time_for_everything(&head) {
            false => CutWhat::Sealed,
            true if self.has_news(&head)? => CutWhat::All,
            true => CutWhat::News,
        };
        delivery.cut(what)?;
        Ok(())
    }

    /// Whether the last cut is long ago. Where that one found nothing new, the last try counts: it wears the disk.
    fn is_time_for_everything(&self, head: &DeliveryHead) -> bool {
        let mut tried = self.tried.lock();
        let is_time = self.since(head.taken_at) >= self.policy.max_delay
            && tried.is_none_or(|tried| tried.elapsed() >= self.policy.max_delay);
        if is_time {
            *tried = Some(Instant::now());
        }
        is_time
    }

    /// Whether there are metadata to be sent, and no cut yet that will take them along.
    fn has_news(&self, head: &DeliveryHead) -> Result<bool, Failed> {
        let announced = head.announced.map_or(0, |announced| announced.cut);
        Ok(head.cuts == announced && self.has_metadata(head.metadata_through)?)
    }

    /// How long ago something was, by the wall clock; for ever where that was set back since.
    pub(super) fn since(&self, wall_micros: i64) -> Duration {
        let micros = self.db.now().wall_micros.checked_sub(wall_micros).and_then(|micros| u64::try_from(micros).ok());
        micros.map_or(Duration::MAX, Duration::from_micros)
    }
}
