//! Group commit: writers that wait at the same time share one write and one fdatasync.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::decide::Stage;
use super::definitions::Definitions;
use super::group::{Mutation, Prepared, Work};
use super::leader::{Grouping, Leader};
use super::publish::{News, Publisher};
use crate::catalog::Change;
use crate::clock::EngineClock;
use crate::error::{Error, Result};
use crate::io::Clock;
use crate::keyspace::Recent;
use crate::memtable::Run;
use crate::model::{Sequence, SeriesId, SeriesKey, TableId};
use crate::record::{Record, RecordKind};
use crate::settings::Durability;
use crate::table::Table;
use crate::wal::{self, Log, Payload};
use crate::watermark::Watermark;

/// A group takes no further member beyond this many bytes.
const GROUP_BYTES: usize = 8 << 20;
/// A group is not delayed longer than this for others, however slow syncs are.
const MOST_PATIENCE: Duration = Duration::from_millis(2);

/// What became of the works of one writer, in their order: their sequences, 0 where there was nothing to record.
type Outcomes = Vec<Result<Sequence>>;
/// What is to be recorded for the works of one writer.
type Decided = Vec<Result<Option<Prepared>>>;

/// The writers that wait and the log they share.
#[derive(Debug)]
pub(crate) struct Committer {
    leader: Leader<LogGroups>,
}

/// Groups of the log. Each member is what one writer submitted together.
#[derive(Debug)]
struct LogGroups {
    publisher: Arc<Publisher>,
    clock: Arc<dyn Clock>,
    engine_clock: EngineClock,
    interval: Duration,
    last_sync_micros: AtomicU64,
    /// How long the last group took to be written, and synced where that was asked for.
    took_micros: AtomicU64,
    /// The last record that is durable and published.
    visible: Arc<Watermark>,
}

/// The log and what goes with it; whoever holds its lock may write.
#[derive(Debug)]
struct LogState {
    log: Log,
    next: Sequence,
    definitions: Definitions,
    /// What the last transactions changed.
    recent: Recent,
    /// Why nothing is accepted any more.
    stopped: Option<String>,
    /// Whether a group is under way; if it is, between two groups, then whoever led panicked.
    committing: bool,
}

/// What became of a group that was written.
#[derive(Default)]
struct Written {
    /// By work.
    sequences: Vec<Sequence>,
    series: Vec<NewSeries>,
}

/// How much log there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogDepth {
    /// Bytes of all files.
    pub(crate) on_disk: u64,
    /// Bytes that hold records from some sequence on, as [`Log::bytes_since`] counts them.
    pub(crate) bytes: u64,
    /// Files that do.
    pub(crate) files: u64,
}

/// Series `first` up to, without, `end`, which the log now knows.
struct NewSeries {
    table: Arc<Table>,
    first: SeriesId,
    end: u32,
    keys: Vec<SeriesKey>,
}

impl Committer {
    pub(crate) fn new(
        log: Log,
        next: Sequence,
        publisher: Arc<Publisher>,
        clock: Arc<dyn Clock>,
        engine_clock: EngineClock,
        interval: Duration,
        visible: Arc<Watermark>,
    ) -> Self {
        let (definitions, recent) = Default::default();
        publisher.set_published(next - 1);
        let state = LogState { log, next, definitions, recent, stopped: None, committing: false };
        let last_sync_micros = AtomicU64::new(0);
        let took_micros = AtomicU64::new(0);
        let groups = LogGroups { publisher, clock, engine_clock, interval, last_sync_micros, took_micros, visible };
        Committer { leader: Leader::new(groups, state) }
    }

    /// Commits one mutation and answers its sequence once it is published, and durable where asked.
    pub(crate) fn submit(&self, work: Work) -> Result<Sequence> {
        let outcome = self.submit_all(vec![work]).pop();
        outcome.unwrap_or_else(|| Err(Error::Internal("a record without an outcome".to_owned())))
    }

