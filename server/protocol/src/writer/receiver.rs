//! The server's end.

use super::OutOfOrder;

/// Where a writer stands on one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    /// Everything up to here was taken to be applied, or was applied before.
    taken: u64,
    /// The batch that holds up those behind it.
    refused: Option<u64>,
}

/// What to do with a batch that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    /// Apply it.
    Apply,
    /// It was applied before, or is being applied: nothing but the acknowledgement is wanted.
    Known,
    /// It was sent before its sender knew of one that is refused, and will come again.
    HeldUp,
}

impl Receiver {
    /// Of a writer whose batches were applied up to one.
    pub fn new(applied_through: u64) -> Self {
        Receiver { taken: applied_through, refused: None }
    }

    /// Whether a batch is the one to be applied next.
    pub fn is_next(&self, number: u64) -> bool {
        self.taken.checked_add(1) == Some(number)
    }

    /// A batch came.
    pub fn batch(&mut self, number: u64) -> Result<Incoming, OutOfOrder> {
        if number <= self.taken {
            return Ok(Incoming::Known);
        }
        let expected = self.taken + 1;
        match self.refused {
            Some(refused) if number > refused => return Ok(Incoming::HeldUp),
            None if number > expected => return Err(OutOfOrder::Gap { expected, found: number }),
            _ => {}
        }
        // The next, perhaps anew.
        (self.taken, self.refused) = (number, None);
        Ok(Incoming::Apply)
    }

    /// A batch that was to be applied cannot be: it and those behind it are to come again.
    pub fn refused(&mut self, number: u64) {
        (self.taken, self.refused) = (number.saturating_sub(1), Some(number));
    }

    /// A refused batch is given up: it is to be applied as one without content.
    pub fn skip(&mut self, number: u64) -> Result<(), OutOfOrder> {
        match self.refused {
            Some(refused) if refused == number => {
                (self.taken, self.refused) = (number, None);
                Ok(())
            }
            _ => Err(OutOfOrder::NotRefused { number }),
        }
    }
}
