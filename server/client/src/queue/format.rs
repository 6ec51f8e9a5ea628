//! The bytes of headers, marks and heads of records.

use alluvium_protocol::frame::{BULK_BYTES, HEADER_BYTES};

/// What a queue file begins with, and its version.
const MAGIC: [u8; 8] = *b"ALLUVIUQ";
const VERSION: u32 = 1;

/// Bytes of a header.
pub(super) const HEADER: usize = 36;
/// Bytes of a mark.
pub(super) const MARK: usize = 32;
/// Bytes before the frame of a record.
pub(super) const HEAD: usize = 16;
/// Where marks are: in pages of their own.
pub(super) const MARKS: [u64; 2] = [4_096, 8_192];
/// Where records begin.
pub(super) const RECORDS: u64 = 12_288;

/// Where the number of a batch is in its frame.
const NUMBER: std::ops::Range<usize> = HEADER_BYTES..HEADER_BYTES + 8;

pub(super) type WriterId = [u8; 16];

/// What is said about the records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) sequence: u64,
    pub(super) acknowledged: u64,
    pub(super) synced: u64,
    pub(super) sent_before: bool,
}

/// What is before the frame of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) number: u64,
    checksum: u32,
}

pub(super) fn header(writer: &WriterId) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..28].copy_from_slice(writer);
    let checksum = crc32fast::hash(&bytes[..32]);
    bytes[32..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

pub(super) fn read_header(bytes: &[u8; HEADER]) -> Result<WriterId, String> {
    let mut rest = &bytes[..];
    let (magic, version) = (array(&mut rest), u32::from_le_bytes(array(&mut rest)));
    if magic != MAGIC {
        return Err("it does not begin like a queue".to_owned());
    }
    if version != VERSION {
        return Err(format!("it is of version {version}, this client reads {VERSION}"));
    }
    let writer = array(&mut rest);
    if header(&writer) == *bytes { Ok(writer) } else { Err("its header does not match its checksum".to_owned()) }
}

impl Mark {
    pub(super) fn bytes(&self) -> [u8; MARK] {
        let mut bytes = [0; MARK];
        bytes[..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.acknowledged.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.synced.to_le_bytes());
        bytes[24..28].copy_from_slice(&u32::from(self.sent_before).to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None` if it is not whole.
    pub(super) fn read(bytes: &[u8; MARK]) -> Option<Mark> {
        let mut rest = &bytes[..];
        let mut number = || u64::from_le_bytes(array(&mut rest));
        let (sequence, acknowledged, synced) = (number(), number(), number());
        let flags = u32::from_le_bytes(array(&mut rest));
        let mark = Mark { sequence, acknowledged, synced, sent_before: flags & 1 == 1 };
        (mark.bytes() == *bytes).then_some(mark)
    }
}

impl Head {
    pub(super) fn of(number: u64, frame: &[u8]) -> Head {
        let head = Head { length: frame.len(), number, checksum: 0 };
        Head { checksum: head.sum(frame), ..head }
    }

    fn sum(&self, frame: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&(self.length as u32).to_le_bytes());
        hasher.update(&self.number.to_le_bytes());
        hasher.update(frame);
        hasher.finalize()
    }

    pub(super) fn bytes(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..4].copy_from_slice(&(self.length as u32).to_le_bytes());
        bytes[4..12].copy_from_slice(&self.number.to_le_bytes());
        bytes[12..].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    /// `None` if it announces what no frame can have.
    pub(super) fn read(bytes: &[u8; HEAD]) -> Option<Head> {
        let mut rest = &bytes[..];
        let length = u32::from_le_bytes(array(&mut rest)) as usize;
        let (number, checksum) = (u64::from_le_bytes(array(&mut rest)), u32::from_le_bytes(array(&mut rest)));
        (HEADER_BYTES..=HEADER_BYTES + BULK_BYTES).contains(&length).then_some(Head { length, number, checksum })
    }

    /// Whether a frame is the one that belongs to it.
    pub(super) fn holds(&self, frame: &[u8]) -> bool {
        self.length == frame.len() && self.sum(frame) == self.checksum
    }
}

/// Writes the number of a batch into its frame.
pub(crate) fn set_number(frame: &mut [u8], number: u64) {
    if let Some(place) = frame.get_mut(NUMBER) {
        place.copy_from_slice(&number.to_le_bytes());
    }
}

/// The next bytes; zero where there are none.
fn array<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (array, behind) = rest.split_first_chunk().map_or(([0; N], &[][..]), |(array, behind)| (*array, behind));
    *rest = behind;
    array
}