    /// Commits mutations in one group, which others may join, and answers what became of each. Each is a record of its own.
    pub(crate) fn submit_all(&self, works: Vec<Work>) -> Vec<Result<Sequence>> {
        let count = works.len();
        if count == 0 {
            return Vec::new();
        }
        self.leader.submit(works).unwrap_or_else(|| (0..count).map(|_| Err(panicked())).collect())
    }

    /// Lets `cut` see the last sequence while nothing can be written or published.
    pub(crate) fn between_groups<T>(&self, cut: impl FnOnce(Sequence) -> T) -> T {
        let state = self.state();
        cut(state.next - 1)
    }

    /// Makes everything published durable.
    pub(crate) fn flush(&self) -> Result<()> {
        self.flushed(|_| Ok(()))
    }

    /// Makes everything published durable, and lets `then` see the last sequence before anything more is.
    pub(crate) fn flushed<T>(&self, then: impl FnOnce(Sequence) -> Result<T>) -> Result<T> {
        let mut state = self.state();
        state.check()?;
        let outcome = state.log.sync();
        state.latch(outcome)?;
        self.leader.grouping().show(&state);
        then(state.next - 1)
    }

    /// The first record of what stays if the log before `keep_from` is freed.
    pub(crate) fn stays(&self, keep_from: Sequence) -> Sequence {
        self.state().log.stays(keep_from)
    }

    /// Frees log files all of whose records are below `keep_from`.
    pub(crate) fn trim(&self, keep_from: Sequence) -> Result<()> {
        let mut state = self.state();
        state.check()?;
        state.log.trim(keep_from)
    }

    /// Bytes of log that hold records after `sequence`.
    pub(crate) fn bytes_since(&self, sequence: Sequence) -> u64 {
        self.state().log.bytes_since(sequence)
    }

    /// How much log there is, and how much of it holds records from `sequence` on.
    pub(crate) fn log_depth(&self, sequence: Sequence) -> LogDepth {
        let log = &self.state().log;
        LogDepth { on_disk: log.bytes_on_disk(), bytes: log.bytes_since(sequence), files: log.files_since(sequence) }
    }

    /// Bytes of all log files.
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        self.state().log.bytes_on_disk()
    }

    /// Removes log files kept to be overwritten.
    pub(crate) fn drop_spare_files(&self) -> Result<()> {
        self.state().log.drop_spares()
    }

    /// Whether the next log file can be one that was written before.
    pub(crate) fn has_spare_file(&self) -> bool {
        self.state().log.has_spare()
    }

    /// Marks everything durable and accepts nothing more.
    pub(crate) fn close(&self) -> Result<()> {
        let mut state = self.state();
        state.check()?;
        state.stopped = Some("it was closed".to_owned());
        state.log.close()
    }

    fn state(&self) -> MutexGuard<'_, LogState> {
        self.leader.state()
    }
}

impl Grouping for LogGroups {
    type Work = Vec<Work>;
    type Outcome = Outcomes;
    type State = LogState;

    fn linger(&self) -> Duration {
        if self.interval.is_zero() {
            return Duration::ZERO;
        }
        let since = self.clock.monotonic_micros().saturating_sub(self.last_sync_micros.load(Ordering::Acquire));
        self.interval.saturating_sub(Duration::from_micros(since))
    }

    fn patience(&self) -> Duration {
        Duration::from_micros(self.took_micros.load(Ordering::Acquire)).min(MOST_PATIENCE)
    }

