//! Calls: what is asked in JSON, and its answer.

use alluvium_protocol::frame::BODY;
use alluvium_protocol::message::{AnswerDone, AnswerHead, Call, Failed, Message};

use crate::connection::Link;
use crate::stream::{Reader, Writer};
use crate::{Error, Result};

const ASKING: &str = "calling";

/// The answer to a call, piece by piece. The server goes on as these are taken; dropping this ends what was asked for.
///
/// ```no_run
/// # async fn run(client: alluvium_client::Client) -> Result<(), alluvium_client::Error> {
/// let mut answer = client.call("GET", "/tables", Vec::new()).await?;
/// println!("{}: {}", answer.status(), String::from_utf8_lossy(&answer.whole(1 << 20).await?));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Answer {
    reader: Reader,
    _writer: Writer,
    head: AnswerHead,
    bytes: u64,
    ended: bool,
}

impl Answer {
    pub(crate) async fn ask(link: &Link, call: &Call) -> Result<Answer> {
        if call.body.len() > link.bulk_bytes {
            return Err(Error::TooLarge { bytes: call.body.len(), limit: link.bulk_bytes });
        }
        let (mut writer, mut reader) = link.stream(ASKING).await?;
        writer.message(call).await?;
        writer.finish();
        let head = reader.expect().await?;
        Ok(Answer { reader, _writer: writer, head, bytes: 0, ended: false })
    }

    /// The status, as HTTP has them: from 400 on it was not done, and the body says why, as `application/problem+json`.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// What the body is.
    pub fn content_type(&self) -> &str {
        &self.head.content_type
    }

    /// The next piece of the body, waited for; `None` behind the last. Fails where the answer was cut. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.ended {
            return Ok(None);
        }
        match self.reader.next().await? {
            Some(frame) if frame.kind == BODY => {
                self.bytes += frame.payload.len() as u64;
                Ok(Some(frame.payload))
            }
            Some(frame) if frame.kind == AnswerDone::KIND => {
                let done = AnswerDone::read(&frame).map_err(Error::malformed(ASKING))?;
                self.ended = true;
                if done.bytes == self.bytes { Ok(None) } else { Err(self.cut()) }
            }
            Some(frame) if frame.kind == Failed::KIND => Err(self.reader.failed(&frame)),
            Some(frame) => Err(self.reader.misplaced(&frame)),
            None => Err(self.cut()),
        }
    }

    /// All of the body, of so many bytes at most.
    pub async fn whole(&mut self, limit: usize) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(piece) = self.next().await? {
            body.extend(piece);
            if body.len() > limit {
                return Err(Error::TooLarge { bytes: body.len(), limit });
            }
        }
        Ok(body)
    }

    fn cut(&self) -> Error {
        Error::Lost { doing: ASKING, detail: format!("the answer was cut after {} bytes", self.bytes) }
    }
}
