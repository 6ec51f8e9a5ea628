//! Sends segments.

use std::sync::atomic::Ordering;

use alluvium::Shipment;

use super::failed::Failed;
use super::{Shared, notes};
use crate::gather;
use crate::objects::{NotPut, Source, Unfinished, Upload};
use crate::remote::{Hash, Incarnation, SegmentKey};

/// How much of what is found is looked at again where much of it is set aside.
const SPARE: usize = 4;

impl Shared {
    /// Segments that are worth sending: those wanted most first.
    pub(super) fn due(&self, aside: usize, everything: bool) -> Result<Vec<Shipment>, Failed> {
        let limit = self.policy.parallel + aside + SPARE;
        let is_due = |shipment: &Shipment| everything || self.is_due(shipment);
        Ok(self.db.delivery(&self.name).pending_if(self.policy.order, limit, is_due)?)
    }

    fn is_due(&self, shipment: &Shipment) -> bool {
        shipment.bytes >= self.policy.enough_bytes
            || self.since(shipment.taken_at) >= self.policy.max_delay
            || self.is_over(shipment)
    }

    /// Whether nothing more is expected of a segment's partition.
    fn is_over(&self, shipment: &Shipment) -> bool {
        let per_second = shipment.table.time_unit.per_second();
        let end = i128::from(shipment.partition.range.end) * 1_000_000 / i128::from(per_second);
        let late = i128::try_from(self.policy.late_allowance.as_micros()).unwrap_or(i128::MAX);
        i128::from(self.db.now().wall_micros) >= end.saturating_add(late)
    }

    /// Sends a segment, and notes where it is to be looked for.
    pub(super) async fn send(&self, shipment: &Shipment) -> Result<(), Failed> {
        let delivery = self.db.delivery(&self.name);
        let _sending = delivery.sending(shipment);
        let key = self.key_of(shipment);
        let place = key.to_string();
        let put = put(self, &place, &Source::File(&shipment.path), Hash(shipment.hash), shipment.bytes).await;
        if let Err(Failed::Object(NotPut::Altered(altered))) = &put
            && let Err(error) = delivery.damaged(shipment, &altered.to_string())
        {
            // Whoever waits for it there is told why another time: that it is damaged is found again.
            tracing::warn!(place, %error, "a damaged segment is not noted");
        }
        put?;
        // Before it counts as sent, so that it is found there whatever the table is called then, and the centre is told of it whatever happens.
        notes::put_sent_as(&self.db, &self.name, [(key.table, key.name.as_str())].into_iter())?;
        if self.centre.is_some() {
            self.queue_segment(&key, shipment)?;
        }
        delivery.sent(shipment, &place)?;
        self.to_confirm.store(true, Ordering::Release);
        self.ring();
        self.reporter.count(|counts| counts.segments += 1);
        Ok(())
    }

    /// Sends a segment and queues it for the centre, and notes nothing else of it, as when the power fails.
    #[cfg(test)]
    pub(super) async fn send_queue_it_and_die(&self, shipment: &Shipment) {
        let key = self.key_of(shipment);
        put(self, &key.to_string(), &Source::File(&shipment.path), Hash(shipment.hash), shipment.bytes).await.unwrap();
        self.queue_segment(&key, shipment).unwrap();
    }

    fn key_of(&self, shipment: &Shipment) -> SegmentKey {
        SegmentKey {
            name: shipment.table.name.clone(),
            table: shipment.table.id.0,
            period: gather::period(shipment.partition, shipment.table.time_unit),
            gateway: self.gateway.clone(),
            incarnation: Incarnation(shipment.incarnation),
            records: shipment.records,
            hash: Hash(shipment.hash),
        }
    }
}

/// Puts what is named by its hash, on from where it was left.
pub(super) async fn put(shared: &Shared, key: &str, source: &Source<'_>, hash: Hash, bytes: u64) -> Result<(), Failed> {
    let unfinished = notes::upload(shared, hash)?;
    let mut noted = unfinished.is_some();
    let mut progress = |unfinished: &Unfinished| {
        // Without the note it would begin anew.
        noted = true;
        if let Err(error) = notes::put_upload(shared, hash, Some(unfinished)) {
            tracing::warn!(key, %error, "how far an upload got is not noted");
        }
    };
    let mut upload = Upload { unfinished, ..Upload::new(&mut progress) };
    let delivered = shared.target.put_object(key, source, hash, bytes, &mut upload).await?;
    if noted {
        notes::put_upload(shared, hash, None)?;
    }
    if delivered.sent > 0 && shared.target.throttle().has_budget() {
        notes::put_budget(shared)?;
    }
    shared.reporter.count(|counts| {
        counts.bytes_sent += delivered.sent;
        counts.bytes_read += delivered.read;
    });
    Ok(())
}
