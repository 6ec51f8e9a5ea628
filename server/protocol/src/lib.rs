//! The wire format of Alluvium's server, `alluvium/1`: what `server/PROTOCOL.md` describes, without sockets and without time.
//!
//! From the outside in:
//!
//! - [`frame`]: kind, length and payload, cut out of a stream of bytes;
//! - [`message`]: the payloads, one frozen type for each kind; [`code`]: what errors are called;
//! - [`greeting`]: what two ends of different age agree on;
//! - [`rows`]: rows in a form that a microcontroller can write; [`mutation`]: what else a writer does;
//! - [`writer`]: both ends of a writer stream, on which every batch counts once.

pub mod code;
pub mod frame;
pub mod greeting;
pub mod message;
pub mod mutation;
pub mod rows;
pub mod writer;

/// What both ends agree on in the TLS handshake (ALPN).
pub const ALPN: &[u8] = b"alluvium/1";
/// The minor version of this build. A peer of a lower one is spoken to in its own.
pub const MINOR: u16 = 0;

/// Bytes that are not what they have to be. Whoever meets this ends the stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A frame of a kind that is not known, or that has no place here.
    #[error("a frame of kind {kind:#06x}, which has no place here")]
    Kind {
        /// The kind.
        kind: u16,
    },
    /// A frame longer than its kind may be.
    #[error("a frame of kind {kind:#06x} of {length} bytes, the limit is {limit}")]
    TooLong {
        /// The kind.
        kind: u16,
        /// Bytes of payload that it announces.
        length: u64,
        /// Bytes of payload that it may have.
        limit: u64,
    },
    /// Bits of a frame's header that have to be zero are not.
    #[error("a frame of kind {kind:#06x} with reserved bits")]
    Reserved {
        /// The kind.
        kind: u16,
    },
    /// A payload that is no message of its kind.
    #[error("a payload of kind {kind:#06x} that is none: {detail}")]
    Payload {
        /// The kind.
        kind: u16,
        /// What is wrong with it.
        detail: String,
    },
    /// A stream that ended within a frame.
    #[error("the stream ended within a frame, after {bytes} bytes of it")]
    Cut {
        /// Bytes of the frame that were there.
        bytes: usize,
    },
}
