//! Batches of rows on a writer stream: a head, then rows in a form that a microcontroller can write, or an Arrow IPC stream. Their
//! bytes are described in `server/PROTOCOL.md`, under Batches.

use crate::Malformed;
use crate::frame::{BULK_BYTES, Frame, Kind};
use crate::message::DescribeTable;

/// Kind of a batch of rows in the form above.
pub const ROW_BATCH: Kind = 0x8100;
/// Kind of a batch whose rows are an Arrow IPC stream.
pub const ARROW_BATCH: Kind = 0x8101;

/// Bytes before the rows.
pub const HEAD_BYTES: usize = 16;
/// The length of a tag that is missing.
const MISSING: u16 = u16::MAX;

/// What goes before the rows of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// From 1, rising by one within a writer.
    pub number: u64,
    /// What its table is called on this stream.
    pub slot: u16,
    /// How many rows there are.
    pub rows: u32,
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// 64 bits of floating point (IEEE 754).
    Float64,
    /// 32 bits of it.
    Float32,
    /// A signed whole number.
    Int64,
    /// An unsigned one.
    Uint64,
    /// True or false.
    Bool,
    /// Text.
    Utf8,
    /// Bytes.
    Binary,
    /// A decimal number, as a whole number of its last digit.
    Decimal,
}

/// A value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "each is the value of a field of its kind")]
pub enum Value<'v> {
    Float64(f64),
    Float32(f32),
    Int64(i64),
    Uint64(u64),
    Bool(bool),
    Utf8(&'v str),
    Binary(&'v [u8]),
    Decimal(i64),
}

/// What rows of a table consist of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    tags: usize,
    fields: Vec<FieldKind>,
}

impl FieldKind {
    /// By their numbers.
    const ALL: [FieldKind; 8] = [
        FieldKind::Float64,
        FieldKind::Float32,
        FieldKind::Int64,
        FieldKind::Uint64,
        FieldKind::Bool,
        FieldKind::Utf8,
        FieldKind::Binary,
        FieldKind::Decimal,
    ];

    /// The one of a number in a description.
    pub fn from_number(number: u8) -> Option<FieldKind> {
        FieldKind::ALL.get(usize::from(number)).copied()
    }
}

impl Value<'_> {
    fn kind(&self) -> FieldKind {
        match self {
            Value::Float64(_) => FieldKind::Float64,
            Value::Float32(_) => FieldKind::Float32,
            Value::Int64(_) => FieldKind::Int64,
            Value::Uint64(_) => FieldKind::Uint64,
            Value::Bool(_) => FieldKind::Bool,
            Value::Utf8(_) => FieldKind::Utf8,
            Value::Binary(_) => FieldKind::Binary,
            Value::Decimal(_) => FieldKind::Decimal,
        }
    }
}

impl Layout {
    /// That of a described table; `None` if a field is of no type that is known.
    pub fn of(table: &DescribeTable) -> Option<Layout> {
        let fields = table.fields.iter().map(|field| FieldKind::from_number(field.kind)).collect::<Option<_>>()?;
        Some(Layout { tags: table.tags.len(), fields })
    }

    fn bitmap_bytes(&self) -> usize {
        self.fields.len().div_ceil(8)
    }
}

/// Rows that do not fit their table, or a batch that became too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// Not as many tags or values as the table has.
    #[error("a row of {tags} tags and {values} values does not fit the table")]
    Columns {
        /// Tags given.
        tags: usize,
        /// Values given.
        values: usize,
    },
    /// A value of another type than its field.
    #[error("value {value} of a row is {found:?}, its field is {expected:?}")]
    Kind {
        /// Which, from 0.
        value: usize,
        /// What it is.
        found: FieldKind,
        /// What it has to be.
        expected: FieldKind,
    },
    /// A tag or value that is too long, or too many rows.
    #[error("a batch holds values or rows beyond its limits: send several")]
    TooLarge,
}

/// Writes the rows of a batch.
///
/// ```
/// use alluvium_protocol::message::{DescribeTable, Field};
/// use alluvium_protocol::rows::{Layout, Reader, Row, Value, Writer};
///
/// let field = Field { name: "kw".into(), kind: 0, scale: 0 };
/// let (tags, fields) = (vec!["room".into()], vec![field]);
/// let air = DescribeTable { slot: 0, table: "air".into(), tags, fields, time_unit: 0, create: true };
/// let layout = Layout::of(&air).unwrap();
///
/// let mut rows = Writer::new(&layout, 1, air.slot);
/// rows.row(1_700_000_000_000_000, &[Some("A")], &[Some(Value::Float64(3.5))]).unwrap();
/// let frame = rows.finish();
///
/// let mut rows = Reader::new(&layout, frame.kind, &frame.payload)?;
/// let mut row = Row::default();
/// assert!(rows.read(&mut row)?);
/// assert_eq!((row.tags[0], row.values[0]), (Some("A"), Some(Value::Float64(3.5))));
/// assert!(!rows.read(&mut row)?);
/// # Ok::<(), alluvium_protocol::Malformed>(())
/// ```
#[derive(Debug)]
pub struct Writer<'l> {
    layout: &'l Layout,
    payload: Vec<u8>,
    rows: u32,
}

