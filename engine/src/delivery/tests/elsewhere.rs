//! Whom a delivery is for, in the plainest way: he keeps what he is told and sent.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use crate::io::{Disk, MemoryDisk, OpenMode};
use crate::record::SeriesSelection;
use crate::{Cut, Database, ParquetReader, Shipment, TimeRange, Unit};

/// A row's device and time, and its value.
pub(super) type Rows = BTreeMap<(String, i64), i64>;

#[derive(Debug)]
struct Held {
    times: (i64, i64),
    records: (u64, u64),
    rows: Vec<(String, i64, i64)>,
}

#[derive(Debug)]
struct Erasure {
    sequence: u64,
    /// `None` for all.
    devices: Option<Vec<String>>,
    range: TimeRange,
}

#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    announced: Vec<(u64, Unit)>,
    gone: Vec<Unit>,
    erasures: Vec<Erasure>,
    held: Vec<Held>,
    through: u64,
}

impl Elsewhere {
    /// A cut is announced.
    pub(super) fn told(&mut self, db: &Database, cut: &Cut) {
        assert_eq!(cut.after, self.through, "cuts follow each other");
        self.through = cut.through;
        self.announced.extend(cut.units.iter().map(|unit| (cut.number, *unit)));
        self.gone.extend(&cut.voids);
        let registry = &db.inner_feed().publisher.registry;
        for (sequence, deletion) in &cut.erasures {
            let table = registry.by_id(deletion.table).unwrap();
            let device = |id: &crate::SeriesId| table.key(*id).0[0].clone().unwrap();
            let devices = match &deletion.series {
                SeriesSelection::All => None,
                SeriesSelection::Only(ids) => Some(ids.iter().map(device).collect()),
            };
            self.erasures.push(Erasure { sequence: *sequence, devices, range: deletion.range });
        }
    }

    /// A segment comes.
    pub(super) fn sent(&mut self, disk: &MemoryDisk, shipment: &Shipment) {
        let file = disk.open(&shipment.path, OpenMode::Read).unwrap();
        let mut rows = Vec::new();
        for batch in ParquetReader::open(file, 1_000).unwrap() {
            let batch = batch.unwrap();
            let times = batch.column_by_name("time").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
            let devices = batch.column_by_name("device").unwrap().as_string::<i32>().clone();
            let values = batch.column_by_name("v").unwrap().as_primitive::<Int64Type>().clone();
            rows.extend((0..times.len()).map(|row| (devices.value(row).to_owned(), times.value(row), values.value(row))));
        }
        assert_eq!(rows.len() as u64, shipment.rows);
        let range = shipment.partition.range;
        assert!(rows.iter().all(|(_, time, _)| range.contains(*time)));
        self.held.push(Held { times: (range.start, range.end), records: shipment.records, rows });
    }

    /// Units that he neither holds nor was told to be gone.
    pub(super) fn missing(&self) -> Vec<(u64, Unit)> {
        let within = |outer: (u64, u64), inner: (u64, u64)| outer.0 <= inner.0 && inner.1 <= outer.1;
        let holds = |held: &Held, unit: &Unit| {
            let range = unit.partition.range;
            within(held.records, unit.records) && held.times.0 <= range.start && range.end <= held.times.1
        };
        let missing = self
            .announced
            .iter()
            .filter(|(_, unit)| !self.gone.contains(unit) && !self.held.iter().any(|held| holds(held, unit)));
        missing.copied().collect()
    }

    /// All rows, by whoever wrote them last.
    pub(super) fn rows(&self) -> Rows {
        let mut newest: BTreeMap<(String, i64), (u64, i64)> = BTreeMap::new();
        for held in &self.held {
            for (device, time, value) in &held.rows {
                let erased = self.erasures.iter().any(|erasure| {
                    let of_it = erasure.devices.as_ref().is_none_or(|devices| devices.contains(device));
                    held.records.1 < erasure.sequence && of_it && erasure.range.contains(*time)
                });
                let known = newest.get(&(device.clone(), *time)).map_or(0, |(last, _)| *last);
                if !erased && held.records.1 >= known {
                    newest.insert((device.clone(), *time), (held.records.1, *value));
                }
            }
        }
        newest.into_iter().map(|(key, (_, value))| (key, value)).collect()
    }
}
