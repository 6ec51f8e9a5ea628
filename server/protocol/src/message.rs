//! Messages: what payloads say.
//!
//! Each kind has one type, frozen for good: what has to say more gets another kind. Payloads are postcard, except for bulk, which has
//! forms of its own where that is faster ([`rows`](crate::rows)).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Malformed;
use crate::code::Code;
use crate::frame::{Frame, Kind};
use crate::mutation::MutationBatch;

/// A payload of one kind.
pub trait Message: Serialize + DeserializeOwned {
    /// Its kind.
    const KIND: Kind;

    /// As a frame.
    fn frame(&self) -> Result<Frame, Malformed> {
        let payload = postcard::to_stdvec(self).map_err(|error| wrong(Self::KIND, &error))?;
        Ok(Frame { kind: Self::KIND, payload })
    }

    /// From a frame, which has to be of this kind and hold nothing else.
    fn read(frame: &Frame) -> Result<Self, Malformed> {
        if frame.kind != Self::KIND {
            return Err(Malformed::Kind { kind: frame.kind });
        }
        match postcard::take_from_bytes(&frame.payload) {
            Ok((message, [])) => Ok(message),
            Ok((_, rest)) => Err(wrong(Self::KIND, &format_args!("{} bytes too many", rest.len()))),
            Err(error) => Err(wrong(Self::KIND, &error)),
        }
    }
}

fn wrong(kind: Kind, detail: &dyn std::fmt::Display) -> Malformed {
    Malformed::Payload { kind, detail: detail.to_string() }
}

macro_rules! messages {
    ($($kind:literal $name:ident),* $(,)?) => {
        $(impl Message for $name {
            const KIND: Kind = $kind;
        })*
        /// Kinds and names of all messages.
        #[cfg(test)]
        pub(crate) const ALL: &[(Kind, &str)] = &[$(($kind, stringify!($name))),*];
    };
}

messages! {
    0x0001 Hello,
    0x0002 Welcome,
    0x0003 Failed,
    0x0100 OpenWriter,
    0x0101 Opened,
    0x0102 DescribeTable,
    0x0103 Applied,
    0x0104 BatchRefused,
    0x0105 Skip,
    0x0200 Query,
    0x0201 QueryDone,
    0x0300 AnswerHead,
    0x0301 AnswerDone,
    0x8102 MutationBatch,
    0x8300 Call,
}

/// The first frame of a connection, on its first stream, by the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The highest minor version that it speaks.
    pub minor: u16,
    /// Features that it knows, one bit each.
    pub features: u64,
    /// What it is, for logs: at most 128 bytes.
    pub agent: String,
}

/// The server's answer to [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The minor version that both speak from now on.
    pub minor: u16,
    /// The features that both know.
    pub features: u64,
    /// The gateway's id.
    pub gateway: String,
    /// Who the client is taken for.
    pub principal: String,
    /// Bytes of payload that a bulk frame may have.
    pub bulk_bytes: u32,
    /// Streams that the client may have open.
    pub streams: u32,
    /// The server's wall clock, in microseconds UTC: a client without a clock may set its own by it.
    pub wall_micros: i64,
}

/// Why a stream ends that did not do what it was to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The number of a [`Code`].
    pub code: u16,
    /// Whether the same request may succeed later.
    pub may_retry: bool,
    /// After how long at the earliest, in milliseconds; 0 if there is nothing to be said about that.
    pub retry_after_millis: u32,
    /// What happened, where, and what to do next.
    pub message: String,
}

impl Failed {
    /// Of a kind of error, with what there is to say.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Failed { code: code.number(), may_retry: code.may_retry(), retry_after_millis: 0, message: message.into() }
    }

    /// The kind of error. One that is not known is internal.
    pub fn code(&self) -> Code {
        Code::from_number(self.code).unwrap_or(Code::Internal)
    }
}

/// The first frame of a writer stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWriter {
    /// Tells the writer from others of the same principal: random, and kept with what it has yet to send.
    pub writer: [u8; 16],
    /// The last batch that was acknowledged to it; `None` if nothing was ever sent under this id.
    pub acknowledged: Option<u64>,
}

/// The server's answer to [`OpenWriter`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The last batch that was applied: the next is the one behind it.
    pub applied_through: u64,
    /// Bytes of batches that may be under way without being acknowledged.
    pub window_bytes: u32,
}

