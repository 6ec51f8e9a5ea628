//! What the commands on metadata share.

use std::io::{self, Read, Write};
use std::time::Duration;

use alluvium::IfRevision;

use crate::failure::{Failure, Outcome};
use crate::parse;

/// Prints a line.
pub(crate) fn say(words: &str) -> Outcome {
    let mut out = io::stdout().lock();
    writeln!(out, "{words}")?;
    Ok(out.flush()?)
}

/// Everything on standard input.
pub(crate) fn standard_input() -> Outcome<Vec<u8>> {
    let mut value = Vec::new();
    io::stdin().lock().read_to_end(&mut value).map_err(|error| Failure::io("read", "standard input", &error))?;
    Ok(value)
}

/// What has to be true of what is written.
pub(crate) fn condition(if_absent: bool, if_revision: Option<u64>) -> IfRevision {
    match if_revision {
        _ if if_absent => IfRevision::Absent,
        Some(revision) => IfRevision::Is(revision),
        None => IfRevision::Any,
    }
}

/// A length of time, as in `90s`.
pub(crate) fn length_of_time(text: &str) -> Result<Duration, String> {
    let parsed = parse::duration::duration(text)?;
    if parsed.months != 0 {
        return Err("months differ in length: write days".to_owned());
    }
    let micros = u64::try_from(parsed.nanos / 1_000).map_err(|_| "it has to be a positive time".to_owned())?;
    Ok(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_exact() {
        assert_eq!(length_of_time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(length_of_time("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert!(length_of_time("1mo").is_err() && length_of_time("soon").is_err());
    }
}
