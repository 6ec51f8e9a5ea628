//! Puts metadata into the new database, through the same doors that anybody uses.
//!
//! What keeps documents to rules, schemas, references and unique indexes, comes behind them: they come in the order in which they
//! were changed, in which the rules of today need not hold.

use std::collections::HashMap;
use std::time::Duration;

use alluvium::{
    AuditEntry, AuditOutcome, Collection, CollectionSpec, Compatibility, Database, Grant, IfRevision, IndexSpec, KeyValue,
    NewItem, OnDelete, Path, Principal, Put, PutDocument, QueueSpec, ReferenceSpec, Transaction,
};
use jiff::Timestamp;
use serde_json::Value as Json;

use super::error::NotRestored;
use super::lineage::Source;
use super::lines::{self, Refused};
use super::stage::Stage;
use super::told::{self, Told, parsed};
use crate::metadata::{Bytes, CollectionValue, DocumentValue, ItemValue, Line, PairValue, QueueValue, kind};

/// Lines, and bytes of them, that go into one transaction.
const TOGETHER: usize = 1_024;
const BYTES_TOGETHER: usize = 4 << 20;

/// A database that is being made, and what is to be put into it.
pub(super) struct Applying<'a> {
    pub(super) db: &'a Database,
    pub(super) told: &'a Told,
    pub(super) now: Timestamp,
    /// Told of lines that documents and pairs are in.
    pub(super) progress: &'a mut dyn FnMut(u64) -> Result<(), NotRestored>,
}

/// A document or a pair, as it is to be.
enum Change {
    Document { collection: String, id: String, state: Option<DocumentState> },
    Pair { key: String, state: Option<(Vec<u8>, Option<Duration>)> },
}

struct DocumentState {
    body: Json,
    time_to_live: Option<Duration>,
    is_deleted: bool,
}

