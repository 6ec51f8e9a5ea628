//! The stage before the log: members of a group whose work depends on others are decided, one after the other.

use super::group::{Decide, Decision, Effects, Mutation, Prepared, Work};
use super::publish::Publisher;
use super::reads::{RowsOutcome, RowsRead, Touch};
use crate::clock::EngineClock;
use crate::error::{Error, Result};
use crate::keyspace::{Outcome, Recent, Transaction, View};
use crate::memtable::Run;
use crate::model::{Sequence, TableId};
use crate::record::{self, Effect, Moment, RecordKind, encode_transaction};
use crate::settings::Durability;
use crate::wal::Payload;

/// What members not yet recorded see: everything published, and what those before them in the group are about to do.
pub(super) struct Stage<'s> {
    publisher: &'s Publisher,
    recent: &'s Recent,
    clock: &'s EngineClock,
    /// `None` until it is needed.
    at: Option<Moment>,
    /// The same.
    view: Option<View>,
    /// What was decided in this group, and how much of it the view holds.
    decided: Vec<Vec<Effect>>,
    seen: usize,
    /// Tables that are dropped in this group.
    dropped: Vec<TableId>,
    /// What is done to rows in this group, if somebody in it read any.
    touched: Option<Vec<Touch>>,
}

impl<'s> Stage<'s> {
    pub(super) fn new(publisher: &'s Publisher, recent: &'s Recent, clock: &'s EngineClock, rows_were_read: bool) -> Self {
        Stage {
            publisher,
            recent,
            clock,
            at: None,
            view: None,
            decided: Vec::new(),
            seen: 0,
            dropped: Vec::new(),
            touched: rows_were_read.then(Vec::new),
        }
    }

    /// What is to be recorded for a work; `None` where it does nothing.
    pub(super) fn decide(&mut self, work: Work) -> Result<Option<Prepared>> {
        let (keys, rows) = match work {
            Work::Prepared(prepared) => {
                self.check_table(&prepared.mutation)?;
                self.touch(&prepared.mutation);
                return Ok(Some(prepared));
            }
            Work::Decision(Decision::Now(decide)) => (self.find_out(decide)?, RowsOutcome::default()),
            Work::Decision(Decision::IfUnchanged(outcome, again)) => match (self.has_changed(&outcome.keys), again) {
                (false, _) => (outcome.keys, outcome.rows),
                (true, Some(decide)) => (self.find_out(decide)?, outcome.rows),
                (true, None) => return Err(Error::Conflict),
            },
        };
        let RowsOutcome { runs: rows, deletions, reads: rows_read, since } = rows;
        if rows_read.iter().any(|read| self.is_changed(read, since)) {
            return Err(Error::Conflict);
        }
        rows.iter().try_for_each(|(table, _)| self.check_stays(*table))?;
        deletions.iter().try_for_each(|deletion| self.check_stays(deletion.table))?;
        let cells = keys.effects;
        if cells.is_empty() && rows.is_empty() && deletions.is_empty() {
            return Ok(None);
        }
        // What cannot be recorded is not seen by those behind it either.
        let prepared = prepare(self.at(), Effects { cells: cells.clone(), rows, deletions })?;
        self.touch(&prepared.mutation);
        self.decided.push(cells);
        Ok(Some(prepared))
    }

    /// What a transaction does on the state that those before it leave.
    fn find_out(&mut self, decide: Decide) -> Result<Outcome> {
        let at = self.at();
        let mut transaction = Transaction::exclusive(self.view()?.clone(), at);
        decide(&mut transaction)?;
        Ok(transaction.finish())
    }

    /// When this group is taken to happen.
    fn at(&mut self) -> Moment {
        *self.at.get_or_insert_with(|| self.clock.now())
    }

    /// What whoever is next sees. Most have found out by themselves what they do, so it is not made before somebody asks.
    fn view(&mut self) -> Result<&View> {
        let view = match &mut self.view {
            Some(view) => view,
            none => none.insert(self.publisher.keyspace.head()?),
        };
        let news = self.decided.get(self.seen..).unwrap_or_default();
        news.iter().for_each(|cells| view.put(Sequence::MAX, cells));
        self.seen = self.decided.len();
        Ok(view)
    }

    /// Refuses rows of a table that was dropped since they were prepared.
    fn check_table(&mut self, mutation: &Mutation) -> Result<()> {
        match mutation {
            Mutation::Rows { table, .. } => self.check_stays(*table),
            Mutation::Delete(deletion) => self.check_stays(deletion.table),
            Mutation::DropTable(schema) => {
                self.dropped.push(schema.id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn check_stays(&self, table: TableId) -> Result<()> {
        let table = self.publisher.registry.of(table)?;
        if self.dropped.contains(&table.id) { Err(Error::NoSuchTable { name: table.schema().name.clone() }) } else { Ok(()) }
    }

    /// Notes what a member does to rows.
    fn touch(&mut self, mutation: &Mutation) {
        let Some(touched) = &mut self.touched else { return };
        match mutation {
            Mutation::Rows { table, run } => touched.push(Touch::of_run(*table, run)),
            Mutation::Delete(deletion) => touched.push(Touch::Deletion(deletion.clone())),
            Mutation::Transaction(effects) => {
                touched.extend(effects.rows.iter().map(|(table, run)| Touch::of_run(*table, run)));
                touched.extend(effects.deletions.iter().cloned().map(Touch::Deletion));
            }
            _ => {}
        }
    }

    fn is_changed(&self, read: &RowsRead, since: Sequence) -> bool {
        let Some(table) = self.publisher.registry.by_id(read.table) else { return true };
        let by_others = self.touched.iter().flatten().any(|touch| read.is_changed_by(touch));
        by_others || self.dropped.contains(&read.table) || read.is_changed(&table.snapshot(), since)
    }

    /// Whether others have changed what a transaction read of keys.
    fn has_changed(&self, Outcome { reads, .. }: &Outcome) -> bool {
        let Some((reads, since)) = reads else { return false };
        let changed = |effects: &Vec<Effect>| effects.iter().any(|effect| reads.contains(&effect.key));
        self.recent.conflicts(reads, *since) || self.decided.iter().any(changed)
    }
}

fn prepare(at: Moment, effects: Effects) -> Result<Prepared> {
    let blocks = |(table, run): &(TableId, Run)| (*table, run.block.clone());
    let blocks = effects.rows.iter().map(blocks).collect();
    let record = record::Transaction { at, cells: effects.cells, rows: blocks, deletions: effects.deletions };
    let payload = Payload::new(encode_transaction(&record)?)?;
    let mutation = Mutation::Transaction(Effects { cells: record.cells, deletions: record.deletions, ..effects });
    Ok(Prepared { mutation, kind: RecordKind::Transaction, payload, durability: Durability::Durable })
}