impl<'l> Writer<'l> {
    /// For the batch of a number, of the table of a slot.
    pub fn new(layout: &'l Layout, number: u64, slot: u16) -> Self {
        Writer { layout, payload: head(Head { number, slot, rows: 0 }).to_vec(), rows: 0 }
    }

    /// Bytes of payload so far.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// Adds a row: its time, each tag, and each value in the order of the table's description. One that does not fit is left out
    /// whole.
    pub fn row(&mut self, time: i64, tags: &[Option<&str>], values: &[Option<Value<'_>>]) -> Result<(), Unfit> {
        let before = self.payload.len();
        let outcome = self.add(time, tags, values);
        if outcome.is_err() {
            self.payload.truncate(before);
        }
        outcome
    }

    fn add(&mut self, time: i64, tags: &[Option<&str>], values: &[Option<Value<'_>>]) -> Result<(), Unfit> {
        if (tags.len(), values.len()) != (self.layout.tags, self.layout.fields.len()) {
            return Err(Unfit::Columns { tags: tags.len(), values: values.len() });
        }
        let out = &mut self.payload;
        out.extend(time.to_le_bytes());
        for tag in tags {
            let length = match tag {
                Some(tag) => u16::try_from(tag.len()).ok().filter(|length| *length != MISSING).ok_or(Unfit::TooLarge)?,
                None => MISSING,
            };
            out.extend(length.to_le_bytes());
            out.extend(tag.unwrap_or_default().as_bytes());
        }
        let bitmap = out.len();
        out.resize(bitmap + self.layout.bitmap_bytes(), 0);
        for (number, (value, expected)) in values.iter().zip(&self.layout.fields).enumerate() {
            let Some(value) = value else { continue };
            if value.kind() != *expected {
                return Err(Unfit::Kind { value: number, found: value.kind(), expected: *expected });
            }
            out[bitmap + number / 8] |= 1 << (number % 8);
            put(out, *value)?;
        }
        if out.len() > BULK_BYTES {
            return Err(Unfit::TooLarge);
        }
        self.rows = self.rows.checked_add(1).ok_or(Unfit::TooLarge)?;
        Ok(())
    }

    /// The batch as a frame.
    pub fn finish(mut self) -> Frame {
        self.payload[12..HEAD_BYTES].copy_from_slice(&self.rows.to_le_bytes());
        Frame { kind: ROW_BATCH, payload: self.payload }
    }
}

fn put(out: &mut Vec<u8>, value: Value<'_>) -> Result<(), Unfit> {
    let mut long = |bytes: &[u8]| {
        out.extend(u32::try_from(bytes.len()).map_err(|_| Unfit::TooLarge)?.to_le_bytes());
        out.extend(bytes);
        Ok(())
    };
    match value {
        Value::Utf8(text) => return long(text.as_bytes()),
        Value::Binary(bytes) => return long(bytes),
        Value::Float64(number) => out.extend(number.to_le_bytes()),
        Value::Float32(number) => out.extend(number.to_le_bytes()),
        Value::Int64(number) | Value::Decimal(number) => out.extend(number.to_le_bytes()),
        Value::Uint64(number) => out.extend(number.to_le_bytes()),
        Value::Bool(truth) => out.push(truth.into()),
    }
    Ok(())
}

/// The bytes of a head.
pub fn head(Head { number, slot, rows }: Head) -> [u8; HEAD_BYTES] {
    let mut bytes = [0; HEAD_BYTES];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..10].copy_from_slice(&slot.to_le_bytes());
    bytes[12..].copy_from_slice(&rows.to_le_bytes());
    bytes
}

/// The head of a batch of either kind, and what is behind it.
pub fn split(kind: Kind, payload: &[u8]) -> Result<(Head, &[u8]), Malformed> {
    let wrong = |detail: &str| Malformed::Payload { kind, detail: detail.to_owned() };
    if kind != ROW_BATCH && kind != ARROW_BATCH {
        return Err(Malformed::Kind { kind });
    }
    let mut rest = Rest(payload);
    let head = (|| Some((rest.array()?, rest.array()?, rest.array::<2>()?, rest.array()?)))();
    let (number, slot, zero, rows) = head.ok_or_else(|| wrong("its head is cut"))?;
    if zero != [0, 0] {
        return Err(wrong("its head has reserved bits"));
    }
    let head = Head { number: u64::from_le_bytes(number), slot: u16::from_le_bytes(slot), rows: u32::from_le_bytes(rows) };
    if head.number == 0 { Err(wrong("batches are numbered from 1")) } else { Ok((head, rest.0)) }
}

/// A row, as read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row<'r> {
    /// In the unit of its table.
    pub time: i64,
    /// Each tag; `None` where it is missing.
    pub tags: Vec<Option<&'r str>>,
    /// Each field; `None` where it has no value.
    pub values: Vec<Option<Value<'r>>>,
}

