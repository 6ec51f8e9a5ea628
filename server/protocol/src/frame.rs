//! Frames: a header of eight bytes, then the payload, as `server/PROTOCOL.md` describes them under Frames.

use crate::Malformed;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 8;
/// Bytes of payload of a frame that is no bulk, at most.
pub const MESSAGE_BYTES: usize = 64 << 10;
/// Bytes of payload of a bulk frame, at most, whatever peers agree on.
pub const BULK_BYTES: usize = 32 << 20;

/// What a payload is.
pub type Kind = u16;

/// Kinds from here on are bulk: they may be longer than [`MESSAGE_BYTES`].
pub const FIRST_BULK: Kind = 0x8000;

/// Bytes of an Arrow IPC stream, which goes on in the next frame of this kind.
pub const ARROW: Kind = 0x8200;

/// Bytes of the body of an answer, which goes on in the next frame of this kind.
pub const BODY: Kind = 0x8301;

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What the payload is.
    pub kind: Kind,
    /// What it says.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Appends its bytes.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        out.extend(header(self.kind, self.payload.len(), BULK_BYTES)?);
        out.extend(&self.payload);
        Ok(())
    }
}

/// The header of a frame, where bulk is limited to so many bytes.
fn header(kind: Kind, length: usize, bulk: usize) -> Result<[u8; HEADER_BYTES], Malformed> {
    check_length(kind, length as u64, bulk)?;
    let [a, b, c, d] = (length as u32).to_le_bytes();
    let [e, f] = kind.to_le_bytes();
    Ok([a, b, c, d, e, f, 0, 0])
}

/// Bytes of payload that a frame may have.
fn limit(kind: Kind, bulk: usize) -> usize {
    if kind < FIRST_BULK { MESSAGE_BYTES } else { bulk.min(BULK_BYTES) }
}

fn check_length(kind: Kind, length: u64, bulk: usize) -> Result<(), Malformed> {
    let limit = limit(kind, bulk) as u64;
    if length > limit { Err(Malformed::TooLong { kind, length, limit }) } else { Ok(()) }
}

/// Cuts frames out of the bytes of a stream, however they come in pieces.
///
/// A frame that announces too much is refused by its header, and memory is taken for what has come, not for what is announced. After
/// an error there is nothing more to be had.
///
/// ```
/// use alluvium_protocol::frame::{Frame, Frames};
///
/// let mut bytes = Vec::new();
/// Frame { kind: 1, payload: b"hello".to_vec() }.write(&mut bytes)?;
/// let mut frames = Frames::new(1 << 20);
/// frames.push(&bytes[..9]);
/// assert_eq!(frames.take()?, None);
/// frames.push(&bytes[9..]);
/// assert_eq!(frames.take()?.map(|frame| frame.payload), Some(b"hello".to_vec()));
/// frames.finish()?;
/// # Ok::<(), alluvium_protocol::Malformed>(())
/// ```
#[derive(Debug)]
pub struct Frames {
    /// What has come and is in no frame yet, from `taken` on.
    bytes: Vec<u8>,
    taken: usize,
    bulk: usize,
}

impl Frames {
    /// Of a stream on which bulk frames have so many bytes of payload at most.
    pub fn new(bulk: usize) -> Self {
        Frames { bytes: Vec::new(), taken: 0, bulk }
    }

    /// Takes bytes that have come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend(bytes);
    }

    /// The next frame, if all of it has come.
    pub fn take(&mut self) -> Result<Option<Frame>, Malformed> {
        let rest = &self.bytes[self.taken..];
        let Some((header, rest)) = rest.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let [a, b, c, d, e, f, g, h] = *header;
        let (length, kind) = (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]));
        if [g, h] != [0, 0] {
            return Err(Malformed::Reserved { kind });
        }
        check_length(kind, length.into(), self.bulk)?;
        let length = length as usize;
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let payload = payload.to_vec();
        self.taken += HEADER_BYTES + length;
        Ok(Some(Frame { kind, payload }))
    }

    /// Bytes of payload that the frame which has begun to come announces; `None` if there is none, or if its header has not come.
    /// It may be refused yet.
    pub fn announced(&self) -> Option<usize> {
        let (length, _) = self.bytes[self.taken..].split_first_chunk::<4>()?;
        Some(u32::from_le_bytes(*length) as usize)
    }

    /// Whether a frame has begun to come.
    pub fn is_begun(&self) -> bool {
        self.bytes.len() > self.taken
    }

    /// Says whether the stream may end here.
    pub fn finish(&self) -> Result<(), Malformed> {
        match self.bytes.len() - self.taken {
            0 => Ok(()),
            bytes => Err(Malformed::Cut { bytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(frames: &[Frame]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame.write(&mut bytes).unwrap());
        bytes
    }

    #[test]
    fn the_bytes_of_a_frame_are_frozen() {
        let frame = Frame { kind: 0x8102, payload: b"ab".to_vec() };
        assert_eq!(bytes(&[frame]), b"\x02\0\0\0\x02\x81\0\0ab");
    }

    #[test]
    fn frames_come_out_however_their_bytes_come_in() {
        let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
        println!("ALLUVIUM_SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..300 {
            let mut frame = || {
                let length = random.usize(..300);
                Frame { kind: random.u16(..), payload: std::iter::repeat_with(|| random.u8(..)).take(length).collect() }
            };
            let sent: Vec<Frame> = (0..5).map(|_| frame()).collect();
            let bytes = bytes(&sent);
            let (mut frames, mut received, mut at) = (Frames::new(1_000), Vec::new(), 0);
            assert!(!frames.is_begun());
            while at < bytes.len() {
                let end = bytes.len().min(at + random.usize(1..40));
                frames.push(&bytes[at..end]);
                at = end;
                while let Some(frame) = frames.take().unwrap() {
                    received.push(frame);
                }
                let begun = frames.is_begun().then(|| sent[received.len()].payload.len());
                assert!(frames.announced().is_none_or(|announced| Some(announced) == begun));
            }
            assert_eq!(received, sent);
            frames.finish().unwrap();
        }
    }

    #[test]
    fn a_frame_is_refused_by_its_header() {
        let refused = |header: &[u8], bulk| {
            let mut frames = Frames::new(bulk);
            frames.push(header);
            frames.take().unwrap_err()
        };
        let too_long = |kind, length, limit| Malformed::TooLong { kind, length, limit };
        assert_eq!(refused(b"\x01\0\x01\0\x01\0\0\0", 1 << 20), too_long(1, 65_537, 65_536));
        assert_eq!(refused(b"\xff\xff\xff\xff\0\x80\0\0", usize::MAX), too_long(0x8000, u32::MAX.into(), 32 << 20));
        assert_eq!(refused(b"\x11\0\0\0\0\x80\0\0", 16), too_long(0x8000, 17, 16));
        assert_eq!(refused(b"\0\0\0\0\x01\0\0\x80", 16), Malformed::Reserved { kind: 1 });
        let long = Frame { kind: 1, payload: vec![0; MESSAGE_BYTES + 1] };
        assert_eq!(long.write(&mut Vec::new()), Err(too_long(1, 65_537, 65_536)));
    }

    #[test]
    fn a_stream_that_ends_within_a_frame_was_cut() {
        let all = bytes(&[Frame { kind: 1, payload: b"abc".to_vec() }, Frame { kind: 2, payload: Vec::new() }]);
        for length in 0..=all.len() {
            let mut frames = Frames::new(0);
            frames.push(&all[..length]);
            while frames.take().unwrap().is_some() {}
            assert_eq!(frames.finish().is_ok(), [0, 11, 19].contains(&length), "{length} bytes");
        }
    }
}
