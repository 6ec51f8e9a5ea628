//! The questions asked of every store, and the plain answers to them computed from the generator's rows.

use anyhow::{Result, bail};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::generate::{DEVICES, FIELDS, Rows, START};

/// One of the seven kinds of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QuestionKind {
    /// One device, one field, 60 s of rows: time, device, value.
    Q1,
    /// One device, all fields, 1 h of rows: time, device, values.
    Q2,
    /// One device, one field, all time: minute, mean, min, max.
    Q3,
    /// All devices, one field, all time: start of five minutes, mean.
    Q4,
    /// The newest row of every device, by device: time, device, values.
    Q5,
    /// One field, everything: count, sum.
    Q6,
    /// One field, wherever it is at least a threshold: count, sum.
    #[serde(rename = "q6_filtered")]
    Q6Filtered,
}

impl QuestionKind {
    /// Every kind.
    pub(crate) const ALL: [QuestionKind; 7] = [
        QuestionKind::Q1,
        QuestionKind::Q2,
        QuestionKind::Q3,
        QuestionKind::Q4,
        QuestionKind::Q5,
        QuestionKind::Q6,
        QuestionKind::Q6Filtered,
    ];
    /// Microseconds.
    pub(crate) const MINUTE: i64 = 60_000_000;
    /// Microseconds.
    pub(crate) const FIVE_MINUTES: i64 = 300_000_000;

    /// Its name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            QuestionKind::Q1 => "q1",
            QuestionKind::Q2 => "q2",
            QuestionKind::Q3 => "q3",
            QuestionKind::Q4 => "q4",
            QuestionKind::Q5 => "q5",
            QuestionKind::Q6 => "q6",
            QuestionKind::Q6Filtered => "q6_filtered",
        }
    }

    /// What it asks, for people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            QuestionKind::Q1 => "Q1 one device, one field, 60 s of rows",
            QuestionKind::Q2 => "Q2 one device, all fields, 1 h of rows",
            QuestionKind::Q3 => "Q3 one device, one field: mean, min, max per minute",
            QuestionKind::Q4 => "Q4 all devices, one field: mean per 5 minutes",
            QuestionKind::Q5 => "Q5 last values of every device",
            QuestionKind::Q6 => "Q6 count and sum of one field",
            QuestionKind::Q6Filtered => "Q6 where the field is at least x",
        }
    }
}

/// A question with everything drawn.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// What is asked.
    pub(crate) kind: QuestionKind,
    /// Of which device, where it is about one.
    pub(crate) device: u32,
    /// Of which field, where it is about one.
    pub(crate) field: usize,
    /// First moment, in microseconds, where it is about a range.
    pub(crate) start: i64,
    /// First moment after.
    pub(crate) end: i64,
    /// What the field is compared with, where it is.
    pub(crate) threshold: f64,
}

impl Question {
    /// Draws device, field, range and threshold. Ranges end after second `after`: 0 allows all of time, the first unsealed
    /// second makes every range reach unsealed rows.
    pub(crate) fn draw(kind: QuestionKind, random: &mut impl Rng, rows: &Rows, after: usize) -> Self {
        let seconds = rows.len() / DEVICES;
        let length = if kind == QuestionKind::Q1 { 60 } else { 3_600 }.min(seconds);
        let end = random.random_range(length.max(after + 1).min(seconds)..=seconds);
        let field = random.random_range(0..FIELDS);
        let moment = |second: usize| START + second as i64 * 1_000_000;
        Question {
            kind,
            device: random.random_range(0..DEVICES as u32),
            field,
            start: moment(end - length),
            end: moment(end),
            threshold: rows.value(field, random.random_range(0..rows.len())),
        }
    }

    /// Checks an answer, given as numbers row by row.
    pub(crate) fn check(&self, found: &[f64], rows: &Rows) -> Result<()> {
        let expected = self.expected(rows);
        if found.len() != expected.numbers.len() {
            bail!("{self:?} was answered with {} numbers instead of {}", found.len(), expected.numbers.len());
        }
        for (position, (found, expected_number)) in found.iter().zip(&expected.numbers).enumerate() {
            let right = (found - expected_number).abs() <= expected.slack;
            if !right {
                bail!("{self:?} was answered wrongly: number {position} is {found} instead of {expected_number}");
            }
        }
        Ok(())
    }

    fn expected(&self, rows: &Rows) -> Expected {
        match self.kind {
            QuestionKind::Q1 => self.rows_of_device(rows, &[self.field]),
            QuestionKind::Q2 => self.rows_of_device(rows, &std::array::from_fn::<_, FIELDS, _>(|field| field)),
            QuestionKind::Q3 => self.per_minute(rows),
            QuestionKind::Q4 => self.per_five_minutes(rows),
            QuestionKind::Q5 => newest(rows),
            QuestionKind::Q6 | QuestionKind::Q6Filtered => self.count_and_sum(rows),
        }
    }

    fn rows_of_device(&self, rows: &Rows, fields: &[usize]) -> Expected {
        let mut numbers = Vec::new();
        for row in positions(self.device, rows) {
            if (self.start..self.end).contains(&rows.times[row]) {
                numbers.extend([rows.times[row] as f64, f64::from(rows.devices[row])]);
                numbers.extend(fields.iter().map(|&field| rows.value(field, row)));
            }
        }
        Expected { numbers, slack: 0.0 }
    }

