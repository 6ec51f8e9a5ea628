//! Letting go of rows, and the bound on the room that a database takes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::Database;
use super::inner::Inner;
use crate::delivery::Fences;
use crate::error::{Error, Result};
use crate::ingest::Work;
use crate::keyspace::Access;
use crate::model::Sequence;
use crate::record::{Evicted, Evictions, Moment, Receipt, ReceiptKind, Record};
use crate::retention::{self, Candidate, Eviction, Group, Scales, Standing, Unheld};

/// How long after nothing could go it is looked again; sooner where writers wait for it.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_SOON: Duration = Duration::from_secs(1);
/// How long the wall clock has to go evenly before anything is called old by it, and what counts as having been set.
const CLOCK_SETTLES: Duration = Duration::from_secs(3600);
const CLOCK_STEP: Duration = Duration::from_secs(300);

/// Bytes that metadata may take beyond the budget, at least.
const MORE_FOR_METADATA: u64 = 64 << 20;

/// Where it stands with the room that a database may take.
#[derive(Debug, Default)]
pub(super) struct Budget {
    is_spent: AtomicBool,
    used: AtomicU64,
    pace: Mutex<Pace>,
}

/// When it was last looked at what may go, by the monotonic clock in microseconds, and how the wall clock goes.
#[derive(Debug, Default)]
struct Pace {
    looked_at: Option<u64>,
    /// The wall clock less the engine's when it was last seen to have been set, and when that was by the engine's.
    clock: Option<(i64, u64)>,
}

impl Pace {
    /// Whether the wall clock has gone evenly for long enough.
    fn is_clock_settled(&mut self, now: Moment) -> bool {
        let offset = now.wall_micros.saturating_sub(now.engine_micros.min(i64::MAX as u64) as i64);
        match self.clock {
            Some((known, since)) if offset.abs_diff(known) <= CLOCK_STEP.as_micros() as u64 => {
                u128::from(now.engine_micros.saturating_sub(since)) >= CLOCK_SETTLES.as_micros()
            }
            _ => {
                self.clock = Some((offset, now.engine_micros));
                false
            }
        }
    }
}

impl Database {
    /// What [`Settings::retention`](crate::Settings::retention) asks to be let go of now, the oldest first, and what that waits for. Changes nothing.
    /// The wall clock is believed.
    pub fn evictions(&self) -> Result<Vec<Eviction>> {
        let inner = &self.inner;
        inner.check_open()?;
        let now = inner.engine_clock.now().wall_micros;
        Ok(inner.eviction_plan(Some(now))?.iter().map(Candidate::eviction).collect())
    }

    /// Lets go of what [`Database::evictions`] says may go, which the background does by itself, and gives the room back to the file
    /// system. Queries that began earlier still see it. Answers what went.
    ///
    /// ```
    /// use std::time::Duration;
    /// use alluvium::{Database, FieldType, Keep, Retention, RowBuilder, Settings, TableSpec, Unheld};
    ///
    /// # fn main() -> alluvium::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let keep = Keep { age: Some(Duration::from_secs(30 * 86_400)), bytes: None };
    /// let retention = Retention { keep, unheld: Unheld::Drop, ..Retention::default() };
    /// let settings = Settings { retention, ..Settings::default() };
    /// let db = Database::builder().settings(settings).open(dir.path().join("data"))?;
    /// let table = db.create_table(TableSpec::new("air").field("co2", FieldType::Float64))?;
    /// let mut rows = RowBuilder::new(table);
    /// rows.row(1_600_000_000_000_000).value("co2", 612.5)?; // September 2020
    /// db.append("air", &rows.finish()?)?;
    /// db.seal()?;
    /// assert_eq!(db.evict()?.len(), 1);
    /// assert_eq!(db.evicted("air")?.unwrap().rows, 1);
    /// # Ok(()) }
    /// ```
    pub fn evict(&self) -> Result<Vec<Eviction>> {
        let inner = &self.inner;
        inner.check_open()?;
        let now = inner.engine_clock.now().wall_micros;
        let gone = inner.evict(Some(now));
        inner.weigh()?;
        gone
    }

