//! What is counted apart: label sets, each of few values.

use alluvium_protocol::code::Code;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// How something was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Over HTTP.
    Http,
    /// As over HTTP, on a stream.
    Call,
    /// By a query on a stream.
    Query,
    /// On a writer stream.
    Writer,
    /// By connecting, or a stream that has yet to say what it is for.
    Connection,
}

/// Why a connection was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    /// Too many handshakes at once.
    Crowded,
    /// Too many connections at once.
    Full,
    /// TLS failed, mostly for a certificate that does not hold.
    Failed,
    /// It took too long.
    Timeout,
    /// The certificate names nobody.
    Nobody,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Request {
    pub(super) kind: Kind,
    /// Of HTTP; empty for others.
    pub(super) method: &'static str,
    /// The path as the router has it, with names of what is variable in it; empty for others.
    pub(super) route: String,
}

/// A target that everything is carried to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfTarget {
    pub(super) target: String,
}

/// An error that somebody was told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Told {
    pub(super) kind: Kind,
    pub(super) code: Name<Code>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reason {
    pub(super) reason: Refusal,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Outcome {
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfTable {
    pub(super) table: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfQueue {
    pub(super) queue: String,
    pub(super) state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Build {
    pub(super) version: &'static str,
}

/// What is called as it is in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Name<T>(pub(super) T);

impl<T: std::fmt::Debug> EncodeLabelValue for Name<T> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        std::fmt::Write::write_fmt(encoder, format_args!("{:?}", self.0))
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Http => "http",
            Kind::Call => "call",
            Kind::Query => "query",
            Kind::Writer => "writer",
            Kind::Connection => "connection",
        }
    }
}

impl Refusal {
    fn name(self) -> &'static str {
        match self {
            Refusal::Crowded => "crowded",
            Refusal::Full => "full",
            Refusal::Failed => "failed",
            Refusal::Timeout => "timeout",
            Refusal::Nobody => "nobody",
        }
    }
}

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.name().encode(encoder)
    }
}

impl EncodeLabelValue for Refusal {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.name().encode(encoder)
    }
}
