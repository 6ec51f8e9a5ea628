//! Rows that become durable while their writer goes on.
//!
//! They are appended as [`Durability::Buffered`], so that they are seen at once, and one thread makes durable what was appended since it last did: as many
//! syncs as the disk allows, each for all who wait.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use alluvium::{Database, Durability, Error, Result};
use arrow::array::RecordBatch;
use parking_lot::{Condvar, Mutex};

/// What is told once, when it is known.
type Told = Box<dyn FnOnce(&Result<u64, Arc<Error>>) + Send>;

/// Makes rows durable in a thread of its own, until it is dropped: all that was appended is durable, or known not to be, by then.
pub struct Acks {
    db: Arc<Database>,
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

/// Rows on their way to be durable.
#[derive(Clone)]
pub struct Pending {
    state: Arc<State>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    rows: Vec<(u64, Arc<State>)>,
    ends: bool,
}

#[derive(Default)]
struct State {
    outcome: Mutex<Outcome>,
    changed: Condvar,
}

#[derive(Default)]
struct Outcome {
    known: Option<Result<u64, Arc<Error>>>,
    told: Vec<Told>,
}

impl Acks {
    /// Begins to, for a database that cannot be closed before this is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the system has no thread to give.
    pub fn new(db: Arc<Database>) -> Result<Self> {
        let queue = Arc::<Queue>::default();
        let (shared, of) = (Arc::clone(&queue), Arc::clone(&db));
        let thread = std::thread::Builder::new().name("alluvium-acks".to_owned()).spawn(move || shared.run(&of));
        let thread = thread.map_err(|error| Error::invalid(format_args!("no thread to acknowledge rows can be had: {error}")))?;
        Ok(Acks { db, queue, thread: Some(thread) })
    }

    /// Appends rows, which are seen when it returns, and durable once what it returns says so.
    ///
    /// # Errors
    ///
    /// As [`Database::append`].
    pub fn append(&self, table: &str, batch: &RecordBatch) -> Result<Pending> {
        let ack = self.db.append_with(table, batch, Durability::Buffered)?;
        let state = Arc::<State>::default();
        self.queue.waiting.lock().rows.push((ack.sequence, Arc::clone(&state)));
        self.queue.changed.notify_one();
        Ok(Pending { state })
    }
}

impl Drop for Acks {
    fn drop(&mut self) {
        self.queue.waiting.lock().ends = true;
        self.queue.changed.notify_one();
        // Dropped by its own thread, as by who is told of the last rows, it ends by itself.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn run(&self, db: &Database) {
        loop {
            let mut waiting = self.waiting.lock();
            self.changed.wait_while(&mut waiting, |waiting| waiting.rows.is_empty() && !waiting.ends);
            let rows = std::mem::take(&mut waiting.rows);
            drop(waiting);
            if rows.is_empty() {
                return;
            }
            let flushed = db.flush().map_err(Arc::new);
            for (sequence, state) in rows {
                state.conclude(flushed.clone().map(|()| sequence));
            }
        }
    }
}

impl State {
    fn conclude(&self, known: Result<u64, Arc<Error>>) {
        let mut outcome = self.outcome.lock();
        outcome.known = Some(known.clone());
        let told = std::mem::take(&mut outcome.told);
        drop(outcome);
        self.changed.notify_all();
        told.into_iter().for_each(|told| told(&known));
    }
}

impl Pending {
    /// The sequence of the rows once they are durable, or why they are not; none while that is open.
    pub fn poll(&self) -> Option<Result<u64, Arc<Error>>> {
        self.state.outcome.lock().known.clone()
    }

    /// The same, waited for, at most so long.
    pub fn wait(&self, timeout: Duration) -> Option<Result<u64, Arc<Error>>> {
        let mut outcome = self.state.outcome.lock();
        let until = Instant::now().checked_add(timeout);
        while outcome.known.is_none() {
            let is_late = match until {
                Some(until) => self.state.changed.wait_until(&mut outcome, until).timed_out(),
                None => {
                    self.state.changed.wait(&mut outcome);
                    false
                }
            };
            if is_late {
                break;
            }
        }
        outcome.known.clone()
    }

    /// Tells what became of them: in the thread that makes rows durable, which waits for it, or at once in this one where it is known.
    pub fn tell(&self, told: impl FnOnce(&Result<u64, Arc<Error>>) + Send + 'static) {
        let mut outcome = self.state.outcome.lock();
        match outcome.known.clone() {
            Some(known) => {
                drop(outcome);
                told(&known);
            }
            None => outcome.told.push(Box::new(told)),
        }
    }
}

impl fmt::Debug for Acks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acks").field("db", &self.db).finish_non_exhaustive()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("known", &self.poll()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use alluvium::{FieldType, Query, RowBuilder, TableSpec};

    use super::*;

    fn with_air() -> (tempfile::TempDir, Arc<Database>) {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(folder.path().join("data")).unwrap();
        db.create_table(TableSpec::new("air").field("co2", FieldType::Float64)).unwrap();
        (folder, Arc::new(db))
    }

    fn batch(db: &Database, time: i64) -> RecordBatch {
        let mut rows = RowBuilder::new(db.table("air").unwrap());
        rows.row(time).value("co2", 1.0).unwrap();
        rows.finish().unwrap()
    }

    #[test]
    fn rows_are_seen_at_once_and_durable_in_order() {
        let (_folder, db) = with_air();
        let acks = Acks::new(Arc::clone(&db)).unwrap();
        let (tells, told) = mpsc::channel();
        let pending: Vec<_> = (0..100).map(|time| acks.append("air", &batch(&db, time)).unwrap()).collect();
        let rows: usize = db.query(&Query::table("air")).unwrap().map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(rows, 100);
        for pending in &pending {
            let tells = tells.clone();
            pending.tell(move |known| tells.send(*known.as_ref().unwrap()).unwrap());
        }
        let sequences: Vec<_> = pending.iter().map(|rows| rows.wait(Duration::from_secs(60)).unwrap().unwrap()).collect();
        assert!(sequences.is_sorted_by(|a, b| a < b));
        assert!(pending.iter().all(|rows| rows.poll().is_some()));
        drop(acks);
        let mut heard: Vec<_> = told.try_iter().collect();
        heard.sort_unstable();
        assert_eq!(heard, sequences, "each is told once");
    }

    #[test]
    fn what_was_appended_is_settled_when_it_ends() {
        let (_folder, db) = with_air();
        let acks = Acks::new(Arc::clone(&db)).unwrap();
        let pending = acks.append("air", &batch(&db, 1)).unwrap();
        drop(acks);
        assert!(matches!(pending.poll(), Some(Ok(sequence)) if sequence > 0));
        assert!(Arc::try_unwrap(db).is_ok(), "the database can be closed");
    }

    #[test]
    fn rows_that_are_refused_are_refused_at_once() {
        let (_folder, db) = with_air();
        let acks = Acks::new(Arc::clone(&db)).unwrap();
        assert!(matches!(acks.append("water", &batch(&db, 1)), Err(Error::NoSuchTable { .. })));
    }
}
