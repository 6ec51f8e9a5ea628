use std::sync::Arc;

use arrow::array::{
    BinaryArray, BooleanArray, Decimal64Array, Float32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    UInt64Array,
};

use super::*;
use crate::model::Sum;

fn statistics(column: impl Array + 'static) -> Option<FieldStatistics> {
    let times: Vec<i64> = (0..column.len() as i64).map(|row| 100 + 10 * row).collect();
    statistics_of(&times, &(Arc::new(column) as ArrayRef))
}

#[test]
fn of_numbers() {
    let found = statistics(Float64Array::from(vec![None, Some(2.5), Some(f64::NAN), Some(-1.0), None])).unwrap();
    assert_eq!((found.count, &found.min, &found.max), (3, &Value::Float64(-1.0), &Value::Float64(2.5)));
    assert!(found.sum.is_some_and(|sum| sum.as_f64().is_nan()));
    assert_eq!((found.first, found.last), ((110, Value::Float64(2.5)), (130, Value::Float64(-1.0))));

    let found = statistics(Int64Array::from(vec![i64::MAX, 3, i64::MAX])).unwrap();
    let expected = FieldStatistics {
        count: 3,
        sum: Some(Sum::Integer(2 * i128::from(i64::MAX) + 3)),
        min: Value::Int64(3),
        max: Value::Int64(i64::MAX),
        first: (100, Value::Int64(i64::MAX)),
        last: (120, Value::Int64(i64::MAX)),
    };
    assert_eq!(found, expected);

    let decimals = Decimal64Array::from(vec![Some(2150), None, Some(-5)]).with_precision_and_scale(18, 2).unwrap();
    let found = statistics(decimals).unwrap();
    assert_eq!((found.sum, found.min, found.max), (Some(Sum::Integer(2145)), Value::Decimal(-5), Value::Decimal(2150)));
    assert_eq!(statistics(UInt64Array::from(vec![u64::MAX])).unwrap().max, Value::UInt64(u64::MAX));
    let found = statistics(Float32Array::from(vec![1.5, -2.5])).unwrap();
    assert_eq!((found.sum.map(Sum::as_f64), found.last.1), (Some(-1.0), Value::Float32(-2.5)));
}

#[test]
fn of_longer_columns() {
    let values: Vec<Option<i64>> = (0..10_000).map(|i| (i % 3 != 0).then_some((i * 7_919) % 10_007 - 5_000)).collect();
    let found = statistics(Int64Array::from(values.clone())).unwrap();
    let present: Vec<i64> = values.into_iter().flatten().collect();
    assert_eq!(found.count, present.len() as u64);
    assert_eq!(found.sum, Some(Sum::Integer(present.iter().map(|v| i128::from(*v)).sum())));
    assert_eq!(found.min, Value::Int64(*present.iter().min().unwrap()));
    assert_eq!(found.max, Value::Int64(*present.iter().max().unwrap()));
    assert_eq!((found.first.0, found.last.0), (110, 100 + 10 * 9_998));
}

#[test]
fn of_flags_text_and_bytes() {
    let found = statistics(BooleanArray::from(vec![None, Some(true), Some(true)])).unwrap();
    assert_eq!((found.count, found.sum, found.min, found.max), (2, None, Value::Bool(true), Value::Bool(true)));
    let found = statistics(BooleanArray::from(vec![false, true, false]).slice(1, 2)).unwrap();
    assert_eq!((found.min, found.max), (Value::Bool(false), Value::Bool(true)));
    assert_eq!((found.first, found.last), ((100, Value::Bool(true)), (110, Value::Bool(false))));

    let found = statistics(StringArray::from(vec![Some("b"), None, Some("é"), Some("")])).unwrap();
    assert_eq!((found.count, found.sum), (3, None));
    assert_eq!((found.min, found.max), (Value::from(""), Value::from("é")));
    assert_eq!((found.first, found.last), ((100, Value::from("b")), (130, Value::from(""))));
    let found = statistics(BinaryArray::from(vec![&b"\xff"[..], b"\x00"])).unwrap();
    assert_eq!((found.min, found.max), (Value::Binary(vec![0]), Value::Binary(vec![255])));
}

#[test]
fn of_nothing() {
    assert_eq!(statistics(Float64Array::from(Vec::<f64>::new())), None);
    assert_eq!(statistics(StringArray::from(vec![None::<&str>, None])), None);
    assert_eq!(statistics(TimestampMicrosecondArray::from(vec![1])), None);
}