    fn members<'a>(&self, waiting: impl Iterator<Item = &'a Vec<Work>>) -> usize {
        let mut bytes = 0;
        let fits = |works: &&Vec<Work>| {
            let first = bytes == 0;
            bytes += works.iter().map(Work::frame_bytes).sum::<usize>();
            first || bytes <= GROUP_BYTES
        };
        waiting.take_while(fits).count()
    }

    fn commit(&self, state: &mut LogState, group: Vec<Vec<Work>>) -> Vec<Outcomes> {
        let sizes: Vec<usize> = group.iter().map(Vec::len).collect();
        let written = state.check().and_then(|()| {
            state.committing = true;
            let decided = self.decide(state, group)?;
            let written = self.write(state, &decided)?;
            Ok((written, decided))
        });
        let outcomes = match written {
            Ok((written, decided)) => self.publish(state, written, decided),
            // What was decided or refused on the grounds of what is not to be falls with it.
            Err(error) => sizes.into_iter().map(|works| (0..works).map(|_| Err(error.shared())).collect()).collect(),
        };
        state.committing = false;
        outcomes
    }
}

impl LogGroups {
    /// What every member does, each on the state that those before it leave.
    fn decide(&self, state: &LogState, group: Vec<Vec<Work>>) -> Result<Vec<Decided>> {
        let mut stage =
            Stage::new(&self.publisher, &state.recent, &self.engine_clock, group.iter().flatten().any(Work::read_rows));
        let mut decide = |works: Vec<Work>| works.into_iter().map(|work| stage.decide(work)).collect();
        Ok(group.into_iter().map(&mut decide).collect())
    }

    /// One write and one fdatasync for the whole group. A group that failed leaves no trace.
    fn write(&self, state: &mut LogState, group: &[Decided]) -> Result<Written> {
        let before = state.next;
        if prepared(group).next().is_none() {
            return Ok(Written::default());
        }
        let asked = prepared(group).any(|work| work.durability == Durability::Durable);
        let begun = self.clock.monotonic_micros();
        let outcome = self.lay_out(state, group).and_then(|written| {
            // The catalog, which learns of new series at once, must never be ahead of what is on disk.
            let durable = asked || !written.series.is_empty();
            state.log.commit_group(durable).map(|()| (written, durable))
        });
        let now = self.clock.monotonic_micros();
        self.took_micros.store(now.saturating_sub(begun), Ordering::Release);
        match &outcome {
            Ok((_, true)) => self.last_sync_micros.store(now, Ordering::Release),
            Ok(_) => {}
            Err(_) => {
                state.next = before;
                state.definitions.forget();
            }
        }
        state.latch(outcome).map(|(written, _)| written)
    }

    fn lay_out(&self, state: &mut LogState, group: &[Decided]) -> Result<Written> {
        state.log.begin_group(prepared(group).map(|work| work.payload.frame_bytes()).sum())?;
        state.definitions.follow(state.log.file_number());
        let mut written = Written::default();
        for work in prepared(group) {
            match &work.mutation {
                Mutation::CreateTable(schema) | Mutation::AlterTable(schema) => {
                    state.definitions.schema(schema.id, schema.version);
                }
                Mutation::Rows { table, run } => self.define(state, *table, run, &mut written)?,
                Mutation::Transaction(effects) => {
                    effects.rows.iter().try_for_each(|(table, run)| self.define(state, *table, run, &mut written))?;
                }
                _ => {}
            }
            written.sequences.push(state.next);
            state.push(work.kind, &work.payload);
        }
        Ok(written)
    }

