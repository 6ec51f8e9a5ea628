//! A gateway that cuts as one does, without an engine.

use alluvium_sync::postgres::Segment;
use alluvium_sync::remote::{
    AuditHead, Delta, FORMAT, Hash, Incarnation, Link, Manifest, Period, PeriodKind, SegmentKey, Table, TimeUnit, Unit,
};

/// A day that all are of, unless they say otherwise.
const DAY: Period = Period { kind: PeriodKind::Day, start: 1_764_374_400 };

/// The end of a gateway's chain.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) incarnation: Incarnation,
    pub(crate) cut: u64,
    pub(crate) through: u64,
    pub(crate) previous: Option<Link>,
}

impl Device {
    pub(crate) fn new(name: &str) -> Device {
        let incarnation = Incarnation(fastrand::u128(..).to_be_bytes());
        Device { name: name.to_owned(), incarnation, cut: 0, through: 0, previous: None }
    }

    /// Another device that goes on from here: a copy, or this one restored.
    pub(crate) fn forked(&self) -> Device {
        Device { incarnation: Incarnation(fastrand::u128(..).to_be_bytes()), ..self.clone() }
    }

    /// The next manifest: 10 records, one unit of table 3.
    pub(crate) fn next(&self) -> Manifest {
        let through = self.through + 10;
        Manifest {
            format: FORMAT.to_owned(),
            gateway: self.name.clone(),
            incarnation: self.incarnation,
            cut: self.cut + 1,
            previous: self.previous,
            after: self.through,
            through,
            sealed_at: "2025-11-29T12:00:00.123456789Z".parse().unwrap(),
            audit: Some(AuditHead { number: self.cut + 1, hash: Hash([9; 32]) }),
            tables: vec![Table { table: 3, name: "air".to_owned(), unit: TimeUnit::Micro, dropped: false }],
            units: vec![unit(3, self.through + 1, through)],
            metadata: None,
            erasures: vec![],
            gaps: vec![],
        }
    }

    /// Takes a manifest for the last one, and tells its bytes.
    pub(crate) fn cut(&mut self, manifest: &Manifest) -> Vec<u8> {
        let bytes = manifest.encode().unwrap();
        (self.cut, self.through) = (manifest.cut, manifest.through);
        self.previous = Some(Link { incarnation: self.incarnation, hash: Hash::of(&bytes) });
        bytes
    }

    /// The next cut as it is usual.
    pub(crate) fn step(&mut self) -> Vec<u8> {
        let next = self.next();
        self.cut(&next)
    }

    /// The next cut with metadata of all that changed after a record.
    pub(crate) fn with_metadata(&self, after: u64) -> Manifest {
        let next = self.next();
        let delta = Delta { hash: Hash([5; 32]), bytes: 100, keys: 2, after, through: next.through, at: next.sealed_at };
        Manifest { metadata: Some(delta), ..next }
    }
}

/// A unit of a table's day.
pub(crate) fn unit(table: u32, first: u64, last: u64) -> Unit {
    Unit { table, period: DAY, records: (first, last), rows: 10, first: 1, last: 9 }
}

/// The segment of a table's day.
pub(crate) fn segment(device: &Device, table: u32, first: u64, last: u64) -> Segment {
    segment_of(device, table, DAY, first, last)
}

/// The segment of a table's period.
pub(crate) fn segment_of(device: &Device, table: u32, period: Period, first: u64, last: u64) -> Segment {
    let content = format!("{table} {period} {first} {last}");
    let key = SegmentKey {
        name: "air".to_owned(),
        table,
        period,
        gateway: device.name.clone(),
        incarnation: device.incarnation,
        records: (first, last),
        hash: Hash::of(content.as_bytes()),
    };
    Segment { key, rows: 10, bytes: 1_000, first: 1, last: 9, target: "primary".to_owned() }
}
