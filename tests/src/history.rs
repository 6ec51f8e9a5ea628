//! What several threads did and saw, and whether there is an order of events that explains it.
//!
//! Every record has a place in the log, so that the order is given: a table is, at any moment, what the records up to some
//! place make of it. An answer, or what a power cut left, is right if it equals the table at one place, no earlier than the
//! last record acknowledged before, and no later than the last one begun until then.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tags or fields by name; missing ones are absent, so that columns added later change nothing.
pub type Named<T> = BTreeMap<String, T>;

/// The tag values of a series.
pub type Series = Named<String>;

/// One row as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Tag values.
    pub series: Series,
    /// Time in the table's unit.
    pub time: i64,
    /// Field values.
    pub fields: Named<i64>,
}

/// All rows of a table.
pub type Rows = BTreeMap<(Series, i64), Named<i64>>;

/// Count, sum, least and greatest of a field.
pub type Total = (i64, i64, i64, i64);

/// Moments in the order in which they passed, for all threads.
#[derive(Debug, Default)]
pub struct Ticks(AtomicU64);

impl Ticks {
    /// Now; later than every moment answered before.
    pub fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// From before a call to after it.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// A moment before it began.
    pub began: u64,
    /// A moment after it had ended.
    pub ended: u64,
}

/// Makes a call and notes when.
pub fn timed<T>(ticks: &Ticks, call: impl FnOnce() -> T) -> (Span, T) {
    let began = ticks.now();
    let outcome = call();
    (Span { began, ended: ticks.now() }, outcome)
}

/// What a record does to the rows.
#[derive(Debug, Clone)]
pub enum Change {
    /// Writes rows: of the same series and time, later values win, field by field.
    Put(Vec<Row>),
    /// Deletes the rows of a span of time, the end excluded, of all series or of one device.
    Delete {
        /// The tag `device`, or all.
        device: Option<String>,
        /// First time.
        start: i64,
        /// First time that stays.
        end: i64,
    },
}

/// A record that was acknowledged.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub span: Span,
    /// Its place in the log.
    pub sequence: u64,
    /// What it does.
    pub change: Change,
}

/// What somebody was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All rows.
    Rows(Rows),
    /// By series, the latest time and the latest value of each field.
    Last(BTreeMap<Series, (i64, Named<i64>)>),
    /// By device, the totals of one field.
    Totals {
        /// The field.
        field: String,
        /// Devices without a value may be absent.
        by_device: Named<Total>,
    },
}

/// A question and its answer.
#[derive(Debug, Clone)]
pub struct Observation {
    /// When.
    pub span: Span,
    /// What came back.
    pub answer: Answer,
}

/// What one thread saw, in its order.
pub type Observations = Vec<Observation>;

/// Everything that happened.
#[derive(Debug, Default)]
pub struct History {
    /// In any order.
    pub events: Vec<Event>,
    /// By reader.
    pub readers: Vec<Observations>,
    /// Rows found after power cuts: each holds what was acknowledged, or seen by anyone, before the cut.
    pub cuts: Vec<(Span, Rows)>,
}

impl Change {
    fn apply(&self, rows: &mut Rows) {
        match self {
            Change::Put(new) => {
                for row in new {
                    rows.entry((row.series.clone(), row.time)).or_default().extend(row.fields.clone());
                }
            }
            Change::Delete { device, start, end } => rows.retain(|(series, time), _| {
                let selected = device.is_none() || series.get("device") == device.as_ref();
                !(selected && (*start..*end).contains(time))
            }),
        }
    }
}

impl Answer {
    /// Whether this is what a table of these rows answers.
    fn is_of(&self, rows: &Rows) -> bool {
        match self {
            Answer::Rows(answered) => answered == rows,
            Answer::Last(answered) => {
                let mut last: BTreeMap<&Series, (i64, Named<i64>)> = BTreeMap::new();
                for ((series, time), fields) in rows {
                    let (latest, values) = last.entry(series).or_default();
                    *latest = *time;
                    values.extend(fields.clone());
                }
                answered.len() == last.len()
                    && answered.iter().zip(last).all(|((a, answer), (b, last))| a == b && *answer == last)
            }
            Answer::Totals { field, by_device } => {
                let mut totals: Named<Total> = BTreeMap::new();
                for ((series, _), fields) in rows {
                    let (Some(device), Some(&value)) = (series.get("device"), fields.get(field)) else { continue };
                    let (count, sum, least, greatest) = totals.entry(device.clone()).or_insert((0, 0, i64::MAX, i64::MIN));
                    (*count, *sum) = (*count + 1, *sum + value);
                    (*least, *greatest) = (value.min(*least), value.max(*greatest));
                }
                totals == *by_device
            }
        }
    }
}

