use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, BooleanArray, Decimal64Array, Float64Array, Int64Array, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Decimal64Type, Decimal128Type, Float64Type, Int64Type, TimeUnit as ArrowUnit, UInt64Type};

use super::*;
use crate::model::summary::statistics_of;
use crate::model::{FieldType, TableId, TableSpec, Value};
use crate::query::Window;
use crate::testing;

const SECOND: i64 = 1_000_000;

fn schema() -> TableSchema {
    let spec = TableSpec::new("air").tag("site").tag("room").field("f", FieldType::Float64).field("i", FieldType::Int64);
    let spec = spec.field("d", FieldType::Decimal { scale: 2 }).field("b", FieldType::Bool).field("s", FieldType::Utf8);
    spec.field("u", FieldType::UInt64).into_schema(TableId(0)).unwrap()
}

fn groups(functions: &[Aggregate], window: Option<Window>, by: &[&str], fields: &[&str], order: Order) -> Result<Groups> {
    let by = by.iter().map(|tag| (*tag).to_owned()).collect();
    let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
    let aggregation = Aggregation { functions: functions.to_vec(), window, by };
    Groups::new(&schema(), &aggregation, &Projection::new(&schema(), &fields)?, order)
}

fn every(micros: i64) -> Option<Window> {
    Some(Window::Fixed { micros })
}

fn key(site: Option<&str>, room: Option<&str>) -> SeriesKey {
    SeriesKey(vec![site.map(str::to_owned), room.map(str::to_owned)]).normalized()
}

fn block(times: &[i64], columns: Vec<Option<ArrayRef>>) -> Block {
    Block { series: vec![0; times.len()].into(), times: times.to_vec().into(), columns }
}

fn floats(values: &[Option<f64>]) -> Option<ArrayRef> {
    Some(Arc::new(Float64Array::from(values.to_vec())))
}

