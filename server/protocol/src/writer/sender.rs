//! The client's end.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::OutOfOrder;
use crate::message::{OpenWriter, Opened};

/// A writer with the batches that it has yet to see acknowledged.
///
/// It knows their numbers and sizes; the batches themselves are kept by whoever drives it, as long as they are not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    writer: [u8; 16],
    /// Whether anything may have been sent under this id, ever.
    sent_before: bool,
    acknowledged: u64,
    /// Bytes of each batch behind that.
    waiting: VecDeque<usize>,
    link: Option<Link>,
}

/// What is true of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Link {
    /// Sent on it up to here, or applied before.
    sent: u64,
    window: usize,
    refused: Option<u64>,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Note durably that something was sent under this id, then call [`Sender::noted`]. Otherwise a sender that forgets it, and
    /// comes back as a new one after the server forgot it too, would send twice.
    Note,
    /// Send the batch of this number.
    Send(u64),
    /// Wait: for a connection, an acknowledgement, a batch, or what to do about one that was refused.
    Wait,
}

impl Sender {
    /// A new writer, whose id is random and was never used.
    pub fn new(writer: [u8; 16]) -> Self {
        Sender::restore(writer, false, 0, [])
    }

    /// One that was kept: whether it may have sent anything, which batches were acknowledged, and the bytes of those behind.
    pub fn restore(writer: [u8; 16], sent_before: bool, acknowledged: u64, waiting: impl IntoIterator<Item = usize>) -> Self {
        Sender { writer, sent_before, acknowledged, waiting: waiting.into_iter().collect(), link: None }
    }

    /// All up to this one were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The last batch there is.
    fn last(&self) -> u64 {
        self.acknowledged + self.waiting.len() as u64
    }

    /// One more batch is there to be sent. Answers its number.
    pub fn push(&mut self, bytes: usize) -> u64 {
        self.waiting.push_back(bytes);
        self.last()
    }

    /// What to begin a stream with.
    pub fn open(&self) -> OpenWriter {
        OpenWriter { writer: self.writer, acknowledged: self.sent_before.then_some(self.acknowledged) }
    }

    /// The server answered. What it has is acknowledged; what is behind will be sent again.
    pub fn opened(&mut self, opened: &Opened) -> Result<(), OutOfOrder> {
        let applied = opened.applied_through;
        if !(self.acknowledged..=self.last()).contains(&applied) {
            return Err(OutOfOrder::Impossible { applied, acknowledged: self.acknowledged, made: self.last() });
        }
        self.forget_through(applied);
        self.link = Some(Link { sent: applied, window: opened.window_bytes as usize, refused: None });
        Ok(())
    }

    /// The connection is gone. What was sent on it may have come or not.
    pub fn disconnected(&mut self) {
        self.link = None;
    }

    /// What to do next. A batch that is to be sent counts as sent.
    pub fn poll(&mut self) -> Next {
        let Some(link) = &mut self.link else { return Next::Wait };
        let under_way = (link.sent - self.acknowledged) as usize;
        let Some(bytes) = self.waiting.get(under_way) else { return Next::Wait };
        if link.refused.is_some() {
            return Next::Wait;
        }
        let flying: usize = self.waiting.iter().take(under_way).sum();
        // One goes in any case, however large.
        if under_way > 0 && flying.saturating_add(*bytes) > link.window {
            return Next::Wait;
        }
        if !self.sent_before {
            return Next::Note;
        }
        link.sent += 1;
        Next::Send(link.sent)
    }

    /// It is noted that something was sent.
    pub fn noted(&mut self) {
        self.sent_before = true;
    }

    /// The server has applied all up to a batch. Answers which of them are new; they need not be kept any longer.
    pub fn applied(&mut self, through: u64) -> Result<RangeInclusive<u64>, OutOfOrder> {
        let sent = self.link.as_ref().map_or(0, |link| link.sent);
        if !(self.acknowledged..=sent).contains(&through) {
            return Err(OutOfOrder::NotUnderWay { number: through });
        }
        let new = self.acknowledged + 1..=through;
        self.forget_through(through);
        Ok(new)
    }

    /// The server has refused a batch, and all behind it wait for what becomes of it: [`Sender::resend`] or [`Sender::skip`].
    pub fn refused(&mut self, number: u64) -> Result<(), OutOfOrder> {
        let acknowledged = self.acknowledged;
        match &mut self.link {
            Some(link) if number > acknowledged && number <= link.sent => {
                link.refused = Some(number);
                Ok(())
            }
            _ => Err(OutOfOrder::NotUnderWay { number }),
        }
    }

    /// The batch that was refused, if any.
    pub fn is_refused(&self) -> Option<u64> {
        self.link.as_ref()?.refused
    }

    /// The refused batch is another now, of so many bytes: it is sent again, and those behind it.
    pub fn resend(&mut self, bytes: usize) {
        let acknowledged = self.acknowledged;
        let Some(link) = &mut self.link else { return };
        let Some(refused) = link.refused.take() else { return };
        link.sent = refused - 1;
        if let Some(waiting) = self.waiting.get_mut((refused - acknowledged - 1) as usize) {
            *waiting = bytes;
        }
    }

    /// The refused batch is given up: the server is to be told so ([`Skip`](crate::message::Skip)), and those behind it are sent
    /// again. Answers its number.
    pub fn skip(&mut self) -> Option<u64> {
        let link = self.link.as_mut()?;
        let refused = link.refused.take()?;
        link.sent = refused;
        Some(refused)
    }

    fn forget_through(&mut self, number: u64) {
        let forgotten = number.saturating_sub(self.acknowledged);
        self.waiting.drain(..self.waiting.len().min(forgotten as usize));
        self.acknowledged = number;
    }
}
