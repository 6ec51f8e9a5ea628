//! The definitions of queues.

use std::time::Duration;

use super::bytes::Reader;
use super::keys;
use crate::error::{Error, Result};
use crate::keyspace::{Access, Direction, Transaction, prefix, space};
use crate::shared::check_text;

/// Bytes of a queue's name, at most.
const NAME_BYTES: usize = 255;

/// A queue, and how it treats its items. Times are by the engine's clock, which stands while the machine is off and which no step
/// of the wall clock moves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueSpec {
    /// Its name: text of 1 to 255 bytes without control characters.
    pub name: String,
    /// How long whoever pops an item has it, unless they say otherwise. Default: 30 seconds.
    pub lease: Duration,
    /// How often an item is popped before it counts as dead. Default: 5; `u32::MAX` for ever.
    pub tries: u32,
    /// How long an item given back waits after its first try. Twice as long after each further one. Default: 1 second.
    pub back_off: Duration,
    /// How long it waits at most. Default: 1 hour.
    pub back_off_limit: Duration,
    /// Whether dead items are kept, as dead letters. Default: yes.
    pub dead_letters: bool,
    /// How long after a push its deduplication key keeps others out. Default: 5 minutes.
    pub deduplication: Duration,
}

impl QueueSpec {
    /// A queue with default settings.
    pub fn new(name: impl Into<String>) -> Self {
        QueueSpec {
            name: name.into(),
            lease: Duration::from_secs(30),
            tries: 5,
            back_off: Duration::from_secs(1),
            back_off_limit: Duration::from_secs(3_600),
            dead_letters: true,
            deduplication: Duration::from_secs(300),
        }
    }

    /// How long whoever pops an item has it.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        QueueSpec { lease, ..self }
    }

    /// How often an item is popped before it counts as dead, at least once.
    #[must_use]
    pub fn tries(self, tries: u32) -> Self {
        QueueSpec { tries, ..self }
    }

    /// How long an item given back waits: after its first try, and at most.
    #[must_use]
    pub fn back_off(self, first: Duration, limit: Duration) -> Self {
        QueueSpec { back_off: first, back_off_limit: limit, ..self }
    }

    /// Whether dead items are kept, as dead letters.
    #[must_use]
    pub fn dead_letters(self, kept: bool) -> Self {
        QueueSpec { dead_letters: kept, ..self }
    }

    /// How long after a push its deduplication key keeps others out.
    #[must_use]
    pub fn deduplication(self, window: Duration) -> Self {
        QueueSpec { deduplication: window, ..self }
    }

    fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        if self.tries == 0 {
            return Err(Error::invalid(format!("queue {:?}: an item is tried at least once, not 0 times", self.name)));
        }
        Ok(())
    }

    fn settings(&self, id: u32) -> Settings {
        Settings {
            id,
            lease: micros(self.lease),
            tries: self.tries,
            back_off: micros(self.back_off),
            back_off_limit: micros(self.back_off_limit),
            dead_letters: self.dead_letters,
            deduplication: micros(self.deduplication),
        }
    }
}

/// What lies in the cell of a definition. Times are microseconds of the engine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    /// The number of the queue, which no other has had.
    pub(super) id: u32,
    pub(super) lease: u64,
    pub(super) tries: u32,
    pub(super) back_off: u64,
    pub(super) back_off_limit: u64,
    pub(super) dead_letters: bool,
    pub(super) deduplication: u64,
}

impl Settings {
    /// All parts in this order, the flag as a byte.
    fn encode(&self) -> Vec<u8> {
        let Settings { id, lease, tries, back_off, back_off_limit, dead_letters, deduplication } = *self;
        let mut bytes = id.to_be_bytes().to_vec();
        bytes.extend(lease.to_be_bytes());
        bytes.extend(tries.to_be_bytes());
        bytes.extend(back_off.to_be_bytes());
        bytes.extend(back_off_limit.to_be_bytes());
        bytes.push(u8::from(dead_letters));
        bytes.extend(deduplication.to_be_bytes());
        bytes
    }

    pub(super) fn decode(cell: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("definition", cell);
        Ok(Settings {
            id: reader.u32()?,
            lease: reader.u64()?,
            tries: reader.u32()?,
            back_off: reader.u64()?,
            back_off_limit: reader.u64()?,
            dead_letters: reader.byte()? != 0,
            deduplication: reader.u64()?,
        })
    }

