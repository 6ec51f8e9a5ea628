//! What goes wrong, by what the caller should do.

use tokio_postgres::error::{DbError, Severity};

use super::Head;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not said clearly or safely enough where the centre is: say it otherwise.
    #[error("{0}")]
    Options(String),
    /// The centre cannot be reached, or not now, and nothing was done: try again later.
    #[error("the centre cannot be reached: {0}")]
    Unreachable(String),
    /// Who answers is not proved to be the centre: look at its certificate, its name, and the clock.
    #[error(
        "the server is not trusted: {0}; it has to show a certificate for its name from an authority that is named here as trusted"
    )]
    Untrusted(String),
    /// The centre knows neither the login nor the gateway by what was shown, or does not allow it: provision it.
    #[error("the centre refuses: {0}")]
    Refused(String),
    /// Another device goes by this name, or the gateway was copied or restored: fork from the last common cut.
    #[error("the centre has other cuts of this gateway, up to {}", told(.head))]
    Conflict {
        /// Where it is.
        head: Option<Box<Head>>,
    },
    /// The centre lacks cuts before this one, as after it was restored from a backup: register them again from there.
    #[error("the centre has no more of this gateway's cuts than up to {}", told(.head))]
    Behind {
        /// Where it is.
        head: Option<Box<Head>>,
    },
    /// It begins an incarnation after a cut that the centre does not have: register that, or fork from one that it has.
    #[error("the centre does not have the cut that this one follows; it has those up to {}", told(.head))]
    UnknownPrevious {
        /// Where it is.
        head: Option<Box<Head>>,
    },
    /// It may or may not have been done, and cannot be asked now. To try again is safe.
    #[error("whether it was done is not known: {0}")]
    Ambiguous(String),
    /// The centre has no functions of this version: migrate it, or use a release that it knows.
    #[error("the centre does not have what this release needs: {0}; its owner brings it there by `alluvium central migrate`")]
    Unsupported(String),
    /// What was sent cannot be. Nothing was done, and will not be if it is sent again.
    #[error("{0}")]
    Invalid(String),
    /// There is such a gateway already.
    #[error("there is a gateway {0:?} already; `alluvium central rotate` gives it another secret")]
    Exists(String),
    /// There is no such gateway.
    #[error("there is no gateway {0:?}; `alluvium central provision` makes one known")]
    NoGateway(String),
    /// A mistake of this program or the centre's.
    #[error("{0}")]
    Internal(String),
}

fn told(head: &Option<Box<Head>>) -> String {
    head.as_ref().map_or_else(|| "none".to_owned(), |head| format!("cut {} of incarnation {}", head.cut, head.incarnation))
}

/// How a statement failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was surely not done.
    Not(Error),
    /// The connection went away before the answer came.
    Lost(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Not(error) => error,
            Failure::Lost(why) => Error::Ambiguous(why),
        }
    }
}

/// Of a statement that was sent.
pub(super) fn of_statement(error: &tokio_postgres::Error) -> Failure {
    match error.as_db_error() {
        // What ends a connection may come after a COMMIT that nobody has told of, and from a pooler.
        Some(db) if ends_connection(db) => Failure::Lost(db.message().to_owned()),
        Some(db) => Failure::Not(of_database(db)),
        None => Failure::Lost(with_sources(error)),
    }
}

/// Of a connection that was to be made.
pub(super) fn of_connection(error: &tokio_postgres::Error) -> Error {
    if let Some(db) = error.as_db_error() {
        return of_database(db);
    }
    let text = with_sources(error);
    if let Some(tls) = certificate(error) { Error::Untrusted(tls) } else { Error::Unreachable(text) }
}

fn ends_connection(db: &DbError) -> bool {
    matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
        || matches!(class(db), "08")
        || db.code().code().starts_with("57P")
}

fn class(db: &DbError) -> &str {
    db.code().code().get(..2).unwrap_or_default()
}

fn of_database(db: &DbError) -> Error {
    let told = || db.message().to_owned();
    match (db.code().code(), class(db)) {
        ("ZAL02", _) | (_, "22" | "23" | "54") => Error::Invalid(told()),
        ("ZAL01" | "42501" | "3D000", _) | (_, "28") => Error::Refused(told()),
        ("3F000" | "42883" | "42P01" | "0A000", _) => Error::Unsupported(told()),
        // A standby, a lock or a deadlock, too little of something, somebody who stops it.
        ("25006", _) | (_, "08" | "40" | "53" | "55" | "57" | "58") => Error::Unreachable(told()),
        (code, _) => Error::Internal(format!("{} ({code})", db.message())),
    }
}

/// What is wrong with a certificate, where that is what failed.
fn certificate(error: &tokio_postgres::Error) -> Option<String> {
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        let within = one
            .downcast_ref::<std::io::Error>()
            .and_then(|io| io.get_ref())
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match within.or_else(|| one.downcast_ref::<rustls::Error>()) {
            Some(tls @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)) => {
                return Some(tls.to_string());
            }
            _ => cause = one.source(),
        }
    }
    None
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(one) = cause {
        let more = one.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = one.source();
    }
    text
}
