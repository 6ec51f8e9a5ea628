//! Moments and lengths of time as Python says them.
//!
//! A moment is exact: no local time is taken for UTC, and nothing is rounded that a table could not keep.

use std::time::Duration;

use alluvium::{TimeUnit, words};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString, PyType};

use crate::error::{Fault, Outcome};

const SECOND: i128 = 1_000_000_000;

/// A moment as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// As its table counts.
    Counted(i64),
    /// Nanoseconds since 1970 UTC.
    Nanos(i128),
}

/// Why something is no moment.
pub(crate) type Refusal = String;

impl Moment {
    /// In a table's unit.
    pub(crate) fn exact(self, unit: TimeUnit) -> Result<i64, Refusal> {
        match self {
            Moment::Counted(count) => Ok(count),
            Moment::Nanos(nanos) => {
                let step = nanos_of(unit);
                let count = i64::try_from(nanos.div_euclid(step)).map_err(|_| "is beyond what the table can count".to_owned())?;
                if nanos % step == 0 { Ok(count) } else { Err("is finer than the table's unit of time".to_owned()) }
            }
        }
    }

    /// The first moment in a table's unit that is not before it: where a half-open span begins or ends.
    pub(crate) fn bound(self, unit: TimeUnit) -> i64 {
        match self {
            Moment::Counted(count) => count,
            Moment::Nanos(nanos) => {
                let step = nanos_of(unit);
                let count = nanos.div_euclid(step) + i128::from(nanos % step != 0);
                i64::try_from(count).unwrap_or(if count < 0 { i64::MIN } else { i64::MAX })
            }
        }
    }
}

fn nanos_of(unit: TimeUnit) -> i128 {
    SECOND / i128::from(unit.per_second())
}

/// Reads moments one after the other.
pub(crate) struct Clock<'py> {
    datetime: Bound<'py, PyType>,
    epoch: Bound<'py, PyAny>,
    /// Where times without a zone are from.
    zone: Option<TimeZone>,
}

impl<'py> Clock<'py> {
    pub(crate) fn new(py: Python<'py>, zone: Option<&str>) -> Outcome<Self> {
        let datetime = py.import("datetime")?.getattr("datetime")?.cast_into::<PyType>().map_err(PyErr::from)?;
        let zone = zone.map(words::zone).transpose()?;
        Ok(Clock { datetime, epoch: epoch(py)?, zone })
    }

    pub(crate) fn py(&self) -> Python<'py> {
        self.epoch.py()
    }

    /// What an object says; none where that is no time at all: None, NaT.
    pub(crate) fn moment(&self, value: &Bound<'py, PyAny>) -> PyResult<Result<Option<Moment>, Refusal>> {
        if value.is_none() {
            return Ok(Ok(None));
        }
        if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
            return Ok(value.extract().map(|count| Some(Moment::Counted(count))).map_err(|_| "is beyond 64 bits".to_owned()));
        }
        if let Ok(text) = value.cast::<PyString>() {
            return Ok(self.text(&text.to_cow()?));
        }
        if value.is_instance(&self.datetime)? {
            return self.datetime(value);
        }
        match value.getattr_opt("dtype")? {
            Some(kind) => self.numpy(value, &kind),
            None => {
                Ok(Err(format!("{} is no time: use an aware datetime, text with an offset, or a whole number", value.repr()?)))
            }
        }
    }

    fn text(&self, text: &str) -> Result<Option<Moment>, Refusal> {
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Ok(Some(Moment::Nanos(moment.as_nanosecond())));
        }
        match (text.parse::<DateTime>(), &self.zone) {
            (Ok(local), Some(zone)) => resolve(local, zone).map(Some),
            (Ok(_), None) => {
                Err(format!("{text:?} does not say in which time zone: end it with Z or an offset such as +02:00, or pass tz"))
            }
            (Err(_), _) => Err(format!("{text:?} is no time: write it like 2024-05-01T12:00:00Z")),
        }
    }

    fn datetime(&self, value: &Bound<'py, PyAny>) -> PyResult<Result<Option<Moment>, Refusal>> {
        // Of all times only NaT is unlike itself.
        if value.ne(value)? {
            return Ok(Ok(None));
        }
        let finer: i128 = value.getattr_opt("nanosecond")?.map_or(Ok(0), |nanos| nanos.extract())?;
        if value.call_method0("utcoffset")?.is_none() {
            let Some(zone) = &self.zone else {
                return Ok(Err(format!(
                    "{} does not say in which time zone: pass tz, or make it aware, as with datetime.timezone.utc",
                    value.repr()?
                )));
            };
            let local = civil(value, i32::try_from(finer).unwrap_or(0))?;
            return Ok(local.and_then(|local| resolve(local, zone)).map(Some));
        }
        let since = value.call_method1("__sub__", (&self.epoch,))?;
        let part = |name: &str| since.getattr(name)?.extract::<i128>();
        let micros = (part("days")? * 86_400 + part("seconds")?) * 1_000_000 + part("microseconds")?;
        Ok(Ok(Some(Moment::Nanos(micros * 1_000 + finer))))
    }

    fn numpy(&self, value: &Bound<'py, PyAny>, kind: &Bound<'py, PyAny>) -> PyResult<Result<Option<Moment>, Refusal>> {
        match kind.getattr("kind")?.extract::<String>()?.as_str() {
            "M" => {
                let (scale, value) = match numpy_scale(kind)? {
                    Some(scale) => (scale, value.clone()),
                    None => (86_400 * SECOND, value.call_method1("astype", ("datetime64[D]",))?),
                };
                let count: i64 = value.call_method1("astype", ("int64",))?.extract()?;
                Ok(self.numpy_moment(count, scale))
            }
            "i" | "u" => {
                Ok(value.extract().map(|count| Some(Moment::Counted(count))).map_err(|_| "is beyond 64 bits".to_owned()))
            }
            _ => Ok(Err(format!("{} is no time", value.repr()?))),
        }
    }

    /// A count of NumPy, whose times are UTC unless a zone is said.
    pub(crate) fn numpy_moment(&self, count: i64, scale: i128) -> Result<Option<Moment>, Refusal> {
        const NAT: i64 = i64::MIN;
        match (count, &self.zone) {
            (NAT, _) => Ok(None),
            (count, None) => Ok(Some(Moment::Nanos(i128::from(count) * scale))),
            (count, Some(zone)) => local_nanos(i128::from(count) * scale, zone).map(|nanos| Some(Moment::Nanos(nanos))),
        }
    }
}

