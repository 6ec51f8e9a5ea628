//! Batches on their way: which are kept, what is to be sent next, and what became of each. Without sockets, disk and time.

use std::collections::VecDeque;
use std::sync::Arc;

use alluvium_protocol::code::Code;
use alluvium_protocol::frame::HEADER_BYTES;
use alluvium_protocol::message::{DescribeTable, Failed, OpenWriter, Opened};
use alluvium_protocol::writer::{Next, OutOfOrder, Sender};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::receipt::{Refusal, Ticket};
use super::settings::OnRefusal;
use crate::{Error, Result};

/// A batch that is kept.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its frame, if it is in memory.
    pub(super) frame: Option<Bytes>,
    /// Bytes of it.
    pub(super) length: usize,
    pub(super) table: Arc<DescribeTable>,
    /// Who wants to know what becomes of it.
    pub(super) ticket: Option<Ticket>,
    /// Its share of the room.
    pub(super) _room: Option<OwnedSemaphorePermit>,
    /// Why it is given up on this connection. What becomes of it is known when it is acknowledged.
    pub(super) given_up: Option<Failed>,
}

/// What to do next on a stream.
#[derive(Debug)]
pub(super) enum Step {
    /// Note durably that something may have been sent.
    Note,
    /// Send a batch, which may have to be read first.
    Send { number: u64, table: Arc<DescribeTable>, frame: Option<Bytes> },
    /// Give up a batch that the server refused.
    Skip(u64),
    /// Send a batch that does nothing, in the place of one that cannot be sent.
    Nothing(u64),
    /// Wait.
    Wait,
}

/// All batches of a writer, and where it stands.
#[derive(Debug)]
pub(super) struct Buffer {
    sender: Sender,
    entries: VecDeque<Entry>,
    on_refusal: OnRefusal,
    /// Bytes of frames that may be in memory, and those that are.
    cache: usize,
    cached: usize,
    /// What is held for somebody to decide.
    held: Option<Held>,
    /// What was decided, and the server does not know yet.
    decided: Option<Step>,
    /// Whether the held batch is being replaced: nothing is sent meanwhile.
    replacing: bool,
    /// Batches that are not kept any longer, and those of them that were given up.
    settled: u64,
    skipped: u64,
    /// Whether anything was acknowledged since this was last asked.
    progressed: bool,
}

#[derive(Debug)]
struct Held {
    refusal: Refusal,
    /// Whether it was the server that refused it.
    by_server: bool,
}

impl Buffer {
    pub(super) fn new(sender: Sender, entries: VecDeque<Entry>, on_refusal: OnRefusal, cache: usize) -> Self {
        let (held, decided, replacing, progressed) = Default::default();
        Buffer { sender, entries, on_refusal, cache, cached: 0, held, decided, replacing, settled: 0, skipped: 0, progressed }
    }

    /// Keeps one more batch. Answers its number.
    pub(super) fn push(&mut self, mut entry: Entry) -> u64 {
        entry.frame = self.cache(entry.frame, 0);
        let number = self.sender.push(entry.length);
        self.entries.push_back(entry);
        number
    }

    /// The number that the next batch has.
    pub(super) fn next_number(&self) -> u64 {
        self.sender.acknowledged() + self.entries.len() as u64 + 1
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.sender.acknowledged()
    }

    pub(super) fn kept(&self) -> usize {
        self.entries.len()
    }

    /// Batches that were settled since the beginning, whatever their numbers.
    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    pub(super) fn held(&self) -> Option<Refusal> {
        self.held.as_ref().map(|held| held.refusal.clone())
    }

    pub(super) fn take_progressed(&mut self) -> bool {
        std::mem::take(&mut self.progressed)
    }

    pub(super) fn open(&self) -> OpenWriter {
        self.sender.open()
    }

    pub(super) fn opened(&mut self, opened: &Opened) -> Result<(), OutOfOrder> {
        let before = self.sender.acknowledged();
        self.sender.opened(opened)?;
        self.settle(before);
        // What is behind comes again whole, and may fare better this time.
        self.entries.iter_mut().for_each(|entry| entry.given_up = None);
        Ok(())
    }

    pub(super) fn disconnected(&mut self) {
        self.sender.disconnected();
        (self.held, self.decided) = (None, None);
    }

    pub(super) fn noted(&mut self) {
        self.sender.noted();
    }

    /// What to do next, where bulk frames have so many bytes of payload at most.
    pub(super) fn next(&mut self, bulk_bytes: usize) -> Step {
        loop {
            if let Some(decided) = self.decided.take() {
                return decided;
            }
            if self.replacing {
                return Step::Wait;
            }
            let number = match self.sender.poll() {
                Next::Wait => return Step::Wait,
                Next::Note => return Step::Note,
                Next::Send(number) => number,
            };
            let Some(entry) = self.entry(number) else { return Step::Wait };
            let bytes = entry.length.saturating_sub(HEADER_BYTES);
            if bytes <= bulk_bytes {
                return Step::Send { number, table: entry.table.clone(), frame: entry.frame.clone() };
            }
            let said = format!("it has {bytes} bytes, and the server takes {bulk_bytes} at most: make several of it");
            // It counts as sent.
            let _ = self.refuse(number, Failed::new(Code::Limit, said), false);
        }
    }