/// An answer for which a place in the order of events is sought.
struct Sought<'a> {
    who: String,
    answer: &'a Answer,
    /// Places, as numbers of events that have taken effect.
    from: usize,
    to: usize,
}

impl History {
    /// Panics unless there is an order of events that explains everything.
    pub fn check(mut self) {
        self.events.sort_by_key(|event| event.sequence);
        self.check_order();
        let mut seen = Vec::new();
        for (reader, observations) in self.readers.iter().enumerate() {
            let sought = observations.iter().enumerate().map(|(n, Observation { span, answer })| {
                let (from, to) = self.places(*span);
                Sought { who: format!("answer {n} of reader {reader}, {span:?}"), answer, from, to }
            });
            let places = self.explain(sought.collect());
            seen.extend(observations.iter().map(|observation| observation.span.ended).zip(places));
        }
        for (span, rows) in &self.cuts {
            let (from, to) = self.places(*span);
            let seen_before = seen.iter().filter(|(ended, _)| *ended < span.began).map(|(_, place)| *place).max();
            let answer = &Answer::Rows(rows.clone());
            let from = from.max(seen_before.unwrap_or(0));
            self.explain(vec![Sought { who: format!("what the power cut of {span:?} left"), answer, from, to }]);
        }
    }

    /// Places in the log are given once, and in the order of time.
    fn check_order(&self) {
        let twice = self.events.windows(2).find(|pair| pair[0].sequence == pair[1].sequence);
        assert!(twice.is_none(), "a sequence was given twice: {twice:?}");
        let mut first_ended_later = u64::MAX;
        for event in self.events.iter().rev() {
            assert!(event.span.began < first_ended_later, "{event:?} began after one with a higher sequence had ended");
            first_ended_later = first_ended_later.min(event.span.ended);
        }
    }

    /// The events that must have taken effect for whoever looked in this span, and those that may have.
    fn places(&self, span: Span) -> (usize, usize) {
        let after = |test: &dyn Fn(&Event) -> bool| self.events.iter().rposition(test).map_or(0, |at| at + 1);
        (after(&|event| event.span.ended < span.began), after(&|event| event.span.began < span.ended))
    }

    /// Finds for each answer the first place that explains it and is not before that of the one before.
    fn explain(&self, sought: Vec<Sought<'_>>) -> Vec<usize> {
        let mut rows = Rows::new();
        let mut places = Vec::new();
        let mut sought = sought.into_iter().peekable();
        for place in 0..=self.events.len() {
            if let Some(event) = place.checked_sub(1).map(|at| &self.events[at]) {
                event.change.apply(&mut rows);
            }
            while sought.next_if(|one| one.from <= place && one.answer.is_of(&rows)).is_some() {
                places.push(place);
            }
            if let Some(one) = sought.peek()
                && place >= one.to
            {
                panic!("{}: no place from {} to {} explains it\n{}", one.who, one.from, one.to, difference(one.answer, &rows));
            }
        }
        assert!(sought.next().is_none(), "every answer has a place");
        places
    }
}

