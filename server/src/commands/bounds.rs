//! Flags that several commands share: a span of time and conditions.

use alluvium::{Filter, TimeRange, TimeUnit};
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::failure::{Failure, Outcome};
use crate::parse::{filter, time};

/// A span of time.
#[derive(Debug, Args)]
pub(crate) struct Bounds {
    /// Start, included: 2024-03-31, 2024-03-31T12:00:00Z, an integer since 1970 (s, ms, µs or ns by its size), -1h, now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// End, not included: as --from
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
}

impl Bounds {
    /// Of what is not said on the command line.
    pub(crate) fn new(from: Option<String>, to: Option<String>) -> Self {
        Bounds { from, to }
    }

    /// Both ends in nanoseconds since 1970. Dates and times without an offset are in `zone`.
    pub(crate) fn moments(&self, zone: &TimeZone) -> Outcome<(Option<i128>, Option<i128>)> {
        let now = Timestamp::now();
        let moment =
            |text: &Option<String>| text.as_deref().map(|text| time::moment(text, now, zone)).transpose().map_err(Failure::Usage);
        Ok((moment(&self.from)?, moment(&self.to)?))
    }

    /// The same span, said so that it means the same at any time and anywhere.
    pub(crate) fn absolute(&self) -> Outcome<(Option<String>, Option<String>)> {
        let text =
            |nanos: Option<i128>| nanos.map(|nanos| Timestamp::from_nanosecond(nanos).map(|at| at.to_string())).transpose();
        let (from, to) = self.moments(&TimeZone::UTC)?;
        Ok((text(from).map_err(Failure::usage)?, text(to).map_err(Failure::usage)?))
    }

    /// The span in a table's unit.
    pub(crate) fn range(&self, unit: TimeUnit, zone: &TimeZone) -> Outcome<TimeRange> {
        let (from, to) = self.moments(zone)?;
        let end = |moment: Option<i128>, open| moment.map_or(open, |nanos| time::in_unit(nanos, unit));
        Ok(TimeRange::new(end(from, TimeRange::ALL.start), end(to, TimeRange::ALL.end)))
    }
}

/// Reads conditions.
pub(crate) fn filters(texts: &[String]) -> Outcome<Vec<Filter>> {
    texts.iter().map(|text| filter::filter(text).map_err(Failure::Usage)).collect()
}