    fn per_minute(&self, rows: &Rows) -> Expected {
        let groups = groups(QuestionKind::MINUTE, positions(self.device, rows), self.field, rows);
        let numbers = groups.iter().flat_map(|group| [group.start as f64, group.mean(), group.min, group.max]);
        Expected { numbers: numbers.collect(), slack: slack(&groups) }
    }

    fn per_five_minutes(&self, rows: &Rows) -> Expected {
        let groups = groups(QuestionKind::FIVE_MINUTES, 0..rows.len(), self.field, rows);
        let numbers = groups.iter().flat_map(|group| [group.start as f64, group.mean()]);
        Expected { numbers: numbers.collect(), slack: slack(&groups) }
    }

    fn count_and_sum(&self, rows: &Rows) -> Expected {
        let mut group = Group::new(0);
        let all = (0..rows.len()).map(|row| rows.value(self.field, row));
        all.filter(|value| self.kind == QuestionKind::Q6 || *value >= self.threshold).for_each(|value| group.add(value));
        Expected { numbers: vec![group.count, group.sum()], slack: 1e-12 * group.absolute }
    }
}

/// The right numbers, and by how much sums and means may differ: the order of additions is a store's own.
struct Expected {
    numbers: Vec<f64>,
    slack: f64,
}

fn newest(rows: &Rows) -> Expected {
    let mut numbers = Vec::new();
    for device in 0..DEVICES as u32 {
        if let Some(row) = positions(device, rows).max_by_key(|&row| rows.times[row]) {
            numbers.extend([rows.times[row] as f64, f64::from(device)]);
            numbers.extend((0..FIELDS).map(|field| rows.value(field, row)));
        }
    }
    Expected { numbers, slack: 0.0 }
}

fn positions(device: u32, rows: &Rows) -> impl Iterator<Item = usize> {
    (device as usize..rows.len()).step_by(DEVICES)
}

fn slack(groups: &[Group]) -> f64 {
    groups.iter().map(|group| 1e-12 * group.absolute / group.count).fold(0.0, f64::max)
}

/// What is known of the values of one window.
struct Group {
    start: i64,
    count: f64,
    sum: f64,
    compensation: f64,
    absolute: f64,
    min: f64,
    max: f64,
}

impl Group {
    fn new(start: i64) -> Self {
        Group { start, count: 0.0, sum: 0.0, compensation: 0.0, absolute: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }

    /// Neumaier's summation, so that the check is tighter than any store.
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.compensation += if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
        self.count += 1.0;
        self.absolute += value.abs();
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    fn sum(&self) -> f64 {
        self.sum + self.compensation
    }

    fn mean(&self) -> f64 {
        self.sum() / self.count
    }
}

/// Groups by window, in order of time. Rows come in order of time but for their jitter.
fn groups(width: i64, positions: impl Iterator<Item = usize>, field: usize, rows: &Rows) -> Vec<Group> {
    let mut groups = std::collections::BTreeMap::new();
    for row in positions {
        let start = rows.times[row].div_euclid(width) * width;
        groups.entry(start).or_insert_with(|| Group::new(start)).add(rows.value(field, row));
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::fleet::generate::Generator;

    fn question(kind: QuestionKind) -> Question {
        Question { kind, device: 7, field: 8, start: START + 1_000_000, end: START + 2_500_000, threshold: 0.0 }
    }

    #[test]
    fn a_wrong_answer_is_refused() {
        let rows = Generator::new(1).unwrap().rows(4);
        let rows_of_seven = [207, 407].map(|row| [rows.times[row] as f64, 7.0, rows.exact[8][row] as f64 / 100.0]);
        // The row of second 1 may lie up to 3 ms before it.
        let expected: Vec<_> = rows_of_seven.into_iter().filter(|row| row[0] >= (START + 1_000_000) as f64).flatten().collect();
        let question = question(QuestionKind::Q1);
        question.check(&expected, &rows).unwrap();
        let mut wrong = expected.clone();
        *wrong.last_mut().unwrap() += 0.01;
        question.check(&wrong, &rows).unwrap_err();
        question.check(&expected[1..], &rows).unwrap_err();
        *wrong.last_mut().unwrap() = f64::NAN;
        question.check(&wrong, &rows).unwrap_err();
    }

    #[test]
    fn sums_may_differ_in_the_last_bits_only() {
        let rows = Generator::new(2).unwrap().rows(10);
        let hundredths: i64 = rows.exact[8].iter().sum();
        let answer = [2_000.0, hundredths as f64 / 100.0];
        question(QuestionKind::Q6).check(&answer, &rows).unwrap();
        question(QuestionKind::Q6Filtered).check(&answer, &rows).unwrap();
        question(QuestionKind::Q6).check(&[answer[0], answer[1] + 0.000_1], &rows).unwrap_err();
        question(QuestionKind::Q6).check(&[1_999.0, answer[1]], &rows).unwrap_err();
    }

    #[test]
    fn drawn_ranges_lie_within_the_data_and_reach_where_they_must() {
        let rows = Generator::new(3).unwrap().rows(100);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(9);
        for _ in 0..1_000 {
            let question = Question::draw(QuestionKind::Q1, &mut random, &rows, 75);
            assert_eq!(question.end - question.start, 60_000_000);
            assert!(question.end > START + 75_000_000 && question.end <= START + 100_000_000);
            assert!((question.device as usize) < DEVICES && question.field < FIELDS);
        }
    }
}