impl Applying<'_> {
    /// Puts all of it.
    pub(super) fn all(&mut self, stage: &Stage, sources: &[Source]) -> Result<(), NotRestored> {
        let names = self.collections()?;
        for source in sources.iter().filter(|source| source.is_of_then) {
            self.contents(stage, source, &names)?;
        }
        self.rules()?;
        self.principals()?;
        self.queues()
    }

    /// Makes collections without their rules. Answers their names by the numbers that they had.
    fn collections(&self) -> Result<HashMap<u32, String>, NotRestored> {
        let mut of_numbers: Vec<_> = self.told.collections.iter().collect();
        of_numbers.sort_by_key(|(_, of)| of.number);
        for (name, of) in &of_numbers {
            let mut spec = CollectionSpec::new(name);
            if of.soft_delete {
                spec = spec.soft_delete(of.keep_deleted_ms.map(Duration::from_millis));
            }
            self.db.collections().create(spec)?;
        }
        Ok(of_numbers.into_iter().map(|(name, of)| (of.number, name.clone())).collect())
    }

    /// Puts the documents and pairs of one object.
    fn contents(&mut self, stage: &Stage, source: &Source, names: &HashMap<u32, String>) -> Result<(), NotRestored> {
        let (mut changes, mut bytes) = (Vec::new(), 0);
        let now = self.now;
        lines::each(source, &stage.metadata(source.hash), &mut |line| {
            let length = line.value.as_deref().map_or(0, |value| value.get().len());
            let Some(change) = change(line, names, now)? else { return Ok(()) };
            // What is as large as a record may be goes alone.
            if changes.len() == TOGETHER || bytes + length > BYTES_TOGETHER {
                bytes = 0;
                self.put(&std::mem::take(&mut changes))?;
            }
            changes.push(change);
            bytes += length;
            Ok(())
        })?;
        self.put(&changes)
    }

    fn put(&mut self, changes: &[Change]) -> Result<(), NotRestored> {
        if changes.is_empty() {
            return Ok(());
        }
        let put = |transaction: &mut Transaction<'_>| changes.iter().try_for_each(|change| change.put(transaction));
        self.db.transaction(put).map_err(NotRestored::Database)?;
        (self.progress)(changes.len() as u64)
    }

    /// Gives collections their schemas, indexes and references, and what they keep of earlier revisions.
    fn rules(&self) -> Result<(), NotRestored> {
        let db = self.db;
        for (name, of) in &self.told.collections {
            let schemas = self.told.schemas.range((of.number, 0)..=(of.number, u32::MAX));
            for (_, schema) in schemas {
                db.collections().set_schema(name, &schema.schema)?;
            }
            db.collections().set_compatibility(name, compatibility(of)?)?;
            db.collections().set_history(name, of.history)?;
            for index in &of.indexes {
                let paths = index.paths.iter().map(|path| Path::parse(path)).collect::<Result<_, _>>()?;
                db.create_index(name, IndexSpec { name: index.name.clone(), paths, unique: index.unique })?;
            }
        }
        for (name, of) in &self.told.collections {
            for reference in &of.references {
                let on_delete = match reference.on_delete.as_str() {
                    "restrict" => OnDelete::Restrict,
                    "cascade" => OnDelete::Cascade,
                    "set_null" => OnDelete::SetNull,
                    other => return Err(unknown(format!("references are not kept by {other:?}"))),
                };
                let (path, to) = (Path::parse(&reference.path)?, reference.to.clone());
                db.create_reference(name, ReferenceSpec { path, to, on_delete })?;
            }
        }
        Ok(())
    }

    fn principals(&self) -> Result<(), NotRestored> {
        let grants = |texts: &[String]| texts.iter().map(|text| text.parse()).collect::<Result<Vec<Grant>, _>>();
        for (name, role) in &self.told.roles {
            self.db.principals().put_role(name, &grants(&role.grants)?)?;
        }
        for (name, value) in &self.told.principals {
            let principal = Principal {
                roles: value.roles.clone(),
                grants: grants(&value.grants)?,
                disabled: value.disabled,
                ..Principal::new(name)
            };
            self.db.principals().put(&principal)?;
        }
        Ok(())
    }

    /// Makes queues, and pushes what was in them in the order of then: also what was leased, to be done again.
    fn queues(&self) -> Result<(), NotRestored> {
        for (name, value) in &self.told.queues {
            self.db.create_queue(&queue(name, value))?;
            let items = self.told.items.range((value.number, 0)..=(value.number, u64::MAX));
            let mut some = Vec::new();
            for (_, item) in items.filter(|(_, item)| !item.is_dead()) {
                let Some(content) = &item.content else { continue };
                some.push(new_item(content, item.state.as_ref().map_or(0, |state| state.priority))?);
                if some.len() == TOGETHER {
                    self.db.queue(name).push_all(std::mem::take(&mut some))?;
                }
            }
            self.db.queue(name).push_all(some)?;
        }
        Ok(())
    }

    /// Begins a trail of its own with what was done, and where the one before ended.
    pub(super) fn trail(&self, of: &str, detail: String) -> Result<(), NotRestored> {
        let entry = AuditEntry::new("restore", "restore", AuditOutcome::Done).object(of).detail(detail);
        self.db.trail().append(entry)?;
        Ok(())
    }
}

impl told::ItemTold {
    /// Whether it was tried too often: it is for nobody to do.
    pub(super) fn is_dead(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.place == "dead")
    }
}

