//! Frames on a QUIC stream, each within its time.

use std::sync::Arc;
use std::time::Duration;

use alluvium_protocol::Malformed;
use alluvium_protocol::code::Code;
use alluvium_protocol::frame::{Frame, Frames, MESSAGE_BYTES};
use alluvium_protocol::message::{Failed, Message};
use bytes::Bytes;
use futures_util::FutureExt;
use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::failed;
use super::metrics::{Kind, Metrics};

/// Bytes that are taken from a stream at once.
const CHUNK_BYTES: usize = 64 << 10;
/// For how long the end of a stream is waited for that was sent.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Bytes of a large frame that have to come in a second at least, after the time that any frame has.
const SLOWEST_PER_SECOND: usize = 16 << 10;

/// Why a stream ends before what was asked for was done.
#[derive(Debug)]
pub(super) enum Ended {
    /// The peer has gone, or does not want it any more.
    Gone,
    /// With something to tell it.
    Failed(Failed),
}

impl From<Failed> for Ended {
    fn from(failed: Failed) -> Self {
        Ended::Failed(failed)
    }
}

impl From<Malformed> for Ended {
    fn from(malformed: Malformed) -> Self {
        Ended::Failed(failed::malformed(&malformed))
    }
}

impl From<ReadError> for Ended {
    fn from(_: ReadError) -> Self {
        Ended::Gone
    }
}

impl From<WriteError> for Ended {
    fn from(_: WriteError) -> Self {
        Ended::Gone
    }
}

/// A frame, and the share of the room for received bytes that it takes until it is dropped.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) frame: Frame,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// What comes on a stream.
#[derive(Debug)]
pub(super) struct Reader {
    stream: RecvStream,
    frames: Frames,
    room: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
    /// One that was given back.
    held: Option<Received>,
    progress: Duration,
    /// When the frame that has begun to come has to be there.
    deadline: Option<Instant>,
}

impl Reader {
    /// Frames that are large take their bytes of `room` first.
    pub(super) fn new(stream: RecvStream, bulk_bytes: usize, room: Arc<Semaphore>, progress: Duration) -> Self {
        Reader { stream, frames: Frames::new(bulk_bytes), room, taken: None, held: None, progress, deadline: None }
    }

    /// The next frame; `None` where the stream ends. It may take any time to begin to come, and then has to get on. Dropped and
    /// called again, it goes on where it was.
    pub(super) async fn next(&mut self) -> Result<Option<Received>, Ended> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        loop {
            if let Some(frame) = self.frames.take()? {
                self.deadline = None;
                return Ok(Some(Received { frame, room: self.taken.take() }));
            }
            self.make_room().await?;
            let Some(bytes) = self.read().await? else {
                self.frames.finish()?;
                return Ok(None);
            };
            self.frames.push(&bytes);
        }
    }

    /// The next frame, if all of it has come. What is wrong, or the end, is told by [`Reader::next`].
    pub(super) fn ready(&mut self) -> Option<Received> {
        self.next().now_or_never()?.unwrap_or(None)
    }

    /// Gives back a frame, which is the next then.
    pub(super) fn give_back(&mut self, received: Received) {
        self.held = Some(received);
    }

    async fn make_room(&mut self) -> Result<(), Ended> {
        let Some(announced) = self.frames.announced().filter(|bytes| *bytes > MESSAGE_BYTES) else { return Ok(()) };
        if self.taken.is_none() {
            let bytes = u32::try_from(announced).unwrap_or(u32::MAX);
            let taken = timeout(self.progress, self.room.clone().acquire_many_owned(bytes)).await;
            let taken = taken.map_err(|_| failed::busy("too much is being received at once: send it again later"))?;
            self.taken = Some(taken.map_err(|_| failed::closing())?);
            let slowest = Duration::from_secs((announced / SLOWEST_PER_SECOND) as u64);
            self.deadline = Some(Instant::now() + self.progress + slowest);
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Ended> {
        let reading = self.stream.read_chunk(CHUNK_BYTES, true);
        let chunk = if self.frames.is_begun() {
            let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.progress);
            timeout_at(deadline, reading).await.map_err(|_| failed::timeout("the rest of a frame"))?
        } else {
            reading.await
        };
        Ok(chunk?.map(|chunk| chunk.bytes))
    }

    /// Tells the peer to send no more.
    pub(super) fn stop(&mut self) {
        // It may have ended already.
        let _ = self.stream.stop(VarInt::from_u32(0));
    }
}

/// What goes out on a stream.
#[derive(Debug)]
pub(super) struct Writer {
    stream: SendStream,
    progress: Duration,
    metrics: Metrics,
    /// What the stream is for.
    kind: Kind,
}

impl Writer {
    pub(super) fn new(stream: SendStream, progress: Duration, metrics: Metrics) -> Self {
        Writer { stream, progress, metrics, kind: Kind::Connection }
    }

    /// Says what the stream is for.
    pub(super) fn of_kind(self, kind: Kind) -> Self {
        Writer { kind, ..self }
    }

    /// Sends a message.
    pub(super) async fn message<M: Message>(&mut self, message: &M) -> Result<(), Ended> {
        self.frame(&message.frame()?).await
    }

    /// Sends a frame. The peer has to read on.
    pub(super) async fn frame(&mut self, frame: &Frame) -> Result<(), Ended> {
        let mut bytes = Vec::new();
        frame.write(&mut bytes)?;
        self.bytes(bytes.into()).await
    }

    /// Sends bytes of whole frames.
    pub(super) async fn bytes(&mut self, bytes: Bytes) -> Result<(), Ended> {
        let mut left = [bytes];
        while !left[0].is_empty() {
            let written = timeout(self.progress, self.stream.write_chunks(&mut left)).await;
            written.map_err(|_| failed::timeout("reading of an answer"))??;
        }
        Ok(())
    }

    /// Resolves once the peer wants no more of it.
    pub(super) fn unwanted(&self) -> impl Future<Output = ()> + Send + use<> {
        let stopped = self.stream.stopped();
        async move {
            // Without a word, all of it came: that is not this.
            if let Ok(None) = stopped.await {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Ends it well, and waits a moment for the peer to have all of it: what ends the connection must not overtake it.
    pub(super) async fn finish(&mut self) {
        // The peer may not want it any more.
        if self.stream.finish().is_ok() {
            let _ = timeout(LAST_WORDS, self.stream.stopped()).await;
        }
    }

    /// Ends it with what went wrong.
    pub(super) async fn fail(&mut self, ended: Ended) {
        match ended {
            Ended::Failed(failed) => {
                self.metrics.error(self.kind, failed.code());
                if self.message(&failed).await.is_ok() {
                    self.finish().await;
                }
            }
            Ended::Gone => {
                let _ = self.stream.reset(VarInt::from_u32(Code::Cancelled.number().into()));
            }
        }
    }
}