    /// Puts the definitions that a run needs, and this file still lacks, before its rows.
    fn define(&self, state: &mut LogState, table: TableId, run: &Run, written: &mut Written) -> Result<()> {
        let table = self.publisher.registry.of(table)?;
        let schema = table.schema();
        if state.definitions.schema(table.id, schema.version) {
            state.push_context(Record::AlterTable((*schema).clone()))?;
        }
        let index = table.series.read();
        let logged =
            written.series.iter().filter(|new| new.table.id == table.id).map(|new| new.end).max().unwrap_or(index.logged);
        if run.series().any(|id| id.0 >= logged) {
            // Everything up to the newest series, so that their numbers stay dense on disk.
            let (first, end) = (SeriesId(logged), index.len());
            let keys: Vec<_> = (logged..end).map(|id| index.key(SeriesId(id))).collect();
            for id in logged..end {
                state.definitions.series(table.id, SeriesId(id));
            }
            state.push_record(Record::CreateSeries { table: table.id, first, keys: keys.clone() })?;
            written.series.push(NewSeries { table: table.clone(), first, end, keys });
        }
        let missing: Vec<SeriesId> = run.series().filter(|&id| state.definitions.series(table.id, id)).collect();
        for neighbours in missing.chunk_by(|a, b| a.0 + 1 == b.0) {
            let keys = neighbours.iter().map(|&id| index.key(id)).collect();
            state.push_context(Record::CreateSeries { table: table.id, first: neighbours[0], keys })?;
        }
        Ok(())
    }

    fn publish(&self, state: &mut LogState, written: Written, group: Vec<Decided>) -> Vec<Outcomes> {
        let mut news = News::default();
        for new in written.series {
            new.table.series.write().logged = new.end;
            news.changes.push(Change::PutSeries { table: new.table.id, first: new.first, keys: new.keys });
        }
        let mut sequences = written.sequences.into_iter();
        let mut publish = |decided: Result<Option<Prepared>>| {
            let Some(work) = decided? else { return Ok(0) };
            let sequence = sequences.next().ok_or_else(|| Error::Internal("a record without a sequence".to_owned()))?;
            let outcome = self.publisher.publish(sequence, work.mutation, &mut news);
            state.latch(outcome).map(|()| sequence)
        };
        let outcomes = group.into_iter().map(|works| works.into_iter().map(&mut publish).collect()).collect();
        news.cells.iter().for_each(|(sequence, effects)| state.recent.add(*sequence, effects));
        // The records are durable and acknowledged all the same: the log rebuilds what the catalog missed.
        let outcome = self.publisher.tell(state.next - 1, &news);
        let _ = state.latch(outcome);
        // After the pairs: a transaction that begins in between sees the pairs, and conflicts where it asks for the rows.
        self.publisher.set_published(state.next - 1);
        self.show(state);
        outcomes
    }

    /// Lets the change feed go on to what is durable; all of it is published between two groups.
    fn show(&self, state: &LogState) {
        if state.stopped.is_none() {
            self.visible.raise(state.log.durable());
        }
    }
}

/// What is to be recorded, in order.
fn prepared(group: &[Decided]) -> impl Iterator<Item = &Prepared> {
    group.iter().flatten().filter_map(|work| work.as_ref().ok()?.as_ref())
}

fn panicked() -> Error {
    Error::Stopped { reason: "a writer panicked while it committed a group".to_owned() }
}

impl LogState {
    fn check(&self) -> Result<()> {
        match &self.stopped {
            None if self.committing => Err(panicked()),
            None => Ok(()),
            Some(reason) => Err(Error::Stopped { reason: reason.clone() }),
        }
    }

    /// After a failure other than a full disk nothing can be promised any more.
    fn latch<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome
            && !matches!(error, Error::DiskFull { .. } | Error::Stopped { .. })
        {
            self.stopped.get_or_insert_with(|| error.to_string());
        }
        outcome
    }

    fn push(&mut self, kind: RecordKind, payload: &Payload) -> Sequence {
        let sequence = self.next;
        self.log.push(kind.code(), 0, sequence, payload);
        self.next += 1;
        sequence
    }

    fn push_record(&mut self, record: Record) -> Result<Sequence> {
        Ok(self.push(record.kind(), &Payload::new(record.encode()?)?))
    }

    /// A definition repeated so that the file stands alone: it takes no number of its own.
    fn push_context(&mut self, record: Record) -> Result<()> {
        self.log.push(record.kind().code(), wal::CONTEXT, self.next, &Payload::new(record.encode()?)?);
        Ok(())
    }
}
