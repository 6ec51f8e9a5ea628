//! What keeps the worker from doing what it is to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::machine::Failure;
use crate::metadata::{NotRead, NotWritten};
use crate::objects::{Kind, NotASetting, NotGot, NotPut, Trouble};
use crate::postgres::{self, Error};
use crate::remote::{Hash, Malformed};

/// How often a centre that is contested is looked at, at least.
const CONTESTED: Duration = Duration::from_secs(3600);

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
    /// The centre did not do its part.
    #[error("{0}{advice}", advice = advice(.0))]
    Centre(#[from] postgres::Error),
    /// A manifest that the centre lacks is not in the bucket.
    #[error(
        "the centre lacks cut {cut}, and the bucket does not have its manifest, whose hash is {hash}: see `alluvium sync prove`"
    )]
    NotThere {
        /// The cut, or the object.
        cut: String,
        /// The hash.
        hash: Hash,
    },
    /// Metadata that the centre is to be told were not got from the bucket.
    #[error("metadata that the centre is to be told: {0}")]
    NotGot(Box<NotGot>),
    /// Metadata that the centre is to be told cannot be read.
    #[error("metadata that the centre is to be told, {key:?}: {why}")]
    Lines {
        /// The object.
        key: String,
        /// What is wrong.
        why: NotRead,
    },
    /// The centre does not have a cut any more that it had.
    #[error("the centre does not have cut {cut} any more, as after it was put back to a backup; it is told again")]
    Forgotten {
        /// The cut.
        cut: u64,
    },
    /// The centre went on from what is not ours.
    #[error(
        "{stands}: of another device of this name, or of this one before it was restored; it goes on behind cut {common} under a new incarnation"
    )]
    Displaced {
        /// What the centre says.
        stands: postgres::Error,
        /// The last cut of ours that it has.
        common: u64,
    },
    /// It did so twice within a day.
    #[error(
        "{stands}: of another device that goes by this name at the same time; give one of them another name and secret \
         (`alluvium central provision`), or switch it off; the next try to go on is in {hours} h", hours = left.as_secs().div_ceil(3600)
    )]
    Contested {
        /// What the centre says.
        stands: postgres::Error,
        /// For how long.
        left: Duration,
    },
    /// The centre has none of our cuts, and others of this name.
    #[error(
        "{0}: none of them is this gateway's, which begins with its first; have another name provisioned for it \
         (`alluvium central provision`), or restore what goes by this one (`alluvium restore`)"
    )]
    OtherBeginning(postgres::Error),
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
            Failed::NotGot(not) => match &**not {
                NotGot::Trouble(trouble) => of_trouble(trouble),
                NotGot::Altered { .. } => Failure::Item,
            },
            Failed::NotThere { .. } | Failed::Lines { .. } | Failed::Centre(Error::Invalid(_)) => Failure::Item,
            Failed::Estranged { .. }
            | Failed::Forgotten { .. }
            | Failed::Centre(Error::Conflict { .. } | Error::Behind { .. } | Error::UnknownPrevious { .. }) => Failure::Estranged,
            Failed::Contested { left, .. } => Failure::Target { not_before: Some((*left).min(CONTESTED)) },
            _ => Failure::Target { not_before: None },
        }
    }
}

impl Failed {
    /// Whether it takes somebody to put it right: to ask again soon is of no use.
    pub(super) fn is_for_somebody(&self) -> bool {
        use Error::{Options, Refused, Unsupported, Untrusted};
        match self {
            Failed::Centre(error) => matches!(error, Options(_) | Refused(_) | Unsupported(_) | Untrusted(_)),
            Failed::Contested { .. } | Failed::OtherBeginning(_) => true,
            _ => false,
        }
    }
}

/// What to do about what the centre says.
fn advice(error: &Error) -> &'static str {
    match error {
        Error::Refused(_) => {
            "; check the login's password, and this gateway's name and secret: who owns the centre provisions it (`alluvium central \
             provision`), or gives it another secret (`alluvium central rotate`), also where it was retired"
        }
        Error::Untrusted(_) => {
            "; check root_certificates of [sync.postgres], the host's name in its url, and this machine's clock"
        }
        Error::Unreachable(_) => "; check the link and the server; it is tried again",
        Error::Unsupported(_) => "; have `alluvium central migrate` of this release run by who owns the centre",
        _ => "",
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
