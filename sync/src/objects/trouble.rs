//! What is wrong with a target, sorted by what to do.

use std::error::Error;
use std::io;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::exchange::{Distrust, Exchange};

/// Stores refuse what was signed by a clock that is further off than a quarter of an hour; some of that is the way there.
const SKEWED: SignedDuration = SignedDuration::from_mins(10);

/// What kind of trouble it is, and so what whoever asked should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// No answer, or none that says anything: the link, the store, or what is between. Ask again later.
    Unreachable,
    /// The credentials are not taken, or do not allow this. Ask again when they may have changed.
    Refused,
    /// Our clock or the store's is wrong. Nothing is wrong with the object; it clears itself with the clock.
    Clock,
    /// The server's certificate is signed by nobody who is trusted, or is another's.
    Untrusted,
    /// The store, or its account, has no room.
    Full,
    /// The store wants to be asked less often.
    Throttled {
        /// When it says that it may be asked again; none where it does not say.
        retry_after: Option<Duration>,
    },
    /// The bytes that may be sent today are spent.
    Spent {
        /// When the next day begins.
        until: Timestamp,
    },
    /// The object itself is refused, or what came of it is not what was sent: asking again does not help.
    Poisoned,
    /// There is no such object, or no such upload.
    NotFound,
    /// There is no such bucket, region or endpoint, or the store does not know how to do this: the settings are wrong.
    Settings,
    /// Something is wrong with a file of this machine.
    Local,
}

impl Kind {
    /// Whether it concerns this object alone, so that others are worth trying.
    pub fn of_object(self) -> bool {
        matches!(self, Kind::Poisoned | Kind::NotFound | Kind::Local)
    }

    fn advice(self) -> &'static str {
        match self {
            Kind::Unreachable => "check the link and the store; it is tried again",
            Kind::Refused => "check the credentials and what they may do",
            Kind::Clock => "set this machine's clock; it goes on when the clock is right",
            Kind::Untrusted => "name the root certificate that signs for it in root_certificates, or check the endpoint",
            Kind::Full => "make room there, or raise its quota",
            Kind::Throttled { .. } => "it is asked again later",
            Kind::Spent { .. } => "it goes on then; bytes_per_day says how many bytes a day has",
            Kind::Poisoned => "the object stays here; see what the store has against it",
            Kind::NotFound => "check whether it was deleted or moved",
            Kind::Settings => "check the URL, the endpoint and the region, and whether the bucket was made",
            Kind::Local => "check the file and the disk it is on",
        }
    }
}

/// A target, or this machine, did not do its part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{doing}: {detail}; {}", .kind.advice())]
pub struct Trouble {
    /// What kind.
    pub kind: Kind,
    /// What was being done, and to which object.
    pub doing: String,
    /// What the store, or the way to it, says.
    pub detail: String,
}

impl Trouble {
    /// What to do, in words.
    pub fn advice(&self) -> &'static str {
        self.kind.advice()
    }

    /// Of a file of this machine.
    pub(super) fn local(doing: impl Into<String>, error: &io::Error) -> Self {
        let kind = if of_room(error) { Kind::Full } else { Kind::Local };
        Trouble { kind, doing: doing.into(), detail: error.to_string() }
    }

    /// Of a target's folder.
    pub(super) fn of_folder(doing: impl Into<String>, error: io::Error) -> Self {
        let error = object_store::Error::Generic { store: "folder", source: error.into() };
        Trouble::of(doing, &error, &Exchange::default())
    }

    /// Of what a store answered, or did not.
    pub(super) fn of(doing: impl Into<String>, error: &object_store::Error, exchange: &Exchange) -> Self {
        let kind = kind(error, exchange);
        let mut detail = match (exchange.status, &exchange.code, &exchange.message) {
            (Some(status), Some(code), Some(message)) => format!("{code} ({status}): {message}"),
            (Some(status), Some(code), None) => format!("{code} ({status})"),
            _ => in_full(error),
        };
        if let (Kind::Clock, Some(ahead)) = (kind, exchange.ahead) {
            detail = format!("{detail} (the store's clock is {ahead:#} off ours)");
        }
        if exchange.of_machine {
            detail = format!("no credentials are set, and this machine's provider has none: {detail}");
        }
        Trouble { kind, doing: doing.into(), detail }
    }
}

/// Whether what was asked may have been done all the same, so that only a look can tell.
pub(super) fn is_unclear(error: &object_store::Error, exchange: &Exchange) -> bool {
    if matches!(error, object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) {
        return true;
    }
    match kind(error, exchange) {
        // A name that was not found on the way to a store, and a connection that was not made, are told as well by the next question.
        Kind::Unreachable | Kind::Throttled { .. } | Kind::NotFound => true,
        Kind::Refused
        | Kind::Clock
        | Kind::Untrusted
        | Kind::Full
        | Kind::Spent { .. }
        | Kind::Poisoned
        | Kind::Settings
        | Kind::Local => false,
    }
}

