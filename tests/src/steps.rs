//! What is done to a database, as data: run on the engine, and applied to the model.

use std::time::Duration;

use alluvium::io::{Clock, Disk, SyncLabel};
use alluvium::{
    Access, BackgroundStep, Collection, Database, Durability, Error, Filter, IfRevision, IndexSpec, KeyValue, Lease, NewItem,
    Pop, Put, PutDocument, Queue, QueueSpec, Result, Retry, Settings, TimeRange,
};

use crate::answers;
use crate::documents::{self, DocumentChange};
use crate::model::{Effect, Lasts, Model, Row, Span, Value};
use crate::queues::{self, PushedItem, QueueChange};
use crate::sim::{FLEETING_AGE, Machine, ROOT};

/// One thing done to a database.
#[derive(Debug, Clone)]
pub enum Step {
    /// A mutation, durable when it returns.
    Write(Effect),
    /// Rows that may vanish until something durable follows.
    Buffer(String, Vec<Row>),
    /// Several batches that share a group.
    WriteMany(Vec<(String, Vec<Row>)>),
    /// Makes buffered rows durable.
    Flush,
    /// Seals everything.
    Seal,
    /// A step of background work, if there is one to take.
    Background(BackgroundStep),
    /// Seals and folds everything.
    Compact,
    /// Lets go of partitions of [`FLEETING`](crate::sim::FLEETING), the oldest that it has, in order.
    Evict(Vec<Span>),
    /// Lets simulated time pass, in microseconds.
    Pass(u64),
    /// Sets the wall clock, in microseconds since 1970.
    SetClock(i64),
    /// Closes and opens again.
    Reopen,
    /// Closes, takes the catalog away, and opens again: it is disposable.
    LoseCatalog,
}

impl Step {
    /// What it does to the model, record by record.
    pub fn effects(&self) -> Vec<Effect> {
        match self {
            Step::Write(effect) => vec![effect.clone()],
            Step::Buffer(table, rows) => vec![Effect::Put(table.clone(), rows.clone())],
            Step::WriteMany(batches) => batches.iter().map(|(table, rows)| Effect::Put(table.clone(), rows.clone())).collect(),
            Step::Evict(spans) => spans.iter().cloned().map(Effect::Evict).collect(),
            _ => Vec::new(),
        }
    }

    /// What it is, without its rows.
    pub fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split_once("[Row").map_or(text.as_str(), |(name, _)| name).to_owned()
    }

    /// Whether it is several records, of which the first may be there without the others.
    pub fn has_parts(&self) -> bool {
        match self {
            Step::Write(Effect::Documents(changes, _)) => {
                changes.iter().any(|(_, change)| *change == DocumentChange::Index(true))
            }
            Step::Evict(_) => true,
            _ => false,
        }
    }

    /// Applies it to a model, telling of each effect. Answers whether everything before it is durable once it returned.
    pub fn apply(&self, model: &mut Model, mut tell: impl FnMut(&Model, Effect)) -> bool {
        // A pop that finds nothing, or a removal of nothing, records nothing, and so makes nothing durable either.
        let may_do_nothing = match self {
            Step::Write(Effect::Transact(_, rows, deletions)) => rows.is_empty() && deletions.is_empty(),
            Step::Write(Effect::Queues(..)) => true,
            _ => false,
        };
        let before = may_do_nothing.then(|| model.metadata_digest());
        for effect in self.effects() {
            model.apply(&effect);
            tell(model, effect);
        }
        let buffers = matches!(self, Step::Buffer(..) | Step::Background(_) | Step::Pass(_) | Step::SetClock(_));
        !buffers && before.is_none_or(|before| before != model.metadata_digest())
    }
}

/// A machine with a database that steps are run on.
#[derive(Debug)]
pub struct Runner {
    /// The machine.
    pub machine: Machine,
    settings: Settings,
    db: Option<Database>,
}

impl Runner {
    /// Opens the database of a machine.
    pub fn open(machine: Machine, settings: Settings) -> Result<Self> {
        let mut runner = Runner { machine, settings, db: None };
        runner.reopen()?;
        Ok(runner)
    }

    /// The open database; after a failed opening there is none.
    pub fn db(&self) -> Result<&Database> {
        self.db.as_ref().ok_or(Error::Closed)
    }

    /// Opens the database, dropping the one that is open without a word.
    pub fn reopen(&mut self) -> Result<()> {
        self.db = None;
        self.db = Some(self.machine.open(self.settings.clone())?);
        Ok(())
    }

    /// Goes on with another machine, as after a power cut.
    pub fn replace_machine(&mut self, machine: Machine) {
        self.db = None;
        self.machine = machine;
    }

