use std::sync::Arc;

use arrow::array::{BinaryArray, BooleanArray, Decimal64Array, Float32Array, Float64Array, Int64Array, StringArray, UInt64Array};

use fastrand::Rng;

use super::super::Comparison::{Equal, Greater, GreaterOrEqual, In, Less, LessOrEqual, NotEqual};
use super::*;
use crate::model::summary::statistics_of;
use crate::model::{SeriesKey, TableId, TableSpec};
use crate::testing;

const COMPARISONS: [Comparison; 7] = [Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual, In];

fn schema() -> TableSchema {
    let spec = TableSpec::new("air").tag("room").tag("floor");
    let spec = spec.field("f64", FieldType::Float64).field("f32", FieldType::Float32).field("i64", FieldType::Int64);
    let spec = spec.field("u64", FieldType::UInt64).field("bool", FieldType::Bool).field("utf8", FieldType::Utf8);
    spec.field("binary", FieldType::Binary).field("dec", FieldType::Decimal { scale: 2 }).into_schema(TableId(0)).unwrap()
}

fn compile(filters: &[Filter]) -> Result<Filters> {
    Filters::new(filters, &schema())
}

fn block(columns: &[(usize, ArrayRef)]) -> Block {
    let rows = columns[0].1.len();
    let mut all = vec![None; 8];
    for (position, column) in columns {
        all[*position] = Some(column.clone());
    }
    Block { series: vec![0; rows].into(), times: (0..rows as i64).collect::<Vec<_>>().into(), columns: all }
}

/// Which rows of one column pass one filter.
fn passing(filter: Filter, column: ArrayRef) -> Vec<bool> {
    let position = schema().field_position(&filter.column).unwrap();
    let mask = compile(&[filter]).unwrap().fields.mask(&block(&[(position, column)])).unwrap().unwrap();
    assert_eq!(mask.null_count(), 0);
    mask.values().iter().collect()
}

fn key(tags: &[Option<&str>]) -> SeriesKey {
    SeriesKey(tags.iter().map(|tag| tag.map(str::to_owned)).collect())
}

#[test]
fn tags_are_judged_by_position() {
    let filters = compile(&[Filter::equal("room", "A"), Filter::new("floor", NotEqual, "1")]).unwrap();
    assert!(filters.tags.matches(&key(&[Some("A"), Some("2")])));
    assert!(!filters.tags.matches(&key(&[Some("A"), Some("1")])));
    assert!(!filters.tags.matches(&key(&[Some("B"), Some("2")])));
    assert!(filters.tags.matches(&key(&[Some("A")])), "a missing tag satisfies !=");
    assert!(!filters.tags.matches(&key(&[None, Some("2")])), "a missing tag equals nothing");
    let positions: Vec<_> = filters.tags.predicates().iter().map(TagPredicate::position).collect();
    assert_eq!(positions, [0, 1]);
    assert_eq!(filters.tags.predicates()[0].wanted(), Some(&["A".to_owned()][..]));
    assert_eq!(filters.tags.predicates()[1].wanted(), None);
    assert!(filters.fields.is_empty() && !filters.tags.is_empty());

    let some = compile(&[Filter::one_of("room", ["C", "A", "C"])]).unwrap().tags;
    assert_eq!(some.predicates()[0].wanted(), Some(&["A".to_owned(), "C".to_owned()][..]));
    assert!(some.matches(&key(&[Some("C")])) && !some.matches(&key(&[Some("B")])) && !some.matches(&key(&[None])));
    let empty = compile(&[Filter::equal("room", "")]).unwrap().tags;
    assert!(empty.matches(&key(&[Some("")])) && !empty.matches(&key(&[])), "empty is not missing");
    let none = compile(&[Filter::one_of("room", Vec::<&str>::new())]).unwrap().tags;
    assert!(!none.matches(&key(&[Some("A")])) && !none.matches(&key(&[])));
    assert!(compile(&[]).unwrap().tags.matches(&key(&[])));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let message = |filter: Filter| {
        let error = compile(&[filter]).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        error.to_string()
    };
    assert_eq!(message(Filter::new("room", Less, "A")), "\"room\" is a tag: compare it with =, != or in");
    assert_eq!(message(Filter::equal("room", 5)), "column \"room\" is text (it is a tag): 5 cannot be compared with it");
    assert_eq!(message(Filter::equal("i64", "5.5")), "column \"i64\" is int64: \"5.5\" cannot be compared with it");
    assert_eq!(message(Filter::equal("dec", "1.005")), "column \"dec\" is decimal(2): \"1.005\" cannot be compared with it");
    let several = Filter { column: "i64".to_owned(), comparison: Equal, values: vec![Value::Int64(1), Value::Int64(2)] };
    assert!(message(several).contains("takes one value, not 2"));
    let unknown = compile(&[Filter::equal("time", 5)]).unwrap_err();
    assert!(matches!(&unknown, Error::NoSuchColumn { name, what: "column", .. } if name == "time"), "{unknown}");
    assert!(compile(&[Filter::one_of("u64", [Value::from("1"), Value::from("-1")])]).is_err());
}

