//! Ages, as `90d` or `36h`: days are of 24 hours.

use std::time::Duration;

use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serializer, de, ser};

const DAY: u64 = 86_400;

pub(super) fn serialize<S: Serializer>(age: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match age {
        None => serializer.serialize_none(),
        Some(age) if age.subsec_nanos() == 0 && age.as_secs() % DAY == 0 => {
            serializer.collect_str(&format_args!("{}d", age.as_secs() / DAY))
        }
        Some(age) => {
            let printer = SpanPrinter::new().designator(Designator::Compact).spacing(Spacing::BetweenUnits);
            let age = SignedDuration::try_from(*age).map_err(ser::Error::custom)?;
            serializer.collect_str(&printer.duration_to_string(&age))
        }
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let age = text.parse().and_then(|span: Span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let age = age.map_err(|error| de::Error::custom(format_args!("{text:?} is no age such as \"90d\" or \"36h\": {error}")))?;
    Duration::try_from(age).map(Some).map_err(|_| de::Error::custom(format_args!("{text:?} is an age before 0")))
}
