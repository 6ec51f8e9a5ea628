use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};

use super::plan::Stretch;
use super::{PlanBuilder, gather};
use crate::model::Block;

fn block(times: &[i64], values: &[Option<f64>]) -> Block {
    let column: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
    Block { series: vec![0; times.len()].into(), times: times.to_vec().into(), columns: vec![Some(column)] }
}

fn merge(blocks: &[Block], dropped: impl Fn(u32, i64) -> bool) -> (Vec<i64>, Vec<Option<f64>>) {
    let stretches: Vec<_> = blocks
        .iter()
        .enumerate()
        .map(|(source, block)| Stretch { source: source as u32, first_row: 0, times: &block.times })
        .collect();
    let mut builder = PlanBuilder::default();
    builder.push_series(&stretches, dropped);
    let plan = builder.finish();
    let mut sources = blocks;
    let column = gather(&plan, &mut sources, 0, &DataType::Float64, 0..plan.rows()).unwrap();
    let values = match column {
        Some(column) => column.as_primitive::<Float64Type>().iter().collect(),
        None => vec![None; plan.rows()],
    };
    (plan.times, values)
}

#[test]
fn the_newest_present_value_wins_field_by_field() {
    let old = block(&[1, 2, 3, 4], &[Some(1.0), Some(2.0), None, Some(4.0)]);
    let new = block(&[2, 3, 4, 5], &[Some(20.0), Some(30.0), None, Some(50.0)]);
    let (times, values) = merge(&[old, new], |_, _| false);
    assert_eq!(times, [1, 2, 3, 4, 5]);
    assert_eq!(values, [Some(1.0), Some(20.0), Some(30.0), Some(4.0), Some(50.0)]);
}

#[test]
fn stretches_that_follow_each_other_are_joined() {
    let (times, values) = merge(&[block(&[1, 2], &[Some(1.0), None]), block(&[3], &[Some(3.0)])], |_, _| false);
    assert_eq!(times, [1, 2, 3]);
    assert_eq!(values, [Some(1.0), None, Some(3.0)]);
}

#[test]
fn an_older_source_later_in_time_still_loses_where_keys_meet() {
    let (times, values) =
        merge(&[block(&[5, 6], &[Some(5.0), Some(6.0)]), block(&[1, 6], &[Some(1.0), Some(60.0)])], |_, _| false);
    assert_eq!(times, [1, 5, 6]);
    assert_eq!(values, [Some(1.0), Some(5.0), Some(60.0)]);
}

#[test]
fn dropped_rows_do_not_shadow_or_fill() {
    let old = block(&[1, 2], &[Some(1.0), Some(2.0)]);
    let new = block(&[2, 3], &[None, Some(3.0)]);
    let (times, values) = merge(&[old, new], |source, time| source == 0 && time == 2);
    assert_eq!(times, [1, 2, 3]);
    assert_eq!(values, [Some(1.0), None, Some(3.0)], "the deleted older value must not fill the newer row's gap");
}

#[test]
fn a_source_without_the_field_gives_missing_values() {
    let mut bare = block(&[1, 3], &[None, None]);
    bare.columns = vec![];
    let (times, values) = merge(&[bare.clone(), block(&[2, 3], &[Some(2.0), Some(3.0)])], |_, _| false);
    assert_eq!(times, [1, 2, 3]);
    assert_eq!(values, [None, Some(2.0), Some(3.0)]);
    assert_eq!(merge(&[bare], |_, _| false), (vec![1, 3], vec![None, None]));
}

#[test]
fn part_of_the_result_can_be_gathered() {
    let blocks = [block(&[1, 3, 5], &[Some(1.0), Some(3.0), Some(5.0)]), block(&[3, 4], &[Some(33.0), Some(4.0)])];
    let stretches: Vec<_> =
        blocks.iter().zip(0..).map(|(block, source)| Stretch { source, first_row: 0, times: &block.times }).collect();
    let mut builder = PlanBuilder::default();
    assert_eq!(builder.push_series(&stretches, |_, _| false), 4);
    let plan = builder.finish();
    let column = gather(&plan, &mut blocks.as_slice(), 0, &DataType::Float64, 1..3).unwrap().unwrap();
    assert_eq!(column.as_primitive::<Float64Type>().values(), &[33.0, 4.0]);
    assert_eq!(column.null_count(), 0);
}