    /// Does a step.
    pub fn run(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Write(effect) => write(self.db()?, effect),
            Step::Buffer(table, rows) => {
                let db = self.db()?;
                let batch = answers::batch(&*db.table(table)?, rows);
                db.append_with(table, &batch, Durability::Buffered).map(drop)
            }
            Step::WriteMany(batches) => write_many(self.db()?, batches),
            Step::Flush => self.db()?.flush(),
            Step::Seal => self.db()?.seal(),
            Step::Background(step) => self.db()?.background_step(*step).map(drop),
            Step::Compact => self.db()?.compact().map(drop),
            Step::Evict(spans) => self.evict(spans),
            Step::Pass(micros) => {
                self.machine.clock.pass(*micros);
                Ok(())
            }
            Step::SetClock(micros) => {
                self.machine.clock.set_wall(*micros);
                Ok(())
            }
            Step::Reopen => {
                self.close()?;
                self.reopen()
            }
            Step::LoseCatalog => {
                self.close()?;
                self.lose_catalog()?;
                self.reopen()
            }
        }
    }

    fn close(&mut self) -> Result<()> {
        self.db.take().map_or(Ok(()), Database::close)
    }

    /// What ends with these spans is old enough while the wall clock is set ahead. What waits for a compaction would stay.
    fn evict(&self, spans: &[Span]) -> Result<()> {
        let (db, clock) = (self.db()?, &self.machine.clock);
        db.compact()?;
        let (now, horizon) = (clock.wall_micros(), spans.last().map_or(0, |last| last.end));
        clock.set_wall(horizon + FLEETING_AGE.as_micros() as i64);
        let gone = db.evict();
        clock.set_wall(now);
        gone.map(drop)
    }

    fn lose_catalog(&self) -> Result<()> {
        let dir = std::path::Path::new(ROOT).join("catalog");
        let disk = &self.machine.disk;
        let files = disk.list(&dir).map_err(|source| Error::io("list", &dir, source))?;
        for file in files.iter().filter(|file| file.name.starts_with("catalog.pages")) {
            let path = dir.join(&file.name);
            disk.remove(&path).map_err(|source| Error::io("remove", &path, source))?;
        }
        disk.sync_dir(&dir, SyncLabel::CatalogDirectory).map_err(|source| Error::io("sync", &dir, source))
    }
}

/// Does what a record does.
pub(crate) fn write(db: &Database, effect: &Effect) -> Result<()> {
    match effect {
        Effect::Create(spec) => db.create_table(spec.clone()).map(drop),
        Effect::Extend(table, more) => db.add_columns(table, &more.tags, &more.fields).map(drop),
        Effect::Rename(table, name) => db.rename_table(table, name).map(drop),
        Effect::DropTable(table) => db.drop_table(table),
        Effect::Put(table, rows) => db.append(table, &answers::batch(&*db.table(table)?, rows)).map(drop),
        Effect::Delete(span) => db.delete(&span.table, &filters(db, span)?, TimeRange::new(span.start, span.end)).map(drop),
        Effect::Evict(_) => Err(Error::Internal("a step of its own".to_owned())),
        Effect::Transact(pairs, rows, deletions) => transact(db, pairs, rows, deletions),
        Effect::Count(key, by) => db.kv().increment(key, *by).map(drop),
        Effect::Queues(changes, pairs) => change_queues(db, changes, pairs),
        Effect::Documents(changes, pairs) => change_documents(db, changes, pairs),
    }
}

/// A change alone goes the short way, and some only that one.
fn change_queues(db: &Database, changes: &[(String, QueueChange)], pairs: &[(String, Option<Value>)]) -> Result<()> {
    match (changes, pairs) {
        ([(name, QueueChange::Create)], []) => {
            let window = if queues::keeps_keys(name) { Duration::MAX } else { Duration::ZERO };
            let spec = QueueSpec::new(name).tries(queues::TRIES).dead_letters(queues::keeps_dead(name));
            db.create_queue(&spec.deduplication(window))
        }
        ([(name, QueueChange::Drop)], []) => db.drop_queue(name),
        ([(name, change)], []) => change_queue(&mut db.queue(name), change),
        _ => db.transaction(|transaction| {
            changes.iter().try_for_each(|(name, change)| change_queue(&mut transaction.queue(name), change))?;
            pairs.iter().try_for_each(|(key, value)| put_pair(transaction.kv(), key, value.as_ref()))
        }),
    }
}

fn change_queue<A: Access>(queue: &mut Queue<A>, change: &QueueChange) -> Result<()> {
    let lasting = |lasts: &Lasts| if *lasts == Lasts::NotAtAll { Duration::ZERO } else { Duration::MAX };
    let leases = |leases: &[String]| leases.iter().map(|lease| lease.parse()).collect::<Result<Vec<Lease>>>();
    match change {
        QueueChange::Create | QueueChange::Drop => Err(Error::Internal("not within a transaction".to_owned())),
        QueueChange::Push(items) => queue.push_all(items.iter().map(new_item).collect()).map(drop),
        QueueChange::Pop(limit, lasts) => queue.pop_many(Pop::at_most(*limit).lease(lasting(lasts))).map(drop),
        QueueChange::Ack(held) => queue.ack_all(&leases(held)?),
        QueueChange::Nack(held, lasts) => queue.nack_all(&leases(held)?, Retry::After(lasting(lasts))).map(drop),
        QueueChange::Requeue(limit) => queue.requeue_dead(*limit).map(drop),
        QueueChange::Purge(dead_only) => if *dead_only { queue.purge_dead() } else { queue.purge() }.map(drop),
    }
}