/// How an answer differs from the rows at the last place that could explain it.
fn difference(answer: &Answer, rows: &Rows) -> String {
    let Answer::Rows(answered) = answer else { return format!("{answer:?}\nof {rows:?}") };
    let some = |title: &str, found: Vec<String>| format!("{title}: {} rows, {:#?}\n", found.len(), &found[..found.len().min(5)]);
    let not_in = |one: &Rows, other: &Rows| -> Vec<String> {
        one.iter().filter(|(key, fields)| other.get(*key) != Some(fields)).map(|row| format!("{row:?}")).collect()
    };
    some("answered otherwise than it is at last", not_in(answered, rows)) + &some("and there", not_in(rows, answered))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(device: &str, time: i64, field: &str, value: i64) -> Row {
        let series = BTreeMap::from([("device".to_owned(), device.to_owned())]);
        Row { series, time, fields: BTreeMap::from([(field.to_owned(), value)]) }
    }

    fn event(sequence: u64, began: u64, ended: u64, change: Change) -> Event {
        Event { span: Span { began, ended }, sequence, change }
    }

    fn rows(of: &[Row]) -> Rows {
        let mut rows = Rows::new();
        Change::Put(of.to_vec()).apply(&mut rows);
        rows
    }

    fn saw(began: u64, ended: u64, of: &[Row]) -> Observation {
        Observation { span: Span { began, ended }, answer: Answer::Rows(rows(of)) }
    }

    /// Two batches of two rows each, then a deletion of the first.
    fn events() -> Vec<Event> {
        let delete = Change::Delete { device: Some("a".to_owned()), start: 0, end: 10 };
        vec![event(1, 0, 10, Change::Put(first())), event(2, 5, 20, Change::Put(second())), event(3, 30, 40, delete)]
    }

    fn first() -> Vec<Row> {
        vec![row("a", 1, "x", 1), row("s", 0, "x", 1)]
    }

    fn second() -> Vec<Row> {
        vec![row("b", 1, "x", 2), row("s", 0, "x", 2)]
    }

    fn after_deletion() -> Vec<Row> {
        second()
    }

    fn both() -> Vec<Row> {
        [first(), second()].concat()
    }

    fn is_explained(readers: Vec<Observations>, cuts: Vec<(Span, Rows)>) -> bool {
        let history = History { events: events(), readers, cuts };
        std::panic::catch_unwind(|| history.check()).is_ok()
    }

    #[test]
    fn what_can_be_explained_passes() {
        assert!(is_explained(vec![vec![saw(6, 7, &[]), saw(8, 21, &first()), saw(22, 35, &both())]], vec![]));
        assert!(is_explained(vec![vec![saw(41, 42, &after_deletion())]], vec![(Span { began: 6, ended: 7 }, rows(&first()))]));
    }

    #[test]
    fn every_kind_of_lie_is_found() {
        for lie in [
            vec![saw(11, 12, &[])],
            vec![saw(1, 2, &second())],
            vec![saw(6, 21, &second()[..1])],
            vec![saw(6, 21, &first()[..1])],
            vec![saw(6, 9, &both()), saw(8, 10, &first())],
            vec![saw(25, 26, &[second()[0].clone(), first()[0].clone(), first()[1].clone()])],
            vec![saw(25, 26, &after_deletion())],
            vec![saw(41, 45, &both())],
        ] {
            assert!(!is_explained(vec![lie.clone()], vec![]), "{lie:?}");
        }
        let cut = |began, ended, of: &[Row]| vec![(Span { began, ended }, rows(of))];
        assert!(!is_explained(vec![], cut(11, 12, &[])), "what was acknowledged is gone");
        assert!(!is_explained(vec![vec![saw(6, 7, &first())]], cut(8, 9, &[])), "what was seen is gone");
        assert!(is_explained(vec![], cut(8, 9, &[])));
        let mut swapped = events();
        swapped[2].sequence = 0;
        assert!(std::panic::catch_unwind(|| History { events: swapped, ..History::default() }.check()).is_err());
    }

    #[test]
    fn last_values_and_totals_are_those_of_the_rows() {
        let rows = rows(&[row("a", 1, "x", 1), row("a", 2, "x", 5), row("a", 3, "y", 7)]);
        let series = row("a", 1, "x", 1).series;
        let fields = BTreeMap::from([("x".to_owned(), 5), ("y".to_owned(), 7)]);
        assert!(Answer::Last(BTreeMap::from([(series.clone(), (3, fields.clone()))])).is_of(&rows));
        assert!(!Answer::Last(BTreeMap::from([(series, (2, fields))])).is_of(&rows));
        let totals = |total| Answer::Totals { field: "x".to_owned(), by_device: BTreeMap::from([("a".to_owned(), total)]) };
        assert!(totals((2, 6, 1, 5)).is_of(&rows));
        assert!(!totals((1, 5, 5, 5)).is_of(&rows));
    }
}