    /// How long an item waits after so many tries.
    pub(super) fn back_off_after(&self, tries: u32) -> u64 {
        let doublings = tries.saturating_sub(1);
        let doubled = 1_u64.checked_shl(doublings).map_or(u64::MAX, |factor| self.back_off.saturating_mul(factor));
        // Nothing stays nothing, however often it is doubled.
        if self.back_off == 0 { 0 } else { doubled.min(self.back_off_limit) }
    }

    pub(super) fn spec(self, name: String) -> QueueSpec {
        QueueSpec {
            name,
            lease: Duration::from_micros(self.lease),
            tries: self.tries,
            back_off: Duration::from_micros(self.back_off),
            back_off_limit: Duration::from_micros(self.back_off_limit),
            dead_letters: self.dead_letters,
            deduplication: Duration::from_micros(self.deduplication),
        }
    }
}

/// A length of time in microseconds; what is too long to be said so is for ever.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The settings of a queue there has to be.
pub(super) fn find(transaction: &Transaction, name: &str) -> Result<Settings> {
    check_name(name)?;
    let Some((_, cell)) = transaction.get(&keys::definition(name))? else {
        return Err(Error::NoSuchQueue { name: name.to_owned() });
    };
    Settings::decode(&cell)
}

/// Makes a queue.
pub(crate) fn create(mut access: impl Access, spec: &QueueSpec) -> Result<()> {
    spec.check()?;
    let spec = spec.clone();
    let create = move |transaction: &mut Transaction| {
        let key = keys::definition(&spec.name);
        if transaction.get(&key)?.is_some() {
            return Err(Error::QueueExists { name: spec.name });
        }
        let id = match transaction.get(&keys::definition(""))? {
            Some((_, cell)) => Reader::new("number", &cell).u32()?,
            None => 1,
        };
        let next = id.checked_add(1).ok_or_else(|| Error::invalid("no more queues can be made here: numbers have run out"))?;
        transaction.put(keys::definition(""), next.to_be_bytes().into());
        transaction.put(key, spec.settings(id).encode().into());
        transaction.put(keys::name(id), spec.name.as_bytes().into());
        Ok(())
    };
    access.write(create).map(|((), _)| ())
}

/// Gives a queue other settings.
pub(crate) fn alter(mut access: impl Access, spec: &QueueSpec) -> Result<()> {
    spec.check()?;
    let spec = spec.clone();
    let alter = move |transaction: &mut Transaction| {
        let id = find(transaction, &spec.name)?.id;
        transaction.put(keys::definition(&spec.name), spec.settings(id).encode().into());
        Ok(())
    };
    access.write(alter).map(|((), _)| ())
}

/// Drops a queue. Its items go later, a few at a time.
pub(crate) fn drop(mut access: impl Access, name: &str) -> Result<()> {
    let name = name.to_owned();
    let drop = move |transaction: &mut Transaction| {
        let id = find(transaction, &name)?.id;
        transaction.remove(keys::definition(&name));
        transaction.remove(keys::name(id));
        transaction.put(keys::dropped(id), [].into());
        // Whoever waits for an item watches this.
        transaction.remove(keys::tally(id));
        Ok(())
    };
    access.free(drop).map(|((), _)| ())
}

/// All queues, by name.
pub(crate) fn list(access: impl Access) -> Result<Vec<QueueSpec>> {
    access.read(|transaction| {
        let mut specs = Vec::new();
        for cell in transaction.scan(prefix(&[space::QUEUE]), Direction::Forward)? {
            let (key, (_, cell)) = cell?;
            let name = std::str::from_utf8(key.get(1..).unwrap_or_default());
            let name = name.map_err(|_| Error::Internal("the name of a queue is no text".to_owned()))?;
            if !name.is_empty() {
                specs.push(Settings::decode(&cell)?.spec(name.to_owned()));
            }
        }
        Ok(specs)
    })
}

fn check_name(name: &str) -> Result<()> {
    check_text("queue name", name, NAME_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_its_limit() {
        let settings = |first, limit| QueueSpec::new("q").back_off(Duration::from_micros(first), limit).settings(1);
        let of = |settings: Settings| [1, 2, 3, 4, 64, 65, 66, u32::MAX].map(|tries| settings.back_off_after(tries));
        assert_eq!(of(settings(3, Duration::from_micros(20))), [3, 6, 12, 20, 20, 20, 20, 20]);
        assert_eq!(of(settings(0, Duration::from_micros(20))), [0; 8]);
        assert_eq!(settings(1, Duration::MAX).back_off_after(200), u64::MAX);
    }
}