/// Reads the rows of a batch.
#[derive(Debug)]
pub struct Reader<'r> {
    layout: &'r Layout,
    head: Head,
    read: u32,
    rest: Rest<'r>,
}

impl<'r> Reader<'r> {
    /// Of a batch of rows whose table is laid out so.
    pub fn new(layout: &'r Layout, kind: Kind, payload: &'r [u8]) -> Result<Self, Malformed> {
        if kind != ROW_BATCH {
            return Err(Malformed::Kind { kind });
        }
        let (head, rest) = split(kind, payload)?;
        Ok(Reader { layout, head, read: 0, rest: Rest(rest) })
    }

    /// The head of the batch.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Reads the next row; `false` behind the last.
    pub fn read(&mut self, row: &mut Row<'r>) -> Result<bool, Malformed> {
        if self.read == self.head.rows {
            return match self.rest.0.len() {
                0 => Ok(false),
                bytes => Err(wrong(format!("{bytes} bytes behind its last row"))),
            };
        }
        let number = self.read;
        self.parse(row).map_err(|what| wrong(format!("row {number}: {what}")))?;
        self.read += 1;
        Ok(true)
    }

    fn parse(&mut self, row: &mut Row<'r>) -> Result<(), &'static str> {
        const CUT: &str = "it is cut";
        let rest = &mut self.rest;
        row.time = i64::from_le_bytes(rest.array().ok_or(CUT)?);
        row.tags.clear();
        for _ in 0..self.layout.tags {
            let length = u16::from_le_bytes(rest.array().ok_or(CUT)?);
            row.tags.push(match length {
                MISSING => None,
                length => Some(text(rest.bytes(length.into()).ok_or(CUT)?)?),
            });
        }
        let bitmap = rest.bytes(self.layout.bitmap_bytes()).ok_or(CUT)?;
        let fields = self.layout.fields.len();
        if !fields.is_multiple_of(8) && bitmap.last().is_some_and(|last| last >> (fields % 8) != 0) {
            return Err("it has values of fields that are not there");
        }
        row.values.clear();
        for (number, kind) in self.layout.fields.iter().enumerate() {
            let there = bitmap[number / 8] >> (number % 8) & 1 == 1;
            row.values.push(if there { Some(value(rest, *kind).ok_or(CUT)??) } else { None });
        }
        Ok(())
    }
}

/// A value; `None` if it is cut.
fn value<'r>(rest: &mut Rest<'r>, kind: FieldKind) -> Option<Result<Value<'r>, &'static str>> {
    let mut long = || {
        let length = u32::from_le_bytes(rest.array()?);
        rest.bytes(usize::try_from(length).ok()?)
    };
    Some(Ok(match kind {
        FieldKind::Utf8 => return Some(text(long()?).map(Value::Utf8)),
        FieldKind::Binary => Value::Binary(long()?),
        FieldKind::Float64 => Value::Float64(f64::from_le_bytes(rest.array()?)),
        FieldKind::Float32 => Value::Float32(f32::from_le_bytes(rest.array()?)),
        FieldKind::Int64 => Value::Int64(i64::from_le_bytes(rest.array()?)),
        FieldKind::Decimal => Value::Decimal(i64::from_le_bytes(rest.array()?)),
        FieldKind::Uint64 => Value::Uint64(u64::from_le_bytes(rest.array()?)),
        FieldKind::Bool => match rest.array()? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return Some(Err("a truth that is neither 0 nor 1")),
        },
    }))
}

fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(bytes).map_err(|_| "a text that is no UTF-8")
}

fn wrong(detail: String) -> Malformed {
    Malformed::Payload { kind: ROW_BATCH, detail }
}

/// What is left of a payload.
#[derive(Debug)]
struct Rest<'r>(&'r [u8]);

