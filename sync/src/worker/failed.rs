//! What keeps the worker from doing what it is to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::machine::Failure;
use crate::metadata::NotWritten;
use crate::objects::{Kind, NotASetting, NotPut, Trouble};
use crate::remote::Malformed;

/// Something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// The database did not do its part.
    #[error(transparent)]
    Database(#[from] alluvium::Error),
    /// The target did not.
    #[error(transparent)]
    Target(#[from] Trouble),
    /// An object was not put.
    #[error(transparent)]
    Object(#[from] NotPut),
    /// Metadata could not be written down.
    #[error(transparent)]
    Metadata(#[from] NotWritten),
    /// What was sent was there, and is no more.
    #[error("{key:?} was sent to {target} and is not there any more; it is sent again: find out who removes objects there")]
    Missed {
        /// The object.
        key: String,
        /// The target.
        target: String,
    },
    /// The target cannot be opened anew.
    #[error("what was sent cannot be looked for: {0}")]
    Unopened(#[from] NotASetting),
    /// A manifest is not what it has to be.
    #[error("the manifest {key:?} cannot be used: {why}")]
    Manifest {
        /// The object.
        key: String,
        /// What is wrong.
        why: Malformed,
    },
    /// Someone else has written what we were to write.
    #[error(
        "{key:?} was written by another gateway of the same name, or by this one before it was restored; it goes on under a new incarnation"
    )]
    Estranged {
        /// The object.
        key: String,
    },
    /// It is another gateway there.
    #[error(
        "delivery {name:?} is of a gateway that is called {known:?} there, not {asked:?}: call it so, or forget the delivery, and everything is sent again"
    )]
    Renamed {
        /// The delivery.
        name: String,
        /// What it is called there.
        known: String,
        /// What it was to be called.
        asked: String,
    },
    /// There is no directory for what is sent and not kept.
    #[error("{path:?} cannot be made, where metadata are written before they are sent: {source}")]
    Scratch {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What was noted cannot be read.
    #[error("what is noted of the delivery cannot be read: {0}")]
    Note(#[from] serde_json::Error),
    /// A task did not come to its end.
    #[error("a task of the worker ended: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl Failed {
    /// What it means for what else there is to do.
    pub(super) fn means(&self) -> Failure {
        match self {
            Failed::Target(trouble) | Failed::Object(NotPut::Trouble(trouble)) => of_trouble(trouble),
            Failed::Object(NotPut::Altered(_)) => Failure::Item,
            Failed::Estranged { .. } => Failure::Estranged,
            _ => Failure::Target { not_before: None },
        }
    }
}

fn of_trouble(trouble: &Trouble) -> Failure {
    match trouble.kind {
        kind if kind.of_object() => Failure::Item,
        Kind::Throttled { retry_after } => Failure::Target { not_before: retry_after },
        Kind::Spent { until } => Failure::Target { not_before: Some(until_then(until)) },
        _ => Failure::Target { not_before: None },
    }
}

fn until_then(until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default()
}
