//! Reading the feed.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::Feed;
use super::change::Change;
use super::decode::{Decoder, Trouble};
use super::filter::{ChangeKind, Filter, Subject};
use super::history::{Found, HistoryPlace, HistoryReader, Kept};
use super::names::Names;
use crate::error::{Error, Result};
use crate::model::Sequence;
use crate::wal::{Follow, Place, Step};

/// Which changes to read: [`Database::changes`](crate::Database::changes) begins it, [`ChangesFrom::read`] ends it.
#[derive(Debug, Clone)]
#[must_use = "nothing is read before `read`"]
pub struct ChangesFrom {
    feed: Arc<Feed>,
    filter: Filter,
    first: Sequence,
    limit: u64,
}

impl ChangesFrom {
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        ChangesFrom { feed, filter: Filter::default(), first: 1, limit: u64::MAX }
    }

    /// Begins with the change of this sequence: one more than that of the last change dealt with. Without it, the feed begins with
    /// the first there ever was.
    pub fn from(self, sequence: Sequence) -> Self {
        ChangesFrom { first: sequence.max(1), ..self }
    }

    /// Only events of this kind, or of others named likewise.
    pub fn kind(mut self, kind: ChangeKind) -> Self {
        self.filter.kinds.push(kind);
        self
    }

    /// Only events about this table, or whatever else is named: tables, collections, queues, and beginnings of keys. Rows go by
    /// the name that their table has by now or had when it was dropped, a definition by the one it gives.
    pub fn table(self, name: &str) -> Self {
        self.about(Subject::Table(name.to_owned()))
    }

    /// Only events about this collection and its documents, or whatever else is named. It goes by the name by now: what was
    /// dropped since has none.
    pub fn collection(self, name: &str) -> Self {
        self.about(Subject::Collection(name.to_owned()))
    }

    /// Only events about this queue and its items, or whatever else is named. What was dropped since has no name.
    pub fn queue(self, name: &str) -> Self {
        self.about(Subject::Queue(name.to_owned()))
    }

    /// Only events about pairs whose keys begin so, or whatever else is named.
    pub fn prefix(self, beginning: &str) -> Self {
        self.about(Subject::Keys(beginning.to_owned()))
    }

    fn about(mut self, subject: Subject) -> Self {
        self.filter.subjects.push(subject);
        self
    }

    /// At most so many changes.
    pub fn limit(self, changes: u64) -> Self {
        ChangesFrom { limit: changes, ..self }
    }

    /// Begins to read. [`Error::FutureSequence`] where it is to begin beyond the next change.
    pub fn read(self) -> Result<Changes> {
        let last = self.feed.visible.level()?;
        if self.first > last.saturating_add(1) {
            return Err(Error::FutureSequence { asked: self.first, last });
        }
        let ChangesFrom { feed, filter, first, limit } = self;
        let names = Names::new({
            let feed = feed.clone();
            move |key| feed.publisher.keyspace.head()?.get(key)
        });
        Ok(Changes { feed, filter, names, next: first, left: limit, source: Source::None })
    }
}

/// Changes, in order, each once.
///
/// As an iterator it ends with the last change there is, and goes on when there are more. It holds a file open and some
/// hundred KiB of memory, whatever the backlog.
///
/// [`Error::Gap`] stands for changes that are no longer kept or cannot be read, once for each range of them; the next item is
/// what follows these. A gap is an error and no event so that no consumer takes what follows it for the whole of what happened;
/// one that can make up for it goes on. After [`Error::Closed`] there is nothing more.
#[derive(Debug)]
pub struct Changes {
    feed: Arc<Feed>,
    filter: Filter,
    names: Names,
    /// The first record not looked at yet.
    next: Sequence,
    left: u64,
    source: Source,
}

/// Where the next record is.
#[derive(Debug)]
enum Source {
    /// That is yet to be found out.
    None,
    Log(Place, Box<Follow>),
    History(HistoryPlace, HistoryReader),
}

