//! Frames on a QUIC stream.

use alluvium_protocol::Malformed;
use alluvium_protocol::code::Code;
use alluvium_protocol::frame::{Frame, Frames};
use alluvium_protocol::message::{Failed, Message};
use bytes::Bytes;
use quinn::{RecvStream, SendStream, VarInt};

use crate::{Error, Result};

/// Bytes that are taken from a stream at once.
const CHUNK_BYTES: usize = 64 << 10;

/// What comes on a stream.
#[derive(Debug)]
pub(crate) struct Reader {
    stream: RecvStream,
    frames: Frames,
    doing: &'static str,
}

impl Reader {
    /// Of a stream that is for something, on which bulk frames have so many bytes at most.
    pub(crate) fn new(stream: RecvStream, bulk_bytes: usize, doing: &'static str) -> Self {
        Reader { stream, frames: Frames::new(bulk_bytes), doing }
    }

    /// The next frame; `None` where the stream ends. Dropped and called again, it goes on where it was.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.frames.take().map_err(Error::malformed(self.doing))? {
                return Ok(Some(frame));
            }
            let read = self.stream.read_chunk(CHUNK_BYTES, true).await;
            let Some(chunk) = read.map_err(|error| Error::read(self.doing, &error))? else {
                self.frames.finish().map_err(Error::malformed(self.doing))?;
                return Ok(None);
            };
            self.frames.push(&chunk.bytes);
        }
    }

    /// The next frame, which has to be there and of one kind, unless the server says that it failed.
    pub(crate) async fn expect<M: Message>(&mut self) -> Result<M> {
        match self.next().await? {
            Some(frame) if frame.kind == Failed::KIND => Err(self.failed(&frame)),
            Some(frame) => M::read(&frame).map_err(Error::malformed(self.doing)),
            None => Err(Error::Lost { doing: self.doing, detail: "the stream ended without an answer".to_owned() }),
        }
    }

    /// A frame that says that the server failed.
    pub(crate) fn failed(&self, frame: &Frame) -> Error {
        match Failed::read(frame) {
            Ok(failed) => Error::Failed { doing: self.doing, failed },
            Err(malformed) => Error::Malformed { doing: self.doing, malformed },
        }
    }

    /// A frame that has no place here.
    pub(crate) fn misplaced(&self, frame: &Frame) -> Error {
        Error::Malformed { doing: self.doing, malformed: Malformed::Kind { kind: frame.kind } }
    }
}

/// What goes out on a stream. Dropped before it is finished, it is reset: that cancels what was asked for.
#[derive(Debug)]
pub(crate) struct Writer {
    stream: SendStream,
    doing: &'static str,
    is_finished: bool,
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_finished {
            // The server may have stopped it already.
            let _ = self.stream.reset(VarInt::from_u32(Code::Cancelled.number().into()));
        }
    }
}

impl Writer {
    /// Of a stream that is for something.
    pub(crate) fn new(stream: SendStream, doing: &'static str) -> Self {
        Writer { stream, doing, is_finished: false }
    }

    /// Sends a message.
    pub(crate) async fn message<M: Message>(&mut self, message: &M) -> Result<()> {
        let mut bytes = Vec::new();
        let written = message.frame().and_then(|frame| frame.write(&mut bytes));
        written.map_err(|malformed| own(&malformed))?;
        self.bytes(bytes.into()).await
    }

    /// Sends bytes of whole frames. Dropped, the stream is good for nothing more.
    pub(crate) async fn bytes(&mut self, bytes: Bytes) -> Result<()> {
        self.stream.write_chunk(bytes).await.map_err(|error| Error::write(self.doing, &error))
    }

    /// Says that nothing more comes.
    pub(crate) fn finish(&mut self) {
        // The server may not want more of it anyway.
        let _ = self.stream.finish();
        self.is_finished = true;
    }
}

/// A message of this client's that cannot be sent.
fn own(malformed: &Malformed) -> Error {
    match malformed {
        Malformed::TooLong { length, limit, .. } => Error::TooLarge { bytes: *length as usize, limit: *limit as usize },
        other => Error::settings(format!("a message that cannot be sent: {other}")),
    }
}
