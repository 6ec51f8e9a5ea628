//! What becomes of a batch.

use alluvium_protocol::message::Failed;
use tokio::sync::{oneshot, watch};

use crate::{Error, Result};

/// What is told to a receipt.
pub(super) type Ticket = oneshot::Sender<Result<()>>;

/// Tells what becomes of a batch. It may be dropped: the batch is sent nevertheless.
#[derive(Debug)]
pub struct Receipt {
    number: u64,
    told: oneshot::Receiver<Result<()>>,
    trouble: watch::Receiver<Option<Error>>,
    outcome: Option<Result<()>>,
}

/// A batch that the server refused, and that somebody has to decide about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The batch.
    pub number: u64,
    /// What the server said.
    pub failed: Failed,
}

impl Receipt {
    pub(super) fn new(number: u64, told: oneshot::Receiver<Result<()>>, trouble: watch::Receiver<Option<Error>>) -> Self {
        Receipt { number, told, trouble, outcome: None }
    }

    /// The number of the batch, as refusals and the log say it. A restart under a new id numbers anew.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Waits until the batch is durable on the server.
    ///
    /// Fails with [`Error::BatchRefused`] if it was refused and given up, and with [`Error::Closed`] if the writer was closed before
    /// anything was heard of it. Any other error is what somebody has to mend before the batch can be sent: it is kept, and this may
    /// be called again. Dropping the future loses nothing.
    ///
    /// ```no_run
    /// # async fn run(mut receipt: alluvium_client::Receipt) {
    /// use alluvium_client::Error;
    ///
    /// match receipt.durable().await {
    ///     Ok(()) => println!("there"),
    ///     Err(Error::BatchRefused { failed, .. }) => println!("given up: {}", failed.message),
    ///     Err(other) => println!("not yet: {other}"),
    /// }
    /// # }
    /// ```
    pub async fn durable(&mut self) -> Result<()> {
        if let Some(outcome) = &self.outcome {
            return outcome.clone();
        }
        tokio::select! {
            biased;
            told = &mut self.told => self.outcome.insert(told.unwrap_or(Err(Error::Closed))).clone(),
            error = trouble(&mut self.trouble) => Err(error),
        }
    }
}

/// Waits until something keeps the writer from going on.
pub(super) async fn trouble(of: &mut watch::Receiver<Option<Error>>) -> Error {
    match of.wait_for(Option::is_some).await {
        Ok(error) => error.clone().unwrap_or(Error::Closed),
        Err(_) => Error::Closed,
    }
}