#[test]
fn literals_become_the_type_of_the_field() {
    let decimal = FieldType::Decimal { scale: 2 };
    let text = |text: &str| Value::from(text);
    let two_to_53 = 1i64 << 53;
    let cases = [
        (FieldType::Float64, text(" 21.5 "), Some(Value::Float64(21.5))),
        (FieldType::Float64, text("-inf"), Some(Value::Float64(f64::NEG_INFINITY))),
        (FieldType::Float64, text("warm"), None),
        (FieldType::Float64, Value::Int64(two_to_53), Some(Value::Float64(9_007_199_254_740_992.0))),
        (FieldType::Float64, Value::Int64(two_to_53 + 1), None),
        (FieldType::Float64, Value::Float32(0.5), Some(Value::Float64(0.5))),
        (FieldType::Float64, Value::Bool(true), None),
        (FieldType::Float32, text("0.1"), Some(Value::Float32(0.1))),
        (FieldType::Float32, Value::Float64(0.1), Some(Value::Float32(0.1))),
        (FieldType::Float32, Value::Float64(1e300), None),
        (FieldType::Float32, Value::Int64((1 << 24) + 1), None),
        (FieldType::Int64, text("-5"), Some(Value::Int64(-5))),
        (FieldType::Int64, text("9223372036854775808"), None),
        (FieldType::Int64, Value::UInt64(7), Some(Value::Int64(7))),
        (FieldType::Int64, Value::UInt64(u64::MAX), None),
        (FieldType::Int64, Value::Float64(5.0), Some(Value::Int64(5))),
        (FieldType::Int64, Value::Float64(5.5), None),
        (FieldType::Int64, Value::Float64(f64::NAN), None),
        (FieldType::Int64, Value::Float64(9.3e18), None),
        (FieldType::UInt64, text("18446744073709551615"), Some(Value::UInt64(u64::MAX))),
        (FieldType::UInt64, Value::Int64(-1), None),
        (FieldType::Bool, text("True"), Some(Value::Bool(true))),
        (FieldType::Bool, text("yes"), None),
        (FieldType::Utf8, text(" a "), Some(text(" a "))),
        (FieldType::Utf8, Value::Int64(1), None),
        (FieldType::Binary, text("AAH/"), Some(Value::Binary(vec![0, 1, 255]))),
        (FieldType::Binary, text("not base64"), None),
        (decimal, text("21.5"), Some(Value::Decimal(2150))),
        (decimal, text("-0.070"), Some(Value::Decimal(-7))),
        (decimal, text("+.5"), Some(Value::Decimal(50))),
        (decimal, text("3."), Some(Value::Decimal(300))),
        (decimal, text("0.001"), None),
        (decimal, text("."), None),
        (decimal, text("1e3"), None),
        (decimal, text("--1"), None),
        (decimal, text("9999999999999999.99"), Some(Value::Decimal(999_999_999_999_999_999))),
        (decimal, text("10000000000000000"), None),
        (decimal, text("99999999999999999999999999999999999999999"), None),
        (decimal, Value::Float64(21.53), Some(Value::Decimal(2153))),
        (decimal, Value::Float64(f64::NAN), None),
        (decimal, Value::Int64(-3), Some(Value::Decimal(-300))),
        (decimal, Value::Decimal(5), Some(Value::Decimal(5))),
    ];
    for (kind, value, expected) in cases {
        assert_eq!(coerce(&value, kind), expected, "{value:?} as {kind}");
    }
}