/// What a line changes of documents and pairs.
fn change(line: Line, names: &HashMap<u32, String>, now: Timestamp) -> Result<Option<Change>, Refused> {
    let Line { kind, key, value, .. } = line;
    let left = |expires_at: Option<Timestamp>| expires_at.map(|at| at.duration_since(now).try_into().unwrap_or(Duration::ZERO));
    match kind.as_str() {
        kind::DOCUMENT => {
            let [_, id] = &key[..] else { return Err(Refused::line("the key of a document is of two texts")) };
            // That of a collection which is no more.
            let Some(collection) = names.get(&told::number(&key, 0)?) else { return Ok(None) };
            let value: Option<DocumentValue> = parsed(value.as_deref())?;
            let state = value.map(|value| {
                let body = serde_json::from_str(value.body.get()).map_err(Refused::line)?;
                let (time_to_live, is_deleted) = (left(value.expires_at), value.deleted_at.is_some());
                Ok::<_, Refused>(DocumentState { body, time_to_live, is_deleted })
            });
            let state = state.transpose()?.filter(|state| state.time_to_live != Some(Duration::ZERO));
            Ok(Some(Change::Document { collection: collection.clone(), id: id.clone(), state }))
        }
        kind::PAIR => {
            let value: Option<PairValue> = parsed(value.as_deref())?;
            let state = value.map(|value| Ok::<_, Refused>((bytes(&value.value)?, left(value.expires_at))));
            let state = state.transpose()?.filter(|(_, left)| *left != Some(Duration::ZERO));
            Ok(Some(Change::Pair { key: told::name(&key)?, state }))
        }
        _ => Ok(None),
    }
}

impl Change {
    fn put(&self, transaction: &mut Transaction<'_>) -> alluvium::Result<()> {
        match self {
            Change::Document { collection, id, state } => {
                put_document(&mut transaction.collection(collection), id, state.as_ref())
            }
            Change::Pair { key, state } => put_pair(&mut transaction.kv(), key, state.as_ref()),
        }
    }
}

fn put_document(
    collection: &mut Collection<&mut Transaction<'_>>,
    id: &str,
    state: Option<&DocumentState>,
) -> alluvium::Result<()> {
    let Some(state) = state else { return collection.purge(id).map(drop) };
    let how = state.time_to_live.map_or(PutDocument::default(), |left| PutDocument::default().time_to_live(left));
    collection.put(id, &state.body, how)?;
    if state.is_deleted {
        collection.delete(id, IfRevision::default())?;
    }
    Ok(())
}

fn put_pair(
    pairs: &mut KeyValue<&mut Transaction<'_>>,
    key: &str,
    state: Option<&(Vec<u8>, Option<Duration>)>,
) -> alluvium::Result<()> {
    let Some((value, left)) = state else { return pairs.delete(key, IfRevision::default()).map(drop) };
    let how = left.map_or(Put::default(), |left| Put::default().time_to_live(left));
    pairs.put(key, value, how).map(drop)
}

fn bytes(bytes: &Bytes) -> Result<Vec<u8>, Refused> {
    bytes.decode().ok_or_else(|| Refused::line("a value is no base64"))
}

fn compatibility(of: &CollectionValue) -> Result<Compatibility, NotRestored> {
    Ok(match of.compatibility.as_str() {
        "none" => Compatibility::None,
        "backward" => Compatibility::Backward,
        "forward" => Compatibility::Forward,
        "full" => Compatibility::Full,
        other => return Err(unknown(format!("schemas do not agree {other:?}"))),
    })
}

fn queue(name: &str, value: &QueueValue) -> QueueSpec {
    let millis = Duration::from_millis;
    QueueSpec::new(name)
        .lease(millis(value.lease_ms))
        .tries(value.tries)
        .back_off(millis(value.back_off_ms), millis(value.back_off_limit_ms))
        .dead_letters(value.dead_letters)
        .deduplication(millis(value.deduplication_ms))
}

/// An item to be pushed: without its key, which would keep others of the same key away that were pushed long before or after it.
fn new_item(content: &ItemValue, priority: u8) -> Result<NewItem, NotRestored> {
    let payload = content.payload.decode().ok_or_else(|| unknown("the payload of an item is no base64".to_owned()))?;
    let item = NewItem::new(payload).priority(priority);
    Ok(content.due.map_or(item.clone(), |due| item.due(due.as_microsecond())))
}

fn unknown(why: String) -> NotRestored {
    NotRestored::Database(alluvium::Error::invalid(why))
}