/// Describes the rows of a table on a writer stream, before the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeTable {
    /// What rows on this stream call the table by.
    pub slot: u16,
    /// The table.
    pub table: String,
    /// Names of its tags, in the order in which rows have them.
    pub tags: Vec<String>,
    /// Its fields, likewise.
    pub fields: Vec<Field>,
    /// The unit of times: 0 microseconds, 1 milliseconds, 2 nanoseconds.
    pub time_unit: u8,
    /// Whether the table, or what it lacks, is to be made if it is not there.
    pub create: bool,
}

/// A field of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type: 0 float64, 1 float32, 2 int64, 3 uint64, 4 bool, 5 utf8, 6 binary, 7 decimal.
    pub kind: u8,
    /// Digits behind the point of a decimal; 0 for others.
    pub scale: u8,
}

/// Batches are durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// All up to this one.
    pub through: u64,
}

/// A batch was not applied, and nothing behind it will be until it was sent anew or skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRefused {
    /// The batch.
    pub number: u64,
    /// Why.
    pub failed: Failed,
}

/// Gives up a batch: its number counts as applied, and nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The batch.
    pub number: u64,
}

/// Asks for rows, aggregates or last values of a table. The first frame of its stream; the answer is Arrow frames
/// ([`ARROW`](crate::frame::ARROW)), then [`QueryDone`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The table.
    pub table: String,
    /// Only rows of this time or later, in the table's unit.
    pub from: Option<i64>,
    /// Only rows before this time.
    pub to: Option<i64>,
    /// All of which a row has to satisfy: `NAME=V`, `NAME!=V`, `NAME in (A,B)`, `FIELD>=N` (also `>`, `<`, `<=`).
    pub conditions: Vec<String>,
    /// Only these fields; all if there are none.
    pub fields: Vec<String>,
    /// 0 by series, then time; 1 by time; 2 by time, newest first.
    pub order: u8,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Functions for an aggregate: `count`, `sum`, `mean`, `min`, `max`, `first`, `last`, `stddev`. Rows if there are none, and
    /// neither `every` nor `by`.
    pub functions: Vec<String>,
    /// Aggregates per bucket of time: `90s`, `5m`, `1h`, `1d`, `1w`, `1mo`; empty for all of it.
    pub every: String,
    /// The zone of calendar buckets; empty for UTC.
    pub zone: String,
    /// Aggregates per value of these tags.
    pub by: Vec<String>,
    /// The last value of every series instead.
    pub last: bool,
}

/// All of an answer was sent. A stream that ends without it was cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryDone {
    /// How many rows it had.
    pub rows: u64,
}

/// A request as HTTP has them, for all that is done seldom. The first frame of its stream, and bulk. The answer is [`AnswerHead`],
/// frames of its body ([`BODY`](crate::frame::BODY)), then [`AnswerDone`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// `GET`, `PUT`, `POST`, `PATCH` or `DELETE`.
    pub method: String,
    /// The path below `/api/v1`, and what is asked behind a `?`.
    pub path: String,
    /// JSON, or rows as an Arrow IPC stream; empty for none.
    pub body: Vec<u8>,
}

/// How a call was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerHead {
    /// The status of HTTP: 200 and some more where it was done.
    pub status: u16,
    /// What the body is.
    pub content_type: String,
}

