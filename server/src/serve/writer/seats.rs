//! One stream at a time for each writer: who comes later has the earlier one end, and waits for that.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, watch};

use super::job::WriterKey;

/// The streams of writers.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    seats: Mutex<HashMap<WriterKey, Arc<Place>>>,
}

#[derive(Debug, Default)]
struct Place {
    /// How many have asked for it.
    asked: watch::Sender<u64>,
    taken: Arc<tokio::sync::Mutex<()>>,
}

/// The place of a writer, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat<'s> {
    seats: &'s Seats,
    writer: Arc<WriterKey>,
    place: Option<Arc<Place>>,
    asked: watch::Receiver<u64>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Seats {
    /// Asks whoever has the place of a writer to end, and waits for it. `None` if another asked for it meanwhile.
    pub(super) async fn take(&self, writer: &Arc<WriterKey>) -> Option<Seat<'_>> {
        let place = self.seats.lock().entry(WriterKey::clone(writer)).or_default().clone();
        let mut mine = 0;
        place.asked.send_modify(|asked| {
            *asked += 1;
            mine = *asked;
        });
        let taken = place.taken.clone();
        // Made before waiting, so that the place is given up if nobody waits any more.
        let (writer, asked) = (writer.clone(), place.asked.subscribe());
        let mut seat = Seat { seats: self, writer, place: Some(place), asked, guard: None };
        seat.guard = Some(taken.lock_owned().await);
        let is_mine = *seat.asked.borrow_and_update() == mine;
        is_mine.then_some(seat)
    }
}

impl Seat<'_> {
    /// Resolves once another stream asks for the place.
    pub(super) async fn asked_for(&mut self) {
        // The sender lives as long as the place.
        let _ = self.asked.changed().await;
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.guard = None;
        let mut seats = self.seats.seats.lock();
        let is_last = self.place.take().is_some_and(|place| Arc::strong_count(&place) == 2);
        if is_last {
            seats.remove(&*self.writer);
        }
    }
}

#[cfg(test)]
mod tests {
    use alluvium::WriterId;

    use super::*;

    fn writer(byte: u8) -> Arc<WriterKey> {
        Arc::new(WriterKey { principal: "p".into(), id: WriterId([byte; 16]) })
    }

    #[tokio::test]
    async fn who_comes_later_has_the_earlier_one_end() {
        let (seats, one, two) = (Seats::default(), writer(1), writer(2));
        let mut first = seats.take(&one).await.unwrap();
        let _other = seats.take(&two).await.unwrap();
        let (second, ()) = tokio::join!(seats.take(&one), async {
            first.asked_for().await;
            drop(first);
        });
        drop(second.unwrap());
        assert_eq!(seats.seats.lock().len(), 1, "only places that are taken are kept");
    }

    #[tokio::test]
    async fn only_the_last_of_several_gets_it() {
        let (seats, one) = (Seats::default(), writer(1));
        let first = seats.take(&one).await.unwrap();
        let (second, third, ()) = tokio::join!(seats.take(&one), seats.take(&one), async { drop(first) });
        assert!(second.is_none() && third.is_some());
        drop(third);
        assert!(seats.seats.lock().is_empty());
    }
}
