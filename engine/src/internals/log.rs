//! Log files made by hand.

use crate::error::Result;
use crate::wal::forge;

/// A frame: a record, or anything that stands in its place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// Its kind.
    pub kind: u8,
    /// 1: a repeated definition, which takes no sequence of its own.
    pub flags: u8,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// Frames that were written together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// What it says is durable.
    pub durable: u64,
    /// Whether it says that the log was closed after it.
    pub close: bool,
    /// Its frames.
    pub frames: Vec<Frame>,
}

/// A log file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFile {
    /// Its number.
    pub number: u64,
    /// The sequence of its first record; the others follow.
    pub first: u64,
    /// Its salt.
    pub salt: u64,
    /// What is in it.
    pub groups: Vec<Group>,
}

impl LogFile {
    /// The name of the file.
    pub fn name(&self) -> String {
        forge::name(self.number)
    }

    /// Its bytes, every checksum right.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut forge = forge::Forge::new(self.number, self.first, self.salt);
        for group in &self.groups {
            let frames = group.frames.iter().map(|frame| (frame.kind, frame.flags, frame.payload.as_slice()));
            forge.group(group.durable, group.close, frames)?;
        }
        Ok(forge.bytes())
    }
}