/// All of an answer was sent. A stream that ends without it was cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerDone {
    /// Bytes of the body.
    pub bytes: u64,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A message, its bytes, and that nothing shorter or longer is one.
    pub(crate) fn frozen<M: Message + PartialEq + std::fmt::Debug>(message: M, bytes: &[u8]) {
        let frame = message.frame().unwrap();
        assert_eq!((frame.kind, frame.payload.escape_ascii().to_string()), (M::KIND, bytes.escape_ascii().to_string()));
        assert_eq!(M::read(&frame).unwrap(), message);
        for length in 0..bytes.len() {
            let cut = Frame { kind: M::KIND, payload: bytes[..length].to_vec() };
            assert!(M::read(&cut).is_err(), "{length} bytes of {message:?}");
        }
        let long = Frame { kind: M::KIND, payload: [bytes, &[0]].concat() };
        assert!(matches!(M::read(&long), Err(Malformed::Payload { .. })), "{message:?}");
        let other = Frame { kind: M::KIND ^ 1, payload: bytes.to_vec() };
        assert_eq!(M::read(&other), Err(Malformed::Kind { kind: M::KIND ^ 1 }));
    }

    #[test]
    fn the_bytes_of_messages_are_frozen() {
        frozen(Hello { minor: 300, features: 5, agent: "pump".to_owned() }, b"\xac\x02\x05\x04pump");
        frozen(
            Welcome {
                minor: 0,
                features: 1,
                gateway: "g".to_owned(),
                principal: "p".to_owned(),
                bulk_bytes: 1 << 20,
                streams: 64,
                wall_micros: -1,
            },
            b"\0\x01\x01g\x01p\x80\x80\x40\x40\x01",
        );
        frozen(Failed::new(Code::Busy, "später"), b"\x0e\x01\0\x07sp\xc3\xa4ter");
        frozen(
            OpenWriter { writer: [9; 16], acknowledged: None },
            b"\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\0",
        );
        frozen(OpenWriter { writer: [0; 16], acknowledged: Some(128) }, b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x80\x01");
        frozen(Opened { applied_through: 7, window_bytes: 1 }, b"\x07\x01");
        let field = Field { name: "kw".to_owned(), kind: 7, scale: 2 };
        frozen(
            DescribeTable {
                slot: 1,
                table: "air".to_owned(),
                tags: vec!["room".to_owned()],
                fields: vec![field],
                time_unit: 2,
                create: true,
            },
            b"\x01\x03air\x01\x04room\x01\x02kw\x07\x02\x02\x01",
        );
        frozen(Applied { through: u64::MAX }, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
        frozen(BatchRefused { number: 3, failed: Failed::new(Code::BadRows, "") }, b"\x03\x09\0\0\0");
        frozen(Skip { number: 3 }, b"\x03");
        let query = Query {
            table: "air".to_owned(),
            from: Some(-2),
            conditions: vec!["a=1".to_owned()],
            fields: vec!["kw".to_owned()],
            order: 2,
            limit: Some(7),
            functions: vec!["max".to_owned()],
            every: "1h".to_owned(),
            zone: "UTC".to_owned(),
            by: vec!["b".to_owned()],
            ..Query::default()
        };
        frozen(query, b"\x03air\x01\x03\0\x01\x03a=1\x01\x02kw\x02\x01\x07\x01\x03max\x021h\x03UTC\x01\x01b\0");
        frozen(QueryDone { rows: 300 }, b"\xac\x02");
        let call = Call { method: "PUT".to_owned(), path: "/kv/a".to_owned(), body: b"{}".to_vec() };
        frozen(call, b"\x03PUT\x05/kv/a\x02{}");
        frozen(AnswerHead { status: 200, content_type: "text/plain".to_owned() }, b"\xc8\x01\x0atext/plain");
        frozen(AnswerDone { bytes: 2 }, b"\x02");
    }

    #[test]
    fn kinds_are_those_of_the_document_and_none_twice() {
        let document = include_str!("../../PROTOCOL.md");
        for (kind, name) in ALL {
            assert!(document.contains(&format!("| {kind:#06x} | {name} |")), "{kind:#06x} {name}");
        }
        let mut kinds: Vec<Kind> = ALL.iter().map(|(kind, _)| *kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), ALL.len());
    }

    #[test]
    fn an_error_that_is_not_known_says_itself_whether_to_try_again() {
        let unknown = Failed { code: 999, may_retry: true, retry_after_millis: 5, message: String::new() };
        assert_eq!((unknown.code(), unknown.may_retry), (Code::Internal, true));
    }

    #[test]
    fn a_length_that_is_too_large_takes_no_memory() {
        // A text that announces 2^60 bytes, and a list that announces as many.
        for payload in
            [b"\0\0\x80\x80\x80\x80\x80\x80\x80\x80\x10".to_vec(), b"\x01\0\x80\x80\x80\x80\x80\x80\x80\x80\x10".to_vec()]
        {
            let hello = Frame { kind: Hello::KIND, payload: payload.clone() };
            let table = Frame { kind: DescribeTable::KIND, payload };
            assert!(Hello::read(&hello).is_err() && DescribeTable::read(&table).is_err());
        }
    }
}
