//! What goes, what would, and what that waits for. Pure: it is told how things stand.

use std::collections::HashMap;
use std::fmt;

use super::group::Group;
use super::spec::{Retention, Unheld};
use crate::model::{Partition, TableId};

/// Room that is to be free again when rows are let go of for it: a tenth.
const SPARE: u64 = 10;

/// Why rows are let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EvictionReason {
    /// They are older than their table is kept.
    Age,
    /// Their table has more bytes than it may.
    TableBytes,
    /// The database takes nearly all the room that it may.
    DiskBytes,
}

impl fmt::Display for EvictionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EvictionReason::Age => "age",
            EvictionReason::TableBytes => "table size",
            EvictionReason::DiskBytes => "disk budget",
        })
    }
}

/// All rows of a partition, which are let go of, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Eviction {
    /// Their table.
    pub table: String,
    /// The partition.
    pub partition: Partition,
    /// Segments.
    pub segments: usize,
    /// Rows.
    pub rows: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// Earliest and latest time, both within, in the table's unit.
    pub times: (i64, i64),
    /// Why.
    pub reason: EvictionReason,
    /// What has to happen before, in words; empty where they may go, or went.
    pub waits_for: Vec<String>,
    /// Whether somebody who was to hold them does not.
    pub is_loss: bool,
}

/// How a group stands with those who are to hold it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// What has to happen before it may go by any means.
    pub(crate) blocked: Option<&'static str>,
    /// Who has to hold it and does not.
    pub(crate) required: Vec<String>,
    /// Whether anyone who is to hold it does not.
    pub(crate) is_unheld: bool,
}

/// By what is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scales {
    /// The wall clock, in microseconds since 1970, where it is to be trusted.
    pub(crate) now_micros: Option<i64>,
    /// Bytes that the database takes.
    pub(crate) used: u64,
}

/// A group whose time has come.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) group: Group,
    pub(crate) reason: EvictionReason,
    pub(crate) standing: Standing,
    pub(crate) goes: bool,
}

impl Candidate {
    /// As others see it.
    pub(crate) fn eviction(&self) -> Eviction {
        let Candidate { group, standing, .. } = self;
        let holders = standing.required.iter().map(|name| format!("{name} to hold it"));
        let waits_for = holders.chain(standing.blocked.map(str::to_owned)).collect();
        Eviction {
            table: group.table.name.clone(),
            partition: group.partition,
            segments: group.segments.len(),
            rows: group.rows(),
            bytes: group.bytes(),
            times: group.times,
            reason: self.reason,
            waits_for: if self.goes { Vec::new() } else { waits_for },
            is_loss: standing.is_unheld,
        }
    }
}

/// Room that is taken, and may be.
#[derive(Debug)]
struct Room {
    taken: u64,
    /// What will be taken once those have gone that wait.
    hoped: u64,
    most: u64,
}

impl Room {
    fn take(&mut self, bytes: u64) {
        self.taken += bytes;
        self.hoped += bytes;
    }

    /// Somebody gives up so much, now or when he may.
    fn give(&mut self, bytes: u64, now: bool) {
        self.hoped = self.hoped.saturating_sub(bytes);
        self.taken = self.taken.saturating_sub(if now { bytes } else { 0 });
    }

    fn is_short(&self) -> bool {
        self.taken > self.most
    }

    fn is_hoped_for(&self) -> bool {
        self.hoped > self.most
    }
}

/// Groups whose time has come, the oldest first, and whether they go. How one stands is asked for only then.
pub(crate) fn plan<E>(
    mut groups: Vec<Group>,
    retention: &Retention,
    scales: Scales,
    standing: impl Fn(&Group) -> Result<Standing, E>,
) -> Result<Vec<Candidate>, E> {
    groups.sort_by_key(|group| (group.latest_micros, group.table.id, group.partition.range.start));
    let mut tables: HashMap<TableId, Room> = HashMap::new();
    for group in &groups {
        let most = retention.of(&group.table.name).bytes.unwrap_or(u64::MAX);
        tables.entry(group.table.id).or_insert(Room { taken: 0, hoped: 0, most }).take(group.bytes());
    }
    let most = retention.disk_bytes.map_or(u64::MAX, |bytes| bytes - bytes / SPARE);
    let mut disk = Room { taken: scales.used, hoped: scales.used, most };
    let mut candidates: Vec<Candidate> = Vec::new();
    // Those that are held first: others only for want of them.
    for last_resort in [false, true] {
        let mut left = Vec::new();
        for group in groups {
            let Some(table) = tables.get_mut(&group.table.id) else { continue };
            let Some(reason) = reason(&group, retention, scales.now_micros, table, &disk) else {
                left.push(group);
                continue;
            };
            let standing = standing(&group)?;
            let goes = standing.blocked.is_none() && (standing.required.is_empty() || last_resort);
            if !goes && !last_resort && retention.unheld == Unheld::Drop {
                left.push(group);
                continue;
            }
            // Who waits does not keep younger ones from going; but no more wait than are to go in the end.
            let is_worth_it = goes || reason == EvictionReason::Age || table.is_hoped_for() || disk.is_hoped_for();
            table.give(group.bytes(), goes);
            disk.give(group.bytes(), goes);
            candidates.extend(is_worth_it.then_some(Candidate { group, reason, standing, goes }));
        }
        groups = left;
        if retention.unheld == Unheld::Keep {
            break;
        }
    }
    Ok(candidates)
}

fn reason(group: &Group, retention: &Retention, now_micros: Option<i64>, table: &Room, disk: &Room) -> Option<EvictionReason> {
    let keep = retention.of(&group.table.name);
    let horizon = keep.age.zip(now_micros).map(|(age, now)| i128::from(now) - age.as_micros().min(i128::MAX as u128 / 2) as i128);
    if horizon.is_some_and(|horizon| group.latest_micros < horizon) {
        return Some(EvictionReason::Age);
    }
    if table.is_short() {
        return Some(EvictionReason::TableBytes);
    }
    disk.is_short().then_some(EvictionReason::DiskBytes)
}