    /// What a table has let go of, ever; `None` where that is nothing.
    pub fn evicted(&self, table: &str) -> Result<Option<Evictions>> {
        let table = self.inner.publisher.registry.get(table)?.id;
        self.read(|transaction| retention::of_table(transaction, table))
    }
}

impl Inner {
    /// Refuses rows once the room is taken that there may be, and metadata when it is much more: to have targets catch up is noted and audited.
    pub(super) fn check_budget(&self, are_rows: bool) -> Result<()> {
        if !self.budget.is_spent.load(Ordering::Acquire) {
            return Ok(());
        }
        let (budget, used) = (self.settings.retention.disk_bytes.unwrap_or(u64::MAX), self.budget.used.load(Ordering::Acquire));
        let most = if are_rows { budget } else { budget.saturating_add(MORE_FOR_METADATA.max(budget / 10)) };
        if used >= most { Err(Error::DiskBudget { used, budget }) } else { Ok(()) }
    }

    /// Bytes of all files, those included that go when nobody reads them any more.
    pub(super) fn bytes_used(&self) -> Result<u64> {
        let segments =
            |table: &std::sync::Arc<crate::table::Table>| table.snapshot().segments.iter().map(|entry| entry.bytes).sum::<u64>();
        let catalog = self.publisher.catalog.get().map_or(Ok(0), |catalog| catalog.bytes_on_disk())?;
        Ok(self.publisher.registry.all().iter().map(segments).sum::<u64>()
            + self.store.retired_bytes()
            + self.committer.bytes_on_disk()
            + self.feed.history.bytes_on_disk()
            + catalog
            + self.settings.ballast_bytes)
    }

    /// Finds out whether the room that it may take is taken.
    pub(super) fn weigh(&self) -> Result<()> {
        let Some(budget) = self.settings.retention.disk_bytes else { return Ok(()) };
        let used = self.bytes_used()?;
        self.budget.used.store(used, Ordering::Release);
        self.budget.is_spent.store(used >= budget, Ordering::Release);
        Ok(())
    }

    /// Lets go of what may go, at times. Answers whether anything went.
    pub(super) fn evict_step(&self) -> Result<bool> {
        if !self.settings.retention.is_any() {
            return Ok(false);
        }
        self.weigh()?;
        let now = self.engine_clock.now();
        let monotonic = self.components.clock.monotonic_micros();
        let is_settled = {
            let mut pace = self.budget.pace.lock();
            let is_settled = pace.is_clock_settled(now);
            let wait = if self.budget.is_spent.load(Ordering::Acquire) { LOOK_SOON } else { LOOK_EVERY };
            let is_early = |looked_at| monotonic.saturating_sub(looked_at) < wait.as_micros() as u64;
            if pace.looked_at.is_some_and(is_early) {
                return Ok(false);
            }
            pace.looked_at = Some(monotonic);
            is_settled
        };
        let gone = self.evict(is_settled.then_some(now.wall_micros))?;
        self.weigh()?;
        Ok(!gone.is_empty())
    }

    fn evict(&self, now_micros: Option<i64>) -> Result<Vec<Eviction>> {
        let _compacting = self.compacting.lock();
        let mut gone = Vec::new();
        for candidate in self.eviction_plan(now_micros)?.into_iter().filter(|candidate| candidate.goes) {
            self.check_open()?;
            let eviction = candidate.eviction();
            self.let_go(candidate)?;
            gone.push(eviction);
        }
        if !gone.is_empty() {
            let _sealing = self.sealing.lock();
            self.ballast.lend(|| self.checkpoint())?;
        }
        Ok(gone)
    }

    /// To be asked by who keeps others from compacting, if anything is to follow of it.
    fn eviction_plan(&self, now_micros: Option<i64>) -> Result<Vec<Candidate>> {
        let fences = self.fences()?;
        let tables = self.publisher.registry.all();
        let groups = tables.iter().flat_map(|table| retention::groups_of(&table.schema(), &table.snapshot())).collect();
        let scales = Scales { now_micros, used: self.bytes_used()? };
        retention::plan(groups, &self.settings.retention, scales, |group| self.standing(group, &fences))
    }

