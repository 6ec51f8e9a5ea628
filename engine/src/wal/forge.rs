//! Log files with right checksums around whatever is put into them: what is left to refuse when the checksums do not.

use super::file::FileHeader;
use super::frame::{CONTEXT, GROUP_HEADER, GroupHeader, PAGE, Payload, Seed, put_frame};
use crate::error::Result;
use crate::model::Sequence;

/// The name of a log file.
pub(crate) fn name(number: u64) -> String {
    super::log_path(std::path::Path::new(""), number).display().to_string()
}

/// A log file in the making.
pub(crate) struct Forge {
    bytes: Vec<u8>,
    seed: Seed,
    next: Sequence,
    groups: u64,
}

impl Forge {
    pub(crate) fn new(number: u64, first: Sequence, salt: u64) -> Self {
        let bytes = FileHeader { number, first, salt }.encode();
        Forge { bytes, seed: Seed::new(salt), next: first, groups: 0 }
    }

    /// Adds a group of frames: kind, flags and payload of each.
    pub(crate) fn group<'a>(
        &mut self,
        durable: Sequence,
        close: bool,
        frames: impl Iterator<Item = (u8, u8, &'a [u8])>,
    ) -> Result<()> {
        let (first, number) = (self.next, self.groups);
        let seed = self.seed.group(number);
        let (mut body, mut count) = (Vec::new(), 0);
        for (kind, flags, payload) in frames {
            put_frame(&mut body, &seed, kind, flags, self.next, &Payload::new(payload.to_vec())?);
            self.next += u64::from(flags & CONTEXT == 0);
            count += 1;
        }
        let length = (GROUP_HEADER + body.len()) as u64;
        let header = GroupHeader { length, first, durable, number, frames: count, close };
        self.bytes.extend_from_slice(&header.encode(&self.seed));
        self.bytes.append(&mut body);
        self.bytes.resize(self.bytes.len().next_multiple_of(PAGE as usize), 0);
        self.groups += 1;
        Ok(())
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}