fn all(groups: Groups) -> RecordBatch {
    let answer = groups.finish();
    let schema = answer.schema();
    let batches: Vec<_> = answer.map(Result::unwrap).collect();
    assert!(batches.iter().all(|batch| batch.num_rows() <= BATCH_ROWS && batch.num_rows() > 0));
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn times(batch: &RecordBatch) -> Vec<i64> {
    batch.column_by_name("time").unwrap().as_primitive::<arrow::datatypes::TimestampMicrosecondType>().values().to_vec()
}

fn doubles(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    batch.column_by_name(name).unwrap().as_primitive::<Float64Type>().iter().collect()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    batch.column_by_name(name).unwrap().as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn columns_and_their_types() {
    let found = groups(&Aggregate::ALL, every(SECOND), &["room"], &["d", "f", "i"], Order::Series).unwrap().schema();
    let columns: Vec<_> = found.fields().iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
    let decimal = DataType::Decimal64(18, 2);
    assert_eq!(columns[0], ("time", DataType::Timestamp(ArrowUnit::Microsecond, Some("UTC".into()))));
    assert_eq!(columns[1], ("room", DataType::Utf8));
    assert_eq!(columns[2], ("count(d)", DataType::Int64));
    assert_eq!(columns[3], ("sum(d)", DataType::Decimal128(38, 2)));
    assert_eq!(columns[4], ("mean(d)", DataType::Float64));
    assert_eq!((&columns[5], &columns[8]), (&("min(d)", decimal.clone()), &("last(d)", decimal)));
    assert_eq!(columns[9], ("stddev(d)", DataType::Float64));
    assert_eq!(columns[11], ("sum(f)", DataType::Float64));
    assert_eq!((&columns[19], &columns[22]), (&("sum(i)", DataType::Decimal128(38, 0)), &("max(i)", DataType::Int64)));
    assert_eq!(columns.len(), 26);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |functions: &[Aggregate], by: &[&str], fields: &[&str]| {
        groups(functions, None, by, fields, Order::Series).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(
        refused(&[Aggregate::Mean], &[], &["s"]),
        "mean of \"s\" makes no sense: it is utf8; use count, min, max, first or last"
    );
    assert!(refused(&[Aggregate::Sum], &[], &["f", "b"]).starts_with("sum of \"b\" makes no sense"));
    assert!(refused(&[], &[], &[]).contains("need a function"));
    assert!(refused(&[Aggregate::Max, Aggregate::Max], &[], &[]).contains("max is asked for twice"));
    assert!(refused(&[Aggregate::Max], &["f"], &[]).contains("has no tag \"f\"; it has site, room"));
    assert!(refused(&[Aggregate::Max], &["room", "room"], &[]).contains("twice"));
    let found = groups(&[Aggregate::Mean, Aggregate::Max], None, &[], &[], Order::Series).unwrap().schema();
    let names: Vec<_> = found.fields().iter().map(|field| field.name().as_str()).collect();
    let expected = ["mean(f)", "max(f)", "mean(i)", "max(i)", "mean(d)", "max(d)", "max(b)", "max(s)", "mean(u)", "max(u)"];
    assert_eq!(names, expected, "arithmetic leaves out what was not named");
}

#[test]
fn without_rows_one_group_of_all_time_counts_none() {
    let batch = all(groups(&[Aggregate::Count, Aggregate::Mean], None, &[], &["f"], Order::Series).unwrap());
    assert_eq!(batch.num_rows(), 1);
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 0);
    assert!(batch.column(1).is_null(0));
    assert_eq!(all(groups(&[Aggregate::Count], None, &["room"], &["f"], Order::Series).unwrap()).num_rows(), 0);
    assert_eq!(all(groups(&[Aggregate::Count], every(SECOND), &[], &["f"], Order::Series).unwrap()).num_rows(), 0);
}

#[test]
fn ties_go_by_the_order_of_tags() {
    let mut found = groups(&[Aggregate::First, Aggregate::Last], None, &[], &["f"], Order::Series).unwrap();
    for (room, value) in [("A", 1.0), ("B", 2.0), ("C", 3.0)] {
        let values = floats(&[Some(value), None, Some(value * 10.0)]);
        found.feed(&key(None, Some(room)), &block(&[5, 6, 7], vec![values]), None).unwrap();
    }
    let batch = all(found);
    assert_eq!(doubles(&batch, "first(f)"), [Some(1.0)]);
    assert_eq!(doubles(&batch, "last(f)"), [Some(30.0)]);
}

#[test]
fn groups_come_in_the_order_asked_for() {
    let answer = |by: &[&str], order| {
        let mut found = groups(&[Aggregate::Sum], every(10), by, &["f"], order).unwrap();
        for (site, room, value) in
            [(None, Some("z"), 1.0), (Some("N"), None, 2.0), (Some("N"), Some("a"), 4.0), (Some("S"), None, 8.0)]
        {
            found.feed(&key(site, room), &block(&[-1, 15], vec![floats(&[Some(value), Some(-value)])]), None).unwrap();
        }
        all(found)
    };
    let room = |text: &str| Some(text.to_owned());
    let by_room = answer(&["room"], Order::Series);
    assert_eq!(texts(&by_room, "room"), [None, None, room("a"), room("a"), room("z"), room("z")]);
    assert_eq!(times(&by_room), [-10, 10, -10, 10, -10, 10]);
    assert_eq!(doubles(&by_room, "sum(f)"), [10.0, -10.0, 4.0, -4.0, 1.0, -1.0].map(Some));
    let ascending = answer(&["room"], Order::TimeAscending);
    assert_eq!(times(&ascending), [-10, -10, -10, 10, 10, 10]);
    assert_eq!(texts(&ascending, "room"), [None, room("a"), room("z"), None, room("a"), room("z")]);
    let descending = answer(&["room"], Order::TimeDescending);
    assert_eq!(times(&descending), [10, 10, 10, -10, -10, -10]);
    assert_eq!(texts(&descending, "room"), [None, room("a"), room("z"), None, room("a"), room("z")]);
    let both = answer(&["room", "site"], Order::TimeAscending);
    assert_eq!(texts(&both, "site")[..4], [room("N"), room("S"), room("N"), None]);
    assert_eq!(doubles(&both, "sum(f)")[..4], [2.0, 8.0, 4.0, 1.0].map(Some));
}

#[test]
fn integers_decimals_and_flags() {
    let columns = vec![
        None,
        Some(Arc::new(Int64Array::from(vec![Some(i64::MAX), Some(i64::MAX), None])) as ArrayRef),
        Some(Arc::new(Decimal64Array::from(vec![2150, 2250, -100]).with_precision_and_scale(18, 2).unwrap())),
        Some(Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        Some(Arc::new(StringArray::from(vec![Some("b"), Some("c"), Some("a")]))),
        Some(Arc::new(UInt64Array::from(vec![u64::MAX, u64::MAX, u64::MAX]))),
    ];
    let mut found = groups(&Aggregate::ALL, None, &[], &[], Order::Series).unwrap();
    found.feed(&key(None, None), &block(&[1, 2, 3], columns), None).unwrap();
    let batch = all(found);
    let wide = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Decimal128Type>().value(0);
    assert_eq!(wide("sum(i)"), 2 * i128::from(i64::MAX));
    assert_eq!(wide("sum(u)"), 3 * i128::from(u64::MAX));
    assert_eq!(wide("sum(d)"), 4300);
    assert_eq!(doubles(&batch, "mean(d)"), [Some(43.0 / 3.0)]);
    let deviation = doubles(&batch, "stddev(d)")[0].unwrap();
    assert!((deviation - 13.288_466_176_851_76).abs() < 1e-9, "{deviation}");
    assert_eq!(batch.column_by_name("min(d)").unwrap().as_primitive::<Decimal64Type>().value(0), -100);
    assert_eq!(batch.column_by_name("max(u)").unwrap().as_primitive::<UInt64Type>().value(0), u64::MAX);
    assert_eq!(batch.column_by_name("last(i)").unwrap().as_primitive::<Int64Type>().value(0), i64::MAX);
    let flag = |name: &str| batch.column_by_name(name).unwrap().as_boolean().value(0);
    assert_eq!([flag("min(b)"), flag("max(b)"), flag("first(b)"), flag("last(b)")], [false, true, true, false]);
    let text = |name: &str| texts(&batch, name)[0].clone().unwrap();
    assert_eq!([text("min(s)"), text("max(s)"), text("first(s)"), text("last(s)")], ["a", "c", "b", "a"]);
    let count = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().value(0);
    assert_eq!([count("count(f)"), count("count(i)"), count("count(b)"), count("count(s)")], [0, 2, 2, 3]);
    assert!(batch.column_by_name("mean(f)").unwrap().is_null(0));
}

#[test]
fn masked_rows_make_no_group() {
    let mut found = groups(&[Aggregate::Count, Aggregate::First], every(10), &[], &["f"], Order::Series).unwrap();
    let mask = BooleanArray::from(vec![false, true, false, false, true]);
    let rows = block(&[1, 2, 11, 21, 22], vec![floats(&[Some(1.0), Some(2.0), Some(3.0), Some(4.0), None])]);
    found.feed(&key(None, None), &rows, Some(&mask)).unwrap();
    let batch = all(found);
    assert_eq!(times(&batch), [0, 20], "a row without a value makes a group, a masked one does not");
    assert_eq!(batch.column_by_name("count(f)").unwrap().as_primitive::<Int64Type>().values(), &[1, 0]);
    assert_eq!(doubles(&batch, "first(f)"), [Some(2.0), None]);
}

#[test]
fn columns_that_do_not_fit_are_errors() {
    let mut found = groups(&[Aggregate::Mean], None, &[], &["f"], Order::Series).unwrap();
    let wrong: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let error = found.feed(&key(None, None), &block(&[1, 2], vec![Some(wrong)]), None).unwrap_err();
    assert!(matches!(error, Error::Internal(_)), "{error}");
    assert!(found.feed(&key(None, None), &block(&[1], vec![floats(&[None, None])]), None).is_err());
    let short = BooleanArray::from(vec![true]);
    assert!(found.feed(&key(None, None), &block(&[1, 2], vec![None]), Some(&short)).is_err());
    let text = FieldStatistics {
        count: 1,
        sum: None,
        min: Value::from("a"),
        max: Value::from("a"),
        first: (1, Value::from("a")),
        last: (1, Value::from("a")),
    };
    assert!(found.feed_statistics(&key(None, None), (1, 1), |_| Some(&text)).is_err());
    let mut deviations = groups(&[Aggregate::Stddev], None, &[], &["f"], Order::Series).unwrap();
    assert!(!deviations.takes_statistics() && found.takes_statistics());
    assert!(deviations.feed_statistics(&key(None, None), (1, 1), |_| Some(&text)).is_err());
    let mut windowed = groups(&[Aggregate::Count], every(10), &[], &["f"], Order::Series).unwrap();
    assert!(windowed.in_one_bucket(10, 19) && !windowed.in_one_bucket(9, 10));
    assert!(windowed.feed_statistics(&key(None, None), (9, 10), |_| None).is_err());
}

#[test]
fn what_has_to_be_read() {
    let reads = |functions: &[Aggregate], window| {
        let found = groups(functions, window, &[], &["u", "f"], Order::Series).unwrap();
        (found.reads().collect::<Vec<_>>(), found.reads_times())
    };
    assert_eq!(reads(&[Aggregate::Count], None), (vec![(5, false), (0, false)], false));
    assert_eq!(reads(&[Aggregate::Count, Aggregate::Sum], every(10)), (vec![(5, true), (0, true)], true));
    assert_eq!(reads(&[Aggregate::Last], None), (vec![(5, true), (0, true)], true));
}

#[test]
fn complete_groups_are_given_out_on_the_way() {
    for by in [&["site", "room"][..], &["site"]] {
        let mut found = groups(&[Aggregate::Sum], every(SECOND), by, &["f"], Order::Series).unwrap();
        let (mut taken, mut most) = (Vec::new(), 0);
        for site in 0..12 {
            for room in 0..2 {
                for page in 0..20 {
                    let times: Vec<i64> = (0..1_000).map(|i| (page * 1_000 + i) * SECOND / 2).collect();
                    let values: Vec<_> = (0..1_000).map(|_| Some(f64::from(site * 2 + room))).collect();
                    let series = key(Some(&format!("{site:03}")), Some(&room.to_string()));
                    found.feed(&series, &block(&times, vec![floats(&values)]), None).unwrap();
                    most = most.max(found.groups.len());
                    taken.extend(std::iter::from_fn(|| found.next_ready()));
                }
            }
        }
        assert!(most < HELD_GROUPS + 10_000, "{most} groups were held");
        assert!(!taken.is_empty(), "nothing was given out");
        taken.extend(found.finish().map(Result::unwrap));
        let batch = arrow::compute::concat_batches(&taken[0].schema(), &taken).unwrap();
        let keys = if by.len() == 2 { 24 } else { 12 };
        assert_eq!(batch.num_rows(), keys * 10_000);
        let sums = doubles(&batch, "sum(f)");
        for (row, time) in times(&batch).into_iter().enumerate() {
            let number = (row / 10_000) as f64;
            assert_eq!(time, (row % 10_000) as i64 * SECOND);
            let expected = if by.len() == 2 { 2.0 * number } else { 2.0 * (4.0 * number + 1.0) };
            assert_eq!(sums[row], Some(expected), "row {row} by {by:?}");
        }
    }
}

/// A group as a naive reader would gather it: (time, tag order, value).
#[derive(Default)]
struct Naive {
    floats: Vec<(i64, usize, f64)>,
    integers: Vec<(i64, usize, i64)>,
}

impl Naive {
    fn check(mut self, batch: &RecordBatch, row: usize, deviations: bool) {
        let integer = |name: &str| batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().iter().nth(row).unwrap();
        let double = |name: &str| doubles(batch, name)[row];
        let count = self.floats.len();
        assert_eq!(integer("count(f)"), Some(count as i64));
        assert_eq!(integer("count(i)"), Some(self.integers.len() as i64));
        self.floats.sort_by_key(|value| (value.0, value.1));
        self.integers.sort_by_key(|value| (value.0, value.1));
        let first = self.floats.first().map(|first| first.2);
        let last = self.floats.iter().rev().max_by_key(|value| (value.0, value.1)).map(|last| last.2);
        assert_eq!((double("first(f)"), double("last(f)")), (first, last));
        let values: Vec<f64> = self.floats.iter().map(|value| value.2).collect();
        let (least, greatest) = (values.iter().copied().reduce(f64::min), values.iter().copied().reduce(f64::max));
        assert_eq!((double("min(f)"), double("max(f)")), (least, greatest));
        let (sum, magnitudes) = values.iter().fold((0.0, 0.0), |(sum, m), v| (sum + v, m + v.abs()));
        let near = |found: Option<f64>, expected: f64, tolerance: f64| {
            assert_eq!(found.is_some(), count > 0);
            assert!(found.is_none_or(|found| (found - expected).abs() <= tolerance), "{found:?} is not {expected}");
        };
        near(double("sum(f)"), sum, 1e-12 * magnitudes);
        near(double("mean(f)"), sum / count.max(1) as f64, 1e-12 * magnitudes);
        if deviations {
            let found = double("stddev(f)");
            assert_eq!(found.is_some(), count > 1);
            let mean = sum / count.max(1) as f64;
            let naive = (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (count as f64 - 1.0)).sqrt();
            assert!(found.is_none_or(|found| (found - naive).abs() <= 1e-9 * naive), "{found:?} is not {naive}");
        }
        let integers: Vec<i64> = self.integers.iter().map(|value| value.2).collect();
        assert_eq!((integer("min(i)"), integer("max(i)")), (integers.iter().min().copied(), integers.iter().max().copied()));
        let sums = batch.column_by_name("sum(i)").unwrap().as_primitive::<Decimal128Type>();
        let total = (!integers.is_empty()).then(|| integers.iter().map(|v| i128::from(*v)).sum());
        assert_eq!(sums.iter().nth(row).unwrap(), total);
    }
}

/// Random rows of random series, fed in pages of random length, some by their statistics, against gathering every value.
#[test]
fn random_groups_agree_with_naive_ones() {
    let mut random = testing::random(29);
    for round in 0..60 {
        let by: &[&str] = [&[][..], &["site"], &["room"], &["room", "site"], &["site", "room"]][round % 5];
        let width = [1_000, 60_000, i64::MAX][random.usize(..3)];
        let window = if width == i64::MAX { None } else { every(width) };
        let statistics_allowed = random.bool();
        let mut functions = Aggregate::ALL.to_vec();
        if statistics_allowed {
            functions.retain(|function| *function != Aggregate::Stddev);
        }
        let mut found = groups(&functions, window.clone(), by, &["f", "i"], Order::Series).unwrap();
        let mut naive: BTreeMap<(Vec<Option<String>>, i64), Naive> = BTreeMap::new();
        let tags = [None, Some("a"), Some("b"), Some("c")];
        for number in 0..16 {
            let series = key(tags[number / 4], tags[number % 4]);
            let named = by.iter().map(|tag| series.tag(usize::from(*tag == "room")).map(str::to_owned)).collect::<Vec<_>>();
            let mut time = -50_000 + random.i64(0..1_000);
            for _ in 0..random.usize(..4) {
                let rows = 1 + random.usize(..600);
                let times: Vec<i64> = (0..rows)
                    .map(|_| {
                        time += 1 + random.i64(0..200);
                        time
                    })
                    .collect();
                let gaps = [3, 100_000][random.usize(..2)];
                let f: Vec<Option<f64>> = times
                    .iter()
                    .map(|_| (random.usize(..gaps) != 0).then(|| (random.u64(..) >> 11) as f64 / 1e9 - 4e6))
                    .collect();
                let i: Vec<Option<i64>> =
                    times.iter().map(|_| (random.usize(..gaps) != 0).then(|| random.u64(..) as i64)).collect();
                let masked = random.bool();
                let mask: Vec<bool> = times.iter().map(|_| !masked || random.usize(..3) == 0).collect();
                for row in (0..rows).filter(|row| mask[*row]) {
                    let bucket = if window.is_none() { 0 } else { times[row].div_euclid(width) * width };
                    let group = naive.entry((named.clone(), bucket)).or_default();
                    group.floats.extend(f[row].map(|value| (times[row], number, value)));
                    group.integers.extend(i[row].map(|value| (times[row], number, value)));
                }
                let page = block(&times, vec![floats(&f), Some(Arc::new(Int64Array::from(i)))]);
                if statistics_allowed && !masked && found.in_one_bucket(times[0], times[rows - 1]) {
                    let kept: Vec<_> = page.columns.iter().map(|c| statistics_of(&times, c.as_ref().unwrap())).collect();
                    found.feed_statistics(&series, (times[0], times[rows - 1]), |position| kept[position].as_ref()).unwrap();
                } else {
                    let mask = BooleanArray::from(mask);
                    found.feed(&series, &page, masked.then_some(&mask)).unwrap();
                }
            }
        }
        let batch = all(found);
        if naive.is_empty() && by.is_empty() && window.is_none() {
            continue;
        }
        assert_eq!(batch.num_rows(), naive.len());
        for (row, ((named, bucket), group)) in naive.into_iter().enumerate() {
            assert!(window.is_none() || times(&batch)[row] == bucket);
            for (tag, value) in by.iter().zip(named) {
                assert_eq!(texts(&batch, tag)[row], value);
            }
            group.check(&batch, row, !statistics_allowed);
        }
    }
}
