//! Cuts: what is new since the last one, noted in one transaction.

use std::sync::Arc;

use super::erased::{self, Erasures};
use super::form::{self, ContentForm, CutForm, PendingForm, UnitForm, cut_key, encode, unit_key};
use super::state::{Noted, settle};
use super::unit::{holds_unit, of_table};
use super::voided;
use crate::audit;
use crate::error::Result;
use crate::keyspace::Transaction;
use crate::model::{Partition, Sequence, TableId};
use crate::record::{Deletion, Receipt, ReceiptKind, SegmentEntry, persist};

/// A stretch of the log whose rows lie in segments.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Cut {
    /// 1, 2, …
    pub number: u64,
    /// It is of the records after this one …
    pub after: Sequence,
    /// … up to this one.
    pub through: Sequence,
    /// When it was taken, by the wall clock, in microseconds since 1970.
    pub taken_at: i64,
    /// Number and hash of the last entry of the audit trail by then; `None` where that is empty.
    pub audit: Option<(u64, [u8; 32])>,
    /// Its rows, in the order of tables, partitions and records.
    pub units: Vec<Unit>,
    /// Tables dropped since the cut before, with all their rows.
    pub dropped: Vec<TableId>,
    /// Rows deleted, with the records that say so, in their order.
    pub erasures: Vec<(Sequence, Deletion)>,
    /// Losses noticed since the cut before.
    pub losses: Vec<Receipt>,
    /// Units of cuts before that nobody holds and nobody can: all their rows were deleted meanwhile.
    pub voids: Vec<Unit>,
}

/// What of a cut lay in one segment when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Unit {
    /// Its table.
    pub table: TableId,
    /// Its partition.
    pub partition: Partition,
    /// The first and the last of the records that it may hold rows of.
    pub records: (Sequence, Sequence),
    /// Rows.
    pub rows: u64,
    /// Earliest and latest time, both within, in the table's unit.
    pub times: (i64, i64),
}

/// The segments of a table.
type Segments = Arc<Vec<Arc<SegmentEntry>>>;

/// What there is besides the key space, while nobody seals or compacts.
#[derive(Debug, Clone)]
pub(crate) struct SealedState {
    /// Everything up to here lies in segments.
    pub(crate) through: Sequence,
    /// Every table's, none of them spilled.
    pub(crate) segments: Vec<(TableId, Segments)>,
    /// Tables that were dropped, ever.
    pub(crate) dropped: Vec<TableId>,
    /// Deletions, with their records.
    pub(crate) deletions: Vec<(Sequence, Deletion)>,
    /// Receipts, with theirs.
    pub(crate) receipts: Vec<(Sequence, Receipt)>,
}

/// Takes the next cut of a delivery. `None` where it would be of no record; or where it says nothing, unless that is asked for.
pub(crate) fn take(transaction: &mut Transaction, name: &str, sealed: &SealedState, even_if_empty: bool) -> Result<Option<Cut>> {
    let mut delivery = Noted::read(transaction, name)?;
    let (after, through) = (delivery.form.through, sealed.through);
    if through <= after {
        return Ok(None);
    }
    let is_new = |sequence: Sequence| after < sequence && sequence <= through;
    let cut = Cut {
        number: delivery.form.cuts + 1,
        after,
        through,
        taken_at: transaction.at().wall_micros,
        audit: audit_head(transaction)?,
        units: new_units(sealed, is_new),
        dropped: sealed.dropped.iter().copied().filter(|table| !delivery.form.dropped.contains(&table.0)).collect(),
        erasures: erasures(transaction, sealed, is_new)?,
        losses: sealed.receipts.iter().filter(|(sequence, _)| is_new(*sequence)).map(|(_, receipt)| receipt.clone()).collect(),
        voids: Vec::new(),
    };
    let mut cut = Cut { voids: void(transaction, &delivery, sealed, &cut.dropped)?, ..cut };
    let says = !cut.units.is_empty()
        || !cut.dropped.is_empty()
        || !cut.erasures.is_empty()
        || !cut.losses.is_empty()
        || !cut.voids.is_empty();
    if !says && !even_if_empty {
        return Ok(None);
    }
    cut.units.sort_by_key(|unit| (unit.table, unit.partition.kind, unit.partition.range.start, unit.records));
    note(transaction, &mut delivery, &cut)?;
    erased::keep(transaction, &cut.erasures)?;
    delivery.write(transaction);
    Ok(Some(cut))
}

fn audit_head(transaction: &Transaction) -> Result<Option<(u64, [u8; 32])>> {
    let head = audit::head(transaction)?;
    Ok((head.number > 0).then_some((head.number, head.hash)))
}

fn new_units(sealed: &SealedState, is_new: impl Fn(Sequence) -> bool) -> Vec<Unit> {
    let entries = sealed.segments.iter().flat_map(|(_, segments)| segments.iter());
    let units = entries.filter(|entry| is_new(entry.last_sequence)).filter_map(|entry| {
        let records = (entry.first_sequence, entry.last_sequence);
        Some(Unit { table: entry.table, partition: entry.partition?, records, rows: entry.rows, times: entry.times })
    });
    units.collect()
}

