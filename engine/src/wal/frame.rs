//! Groups and frames: their bytes and checksums.

use crc32fast::Hasher;

use crate::error::Result;
use crate::format::limits;
use crate::model::Sequence;

/// Everything in a log file begins on a multiple of this.
pub(super) const PAGE: u64 = 4096;
pub(super) const GROUP_HEADER: usize = 48;
pub(super) const FRAME_HEADER: usize = 18;
const GROUP_MAGIC: [u8; 4] = *b"ALVG";
/// No sequence or length comes near this; what claims to is refused before it can overflow.
pub(super) const PLAUSIBLE: u64 = 1 << 60;
/// Group flag: the log was closed in good order after this.
const CLOSE: u32 = 1;

/// Frame flag: a definition repeated so that the file stands alone. It carries the sequence of the record that follows and
/// takes none of its own.
pub(crate) const CONTEXT: u8 = 1;

/// The bytes of a record and their checksum, which is best computed where the record is made, outside any lock.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    bytes: Vec<u8>,
    crc: u32,
}

impl Payload {
    /// Refuses more bytes than a frame may have.
    pub(crate) fn new(bytes: Vec<u8>) -> Result<Payload> {
        limits::check("bytes of one record", bytes.len() as u64, limits::FRAME_BYTES, "")?;
        let crc = crc32fast::hash(&bytes);
        Ok(Payload { bytes, crc })
    }

    /// How many bytes a frame of it takes.
    pub(crate) fn frame_bytes(&self) -> usize {
        FRAME_HEADER + self.bytes.len()
    }
}

/// The next multiple of a page.
pub(super) fn padded(len: u64) -> u64 {
    len.next_multiple_of(PAGE)
}

/// The salt of a file, and what else a checksum starts from.
#[derive(Debug, Clone)]
pub(super) struct Seed(Hasher);

impl Seed {
    pub(super) fn new(salt: u64) -> Seed {
        let mut hasher = Hasher::new();
        hasher.update(&salt.to_le_bytes());
        Seed(hasher)
    }

    pub(super) fn group(&self, number: u64) -> Seed {
        let mut hasher = self.0.clone();
        hasher.update(&number.to_le_bytes());
        Seed(hasher)
    }

    fn crc(&self, parts: &[&[u8]]) -> u32 {
        let mut hasher = self.0.clone();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize()
    }
}

/// What stands before the frames of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupHeader {
    /// Bytes, this header included, the padding not.
    pub(super) length: u64,
    /// The sequence of the first record.
    pub(super) first: Sequence,
    /// Everything up to here was known to be durable.
    pub(super) durable: Sequence,
    /// Rises with every group begun in this file, written or not.
    pub(super) number: u64,
    pub(super) frames: u32,
    pub(super) close: bool,
}

impl GroupHeader {
    /// magic, CRC of the rest, length, first, durable, number, frames, flags.
    pub(super) fn encode(&self, seed: &Seed) -> [u8; GROUP_HEADER] {
        let mut bytes = [0; GROUP_HEADER];
        let mut rest = Vec::with_capacity(GROUP_HEADER);
        for word in [self.length, self.first, self.durable, self.number] {
            rest.extend_from_slice(&word.to_le_bytes());
        }
        rest.extend_from_slice(&self.frames.to_le_bytes());
        rest.extend_from_slice(&if self.close { CLOSE } else { 0 }.to_le_bytes());
        let all = GROUP_MAGIC.into_iter().chain(seed.crc(&[&rest]).to_le_bytes()).chain(rest);
        bytes.iter_mut().zip(all).for_each(|(slot, byte)| *slot = byte);
        bytes
    }

    /// Reads a header, if these bytes are one under this salt.
    pub(super) fn decode(bytes: &[u8], seed: &Seed) -> Option<GroupHeader> {
        let (magic, rest) = bytes.get(..GROUP_HEADER)?.split_first_chunk::<4>()?;
        if *magic != GROUP_MAGIC {
            return None;
        }
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*crc) != seed.crc(&[rest]) {
            return None;
        }
        let header = GroupHeader {
            length: word(rest, 0)?,
            first: word(rest, 8)?,
            durable: word(rest, 16)?,
            number: word(rest, 24)?,
            frames: half(rest, 32)?,
            close: half(rest, 36)? & CLOSE != 0,
        };
        let plausible = header.length.max(header.first).max(header.durable) < PLAUSIBLE;
        (plausible && header.length >= GROUP_HEADER as u64).then_some(header)
    }
}

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) length: usize,
    crc: u32,
    pub(super) sequence: Sequence,
    pub(super) kind: u8,
    pub(super) flags: u8,
}

impl FrameHeader {
    /// Reads the fields; whether they are true, [`FrameHeader::matches`] tells.
    pub(super) fn decode(bytes: &[u8]) -> Option<FrameHeader> {
        Some(FrameHeader {
            length: usize::try_from(half(bytes, 0)?).ok()?,
            crc: half(bytes, 4)?,
            sequence: word(bytes, 8)?,
            kind: *bytes.get(16)?,
            flags: *bytes.get(17)?,
        })
    }

    pub(super) fn matches(&self, payload: &[u8], seed: &Seed) -> bool {
        seed.crc(&[&frame_fields(self.length as u32, self.sequence, self.kind, self.flags), payload]) == self.crc
    }
}

/// Appends a frame: length of the payload, CRC, sequence, kind, flags, payload. The CRC covers everything but itself.
pub(super) fn put_frame(out: &mut Vec<u8>, seed: &Seed, kind: u8, flags: u8, sequence: Sequence, payload: &Payload) {
    let length = payload.bytes.len() as u32;
    let fields = frame_fields(length, sequence, kind, flags);
    let mut hasher = seed.0.clone();
    hasher.update(&fields);
    hasher.combine(&Hasher::new_with_initial_len(payload.crc, payload.bytes.len() as u64));
    let (length, later) = fields.split_at(4);
    out.extend_from_slice(length);
    out.extend_from_slice(&hasher.finalize().to_le_bytes());
    out.extend_from_slice(later);
    out.extend_from_slice(&payload.bytes);
}

fn frame_fields(length: u32, sequence: Sequence, kind: u8, flags: u8) -> [u8; 14] {
    let mut fields = [0; 14];
    let all = length.to_le_bytes().into_iter().chain(sequence.to_le_bytes()).chain([kind, flags]);
    fields.iter_mut().zip(all).for_each(|(slot, byte)| *slot = byte);
    fields
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

fn half(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}
