use arrow::array::{Array, BooleanArray, Decimal64Array, Float32Array, Float64Array, Int64Array, StringArray, UInt64Array};

use super::fleet::{self, Declared};
use super::samples;
use super::*;
use crate::model::{FieldStatistics, FieldType, Sum, Value};

fn value(array: &dyn Array, row: usize) -> Option<Value> {
    let any = array.as_any();
    array.is_valid(row).then(|| match array.data_type().to_string().as_str() {
        "Float64" => Value::Float64(any.downcast_ref::<Float64Array>().unwrap().value(row)),
        "Float32" => Value::Float32(any.downcast_ref::<Float32Array>().unwrap().value(row)),
        "Int64" => Value::Int64(any.downcast_ref::<Int64Array>().unwrap().value(row)),
        "UInt64" => Value::UInt64(any.downcast_ref::<UInt64Array>().unwrap().value(row)),
        "Boolean" => Value::Bool(any.downcast_ref::<BooleanArray>().unwrap().value(row)),
        "Utf8" => Value::Utf8(any.downcast_ref::<StringArray>().unwrap().value(row).to_owned()),
        "Binary" => Value::Binary(any.downcast_ref::<arrow::array::BinaryArray>().unwrap().value(row).to_vec()),
        _ => Value::Decimal(any.downcast_ref::<Decimal64Array>().unwrap().value(row)),
    })
}