/// Nanoseconds in a unit of NumPy's times; none for months and years, and for NaT of no unit.
pub(crate) fn numpy_scale(kind: &Bound<'_, PyAny>) -> PyResult<Option<i128>> {
    let (unit, count): (String, i128) = kind.py().import("numpy")?.call_method1("datetime_data", (kind,))?.extract()?;
    let nanos = match unit.as_str() {
        "W" => 7 * 86_400 * SECOND,
        "D" => 86_400 * SECOND,
        "h" => 3_600 * SECOND,
        "m" => 60 * SECOND,
        "s" => SECOND,
        "ms" => 1_000_000,
        "us" => 1_000,
        "ns" => 1,
        "Y" | "M" | "generic" => return Ok(None),
        other => {
            return Err(pyo3::exceptions::PyValueError::new_err(format!("times in {other} are finer than any table keeps them")));
        }
    };
    Ok(Some(nanos * count))
}

/// What the clock on the wall showed, as nanoseconds since 1970 there, in nanoseconds since 1970 UTC.
pub(crate) fn local_nanos(wall: i128, zone: &TimeZone) -> Result<i128, Refusal> {
    let beyond = || "is beyond the years -9999 to 9999".to_owned();
    let since = SignedDuration::try_from_nanos_i128(wall).ok_or_else(beyond)?;
    let local = DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(since).map_err(|_| beyond())?;
    match resolve(local, zone)? {
        Moment::Nanos(nanos) => Ok(nanos),
        Moment::Counted(_) => Err(beyond()),
    }
}

fn resolve(local: DateTime, zone: &TimeZone) -> Result<Moment, Refusal> {
    let moment = zone.to_ambiguous_timestamp(local).unambiguous();
    let name = zone.iana_name().unwrap_or("that time zone");
    moment.map(|moment| Moment::Nanos(moment.as_nanosecond())).map_err(|_| {
        format!("{local} is twice or not at all in {name}, where the clock is put back or forward: say it with an offset")
    })
}

fn civil(value: &Bound<'_, PyAny>, finer: i32) -> PyResult<Result<DateTime, Refusal>> {
    let part = |name: &str| value.getattr(name)?.extract::<i32>();
    let small = |name: &str| part(name).map(|part| i8::try_from(part).unwrap_or(0));
    let year = i16::try_from(part("year")?).unwrap_or(0);
    let nanos = part("microsecond")? * 1_000 + finer;
    let local = DateTime::new(year, small("month")?, small("day")?, small("hour")?, small("minute")?, small("second")?, nanos);
    Ok(local.map_err(|error| error.to_string()))
}

fn epoch(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static EPOCH: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let epoch = EPOCH.get_or_try_init(py, || {
        let module = py.import("datetime")?;
        let utc = module.getattr("timezone")?.getattr("utc")?;
        module.getattr("datetime")?.call1((1970, 1, 1, 0, 0, 0, 0, utc)).map(Bound::unbind)
    })?;
    Ok(epoch.bind(py).clone())
}

/// A moment as a `datetime` in UTC.
pub(crate) fn instant(py: Python<'_>, micros: i128) -> PyResult<Bound<'_, PyAny>> {
    epoch(py)?.call_method1("__add__", (length(py, micros)?,))
}

/// A length of time as a `timedelta`.
pub(crate) fn length(py: Python<'_>, micros: i128) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "datetime", "timedelta")?.call1((0, 0, micros))
}

/// A length of time: seconds, a `timedelta`, or text such as `90s` or `1h30m`.
pub(crate) fn duration(value: &Bound<'_, PyAny>) -> Outcome<Duration> {
    let refuse =
        || Fault::invalid(format_args!("{value} is no length of time: use seconds, a timedelta, or text such as 90s or 1h30m"));
    if let Ok(text) = value.cast::<PyString>() {
        let parsed = words::duration(&text.to_cow()?)?;
        let nanos = (parsed.months == 0).then_some(parsed.nanos).and_then(|nanos| u64::try_from(nanos).ok());
        return nanos.map(Duration::from_nanos).ok_or_else(refuse);
    }
    if let Some(days) = value.getattr_opt("days")? {
        let part = |name: &str| value.getattr(name)?.extract::<i64>();
        let seconds = i128::from(days.extract::<i64>()?) * 86_400 + i128::from(part("seconds")?);
        let micros = seconds * 1_000_000 + i128::from(part("microseconds")?);
        return u64::try_from(micros).map(Duration::from_micros).map_err(|_| refuse());
    }
    if value.is_instance_of::<PyBool>() || !(value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>()) {
        return Err(refuse());
    }
    Duration::try_from_secs_f64(value.extract()?).map_err(|_| refuse())
}

/// The same where it may be left out.
pub(crate) fn optional(value: Option<&Bound<'_, PyAny>>) -> Outcome<Option<Duration>> {
    value.map(duration).transpose()
}
