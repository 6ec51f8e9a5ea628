//! The write-ahead log: the one place where writes become durable.
//!
//! Files `NNNNNNNNNN.log` hold groups of frames, one frame to a record. Everything begins on a page of 4 KiB, so that a write
//! never touches a page that holds something durable, and integers lie with their least significant byte first:
//!
//! - the first two pages hold the same header: magic, version, number of the file, first sequence, a random salt;
//! - a group is a header (how long, how many frames, the first sequence, and the highest sequence known durable when it was
//!   written), its frames, and zeroes up to the next page;
//! - a frame is a header (length, sequence, kind, flags) and the payload.
//!
//! Every checksum is a CRC32 that starts from the file's salt, and a frame's also from its group's number. So neither the
//! frames of a file's earlier life, nor those of a group that was dropped on a full disk, nor bytes a user stored, pass for
//! frames of this group.
//!
//! A file is begun only after all before it is durable, and each file is at an end where the next one's first sequence begins.

mod file;
mod follow;
#[cfg(feature = "internals")]
pub(crate) mod forge;
mod frame;
mod log;
mod report;
mod scan;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use file::log_path;
pub(crate) use follow::{Follow, LogFiles, Place, Step};
pub(crate) use frame::{CONTEXT, Payload};
pub(crate) use log::Log;
pub(crate) use report::{LogDamage, ScanReport};
pub(crate) use scan::{FrameRef, check, scan, scan_from};
