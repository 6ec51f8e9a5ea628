use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::Int64Type;

use super::{Memtable, Run};
use crate::model::{Block, FieldType, SeriesId, TableId, TableSchema, TableSpec};

fn schema() -> TableSchema {
    TableSpec::new("t").field("a", FieldType::Int64).into_schema(TableId(0)).unwrap()
}

fn run(rows: &[(u32, i64, Option<i64>)], sequence: u64) -> Run {
    let values: Int64Array = rows.iter().map(|row| row.2).collect();
    let block = Block {
        series: rows.iter().map(|row| row.0).collect::<Vec<_>>().into(),
        times: rows.iter().map(|row| row.1).collect::<Vec<_>>().into(),
        columns: vec![Some(Arc::new(values))],
    };
    Run::from_batch(&schema(), block).unwrap().numbered(sequence)
}

fn rows(run: &Run) -> Vec<(u32, i64, Option<i64>)> {
    let values = run.block.column(0).unwrap().as_primitive::<Int64Type>();
    let value = |row| values.is_valid(row).then(|| values.value(row));
    (0..run.block.rows()).map(|row| (run.block.series[row], run.block.times[row], value(row))).collect()
}

#[test]
fn a_batch_is_sorted_and_its_later_rows_win() {
    let run = run(&[(1, 5, Some(1)), (0, 9, Some(2)), (1, 5, None), (1, 4, Some(3)), (0, 9, Some(4))], 7);
    assert_eq!(rows(&run), [(0, 9, Some(4)), (1, 4, Some(3)), (1, 5, Some(1))]);
    assert_eq!(run.times, (4, 9));
    assert_eq!(run.rows_of(SeriesId(1)), 1..3);
    assert!(run.rows_of(SeriesId(2)).is_empty());
}

/// The step of the background.
fn consolidate(table: &mut Memtable) {
    while let Some(due) = table.due() {
        let merged = due.merge(&schema()).unwrap();
        table.replace(&due, merged);
    }
}

#[test]
fn a_writer_merges_by_itself_what_the_background_leaves_lying() {
    let mut table = Memtable::default();
    for n in 0..5_000 {
        table.push(&schema(), Arc::new(run(&[(0, n, Some(n))], n as u64 + 1))).unwrap();
        assert!(table.runs().len() < 200, "{} runs after {n}", table.runs().len());
    }
    let all = Run::consolidate(&schema(), &table.runs().cloned().collect::<Vec<_>>()).unwrap();
    assert_eq!(rows(&all), (0..5_000).map(|n| (0, n, Some(n))).collect::<Vec<_>>());
}

#[test]
fn a_merge_of_runs_that_are_gone_changes_nothing() {
    let mut table = Memtable::default();
    (1..=40).for_each(|n| table.push(&schema(), Arc::new(run(&[(0, n as i64, Some(1))], n))).unwrap());
    let due = table.due().unwrap();
    let merged = due.merge(&schema()).unwrap();
    let mut sealed = Memtable::default();
    sealed.push(&schema(), Arc::new(run(&[(0, 1, Some(7))], 41))).unwrap();
    sealed.replace(&due, merged);
    assert_eq!(sealed.runs().map(|run| rows(run)).collect::<Vec<_>>(), [[(0, 1, Some(7))]]);
}

#[test]
fn many_small_runs_become_few_and_keep_every_row() {
    let mut table = Memtable::default();
    for n in 0..200 {
        table.push(&schema(), Arc::new(run(&[(0, n, Some(n)), (1, n / 2, Some(n))], n as u64 + 1))).unwrap();
    }
    assert!(table.runs().len() > 100, "merging is left to the background");
    assert!(table.is_due());
    consolidate(&mut table);
    assert!(!table.is_due());
    assert!(table.runs().len() < 40, "{} runs", table.runs().len());
    assert_eq!(table.memory(), table.runs().map(|run| run.memory).sum::<usize>());
    let sequences: Vec<_> = table.runs().map(|run| run.sequences).collect();
    assert!(sequences.windows(2).all(|pair| pair[0].1 < pair[1].0), "oldest first, without overlap: {sequences:?}");
    let all = Run::consolidate(&schema(), &table.runs().cloned().collect::<Vec<_>>()).unwrap();
    let expected: Vec<_> = (0..200).map(|n| (0, n, Some(n))).chain((0..100).map(|n| (1, n, Some(2 * n + 1)))).collect();
    assert_eq!(rows(&all), expected);
}

#[test]
fn runs_are_not_merged_across_a_barrier() {
    let mut table = Memtable::default();
    for n in 1..=100 {
        table.push(&schema(), Arc::new(run(&[(0, n as i64, Some(1))], n))).unwrap();
        if n == 40 {
            table.set_barrier(40);
        }
    }
    consolidate(&mut table);
    assert_eq!(table.runs().len(), 40 + 1 + 28);
    assert!(table.runs().all(|run| run.sequences.1 <= 40 || run.sequences.0 > 40));
}
