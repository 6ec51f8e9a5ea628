//! An answer, piece by piece.

use bytes::Bytes;

use super::http;
use super::told::Error;

/// What a server says, whichever way it came.
pub(super) enum Answer {
    Quic(alluvium_client::Answer),
    Http(http::Answer),
}

impl Answer {
    /// Its status, as HTTP has them.
    pub(super) fn status(&self) -> u16 {
        match self {
            Answer::Quic(answer) => answer.status(),
            Answer::Http(answer) => answer.status,
        }
    }

    /// The next piece of its body; `None` behind the last. An answer that was cut ends with an error.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            Answer::Quic(answer) => Ok(answer.next().await?.map(Bytes::from)),
            Answer::Http(answer) => answer.next().await,
        }
    }

    /// All of its body, of so many bytes at most.
    pub(super) async fn whole(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(piece) = self.next().await? {
            body.extend_from_slice(&piece);
            if body.len() > limit {
                return Err(Error::Other(format!("its answer has more than {limit} bytes: ask for less at once")));
            }
        }
        Ok(body)
    }
}
