//! What errors are called on the wire, and what to do about them.

/// A kind of error. Its number is frozen; one that is not known is treated as [`Code::Internal`], and by its own word whether it may
/// be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum Code {
    /// The peer does not follow the protocol.
    Protocol = 1,
    /// No version or feature that both know.
    Version = 2,
    /// Not known who this is: no certificate, one that does not hold, or a token that does not.
    Unauthenticated = 3,
    /// Known, and not allowed to do this.
    Refused = 4,
    /// The request is wrong and stays wrong.
    Invalid = 5,
    /// What was asked for is not there, or is there already.
    Missing = 6,
    /// Something is in another revision, or others changed it meanwhile.
    Conflict = 7,
    /// Larger or more than is allowed.
    Limit = 8,
    /// Rows of a batch are wrong; none of it was written.
    BadRows = 9,
    /// A writer that is not known any more.
    WriterExpired = 10,
    /// More was acknowledged to a writer than is there.
    WriterBehind = 11,
    /// A batch came before one that is missing.
    WriterGap = 12,
    /// The same writer went on elsewhere.
    Superseded = 13,
    /// Too many connections, streams or requests at once.
    Busy = 14,
    /// The disk is full.
    DiskFull = 15,
    /// Not within its time.
    Timeout = 16,
    /// The server is about to end.
    Closing = 17,
    /// Bytes on the server's disk are damaged.
    Damaged = 18,
    /// The server has stopped writing after a failure of its disk.
    Stopped = 19,
    /// Changes that are no longer kept.
    Gap = 20,
    /// The stream was cancelled by the peer.
    Cancelled = 21,
    /// A defect of the server.
    Internal = 22,
}

impl Code {
    /// All there are.
    pub const ALL: [Code; 22] = [
        Code::Protocol,
        Code::Version,
        Code::Unauthenticated,
        Code::Refused,
        Code::Invalid,
        Code::Missing,
        Code::Conflict,
        Code::Limit,
        Code::BadRows,
        Code::WriterExpired,
        Code::WriterBehind,
        Code::WriterGap,
        Code::Superseded,
        Code::Busy,
        Code::DiskFull,
        Code::Timeout,
        Code::Closing,
        Code::Damaged,
        Code::Stopped,
        Code::Gap,
        Code::Cancelled,
        Code::Internal,
    ];

    /// Its number.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The one of a number.
    pub fn from_number(number: u16) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.number() == number)
    }

    /// Whether the same request may succeed later, without anybody changing it.
    pub fn may_retry(self) -> bool {
        match self {
            Code::Conflict | Code::Busy | Code::DiskFull | Code::Timeout | Code::Closing => true,
            Code::Protocol
            | Code::Version
            | Code::Unauthenticated
            | Code::Refused
            | Code::Invalid
            | Code::Missing
            | Code::Limit
            | Code::BadRows
            | Code::WriterExpired
            | Code::WriterBehind
            | Code::WriterGap
            | Code::Superseded
            | Code::Damaged
            | Code::Stopped
            | Code::Gap
            | Code::Cancelled
            | Code::Internal => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_document_and_each_has_one_meaning() {
        assert!(Code::ALL.iter().map(|code| code.number()).eq(1..=22));
        assert!(Code::ALL.into_iter().all(|code| Code::from_number(code.number()) == Some(code)));
        assert_eq!((Code::from_number(0), Code::from_number(23)), (None, None));
        // As the document lists them: number, name, whether to try again.
        let document = include_str!("../../PROTOCOL.md");
        for code in Code::ALL {
            let again = if code.may_retry() { "yes" } else { "no" };
            let row = format!("| {} | {code:?} | {again} |", code.number());
            assert!(document.contains(&row), "{row}");
        }
    }
}