impl<'r> Rest<'r> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn bytes(&mut self, length: usize) -> Option<&'r [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every type by its number in a description, and one more, so that presence takes a second byte.
    fn all() -> Vec<FieldKind> {
        (0..8).chain([4]).map(|number| FieldKind::from_number(number).unwrap()).collect()
    }

    fn layout(tags: usize, fields: &[FieldKind]) -> Layout {
        Layout { tags, fields: fields.to_vec() }
    }

    #[test]
    fn the_bytes_of_a_batch_are_frozen() {
        let layout = layout(2, &all());
        let mut rows = Writer::new(&layout, 258, 3);
        let values = [
            Some(Value::Float64(-2.0)),
            Some(Value::Float32(1.0)),
            Some(Value::Int64(-1)),
            Some(Value::Uint64(7)),
            None,
            Some(Value::Utf8("é")),
            Some(Value::Binary(b"\0")),
            Some(Value::Decimal(5)),
            Some(Value::Bool(true)),
        ];
        rows.row(-1, &[Some("A"), None], &values).unwrap();
        rows.row(1, &[Some(""), Some("b")], &[None; 9]).unwrap();
        let frame = rows.finish();
        let bytes = b"\x02\x01\0\0\0\0\0\0\x03\0\0\0\x02\0\0\0\
            \xff\xff\xff\xff\xff\xff\xff\xff\x01\0A\xff\xff\xef\x01\
            \0\0\0\0\0\0\0\xc0\0\0\x80\x3f\xff\xff\xff\xff\xff\xff\xff\xff\x07\0\0\0\0\0\0\0\
            \x02\0\0\0\xc3\xa9\x01\0\0\0\0\x05\0\0\0\0\0\0\0\x01\
            \x01\0\0\0\0\0\0\0\0\0\x01\0b\0\0";
        assert_eq!(frame.payload.escape_ascii().to_string(), bytes.escape_ascii().to_string());
        assert_eq!(frame.kind, 0x8100);
        let mut reader = Reader::new(&layout, frame.kind, &frame.payload).unwrap();
        assert_eq!(reader.head(), Head { number: 258, slot: 3, rows: 2 });
        let mut row = Row::default();
        assert!(reader.read(&mut row).unwrap());
        assert_eq!(row, Row { time: -1, tags: vec![Some("A"), None], values: values.to_vec() });
        assert!(reader.read(&mut row).unwrap());
        assert_eq!(row, Row { time: 1, tags: vec![Some(""), Some("b")], values: vec![None; 9] });
        assert!(!reader.read(&mut row).unwrap());
        assert_eq!(FieldKind::from_number(8), None);
    }

    /// All of a batch, or why not.
    fn read(layout: &Layout, payload: &[u8]) -> Result<usize, Malformed> {
        let (mut reader, mut row, mut rows) = (Reader::new(layout, ROW_BATCH, payload)?, Row::default(), 0);
        while reader.read(&mut row)? {
            rows += 1;
        }
        Ok(rows)
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let layout = layout(1, &[FieldKind::Bool, FieldKind::Utf8]);
        let mut rows = Writer::new(&layout, 1, 0);
        rows.row(0, &[Some("t")], &[Some(Value::Bool(true)), Some(Value::Utf8("text"))]).unwrap();
        let good = rows.finish().payload;
        assert_eq!(read(&layout, &good), Ok(1));
        for length in 0..good.len() {
            assert!(read(&layout, &good[..length]).is_err(), "{length} bytes");
        }
        let change = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            read(&layout, &bytes).unwrap_err().to_string()
        };
        assert!(read(&layout, &[&good[..], &[0]].concat()).unwrap_err().to_string().contains("1 bytes behind its last row"));
        assert!(change(0, 0).contains("numbered from 1"));
        assert!(change(10, 1).contains("reserved bits"));
        assert!(change(12, 2).contains("row 1: it is cut"));
        assert!(change(12, 0).contains("behind its last row"));
        assert!(change(26, 0xff).contains("row 0: a text that is no UTF-8"));
        assert!(change(27, 0x07).contains("fields that are not there"));
        assert!(change(28, 2).contains("neither 0 nor 1"));
        assert!(change(32, 0xff).contains("it is cut"));
        assert_eq!(Reader::new(&layout, ARROW_BATCH, &good).unwrap_err(), Malformed::Kind { kind: ARROW_BATCH });
        assert!(split(7, &good).is_err() && split(ARROW_BATCH, &good).is_ok());
    }

    #[test]
    fn what_does_not_fit_its_table_is_left_out() {
        let layout = layout(1, &[FieldKind::Int64]);
        let mut rows = Writer::new(&layout, 1, 0);
        let empty = rows.bytes();
        assert_eq!(rows.row(0, &[], &[None]), Err(Unfit::Columns { tags: 0, values: 1 }));
        let kind = Unfit::Kind { value: 0, found: FieldKind::Uint64, expected: FieldKind::Int64 };
        assert_eq!(rows.row(0, &[None], &[Some(Value::Uint64(1))]), Err(kind));
        let long = "x".repeat(65_535);
        assert_eq!(rows.row(0, &[Some(&long)], &[None]), Err(Unfit::TooLarge));
        assert_eq!(rows.bytes(), empty);
        rows.row(0, &[Some(&long[1..])], &[None]).unwrap();
        assert_eq!(read(&layout, &rows.finish().payload), Ok(1));
    }
}
