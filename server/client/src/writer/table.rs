//! Tables, as writers describe them.

use std::collections::HashSet;
use std::sync::Arc;

use alluvium_protocol::frame::MESSAGE_BYTES;
use alluvium_protocol::message::{DescribeTable, Field, Message};
use alluvium_protocol::rows::{FieldKind, Layout, Writer};

use crate::{Error, Result};

/// What every table has beside its tags and fields.
const TIME: &str = "time";
/// Digits behind the point of a decimal, at most.
const SCALE: u8 = 18;

/// What a table consists of.
///
/// ```
/// use alluvium_client::rows::FieldKind;
/// use alluvium_client::{TableSpec, TimeUnit};
///
/// let air = TableSpec::new("air")
///     .tag("room")
///     .field("kw", FieldKind::Float64)
///     .decimal("price", 2)
///     .time_unit(TimeUnit::Milliseconds)
///     .create(true);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpec(DescribeTable);

/// The unit of a table's times, since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// 10⁻⁶ s.
    Microseconds,
    /// 10⁻³ s.
    Milliseconds,
    /// 10⁻⁹ s.
    Nanoseconds,
}

impl TableSpec {
    /// A table of a name, without columns as yet, with times in microseconds, which has to be there.
    pub fn new(table: impl Into<String>) -> Self {
        let (tags, fields) = Default::default();
        TableSpec(DescribeTable { slot: 0, table: table.into(), tags, fields, time_unit: 0, create: false })
    }

    /// With one more tag.
    #[must_use]
    pub fn tag(mut self, name: impl Into<String>) -> Self {
        self.0.tags.push(name.into());
        self
    }

    /// With one more field. Decimals are as whole numbers here; [`decimal`](TableSpec::decimal) gives them digits behind the point.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, kind: FieldKind) -> Self {
        self.0.fields.push(Field { name: name.into(), kind: number(kind), scale: 0 });
        self
    }

    /// With one more field, of decimals with so many digits behind the point: 18 at most.
    #[must_use]
    pub fn decimal(mut self, name: impl Into<String>, scale: u8) -> Self {
        self.0.fields.push(Field { name: name.into(), kind: number(FieldKind::Decimal), scale });
        self
    }

    /// With times in this unit.
    #[must_use]
    pub fn time_unit(mut self, unit: TimeUnit) -> Self {
        self.0.time_unit = match unit {
            TimeUnit::Microseconds => 0,
            TimeUnit::Milliseconds => 1,
            TimeUnit::Nanoseconds => 2,
        };
        self
    }

    /// Whether the server is to make what is missing of it.
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.0.create = create;
        self
    }

    /// As it is told to the server. What no server takes is refused here, since it would hold up all that is behind it.
    pub(super) fn describe(self, slot: u16) -> Result<DescribeTable> {
        let described = DescribeTable { slot, ..self.0 };
        let wrong = |detail: String| Error::Table { table: described.table.clone(), detail };
        let columns = described.tags.iter().chain(described.fields.iter().map(|field| &field.name));
        let mut names = HashSet::from([TIME]);
        for name in columns {
            if name.is_empty() || !names.insert(name) {
                return Err(wrong(format!("column {name:?} is there twice, or has no name (every table has a column \"time\")")));
            }
        }
        if described.table.is_empty() || described.fields.iter().any(|field| field.scale > SCALE) {
            return Err(wrong(format!("it has no name, or a decimal of more than {SCALE} digits behind the point")));
        }
        let bytes = described.frame().map_err(|error| wrong(error.to_string()))?.payload.len();
        if bytes > MESSAGE_BYTES {
            return Err(wrong(format!("its description takes {bytes} bytes, the limit is {MESSAGE_BYTES}")));
        }
        Ok(described)
    }
}

/// Its number in a description.
fn number(kind: FieldKind) -> u8 {
    match kind {
        FieldKind::Float64 => 0,
        FieldKind::Float32 => 1,
        FieldKind::Int64 => 2,
        FieldKind::Uint64 => 3,
        FieldKind::Bool => 4,
        FieldKind::Utf8 => 5,
        FieldKind::Binary => 6,
        FieldKind::Decimal => 7,
    }
}

/// A table that a writer described. Clones are the same.
#[derive(Debug, Clone)]
pub struct Table {
    pub(super) described: Arc<DescribeTable>,
    pub(super) layout: Arc<Layout>,
}

impl Table {
    pub(super) fn new(described: Arc<DescribeTable>) -> Result<Table> {
        let layout = Layout::of(&described);
        let wrong = || Error::Table { table: described.table.clone(), detail: "a field is of no type that is known".to_owned() };
        Ok(Table { layout: Arc::new(layout.ok_or_else(wrong)?), described })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.described.table
    }

    /// Writes rows of it, for [`Writer::append`](crate::Writer::append), which gives the batch its number.
    pub fn rows(&self) -> Writer<'_> {
        Writer::new(&self.layout, 1, self.described.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_protocol() {
        for at in 0..8 {
            assert_eq!(FieldKind::from_number(at).map(number), Some(at));
        }
    }

    #[test]
    fn what_no_server_takes_is_refused() {
        let twice = TableSpec::new("t").tag("a").field("a", FieldKind::Bool);
        let time = TableSpec::new("t").tag("time");
        let scale = TableSpec::new("t").decimal("d", 19);
        let long = TableSpec::new("t").tag("x".repeat(70_000));
        for spec in [twice, time, scale, long, TableSpec::new("")] {
            assert!(matches!(spec.describe(0), Err(Error::Table { .. })));
        }
        let good = TableSpec::new("t").tag("a").decimal("d", 18).describe(3).unwrap();
        assert_eq!((good.slot, good.fields[0].kind, good.fields[0].scale), (3, 7, 18));
    }
}