fn kind(error: &object_store::Error, exchange: &Exchange) -> Kind {
    if let Some(until) = exchange.exhausted {
        return Kind::Spent { until };
    }
    match exchange.distrust {
        Some(Distrust::Time) => return Kind::Clock,
        Some(Distrust::Signer) => return Kind::Untrusted,
        None => {}
    }
    if exchange.of_machine {
        return Kind::Refused;
    }
    let said = exchange.status.filter(|status| *status >= 300).and_then(|status| said(status, exchange));
    said.or_else(|| of_system(error)).unwrap_or_else(|| of_client(error))
}

/// What an answer means.
fn said(status: u16, exchange: &Exchange) -> Option<Kind> {
    let throttled = Kind::Throttled { retry_after: exchange.retry_after };
    let is_skewed = exchange.ahead.is_some_and(|ahead| ahead.abs() >= SKEWED);
    if let Some(kind) = exchange.code.as_deref().and_then(|code| named(code, exchange)) {
        let by_clock = is_skewed && matches!(kind, Kind::Refused);
        return Some(if by_clock { Kind::Clock } else { kind });
    }
    Some(match status {
        401 | 403 if is_skewed => Kind::Clock,
        401 | 403 | 407 => Kind::Refused,
        404 => Kind::NotFound,
        408 | 425 => Kind::Unreachable,
        // Others are at it.
        409 | 412 | 423 | 429 => throttled,
        503 if exchange.retry_after.is_some() => throttled,
        501 | 505 => Kind::Settings,
        507 => Kind::Full,
        500.. => Kind::Unreachable,
        400.. => Kind::Poisoned,
        // It is somewhere else: another region.
        300.. => Kind::Settings,
        _ => return None,
    })
}

/// What a store's own word for it means; those are of S3, of what speaks it, and of Azure.
fn named(code: &str, exchange: &Exchange) -> Option<Kind> {
    let mentions_time = || {
        let message = exchange.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        ["date header", "time frame", "too old", "not yet valid", "clock"].iter().any(|word| message.contains(word))
    };
    Some(match code {
        "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => Kind::Clock,
        "AuthenticationFailed" | "AccessDenied" | "InvalidAuthenticationInfo" if mentions_time() => Kind::Clock,
        "AccessDenied"
        | "AccountIsDisabled"
        | "AccountProblem"
        | "AllAccessDisabled"
        | "AuthenticationFailed"
        | "AuthorizationFailure"
        | "AuthorizationPermissionMismatch"
        | "AuthorizationProtocolMismatch"
        | "AuthorizationSourceIPMismatch"
        | "ExpiredToken"
        | "InsufficientAccountPermissions"
        | "InvalidAccessKeyId"
        | "InvalidAuthenticationInfo"
        | "InvalidToken"
        | "NoAuthenticationInformation"
        | "NotSignedUp"
        | "SignatureDoesNotMatch"
        | "TokenRefreshRequired" => Kind::Refused,
        "AuthorizationHeaderMalformed"
        | "ContainerBeingDeleted"
        | "ContainerNotFound"
        | "IllegalLocationConstraintException"
        | "InvalidBucketName"
        | "NoSuchBucket"
        | "NotImplemented"
        | "PermanentRedirect"
        | "ResourceTypeMismatch"
        | "TemporaryRedirect" => Kind::Settings,
        "AccountBeingCreated"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "OperationTimedOut"
        | "ServerBusy"
        | "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequests" => Kind::Throttled { retry_after: exchange.retry_after },
        "InsufficientStorage" | "QuotaExceeded" | "ServiceQuotaExceededException" | "StorageFull" | "XMinioStorageFull" => {
            Kind::Full
        }
        // Something changed what was sent, or kept it: the way, not the object.
        "BadDigest" | "IncompleteBody" | "InternalError" | "Md5Mismatch" | "RequestTimeout" | "XAmzContentSHA256Mismatch" => {
            Kind::Unreachable
        }
        "BlobNotFound" | "InvalidBlockList" | "InvalidPart" | "NoSuchKey" | "NoSuchUpload" => Kind::NotFound,
        _ => return None,
    })
}

/// What the operating system says of a folder.
fn of_system(error: &object_store::Error) -> Option<Kind> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            if of_room(error) {
                return Some(Kind::Full);
            }
            return match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(Kind::Refused),
                io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge => {
                    Some(Kind::Poisoned)
                }
                io::ErrorKind::NotFound => Some(Kind::NotFound),
                _ => None,
            };
        }
        next = error.source();
    }
    None
}

fn of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What the store's client says of what it did not ask, or of what it cannot make sense of.
fn of_client(error: &object_store::Error) -> Kind {
    use object_store::Error as Said;
    match error {
        Said::NotFound { .. } => Kind::NotFound,
        Said::AlreadyExists { .. } | Said::Precondition { .. } | Said::NotModified { .. } => {
            Kind::Throttled { retry_after: None }
        }
        Said::PermissionDenied { .. } | Said::Unauthenticated { .. } => Kind::Refused,
        Said::InvalidPath { .. } => Kind::Poisoned,
        Said::NotSupported { .. } | Said::NotImplemented { .. } | Said::UnknownConfigurationKey { .. } => Kind::Settings,
        _ => Kind::Unreachable,
    }
}

/// What an error says and, where it keeps the cause to itself, that as well.
fn in_full(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let cause = cause.to_string();
    if !text.contains(&cause) {
        text = format!("{text}: {cause}");
    }
    text
}

#[cfg(test)]
mod tests;