#[test]
fn missing_values_and_nan_pass_nothing_but_what_they_should() {
    let column = || Arc::new(Float64Array::from(vec![Some(1.0), None, Some(f64::NAN), Some(-0.0)])) as ArrayRef;
    let pass = |comparison, value: f64| passing(Filter::new("f64", comparison, value), column());
    assert_eq!(pass(Equal, 0.0), [false, false, false, true]);
    assert_eq!(pass(NotEqual, 0.0), [true, false, true, false]);
    assert_eq!(pass(Less, 5.0), [true, false, false, true]);
    assert_eq!(pass(GreaterOrEqual, f64::NEG_INFINITY), [true, false, false, true]);
    assert_eq!(pass(Equal, f64::NAN), [false; 4]);
    assert_eq!(pass(NotEqual, f64::NAN), [true, false, true, true]);
    assert_eq!(passing(Filter::one_of("f64", [f64::NAN, 1.0]), column()), [true, false, false, false]);
    assert_eq!(passing(Filter::one_of("f64", (0..20).map(f64::from)), column()), [true, false, false, true]);
    assert_eq!(passing(Filter::one_of("f64", Vec::<f64>::new()), column()), [false; 4]);
}

#[test]
fn every_type_is_compared() {
    let pass = |filter, column: &dyn Array| passing(filter, arrow::array::make_array(column.to_data()));
    assert_eq!(pass(Filter::new("f32", Greater, 0.1), &Float32Array::from(vec![0.1, 0.2])), [false, true]);
    assert_eq!(pass(Filter::new("i64", LessOrEqual, "-3"), &Int64Array::from(vec![-3, -2])), [true, false]);
    assert_eq!(pass(Filter::new("u64", Greater, i64::MAX), &UInt64Array::from(vec![u64::MAX, 1])), [true, false]);
    assert_eq!(pass(Filter::new("bool", Less, true), &BooleanArray::from(vec![true, false])), [false, true]);
    assert_eq!(pass(Filter::one_of("utf8", ["é", "b"]), &StringArray::from(vec!["a", "b", "é"])), [false, true, true]);
    assert_eq!(pass(Filter::new("utf8", Greater, "b"), &StringArray::from(vec!["a", "b", "ba"])), [false, false, true]);
    assert_eq!(pass(Filter::new("binary", NotEqual, &[1u8][..]), &BinaryArray::from(vec![&b"\x01"[..], b""])), [false, true]);
    let decimals = Decimal64Array::from(vec![2149, 2150]).with_precision_and_scale(18, 2).unwrap();
    assert_eq!(pass(Filter::new("dec", GreaterOrEqual, "21.5"), &decimals), [false, true]);
}

#[test]
fn all_conditions_have_to_hold() {
    let filters = [Filter::new("i64", Greater, 1), Filter::new("f64", Less, 3.0), Filter::new("i64", NotEqual, 3)];
    let filter = compile(&filters).unwrap().fields;
    assert_eq!(filter.fields(), [0, 2]);
    let integers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(2.0), Some(2.0), None]));
    let mask = filter.mask(&block(&[(0, floats), (2, integers.clone())])).unwrap().unwrap();
    assert_eq!(mask, BooleanArray::from(vec![false, true, false, false]));
    let absent = filter.mask(&block(&[(2, integers.clone())])).unwrap().unwrap();
    assert_eq!(absent.true_count(), 0, "a column that no row has passes nothing");
    assert!(compile(&[]).unwrap().fields.mask(&block(&[(2, integers)])).unwrap().is_none());
    let wrong: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    assert!(matches!(filter.mask(&block(&[(0, wrong)])), Err(Error::Internal(_))));
}

