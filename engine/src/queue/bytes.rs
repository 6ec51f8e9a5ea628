//! Numbers in cells: big-endian and of fixed length, so that keys sort as they do.

use crate::error::{Error, Result};

/// A signed number as bytes that sort like it.
pub(super) fn sorted(number: i64) -> [u8; 8] {
    (number ^ i64::MIN).to_be_bytes()
}

/// Reads a cell from its beginning.
pub(super) struct Reader<'b> {
    what: &'static str,
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    /// `what` says what it is a cell of.
    pub(super) fn new(what: &'static str, bytes: &'b [u8]) -> Self {
        Reader { what, rest: bytes }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(|| self.wrong("too few bytes"))?;
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn sorted(&mut self) -> Result<i64> {
        self.array().map(|bytes| i64::from_be_bytes(bytes) ^ i64::MIN)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.wrong("too few bytes"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn rest(self) -> &'b [u8] {
        self.rest
    }

    /// A cell that no build of this version writes.
    pub(super) fn wrong(&self, how: &str) -> Error {
        Error::Internal(format!("{} of a queue: {how}", self.what))
    }
}
