//! What type a column has, from looking at some of its values.

use alluvium::FieldType;

use super::column::Cell;
use super::number::parse_bool;
use super::time::{EpochUnit, parse_time};

/// The narrowest kind of value that a text can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Bool,
    /// An integer of 64 bits below zero.
    Negative,
    /// An integer from zero to what int64 holds.
    Natural,
    /// An integer that only uint64 holds, or one declared to be of that type.
    Unsigned,
    /// Any other number, NaN or an infinity.
    Float,
    /// Anything else.
    Text,
}

impl Kind {
    /// The kind of a text without quotes.
    pub(crate) fn of_text(text: &str) -> Kind {
        let text = text.trim_ascii();
        let bytes = text.as_bytes();
        let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
        // The common cases without parsing.
        if !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit) {
            return if digits.len() < bytes.len() { Kind::Negative } else { Kind::Natural };
        }
        if let Ok(number) = text.parse::<i64>() {
            return if number < 0 { Kind::Negative } else { Kind::Natural };
        }
        if text.parse::<u64>().is_ok() {
            Kind::Unsigned
        } else if text.parse::<f64>().is_ok() {
            Kind::Float
        } else if text.len() > 1 && parse_bool(text).is_some() {
            Kind::Bool
        } else {
            Kind::Text
        }
    }

    /// The type of a field whose first value this is, when nothing else is known: integers may yet turn out to be floats.
    pub(crate) fn of_first_value(cell: Cell<'_>) -> FieldType {
        match Kind::of_text(cell.text) {
            Kind::Bool if !cell.quoted => FieldType::Bool,
            Kind::Negative | Kind::Natural | Kind::Unsigned | Kind::Float if !cell.quoted => FieldType::Float64,
            _ => FieldType::Utf8,
        }
    }

    /// The narrowest kind that holds both.
    fn join(self, other: Kind) -> Kind {
        use Kind::{Bool, Float, Natural, Negative, Text, Unsigned};
        match (self, other) {
            (a, b) if a == b => a,
            (Text, _) | (_, Text) | (Bool, _) | (_, Bool) => Text,
            (Negative, Natural) | (Natural, Negative) => Negative,
            (Natural, Unsigned) | (Unsigned, Natural) => Unsigned,
            (Float, _) | (_, Float) | (Negative, Unsigned) | (Unsigned, Negative) => Float,
            (a, _) => a,
        }
    }

    /// The field type for values of this kind.
    pub(crate) fn field_type(self) -> FieldType {
        match self {
            Kind::Bool => FieldType::Bool,
            Kind::Negative | Kind::Natural => FieldType::Int64,
            Kind::Unsigned => FieldType::UInt64,
            Kind::Float => FieldType::Float64,
            Kind::Text => FieldType::Utf8,
        }
    }

    /// A type that accepts values of this kind where `kind` does not.
    pub(crate) fn wider_than(self, kind: FieldType) -> Option<FieldType> {
        let wider = match (self, kind) {
            (Kind::Text | Kind::Bool, _) | (_, FieldType::Bool) => FieldType::Utf8,
            _ => FieldType::Float64,
        };
        (wider != kind).then_some(wider)
    }
}

/// What has been seen of one column.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Guess {
    kind: Option<Kind>,
    times: u64,
    not_times: u64,
    below_micros: bool,
}

/// Values that are no times after which no more are tried.
const TRIES: u64 = 16;

impl Guess {
    /// Takes one value into account. Text in quotes may be a time, but is never a number.
    pub(crate) fn observe(&mut self, cell: Cell<'_>, unit: Option<EpochUnit>) {
        if cell.text.is_empty() && !cell.quoted {
            return;
        }
        self.observe_kind(if cell.quoted { Kind::Text } else { Kind::of_text(cell.text) });
        if self.times > 0 || self.not_times < TRIES {
            match parse_time(cell.text, unit) {
                Ok(moment) => {
                    self.times += 1;
                    self.below_micros |= moment.is_below_micros();
                }
                Err(_) => self.not_times += 1,
            }
        }
    }

    /// Takes a value of known kind into account.
    pub(crate) fn observe_kind(&mut self, kind: Kind) {
        self.kind = Some(self.kind.map_or(kind, |before| before.join(kind)));
    }

    /// The type of the field; `None` if no value was seen.
    pub(crate) fn field_type(&self) -> Option<FieldType> {
        self.kind.map(Kind::field_type)
    }

    /// Whether every value seen is a time as text.
    pub(crate) fn is_time_text(&self) -> bool {
        self.times > 0 && self.not_times == 0 && self.kind == Some(Kind::Text)
    }

    /// Whether most values are times and some of them need more than microseconds.
    pub(crate) fn is_below_micros(&self) -> bool {
        self.times > self.not_times && self.below_micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(texts: &[&str]) -> Option<FieldType> {
        let mut guess = Guess::default();
        for text in texts {
            guess.observe(Cell { text, quoted: false }, None);
        }
        guess.field_type()
    }

    #[test]
    fn the_narrowest_type_that_holds_all() {
        assert_eq!(guess(&[]), None);
        assert_eq!(guess(&["", ""]), None);
        assert_eq!(guess(&["1", "", "-2"]), Some(FieldType::Int64));
        assert_eq!(guess(&["1", "2.5"]), Some(FieldType::Float64));
        assert_eq!(guess(&["1e3"]), Some(FieldType::Float64));
        assert_eq!(guess(&["NaN", "-inf", "7"]), Some(FieldType::Float64));
        assert_eq!(guess(&["9223372036854775807", "0"]), Some(FieldType::Int64));
        assert_eq!(guess(&["9223372036854775808", "0"]), Some(FieldType::UInt64));
        assert_eq!(guess(&["9223372036854775808", "-1"]), Some(FieldType::Float64));
        assert_eq!(guess(&["18446744073709551616"]), Some(FieldType::Float64));
        assert_eq!(guess(&["true", "False"]), Some(FieldType::Bool));
        assert_eq!(guess(&["true", "1"]), Some(FieldType::Utf8));
        assert_eq!(guess(&["1", "NA"]), Some(FieldType::Utf8));
        assert_eq!(guess(&["t"]), Some(FieldType::Utf8));
        assert_eq!(guess(&["2024-01-01"]), Some(FieldType::Utf8));
    }

    #[test]
    fn quotes_mean_text() {
        let mut guess = Guess::default();
        guess.observe(Cell { text: "5", quoted: true }, None);
        assert_eq!(guess.field_type(), Some(FieldType::Utf8));
    }

    #[test]
    fn times_are_recognised() {
        let mut guess = Guess::default();
        guess.observe(Cell { text: "2024-01-01 00:00:00.123456", quoted: false }, None);
        assert!(guess.is_time_text() && !guess.is_below_micros());
        guess.observe(Cell { text: "2024-01-01 00:00:00.123456789", quoted: false }, None);
        assert!(guess.is_below_micros());
        guess.observe(Cell { text: "never", quoted: false }, None);
        assert!(!guess.is_time_text() && guess.is_below_micros(), "one bad row does not make the others coarser");
    }
}