/// Deletions that are to be told: those that are still to be carried out, and such as were told once and forgotten by whom they were told.
fn erasures(transaction: &Transaction, sealed: &SealedState, is_new: impl Fn(Sequence) -> bool) -> Result<Erasures> {
    let kept = erased::kept(transaction, &is_new)?;
    let to_carry_out = sealed.deletions.iter().filter(|erasure| is_new(erasure.0) && !kept.contains(erasure));
    let mut all: Erasures = kept.iter().chain(to_carry_out).cloned().collect();
    all.sort_by_key(|(sequence, deletion)| (*sequence, deletion.table));
    Ok(all)
}

/// Whether a receipt says that a unit was let go of.
fn states(receipt: &Receipt, unit: &Unit) -> bool {
    let within = |(first, last): (u64, u64)| first <= unit.records.0 && unit.records.1 <= last;
    let during = |(first, last): (i64, i64)| first <= unit.times.0 && unit.times.1 <= last;
    receipt.kind == ReceiptKind::Evicted
        && receipt.table == Some(unit.table)
        && receipt.sequences.is_some_and(within)
        && receipt.times.is_some_and(during)
}

/// Units that were cut before and that nothing holds any more: those of tables that were dropped and those that were let go of, which is said
/// by itself; and of others, as long as they are the oldest of their table, those to answer.
fn void(transaction: &mut Transaction, delivery: &Noted, sealed: &SealedState, dropped: &[TableId]) -> Result<Vec<Unit>> {
    let number = delivery.form.number;
    let mut gone = Vec::new();
    for table in dropped {
        gone.extend(of_table(transaction, number, *table)?.collect::<Result<Vec<_>>>()?);
    }
    let (mut voids, mut voided) = (Vec::new(), Vec::new());
    for (table, segments) in &sealed.segments {
        for pending in of_table(transaction, number, *table)? {
            let (key, pending) = pending?;
            // What was sent is looked for elsewhere.
            if pending.sent.is_some() {
                continue;
            }
            if segments.iter().any(|entry| holds_unit(entry, &pending.unit)) {
                break;
            }
            let unit = pending.unit.unit()?;
            match sealed.receipts.iter().find(|(_, receipt)| states(receipt, &unit)) {
                Some((sequence, _)) if *sequence > sealed.through => continue,
                Some(_) => {}
                None => {
                    voids.push(unit);
                    voided.extend(voided::of(transaction, number, &pending)?);
                }
            }
            gone.push((key, pending));
        }
    }
    for (key, pending) in gone {
        transaction.remove(key);
        settle(transaction, delivery, pending.cut, 1)?;
    }
    voided::keep(transaction, number, delivery.form.cuts + 1, &voided)?;
    Ok(voids)
}

fn note(transaction: &mut Transaction, delivery: &mut Noted, cut: &Cut) -> Result<()> {
    let (number, incarnation) = (delivery.form.number, delivery.form.incarnation);
    for unit in cut.units.iter().map(UnitForm::of) {
        let pending = PendingForm { cut: cut.number, incarnation, taken_at: cut.taken_at, unit, sent: None };
        transaction.put(unit_key(number, &unit), encode(&pending));
    }
    let content = ContentForm {
        audit: cut.audit,
        units: cut.units.iter().map(UnitForm::of).collect(),
        dropped: cut.dropped.iter().map(|table| table.0).collect(),
        erasures: cut.erasures.iter().map(|(sequence, deletion)| (*sequence, persist::deletion::encode(deletion))).collect(),
        losses: cut.losses.iter().map(persist::receipt::encode).collect(),
        voids: cut.voids.iter().map(UnitForm::of).collect(),
    };
    let form = CutForm {
        after: cut.after,
        through: cut.through,
        taken_at: cut.taken_at,
        before_at: delivery.form.taken_at,
        left: cut.units.len() as u64,
        content: Some(content),
    };
    transaction.put(cut_key(number, cut.number), encode(&form));
    let delivery = &mut delivery.form;
    (delivery.cuts, delivery.through, delivery.taken_at) = (cut.number, cut.through, cut.taken_at);
    delivery.dropped.extend(cut.dropped.iter().map(|table| table.0));
    Ok(())
}

/// A cut as it was noted.
pub(super) fn read(number: u64, form: CutForm) -> Result<Option<Cut>> {
    let Some(content) = form.content else { return Ok(None) };
    let units = |forms: Vec<UnitForm>| forms.into_iter().map(UnitForm::unit).collect::<Result<Vec<_>>>();
    let deletion = |(sequence, bytes): &(u64, Vec<u8>)| Ok((*sequence, persist::deletion::decode(bytes)?));
    let erasures = content.erasures.iter().map(deletion).collect::<Result<Vec<_>, _>>();
    let losses = content.losses.iter().map(|bytes| persist::receipt::decode(bytes)).collect::<Result<Vec<_>, _>>();
    Ok(Some(Cut {
        number,
        after: form.after,
        through: form.through,
        taken_at: form.taken_at,
        audit: content.audit,
        units: units(content.units)?,
        dropped: content.dropped.into_iter().map(TableId).collect(),
        erasures: erasures.map_err(|error| form::unreadable(&error))?,
        losses: losses.map_err(|error| form::unreadable(&error))?,
        voids: units(content.voids)?,
    }))
}