    /// How a group stands with those who are to hold it.
    fn standing(&self, group: &Group, fences: &Fences) -> Result<Standing> {
        let retention = &self.settings.retention;
        let mut lacking = BTreeSet::new();
        for entry in &group.segments {
            lacking.extend(fences.lacking(entry)?);
        }
        let is_lacking = |name: &&String| !fences.has(name) || lacking.contains(name.as_str());
        let blocked = if group.is_spilled {
            Some("a compaction to split it")
        } else if group.segments.iter().any(|entry| fences.is_under_way(entry)) {
            Some("being sent")
        } else if retention.required.is_empty() && retention.unheld == Unheld::Keep {
            Some("a target that is required: none is")
        } else {
            None
        };
        let required = retention.required.iter().filter(is_lacking).cloned().collect();
        Ok(Standing { blocked, required, is_unheld: !lacking.is_empty() })
    }

    /// Leaves a receipt of rows that were let go of and that a delivery, which knows nothing behind a record, has forgotten.
    pub(super) fn tell_forgotten(&self, delivery: &str, through: Sequence) -> Result<()> {
        for table in self.publisher.registry.all() {
            let evicted = retention::of_table(&self.begin_keys()?, table.id)?;
            let Some(evicted) = evicted.filter(|evicted| evicted.last_sequence > through) else { continue };
            let receipt = Receipt {
                at_micros: self.engine_clock.now().wall_micros,
                kind: ReceiptKind::Evicted,
                file: String::new(),
                sequences: Some((through + 1, evicted.last_sequence)),
                table: Some(table.id),
                series: Vec::new(),
                times: Some(evicted.times),
                bytes: evicted.bytes,
                detail: format!(
                    "{delivery} has forgotten what it held, and of {} rows those were let go of here meanwhile",
                    evicted.rows
                ),
            };
            self.ballast.lend(|| self.committer.submit(Work::record(Record::Receipt(receipt.clone()))?))?;
        }
        Ok(())
    }

    /// The order is that of a compaction: the record, then the new version; the files go when nobody reads them any more.
    fn let_go(&self, Candidate { group, reason, standing, .. }: Candidate) -> Result<()> {
        let before = retention::of_table(&self.begin_keys()?, group.table.id)?;
        let at_micros = self.engine_clock.now().wall_micros;
        let total = retention::add(before, &group, standing.is_unheld, at_micros);
        let receipt = standing.is_unheld.then(|| Receipt {
            at_micros,
            kind: ReceiptKind::Evicted,
            file: String::new(),
            sequences: Some(group.records()),
            table: Some(group.table.id),
            series: Vec::new(),
            times: Some(group.times),
            bytes: group.bytes(),
            detail: format!("{} rows were let go of ({reason}) before they were held elsewhere", group.rows()),
        });
        let removed = group.segments.iter().map(|entry| entry.id).collect();
        let evicted = Evicted { table: group.table.id, removed, total, receipt };
        let submit = || self.committer.submit(Work::record(Record::Evicted(evicted.clone()))?);
        self.ballast.lend(submit)?;
        self.store.retire(group.segments);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryDisk;
    use crate::testing::{Hands, open_with, settings};
    use crate::{IfRevision, Put, Retention, Settings};

    #[test]
    fn metadata_may_take_some_more_and_can_always_be_removed() {
        let budget = 1 << 30;
        let retention = Retention { disk_bytes: Some(budget), ..Retention::default() };
        let db = open_with(&MemoryDisk::new(), &std::sync::Arc::new(Hands::default()), Settings { retention, ..settings() });
        let used = |used: u64| {
            db.inner.budget.used.store(used, Ordering::Release);
            db.inner.budget.is_spent.store(used >= budget, Ordering::Release);
        };
        let put = || db.kv().put("k", b"v", Put::default()).map(drop);
        used(budget);
        assert!(matches!(db.inner.check_budget(true), Err(Error::DiskBudget { .. })));
        used(budget + budget / 10 - 1);
        put().unwrap();
        used(budget + budget / 10);
        assert!(matches!(put(), Err(Error::DiskBudget { used, .. }) if used == budget + budget / 10));
        assert!(db.kv().delete("k", IfRevision::Any).unwrap());
        used(budget - 1);
        db.inner.check_budget(true).unwrap();
        put().unwrap();
    }
}