    /// A frame in memory, if that may be, in the place of another of so many bytes.
    fn cache(&mut self, frame: Option<Bytes>, instead_of: usize) -> Option<Bytes> {
        self.cached -= instead_of;
        let frame = frame.filter(|frame| self.cached.saturating_add(frame.len()) <= self.cache);
        self.cached += frame.as_ref().map_or(0, Bytes::len);
        frame
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        let at = number.checked_sub(self.sender.acknowledged() + 1)?;
        self.entries.get_mut(usize::try_from(at).ok()?)
    }

    /// The server has applied all up to a batch.
    pub(super) fn applied(&mut self, through: u64) -> Result<(), OutOfOrder> {
        if self.sender.is_refused().is_some_and(|refused| refused <= through) {
            return Err(OutOfOrder::NotUnderWay { number: through });
        }
        let before = self.sender.acknowledged();
        self.sender.applied(through)?;
        self.settle(before);
        Ok(())
    }

    /// Lets go of what was acknowledged since, and tells.
    fn settle(&mut self, before: u64) {
        for number in before + 1..=self.sender.acknowledged() {
            let Some(entry) = self.entries.pop_front() else { return };
            self.cached -= entry.frame.map_or(0, |frame| frame.len());
            self.settled += 1;
            self.progressed = true;
            self.skipped += u64::from(entry.given_up.is_some());
            let outcome = entry.given_up.map_or(Ok(()), |failed| Err(Error::BatchRefused { number, failed }));
            if let Some(ticket) = entry.ticket {
                // Nobody may want to know.
                let _ = ticket.send(outcome);
            }
        }
    }

    /// A batch cannot be applied, as the server says, or cannot even be sent.
    pub(super) fn refuse(&mut self, number: u64, failed: Failed, by_server: bool) -> Result<(), OutOfOrder> {
        self.sender.refused(number)?;
        self.held = Some(Held { refusal: Refusal { number, failed }, by_server });
        if self.on_refusal == OnRefusal::Skip {
            self.give_up();
        }
        Ok(())
    }

    /// Gives up the batch that is held, if it is the one of this number.
    pub(super) fn skip(&mut self, number: u64) -> Result<()> {
        self.check_held(number)?;
        self.give_up();
        Ok(())
    }

    fn check_held(&self, number: u64) -> Result<()> {
        let is_held = self.held.as_ref().is_some_and(|held| held.refusal.number == number);
        if is_held && !self.replacing { Ok(()) } else { Err(Error::NotRefused { number }) }
    }

    fn give_up(&mut self) {
        let Some(Held { refusal: Refusal { number, failed }, by_server }) = self.held.take() else { return };
        self.sender.skip();
        self.decided = Some(if by_server { Step::Skip(number) } else { Step::Nothing(number) });
        tracing::warn!(number, code = failed.code, reason = failed.message, "a batch was refused, and is skipped");
        if let Some(entry) = self.entry(number) {
            entry.given_up = Some(failed);
        }
    }

    /// Begins to replace the batch that is held.
    pub(super) fn begin_to_replace(&mut self, number: u64) -> Result<()> {
        self.check_held(number)?;
        self.replacing = true;
        Ok(())
    }

    /// It is replaced, by a frame that may have to be read, or was not if there is none.
    pub(super) fn replaced(&mut self, number: u64, new: Option<(Option<Bytes>, usize, Arc<DescribeTable>)>) {
        self.replacing = false;
        let Some((frame, length, table)) = new else { return };
        let before = self.entry(number).and_then(|entry| entry.frame.as_ref()).map_or(0, Bytes::len);
        let frame = self.cache(frame, before);
        if let Some(entry) = self.entry(number) {
            (entry.frame, entry.length, entry.table) = (frame, length, table);
        }
        // Without the connection on which it was refused it is sent again anyway; the window may be a little off then.
        self.held = None;
        self.sender.resend(length);
    }

    /// Goes on under another id, as one that has sent nothing.
    pub(super) fn restart(&mut self, id: [u8; 16]) {
        self.disconnected();
        self.sender = Sender::restore(id, false, 0, self.entries.iter().map(|entry| entry.length));
        for (number, entry) in (1..).zip(&mut self.entries) {
            entry.given_up = None;
            if let Some(frame) = entry.frame.take() {
                let mut frame = Vec::from(frame);
                crate::queue::set_number(&mut frame, number);
                entry.frame = Some(frame.into());
            }
        }
    }

    /// Lets go of everything, and answers how many batches that were.
    pub(super) fn end(&mut self) -> usize {
        let count = self.entries.len();
        self.entries.clear();
        self.cached = 0;
        count
    }
}