/// What is found in a source: a change or a gap, or whether to go on there.
type Flow = ControlFlow<Result<Change>>;

impl Changes {
    /// The last record looked at: everything up to here was shown, filtered out, or is a gap that was named. Reading goes on from
    /// one more.
    pub fn through(&self) -> Sequence {
        self.next - 1
    }

    /// Waits until there is something behind [`Changes::through`], shown or not, or so long. Answers whether there is.
    pub fn wait(&self, timeout: Duration) -> Result<bool> {
        self.feed.visible.wait_above(self.through(), timeout)
    }

    /// Completes once there is something behind [`Changes::through`], shown or not: [`Changes::wait`] for a task, on any runtime.
    /// [`Error::Closed`] where nothing will be any more.
    pub fn changed(&self) -> impl Future<Output = Result<()>> + Send + 'static {
        self.feed.visible.rise(self.through())
    }

    /// The next change, after waiting for one at most so long. `None` if there was none, and once the limit is reached.
    ///
    /// ```
    /// use alluvium::{Database, Put};
    /// use std::time::Duration;
    ///
    /// # fn main() -> alluvium::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let db = Database::open(dir.path().join("data"))?;
    /// let mut changes = db.changes().prefix("pump/").read()?;
    /// std::thread::scope(|scope| {
    ///     let follower = scope.spawn(|| changes.next_timeout(Duration::from_secs(60)));
    ///     db.kv().put("pump/7/state", b"on", Put::default())?;
    ///     assert!(follower.join().unwrap()?.is_some());
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Change>> {
        let clock = self.feed.components.clock.clone();
        let whole = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
        let end = clock.monotonic_micros().saturating_add(whole);
        loop {
            if let Some(change) = self.next() {
                return change.map(Some);
            }
            // Changes that are not shown may end a wait early.
            let left = Duration::from_micros(end.saturating_sub(clock.monotonic_micros()));
            if self.left == 0 || !self.feed.visible.wait_above(self.through(), left)? {
                return Ok(None);
            }
        }
    }

    fn advance(&mut self) -> Result<Option<Change>> {
        while self.left > 0 {
            let through = self.feed.visible.level()?;
            if self.next > through {
                return Ok(None);
            }
            let flow = match &self.source {
                Source::None => self.locate(through)?,
                Source::Log(..) => self.read_log(through),
                Source::History(..) => self.read_history(),
            };
            if let ControlFlow::Break(found) = flow {
                self.left -= u64::from(found.is_ok());
                return found.map(Some);
            }
        }
        Ok(None)
    }

    /// Finds the file that the next record is in.
    fn locate(&mut self, through: Sequence) -> Result<Flow> {
        let (feed, next) = (self.feed.clone(), self.next);
        // The log first: what it has let go of is in history by then.
        if let Some(place) = feed.log.locate(next) {
            match Follow::open(&*feed.components.disk, &feed.log_dir, &place)? {
                Some(follow) => self.source = Source::Log(place, Box::new(follow)),
                // It was let go of meanwhile, or is lost.
                None if feed.log.again(&place).is_none() => {}
                None => return Ok(self.gap(place.limit.map_or(through, |limit| limit - 1))),
            }
            return Ok(ControlFlow::Continue(()));
        }
        let end = feed.log.first().unwrap_or(through + 1);
        if let Some(place) = feed.history.locate(next, end).filter(|place| next < place.limit) {
            if let Some(reader) = feed.history.reader(&place) {
                self.source = Source::History(place, reader);
                return Ok(ControlFlow::Continue(()));
            }
            return Ok(self.gap(place.limit - 1));
        }
        let to = feed.history.next_after(next).unwrap_or(end).min(end) - 1;
        Ok(self.gap(to))
    }

    fn read_log(&mut self, through: Sequence) -> Flow {
        let Source::Log(place, follow) = &mut self.source else { return ControlFlow::Continue(()) };
        if place.limit.is_some_and(|limit| follow.expected() >= limit) {
            self.source = Source::None;
            return ControlFlow::Continue(());
        }
        // A shown run of rows may reach into a file that is read from its start.
        match follow.step(through) {
            Step::Record(frame) if frame.sequence < self.next => ControlFlow::Continue(()),
            Step::Record(frame) => {
                let mut decoder =
                    Decoder { registry: &self.feed.publisher.registry, filter: &self.filter, names: &mut self.names };
                let kept = Kept::Record { kind: frame.kind, payload: follow.payload(&frame) };
                let change = decoder.change(frame.sequence, &kept);
                self.shown(frame.sequence, change)
            }
            Step::Bad => self.behind_bad_log(through),
        }
    }

    /// Either the file was let go of, or ended where the next begins, or is damaged.
    fn behind_bad_log(&mut self, through: Sequence) -> Flow {
        let Source::Log(place, follow) = &mut self.source else { return ControlFlow::Continue(()) };
        let Some(now) = self.feed.log.again(place) else {
            self.source = Source::None;
            return ControlFlow::Continue(());
        };
        *place = now;
        // No later file has records up to `through`, which was known before.
        let end = now.limit.unwrap_or(through + 1).min(through + 1);
        if follow.expected() >= end {
            self.source = Source::None;
            return ControlFlow::Continue(());
        }
        match follow.resume(end) {
            Some((_, last)) if last >= self.next => self.gap(last),
            _ => ControlFlow::Continue(()),
        }
    }

    fn read_history(&mut self) -> Flow {
        let Source::History(place, reader) = &mut self.source else { return ControlFlow::Continue(()) };
        if self.next >= place.limit {
            self.source = Source::None;
            return ControlFlow::Continue(());
        }
        match reader.step(place.bytes) {
            // Records between entries say nothing.
            Found::Entry(entry) if entry.last < self.next => ControlFlow::Continue(()),
            Found::Entry(entry) => {
                if let Kept::Lost { last } = entry.kept {
                    return self.gap(last);
                }
                let mut decoder =
                    Decoder { registry: &self.feed.publisher.registry, filter: &self.filter, names: &mut self.names };
                let change = decoder.change(entry.sequence, &entry.kept);
                let last = entry.last;
                self.shown(last, change)
            }
            Found::Lost(_, last) if last < self.next => ControlFlow::Continue(()),
            Found::Lost(_, last) => self.gap(last),
            Found::End { .. } => self.behind_history(),
        }
    }

    /// The file was added to meanwhile, or holds no more.
    fn behind_history(&mut self) -> Flow {
        let Source::History(place, reader) = &mut self.source else { return ControlFlow::Continue(()) };
        let expected = reader.expected();
        self.next = self.next.max(expected);
        let end = self.feed.log.first().unwrap_or(place.limit);
        match self.feed.history.locate(self.next, end) {
            _ if self.next >= place.limit => self.source = Source::None,
            Some(now) if now.is_grown(place) => *place = now,
            _ => {
                let last = place.limit - 1;
                self.source = Source::None;
                return self.gap(last);
            }
        }
        ControlFlow::Continue(())
    }

    fn shown(&mut self, last: Sequence, change: Result<Option<Change>, Trouble>) -> Flow {
        match change {
            Ok(change) => {
                self.next = last + 1;
                change.map_or(ControlFlow::Continue(()), |change| ControlFlow::Break(Ok(change)))
            }
            // Whole, all the same.
            Err(Trouble::Senseless) => self.gap(last),
            // It is read again the next time.
            Err(Trouble::Failed(error)) => {
                self.source = Source::None;
                ControlFlow::Break(Err(error))
            }
        }
    }

    /// Everything up to `to` is missing.
    fn gap(&mut self, to: Sequence) -> Flow {
        let from = std::mem::replace(&mut self.next, to + 1);
        ControlFlow::Break(Err(Error::Gap { from, to }))
    }
}

impl Iterator for Changes {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}
