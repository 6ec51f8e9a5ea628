//! What a batch asks for, and what came of it.

use std::sync::Arc;

use alluvium::{Error, IfRevision, NewItem, Put, PutDocument, Transaction, WriterId};
use alluvium_protocol::message::Failed;
use alluvium_protocol::mutation::{Condition, Mutation};
use arrow::array::RecordBatch;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;

/// A writer: whose, and which.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::serve) struct WriterKey {
    pub(in crate::serve) principal: Arc<str>,
    pub(in crate::serve) id: WriterId,
}

/// Numbers of batches that follow each other, one at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) struct Numbers {
    pub(in crate::serve) first: u64,
    pub(in crate::serve) last: u64,
}

impl Numbers {
    /// Of one batch.
    pub(in crate::serve) fn one(number: u64) -> Self {
        Numbers { first: number, last: number }
    }

    /// How many there are.
    pub(super) fn count(self) -> usize {
        (self.last - self.first) as usize + 1
    }
}

/// A batch that is to be applied, or several of a writer that came together.
#[derive(Debug)]
pub(in crate::serve) struct Job {
    pub(in crate::serve) writer: Arc<WriterKey>,
    pub(in crate::serve) numbers: Numbers,
    /// Whether the writer begins with it, if it is not known: one that is opened before does not.
    pub(in crate::serve) begins: bool,
    pub(in crate::serve) content: Content,
    /// Bytes that it took on the wire.
    pub(in crate::serve) bytes: usize,
    pub(in crate::serve) done: UnboundedSender<Done>,
    /// Its share of the room for received bytes, until it is done.
    #[expect(dead_code, reason = "it counts by being there")]
    pub(in crate::serve) room: Option<OwnedSemaphorePermit>,
}

/// What a batch consists of.
#[derive(Debug)]
pub(in crate::serve) enum Content {
    /// Rows of tables.
    Rows(Vec<(Arc<str>, RecordBatch)>),
    /// Rows of several batches of one table, and how many each has.
    Run { table: Arc<str>, rows: RecordBatch, counts: Vec<usize> },
    /// Other things that are done.
    Mutations(Vec<Mutation>),
    /// Nothing: it was given up, or had nothing in it.
    Nothing,
}

impl Content {
    /// Rows of tables in it.
    pub(super) fn rows(&self) -> usize {
        match self {
            Content::Rows(parts) => parts.iter().map(|(_, rows)| rows.num_rows()).sum(),
            Content::Run { rows, .. } => rows.num_rows(),
            Content::Mutations(_) | Content::Nothing => 0,
        }
    }
}

/// What came of a batch, or of several.
#[derive(Debug)]
pub(in crate::serve) struct Done {
    pub(in crate::serve) numbers: Numbers,
    pub(in crate::serve) bytes: usize,
    pub(in crate::serve) what: What,
}

#[derive(Debug)]
pub(in crate::serve) enum What {
    /// It is durable.
    Applied {
        /// Whether it was before.
        again: bool,
    },
    /// It cannot be applied as it is.
    Refused(Failed),
    /// There is one missing before it.
    HeldUp(Failed),
    /// The stream cannot go on.
    Ended(Failed),
}

impl Job {
    /// Says what came of it, to whoever may have gone.
    pub(super) fn done(self, what: What) {
        let _ = self.done.send(Done { numbers: self.numbers, bytes: self.bytes, what });
    }
}

/// The batches of a job each by itself, in order.
pub(super) fn split(job: Job) -> Vec<Job> {
    let Content::Run { table, rows, counts } = job.content else { return vec![job] };
    let (mut from, mut bytes) = (0, job.bytes);
    let one = |(number, count): (u64, usize)| {
        let content = Content::Rows(vec![(table.clone(), rows.slice(from, count))]);
        from += count;
        // What all of them took counts as the first one's.
        let (writer, done, bytes) = (job.writer.clone(), job.done.clone(), std::mem::take(&mut bytes));
        Job { writer, numbers: Numbers::one(number), begins: job.begins, content, bytes, done, room: None }
    };
    (job.numbers.first..).zip(counts).map(one).collect()
}

/// Does what a mutation says.
pub(super) fn mutate(transaction: &mut Transaction<'_>, mutation: &Mutation) -> Result<(), Error> {
    match mutation {
        Mutation::PutDocument { collection, id, json, condition, time_to_live } => {
            let mut how = PutDocument::default().only_if(revision(*condition));
            if let Some(micros) = time_to_live {
                how = how.time_to_live(std::time::Duration::from_micros(*micros));
            }
            let mut collection = transaction.collection(collection);
            let id = if id.is_empty() { collection.new_id()? } else { id.clone() };
            collection.put(&id, &parse(json)?, how)?;
        }
        Mutation::MergeDocument { collection, id, patch, condition } => {
            transaction.collection(collection).merge(id, &parse(patch)?, revision(*condition))?;
        }
        Mutation::DeleteDocument { collection, id, condition } => {
            transaction.collection(collection).delete(id, revision(*condition))?;
        }
        Mutation::PutPair { key, value, condition, time_to_live } => {
            let mut how = Put::default().only_if(revision(*condition));
            if let Some(micros) = time_to_live {
                how = how.time_to_live(std::time::Duration::from_micros(*micros));
            }
            transaction.kv().put(key, value, how)?;
        }
        Mutation::DeletePair { key, condition } => {
            transaction.kv().delete(key, revision(*condition))?;
        }
        Mutation::Increment { key, by } => {
            transaction.kv().increment(key, *by)?;
        }
        Mutation::Push { queue, payload, priority, due, deduplication } => {
            let mut item = NewItem::new(payload.clone()).priority(*priority);
            if let Some(due) = due {
                item = item.due(*due);
            }
            if !deduplication.is_empty() {
                item = item.deduplicate(deduplication);
            }
            transaction.queue(queue).push(item)?;
        }
    }
    Ok(())
}

fn revision(condition: Condition) -> IfRevision {
    match condition {
        Condition::Any => IfRevision::Any,
        Condition::Absent => IfRevision::Absent,
        Condition::Revision(revision) => IfRevision::Is(revision),
    }
}

fn parse(json: &str) -> Result<serde_json::Value, Error> {
    serde_json::from_str(json).map_err(|error| Error::invalid(format_args!("a document is no JSON: {error}")))
}
