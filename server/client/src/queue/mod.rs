//! Queue files: batches of a writer that are yet to be acknowledged, kept through a restart of the device.
//!
//! All numbers are little-endian.
//!
//! | bytes of the file | content |
//! |---|---|
//! | 0..36 | header: `ALLUVIUQ`, version u32 (1), id of the writer 16 × u8, zero u32, checksum u32 |
//! | 4,096..4,128 | a mark |
//! | 8,192..8,224 | another mark |
//! | 12,288.. | records |
//!
//! A mark: its sequence number u64, acknowledged u64, synced u64, flags u32 (lowest bit: anything may have been sent under this id),
//! checksum u32. The whole one of the higher sequence number holds. Between two syncs of the file only one of them is written, the
//! one that is not the last that was synced: so one is whole whatever happens. That something may have been sent is written to both.
//!
//! A record: length of the frame u32, number u64, checksum u32, the frame. The frame of number 0 describes a table, for the batches
//! of its slot behind it. All others are batches, numbered without gaps, but that a number which was there before puts another batch
//! in the place of the first. Checksums are CRC-32 of all bytes of their header, mark or record but their own four.
//!
//! What [`Queue::append`] takes is synced before it answers, all batches together once. After that a mark says how far the file was
//! synced, and is itself synced with whatever comes next. So a record that is not whole is the tail that a power cut tore, and is cut
//! off, if it lies behind what was synced; before that it is damage, and is told. What is found at an opening is synced before
//! anything of it is sent: a process may have been killed before it did that. The file is written anew, and put in the place of the
//! old one, where more than half of it was acknowledged.

mod disk;
mod file;
mod format;
mod marks;
mod records;
mod replay;
#[cfg(test)]
mod tests;

pub(crate) use file::{New, Queue};
pub(crate) use format::set_number;
pub(crate) use replay::Restored;
