//! The plan alone.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::super::plan::plan;
use super::super::{EvictionReason, Group, Keep, Retention, Scales, Standing, Unheld};
use crate::model::{PartitionKind, Partitioning, TableId, TableSchema, TimeUnit};
use crate::record::{SegmentEntry, SegmentId};

const HOUR: i64 = 3_600_000;

/// A group of one segment in the hour `hour` of a table whose times are in milliseconds.
fn group(table: u32, hour: i64, bytes: u64) -> Group {
    let schema = TableSchema {
        id: TableId(table),
        name: format!("t{table}"),
        version: 1,
        time_unit: TimeUnit::Milli,
        partitioning: Partitioning::Hour,
        tags: Vec::new(),
        fields: Vec::new(),
    };
    let partition = PartitionKind::Hour.of(hour * HOUR, TimeUnit::Milli);
    let times = (hour * HOUR, hour * HOUR + 10);
    let entry = SegmentEntry {
        id: SegmentId(hour as u64 + 1),
        table: schema.id,
        partition: Some(partition),
        first_sequence: 1,
        last_sequence: hour as u64 + 1,
        deletions_through: hour as u64 + 1,
        rows: 7,
        points: 7,
        bytes,
        times,
        series: 1,
        hash: [0; 32],
        index: Vec::new(),
    };
    let latest_micros = i128::from(times.1) * 1_000;
    Group { table: Arc::new(schema), partition, segments: vec![Arc::new(entry)], times, latest_micros, is_spilled: false }
}

/// What goes or waits, by table and hour; hours in `waiting` are not held by who has to hold them.
fn planned(groups: Vec<Group>, retention: &Retention, scales: Scales, waiting: &[i64]) -> Vec<(u32, i64, EvictionReason, bool)> {
    let standing = |group: &Group| {
        let waits = waiting.contains(&(group.times.0 / HOUR));
        let required = if waits { vec!["cloud".to_owned()] } else { Vec::new() };
        Ok::<_, Infallible>(Standing { blocked: None, required, is_unheld: waits })
    };
    let planned = plan(groups, retention, scales, standing).unwrap_or_else(|never| match never {});
    planned.iter().map(|found| (found.group.table.id.0, found.group.times.0 / HOUR, found.reason, found.goes)).collect()
}

fn keep(age: Option<Duration>, bytes: Option<u64>) -> Retention {
    Retention { keep: Keep { age, bytes }, ..Retention::default() }
}

const EMPTY: Scales = Scales { now_micros: None, used: 0 };

#[test]
fn what_is_older_than_its_table_is_kept_goes() {
    let groups = || vec![group(1, 2, 5), group(1, 0, 5), group(2, 0, 5), group(1, 1, 5)];
    let mut retention = keep(Some(Duration::from_secs(3600)), None);
    retention.tables.insert("t2".to_owned(), Keep::default());
    // The last row of hour 1 is an hour old at 10 ms past hour 2, and older a microsecond later.
    let at = |micros: i64| Scales { now_micros: Some(2 * HOUR * 1_000 + 10_000 + micros), used: 0 };
    let age = |hour| (1, hour, EvictionReason::Age, true);
    assert_eq!(planned(groups(), &retention, at(0), &[]), [age(0)]);
    assert_eq!(planned(groups(), &retention, at(1), &[]), [age(0), age(1)]);
    assert_eq!(planned(groups(), &retention, EMPTY, &[]), [], "there is no clock to trust");
    let for_ever = keep(Some(Duration::MAX), None);
    assert_eq!(planned(groups(), &for_ever, at(1), &[]), []);
    assert_eq!(planned(groups(), &Retention::default(), at(1), &[]), [], "everything is kept by default");
}

#[test]
fn a_table_is_cut_down_to_its_bytes_from_its_oldest_on() {
    let groups = || vec![group(1, 0, 5), group(1, 1, 5), group(1, 2, 5), group(2, 0, 4)];
    let most = |bytes| keep(None, Some(bytes));
    let gone = |hour| (1, hour, EvictionReason::TableBytes, true);
    assert_eq!(planned(groups(), &most(15), EMPTY, &[]), []);
    assert_eq!(planned(groups(), &most(14), EMPTY, &[]), [gone(0)]);
    assert_eq!(planned(groups(), &most(5), EMPTY, &[]), [gone(0), gone(1)]);
    // Who waits does not keep the next from going, and no more are asked for than are worth it.
    let waits = |hour| (1, hour, EvictionReason::TableBytes, false);
    assert_eq!(planned(groups(), &most(14), EMPTY, &[0]), [waits(0), gone(1)]);
    assert_eq!(planned(groups(), &most(14), EMPTY, &[0, 1, 2]), [waits(0)]);
}

#[test]
fn a_full_disk_is_made_a_tenth_free_from_the_oldest_of_all_tables_on() {
    let groups = || vec![group(1, 1, 30), group(2, 0, 30), group(1, 2, 30)];
    let retention = Retention { disk_bytes: Some(200), ..Retention::default() };
    let used = |used| Scales { now_micros: None, used };
    let gone = |table, hour| (table, hour, EvictionReason::DiskBytes, true);
    assert_eq!(planned(groups(), &retention, used(180), &[]), []);
    assert_eq!(planned(groups(), &retention, used(181), &[]), [gone(2, 0)]);
    assert_eq!(planned(groups(), &retention, used(211), &[]), [gone(2, 0), gone(1, 1)]);
    assert_eq!(planned(groups(), &retention, used(181), &[0]), [(2, 0, EvictionReason::DiskBytes, false), gone(1, 1)]);
}

#[test]
fn what_nobody_holds_goes_only_where_that_is_said_and_then_last() {
    let groups = || vec![group(1, 0, 5), group(1, 1, 5), group(1, 2, 5)];
    let retention = Retention { unheld: Unheld::Drop, ..keep(None, Some(9)) };
    let gone = |hour| (1, hour, EvictionReason::TableBytes, true);
    assert_eq!(planned(groups(), &retention, EMPTY, &[0]), [gone(1), gone(2)], "hour 0 is held by nobody");
    assert_eq!(planned(groups(), &retention, EMPTY, &[0, 2]), [gone(1), gone(0)]);
    assert_eq!(planned(groups(), &retention, EMPTY, &[0, 1, 2]), [gone(0), gone(1)]);
    let aged = Retention { unheld: Unheld::Drop, ..keep(Some(Duration::from_secs(1)), None) };
    let now = Scales { now_micros: Some(i64::MAX), used: 0 };
    let gone = |hour| (1, hour, EvictionReason::Age, true);
    assert_eq!(planned(groups(), &aged, now, &[0, 1, 2]), [gone(0), gone(1), gone(2)]);
    let kept = keep(Some(Duration::from_secs(1)), None);
    assert_eq!(planned(groups(), &kept, now, &[0]), [(1, 0, EvictionReason::Age, false), gone(1), gone(2)]);
}

#[test]
fn what_is_blocked_goes_by_no_means() {
    let blocked = |_: &Group| Ok::<_, Infallible>(Standing { blocked: Some("rest"), ..Standing::default() });
    for unheld in [Unheld::Keep, Unheld::Drop] {
        let retention = Retention { unheld, ..keep(None, Some(0)) };
        let planned = plan(vec![group(1, 0, 5)], &retention, EMPTY, blocked).unwrap_or_else(|never| match never {});
        let [found] = &planned[..] else { panic!("{planned:?}") };
        assert!(!found.goes);
        assert_eq!(found.eviction().waits_for, ["rest"]);
    }
}