/// A change alone goes the short way, and some only that one.
fn change_documents(db: &Database, changes: &[(String, DocumentChange)], pairs: &[(String, Option<Value>)]) -> Result<()> {
    match (changes, pairs) {
        ([(name, DocumentChange::Create)], []) => db.collections().create(documents::spec(name)?),
        ([(name, DocumentChange::Drop)], []) => db.collections().drop(name),
        ([(name, DocumentChange::Index(true))], []) => db.create_index(name, IndexSpec::new(documents::INDEX, &["also", "n"])?),
        ([(name, DocumentChange::Index(false))], []) => db.collections().drop_index(name, documents::INDEX),
        ([(name, change)], []) => change_document(&mut db.collection(name), change),
        _ => db.transaction(|transaction| {
            changes.iter().try_for_each(|(name, change)| change_document(&mut transaction.collection(name), change))?;
            pairs.iter().try_for_each(|(key, value)| put_pair(transaction.kv(), key, value.as_ref()))
        }),
    }
}

fn change_document<A: Access>(collection: &mut Collection<A>, change: &DocumentChange) -> Result<()> {
    match change {
        DocumentChange::Put(id, content, lasts) => {
            let how = match lasts {
                Lasts::Forever => PutDocument::default(),
                Lasts::Long => PutDocument::default().time_to_live(Duration::MAX),
                Lasts::NotAtAll => PutDocument::default().time_to_live(Duration::ZERO),
            };
            collection.put(id, &content.json(), how).map(drop)
        }
        DocumentChange::Delete(id) => match collection.delete(id, IfRevision::Any)? {
            true => Ok(()),
            false => Err(Error::Internal(format!("there is no document {id}"))),
        },
        DocumentChange::Restore(id) => collection.restore(id).map(drop),
        DocumentChange::Create | DocumentChange::Drop | DocumentChange::Index(_) => {
            Err(Error::Internal("not within a transaction".to_owned()))
        }
    }
}

fn new_item(item: &PushedItem) -> NewItem {
    let new = NewItem::new(&item.payload[..]).priority(item.priority);
    let new = if item.never_due { new.due(i64::MAX) } else { new };
    item.key.iter().fold(new, |new, key| new.deduplicate(key))
}

/// A pair alone goes the short way.
fn transact(db: &Database, pairs: &[(String, Option<Value>)], rows: &[(String, Vec<Row>)], deletions: &[Span]) -> Result<()> {
    if let ([(key, value)], [], []) = (pairs, rows, deletions) {
        return put_pair(db.kv(), key, value.as_ref());
    }
    let arrow = |(table, rows): &(String, Vec<Row>)| Ok((table.clone(), answers::batch(&*db.table(table)?, rows)));
    let batches = rows.iter().map(arrow).collect::<Result<Vec<_>>>()?;
    db.transaction(|transaction| {
        pairs.iter().try_for_each(|(key, value)| put_pair(transaction.kv(), key, value.as_ref()))?;
        batches.iter().try_for_each(|(table, batch)| transaction.append(table, batch))?;
        let delete = |span: &Span| transaction.delete(&span.table, &filters(db, span)?, TimeRange::new(span.start, span.end));
        deletions.iter().try_for_each(delete)
    })
}

fn filters(db: &Database, span: &Span) -> Result<Vec<Filter>> {
    let schema = db.table(&span.table)?;
    Ok(span.first_tag.iter().map(|value| Filter::equal(&schema.tags[0].name, value.as_str())).collect())
}

fn put_pair<A: Access>(mut kv: KeyValue<A>, key: &str, value: Option<&Value>) -> Result<()> {
    let Some(value) = value else { return kv.delete(key, IfRevision::Any).map(drop) };
    let how = match value.lasts {
        Lasts::Forever => Put::default(),
        Lasts::Long => Put::default().time_to_live(Duration::MAX),
        Lasts::NotAtAll => Put::default().time_to_live(Duration::ZERO),
    };
    kv.put(key, &value.bytes, how).map(drop)
}

fn write_many(db: &Database, batches: &[(String, Vec<Row>)]) -> Result<()> {
    let arrow = |(table, rows): &(String, Vec<Row>)| Ok(answers::batch(&*db.table(table)?, rows));
    let arrow = batches.iter().map(arrow).collect::<Result<Vec<_>>>()?;
    let pairs: Vec<_> = batches.iter().map(|(table, _)| table.as_str()).zip(&arrow).collect();
    db.append_all(&pairs).map(drop)
}