/// Compares one number with another as IEEE 754 says.
fn naive(comparison: Comparison, value: f64, literals: &[f64]) -> bool {
    match comparison {
        Equal => value == literals[0],
        NotEqual => value != literals[0],
        Less => value < literals[0],
        LessOrEqual => value <= literals[0],
        Greater => value > literals[0],
        GreaterOrEqual => value >= literals[0],
        In => literals.contains(&value),
    }
}

#[test]
fn masks_agree_with_comparing_one_by_one_and_statistics_never_lie() {
    let mut random = testing::random(23);
    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 2.0];
    let (mut pruned, mut covered) = (0, 0);
    for _ in 0..3_000 {
        let spread = 1 + random.usize(..8);
        let base = random.usize(..6) as f64;
        let number = |random: &mut Rng, odds| {
            if random.usize(..odds) == 0 { special[random.usize(..6)] } else { base + random.usize(..spread) as f64 }
        };
        let odds = [3, 1_000][random.usize(..2)];
        let gaps = [4, 1_000][random.usize(..2)];
        let values: Vec<Option<f64>> =
            (0..1 + random.usize(..100)).map(|_| (random.usize(..gaps) != 0).then(|| number(&mut random, odds))).collect();
        let comparison = COMPARISONS[random.usize(..7)];
        let many = if comparison == In { random.usize(..12) } else { 1 };
        let literals: Vec<f64> = (0..many).map(|_| number(&mut random, 5)).collect();
        let filter =
            Filter { column: "f64".to_owned(), comparison, values: literals.iter().map(|v| Value::Float64(*v)).collect() };
        let column: ArrayRef = Arc::new(Float64Array::from(values.clone()));
        let expected: Vec<bool> = values.iter().map(|v| v.is_some_and(|v| naive(comparison, v, &literals))).collect();
        assert_eq!(passing(filter.clone(), column.clone()), expected, "{comparison:?} {literals:?}");

        let times: Vec<i64> = (0..values.len() as i64).collect();
        let Some(statistics) = statistics_of(&times, &column) else { continue };
        let filter = compile(&[filter]).unwrap().fields;
        if !filter.may_match(0, &statistics) {
            pruned += 1;
            assert!(!expected.contains(&true), "{comparison:?} {literals:?} was pruned from {values:?}");
        }
        if filter.must_match(0, &statistics, values.len() as u64) {
            covered += 1;
            assert!(!expected.contains(&false), "{comparison:?} {literals:?} does not hold of all of {values:?}");
        }
        assert!(filter.may_match(1, &statistics) && filter.must_match(1, &statistics, 0), "nothing is asked of field 1");
    }
    assert!(pruned > 200 && covered > 100, "only {pruned} pruned and {covered} covered");
}

#[test]
fn statistics_of_text_and_integers_prune() {
    let of = |column: ArrayRef| statistics_of(&[1, 2, 3][..column.len()], &column).unwrap();
    let fields = |filter| compile(&[filter]).unwrap().fields;
    let text = of(Arc::new(StringArray::from(vec!["b", "d"])));
    assert!(fields(Filter::equal("utf8", "c")).may_match(5, &text));
    assert!(!fields(Filter::equal("utf8", "a")).may_match(5, &text));
    assert!(fields(Filter::new("utf8", Less, "e")).must_match(5, &text, 2));
    assert!(!fields(Filter::new("utf8", Less, "e")).must_match(5, &text, 3), "a row without value passes nothing");
    let numbers = of(Arc::new(Int64Array::from(vec![5, 5, 5])));
    assert!(!fields(Filter::new("i64", NotEqual, 5)).may_match(2, &numbers));
    assert!(fields(Filter::one_of("i64", [1, 5])).must_match(2, &numbers, 3));
}
