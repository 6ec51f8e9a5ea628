//! The answer to a query.

use alluvium_protocol::frame::ARROW;
use alluvium_protocol::message::{Failed, Message, Query, QueryDone};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::decoder::Decoder;
use crate::connection::Link;
use crate::stream::{Reader, Writer};
use crate::{Error, Result};

const ASKING: &str = "asking for rows";

/// The answer to a query, batch by batch. The server reads no further than these are taken, but for what limits allow; dropping this
/// ends the query.
///
/// ```no_run
/// # async fn run(client: alluvium_client::Client) -> Result<(), alluvium_client::Error> {
/// use alluvium_client::Query;
///
/// let mut rows = client.query(&Query { table: "air".into(), limit: Some(10), ..Query::default() }).await?;
/// while let Some(batch) = rows.next().await {
///     println!("{:?}", batch?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Rows {
    reader: Reader,
    _writer: Writer,
    decoder: Decoder,
    /// Decoded on the way to the schema.
    ready: Option<RecordBatch>,
    rows: u64,
    /// How it ended.
    ended: Option<Result<()>>,
}

impl Rows {
    pub(crate) async fn ask(link: &Link, query: &Query, limit: usize) -> Result<Rows> {
        let (mut writer, reader) = link.stream(ASKING).await?;
        writer.message(query).await?;
        writer.finish();
        Ok(Rows { reader, _writer: writer, decoder: Decoder::new(limit), ready: None, rows: 0, ended: None })
    }

    /// The columns, waited for. Dropping the future loses nothing.
    pub async fn schema(&mut self) -> Result<SchemaRef> {
        loop {
            if let Some(schema) = self.decoder.schema() {
                return Ok(schema);
            }
            match &self.ended {
                Some(Err(error)) => return Err(error.clone()),
                Some(Ok(())) => return Err(self.wrong("it has no schema")),
                None => self.step().await,
            }
        }
    }

    /// The next batch, waited for; `None` behind the last. An answer that did not come whole ends with an error: [`Error::Failed`]
    /// if the server said why, [`Error::Cut`] if it did not. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.take() {
                return Some(Ok(batch));
            }
            match &self.ended {
                Some(Ok(())) => return None,
                Some(Err(error)) => {
                    let error = error.clone();
                    self.ended = Some(Ok(()));
                    return Some(Err(error));
                }
                None => self.step().await,
            }
        }
    }

    /// Goes on until there is a schema, a batch, or an end.
    async fn step(&mut self) {
        match self.decoder.take() {
            Ok(Some(batch)) => {
                self.rows = self.rows.saturating_add(batch.num_rows() as u64);
                self.ready = Some(batch);
            }
            // Where there is only the schema as yet, whoever wants it is answered first.
            Ok(None) => {
                if let Err(error) = self.receive().await {
                    self.ended = Some(Err(error));
                }
            }
            Err(detail) => self.ended = Some(Err(self.wrong(&detail))),
        }
    }

    async fn receive(&mut self) -> Result<()> {
        match self.reader.next().await? {
            Some(frame) if frame.kind == ARROW => self.decoder.push(frame.payload),
            Some(frame) if frame.kind == Failed::KIND => return Err(self.reader.failed(&frame)),
            Some(frame) if frame.kind == QueryDone::KIND => {
                let done = QueryDone::read(&frame).map_err(Error::malformed(ASKING))?;
                self.done(done.rows)?;
            }
            Some(frame) => return Err(self.reader.misplaced(&frame)),
            None => return Err(Error::Cut { rows: self.rows }),
        }
        Ok(())
    }

    fn done(&mut self, rows: u64) -> Result<()> {
        self.decoder.finish().map_err(|detail| self.wrong(&detail))?;
        if rows != self.rows {
            return Err(self.wrong(&format!("the server counts {rows}")));
        }
        self.ended = Some(Ok(()));
        Ok(())
    }

    fn wrong(&self, detail: &str) -> Error {
        Error::Answer { rows: self.rows, detail: detail.to_owned() }
    }
}