/// A position in the order of statistics: NaN above every number; the zeroes differ, -0.0 first.
fn order(a: &Value, b: &Value) -> std::cmp::Ordering {
    let float =
        |a: f64, b: f64| a.is_nan().cmp(&b.is_nan()).then(if a.is_nan() { std::cmp::Ordering::Equal } else { a.total_cmp(&b) });
    match (a, b) {
        (Value::Float64(a), Value::Float64(b)) => float(*a, *b),
        (Value::Float32(a), Value::Float32(b)) => float(f64::from(*a), f64::from(*b)),
        (Value::Int64(a), Value::Int64(b)) | (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
        (Value::UInt64(a), Value::UInt64(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Utf8(a), Value::Utf8(b)) => a.cmp(b),
        (Value::Binary(a), Value::Binary(b)) => a.cmp(b),
        _ => unreachable!("values of one field"),
    }
}

fn bits(value: &Value) -> Value {
    match value {
        Value::Float64(value) => Value::UInt64(value.to_bits()),
        Value::Float32(value) => Value::UInt64(u64::from(value.to_bits())),
        other => other.clone(),
    }
}

/// Compares with the plain definition of each statistic.
fn assert_naive(found: &FieldStatistics, values: &[(i64, Value)], what: &str) {
    assert_eq!(found.count as usize, values.len(), "{what}");
    assert_eq!((found.first.0, bits(&found.first.1)), (values[0].0, bits(&values[0].1)), "{what}");
    let last = &values[values.len() - 1];
    assert_eq!((found.last.0, bits(&found.last.1)), (last.0, bits(&last.1)), "{what}");
    let numbers: Vec<&Value> = values.iter().map(|(_, value)| value).collect();
    let nan =
        |value: &Value| matches!(value, Value::Float64(v) if v.is_nan()) || matches!(value, Value::Float32(v) if v.is_nan());
    let real: Vec<&Value> = numbers.iter().copied().filter(|value| !nan(value)).collect();
    if real.is_empty() {
        assert!(nan(&found.min) && nan(&found.max), "{what}");
    } else {
        assert_eq!(bits(&found.min), bits(real.iter().min_by(|a, b| order(a, b)).unwrap()), "{what}");
        assert_eq!(bits(&found.max), bits(real.iter().max_by(|a, b| order(a, b)).unwrap()), "{what}");
    }
    let float = |value: &&Value| match value {
        Value::Float64(value) => *value,
        Value::Float32(value) => f64::from(*value),
        _ => 0.0,
    };
    match found.sum {
        None => assert!(matches!(values[0].1, Value::Bool(_) | Value::Utf8(_) | Value::Binary(_))),
        Some(Sum::Integer(total)) => {
            let naive: i128 = numbers
                .iter()
                .map(|value| match value {
                    Value::Int64(value) | Value::Decimal(value) => i128::from(*value),
                    Value::UInt64(value) => i128::from(*value),
                    _ => unreachable!("integers"),
                })
                .sum();
            assert_eq!(total, naive, "{what}");
        }
        Some(sum) => {
            let naive: f64 = numbers.iter().map(float).sum();
            if naive.is_finite() {
                let size: f64 = numbers.iter().map(|value| float(value).abs()).sum();
                assert!((sum.as_f64() - naive).abs() <= size * 1e-12, "{what}: {sum:?}, naive {naive}");
            } else {
                assert_eq!(sum.as_f64().is_nan(), naive.is_nan(), "{what}");
            }
        }
    }
}

fn check(rows: &Rows, index: &SegmentIndex) -> (usize, usize) {
    let (mut known, mut unknown) = (0, 0);
    for (place, slice) in index.slices.iter().enumerate() {
        assert_eq!(index.has_statistics(place), slice.rows >= 512);
        for (field, column) in rows.columns.iter().enumerate() {
            let range = slice.first_row as usize..(slice.first_row + slice.rows) as usize;
            let values: Vec<(i64, Value)> = column.as_ref().map_or(Vec::new(), |array| {
                range.filter_map(|row| Some((rows.times[row], value(array.as_ref(), row)?))).collect()
            });
            match index.statistics(place, field) {
                Known::Nothing => {
                    assert!(!index.has_statistics(place));
                    unknown += 1;
                }
                Known::NoValues => assert!(values.is_empty()),
                Known::Values(found) => {
                    assert_naive(&found, &values, &format!("slice {place}, field {field}"));
                    known += 1;
                }
            }
        }
    }
    (known, unknown)
}

#[test]
fn statistics_are_those_of_the_rows() {
    for nulls in [0, 2, 700] {
        let mut rows = samples::rows(&[600, 511, 512, 9_000, 2_048, 3], nulls, 31);
        let written = written(&samples::schema(), &mut rows, Profile::Open);
        let index = SegmentIndex::decode(&written.entry.index).unwrap();
        let (known, unknown) = check(&rows, &index);
        assert_eq!((known, unknown), (64, 18), "nulls {nulls}");
    }
}

#[test]
fn statistics_of_the_fleet_take_few_bytes() {
    for declared in [Declared::Doubles, Declared::Exactly] {
        let mut rows = fleet::rows(4, 5_000, declared);
        let written = written(&fleet::schema(declared), &mut rows, Profile::Open);
        let index = SegmentIndex::decode(&written.entry.index).unwrap();
        assert_eq!(check(&rows, &index), (120, 0));
        let per_point = written.entry.index.len() as f64 / written.entry.points as f64;
        assert!(per_point < 0.025, "{per_point} bytes of index per point");
    }
}

#[test]
fn nothing_but_nan_has_nan_extremes() {
    let schema = crate::model::TableSpec::new("n").field("v", FieldType::Float64).into_schema(crate::model::TableId(0)).unwrap();
    let mut rows = samples::rows(&[600], 0, 1);
    rows.runs[0].key = Default::default();
    rows.columns = vec![Some(Arc::new(Float64Array::from(vec![f64::from_bits(0x7ff8_0000_0000_00ff); 600])))];
    let written = written(&schema, &mut rows, Profile::Open);
    let index = SegmentIndex::decode(&written.entry.index).unwrap();
    let Known::Values(found) = index.statistics(0, 0) else { panic!("no statistics") };
    assert!(matches!(found.min, Value::Float64(value) if value.to_bits() == 0x7ff8_0000_0000_00ff));
    assert!(matches!(found.max, Value::Float64(value) if value.is_nan()));
    assert_eq!(found.count, 600);
}
