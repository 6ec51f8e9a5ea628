//! How it stands with deliveries.

use std::ops::Bound;
use std::sync::Arc;

use super::cut::{self, Cut};
use super::form::{
    CutForm, DeliveryForm, PendingForm, SentForm, all_notes, all_units, all_voided, cut_key, cut_of, cuts, decode, delivery_key,
    encode, name_of, note_key, unit_key_of,
};
use super::unit::{Sent, still, within};
use super::voided;
use crate::error::{Error, Result};
use crate::keyspace::{Direction, Transaction, prefix, space};
use crate::model::{PartitionKind, Sequence, TableId};
use crate::record::{Key, SegmentEntry};
use crate::shared::check_text;

/// Bytes of a name, at most.
const NAME_BYTES: usize = 64;

/// How it stands with a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryState {
    /// Its name.
    pub name: String,
    /// How far it went.
    pub head: DeliveryHead,
    /// The last cut up to which, from the first, all is announced and held; `None` where that is none.
    pub delivered: Option<DeliveredThrough>,
    /// Cuts that are not announced, or of which a unit is not held.
    pub cuts_left: u64,
    /// Units that nobody else holds.
    pub units_left: u64,
}

/// How far a delivery went, which is known at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryHead {
    /// The number that it goes by elsewhere: random, and another one once it forked.
    pub incarnation: [u8; 16],
    /// The last cut that was taken; 0 before the first.
    pub cuts: u64,
    /// The last record of that.
    pub through: Sequence,
    /// When that was taken, by the wall clock, in microseconds since 1970; 0 before the first.
    pub taken_at: i64,
    /// The last cut that was announced; `None` before the first.
    pub announced: Option<Announced>,
    /// Metadata that changed after this record were not sent.
    pub metadata_through: Sequence,
}

/// The last cut that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Its number.
    pub cut: u64,
    /// Its last record.
    pub through: Sequence,
    /// When it was taken, by the wall clock, in microseconds since 1970.
    pub taken_at: i64,
    /// The incarnation that announced it: another one, until the first cut behind a fork is.
    pub incarnation: [u8; 16],
    /// The hash of what it was announced by.
    pub hash: [u8; 32],
}

/// How far all was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveredThrough {
    /// The cut.
    pub cut: u64,
    /// Its last record.
    pub record: Sequence,
    /// When it was taken, by the wall clock, in microseconds since 1970.
    pub taken_at: i64,
}

/// A delivery within a transaction.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) name: String,
    pub(super) form: DeliveryForm,
}

impl Noted {
    pub(super) fn read(transaction: &Transaction, name: &str) -> Result<Self> {
        let found = transaction.get(&delivery_key(name))?;
        let (_, cell) = found.ok_or_else(|| Error::NoSuchDelivery { name: name.to_owned() })?;
        Ok(Noted { name: name.to_owned(), form: decode(&cell)? })
    }

    pub(super) fn write(&self, transaction: &mut Transaction) {
        transaction.put(delivery_key(&self.name), encode(&self.form));
    }
}

/// Makes a delivery, unless there is one of this name.
pub(crate) fn begin(transaction: &mut Transaction, name: &str, incarnation: [u8; 16]) -> Result<DeliveryState> {
    check_text("name of a delivery", name, NAME_BYTES)?;
    if transaction.get(&delivery_key(name))?.is_none() {
        let next = numbers(transaction)?.last().map_or(1, |last| last + 1);
        let form = DeliveryForm {
            number: next,
            incarnation,
            cuts: 0,
            through: 0,
            taken_at: 0,
            announced: 0,
            announced_through: 0,
            announced_at: 0,
            announced_incarnation: [0; 16],
            announced_hash: [0; 32],
            metadata_through: 0,
            dropped: Vec::new(),
        };
        Noted { name: name.to_owned(), form }.write(transaction);
    }
    state(transaction, name)
}

/// The numbers of all deliveries, rising.
fn numbers(transaction: &Transaction) -> Result<Vec<u32>> {
    let cells = transaction.scan(prefix(&[space::DELIVERY]), Direction::Forward)?;
    let number = |cell: Result<(Key, crate::catalog::Stored)>| Ok(decode::<DeliveryForm>(&cell?.1.1)?.number);
    let mut numbers = cells.map(number).collect::<Result<Vec<_>>>()?;
    numbers.sort_unstable();
    Ok(numbers)
}

/// All deliveries, by name.
pub(crate) fn list(transaction: &Transaction) -> Result<Vec<DeliveryState>> {
    let cells = transaction.scan(prefix(&[space::DELIVERY]), Direction::Forward)?;
    let names = cells.map(|cell| name_of(&cell?.0)).collect::<Result<Vec<_>>>()?;
    names.iter().map(|name| state(transaction, name)).collect()
}

/// How it stands with one. Looks at all cuts that are left.
pub(crate) fn state(transaction: &Transaction, name: &str) -> Result<DeliveryState> {
    let form = Noted::read(transaction, name)?.form;
    let (mut cuts_left, mut units_left, mut first) = (0, 0, None);
    for cell in transaction.scan(prefix(&cuts(form.number)), Direction::Forward)? {
        let (key, (_, cell)) = cell?;
        let cut: CutForm = decode(&cell)?;
        cuts_left += 1;
        units_left += cut.left;
        if first.is_none() {
            first = Some(DeliveredThrough { cut: cut_of(&key)? - 1, record: cut.after, taken_at: cut.before_at });
        }
    }
    let all = DeliveredThrough { cut: form.cuts, record: form.through, taken_at: form.taken_at };
    let delivered = Some(first.unwrap_or(all)).filter(|delivered| delivered.cut > 0);
    Ok(DeliveryState { name: name.to_owned(), head: head_of(&form), delivered, cuts_left, units_left })
}

/// How far one went.
pub(crate) fn head(transaction: &Transaction, name: &str) -> Result<DeliveryHead> {
    Ok(head_of(&Noted::read(transaction, name)?.form))
}

fn head_of(form: &DeliveryForm) -> DeliveryHead {
    let announced = Announced {
        cut: form.announced,
        through: form.announced_through,
        taken_at: form.announced_at,
        incarnation: form.announced_incarnation,
        hash: form.announced_hash,
    };
    DeliveryHead {
        incarnation: form.incarnation,
        cuts: form.cuts,
        through: form.through,
        taken_at: form.taken_at,
        announced: (form.announced > 0).then_some(announced),
        metadata_through: form.metadata_through,
    }
}

/// The segments of one that were sent and not looked for since: the first so many.
pub(crate) fn unconfirmed(transaction: &Transaction, name: &str, limit: usize) -> Result<Vec<Sent>> {
    let number = Noted::read(transaction, name)?.form.number;
    super::unit::sent(transaction, number, limit)
}

/// The number of a delivery, and the last record of what it has announced.
pub(crate) fn announced_through(transaction: &Transaction, name: &str) -> Result<(u32, Sequence)> {
    let form = Noted::read(transaction, name)?.form;
    Ok((form.number, form.announced_through))
}

/// The first cut that was not announced.
pub(crate) fn next(transaction: &Transaction, name: &str) -> Result<Option<Cut>> {
    let form = Noted::read(transaction, name)?.form;
    let number = form.announced + 1;
    match transaction.get(&cut_key(form.number, number))? {
        Some((_, cell)) => cut::read(number, decode(&cell)?),
        None => Ok(None),
    }
}

/// The next cut was announced by something of a hash, with metadata up to a record.
pub(crate) fn announce(
    transaction: &mut Transaction,
    name: &str,
    number: u64,
    hash: [u8; 32],
    metadata_through: Sequence,
) -> Result<()> {
    let mut delivery = Noted::read(transaction, name)?;
    let key = cut_key(delivery.form.number, number);
    let cell = transaction.get(&key)?.filter(|_| number == delivery.form.announced + 1);
    let (_, cell) =
        cell.ok_or_else(|| Error::invalid(format!("cut {number} of delivery {name:?} is not the next to announce")))?;
    let cut: CutForm = decode(&cell)?;
    let form = &mut delivery.form;
    (form.announced, form.announced_incarnation, form.announced_hash) = (number, form.incarnation, hash);
    (form.announced_through, form.announced_at) = (cut.through, cut.taken_at);
    form.metadata_through = form.metadata_through.max(metadata_through);
    put_cut(transaction, key, CutForm { content: None, ..cut });
    delivery.write(transaction);
    Ok(())
}

/// A cut's cell stays while there is anything to say of it.
fn put_cut(transaction: &mut Transaction, key: Key, cut: CutForm) {
    match cut.content.is_none() && cut.left == 0 {
        true => transaction.remove(key),
        false => transaction.put(key, encode(&cut)),
    }
}

/// So many units of a cut need no longer be held.
pub(super) fn settle(transaction: &mut Transaction, delivery: &Noted, number: u64, units: u64) -> Result<()> {
    let key = cut_key(delivery.form.number, number);
    let Some((_, cell)) = transaction.get(&key)? else { return Ok(()) };
    let mut cut: CutForm = decode(&cell)?;
    cut.left = cut.left.saturating_sub(units);
    put_cut(transaction, key, cut);
    Ok(())
}

/// Segments, each as sent by an incarnation, are held by whom the delivery is for: what units they hold need not be sent. Answers how many
/// that were.
pub(crate) fn hold(transaction: &mut Transaction, name: &str, entries: &[(Arc<SegmentEntry>, [u8; 16])]) -> Result<u64> {
    let delivery = Noted::read(transaction, name)?;
    let mut held = 0;
    for (entry, incarnation) in entries {
        for (key, pending) in within(transaction, delivery.form.number, entry, *incarnation)? {
            transaction.remove(key);
            settle(transaction, &delivery, pending.cut, 1)?;
            held += 1;
        }
    }
    Ok(held)
}

/// A segment was sent as an incarnation's, and goes by a name there: what units it holds need not be sent, and are held once it was
/// looked for. Answers how many were not sent until now.
pub(crate) fn sent(
    transaction: &mut Transaction,
    name: &str,
    entry: &SegmentEntry,
    incarnation: [u8; 16],
    place: &str,
) -> Result<u64> {
    let delivery = Noted::read(transaction, name)?;
    let sent = SentForm { place: place.to_owned(), hash: entry.hash, bytes: entry.bytes };
    let mut units = 0;
    for (key, pending) in within(transaction, delivery.form.number, entry, incarnation)? {
        units += u64::from(pending.sent.is_none());
        transaction.put(key, encode(&PendingForm { sent: Some(sent.clone()), ..pending }));
    }
    Ok(units)
}

/// Segments that were sent were looked for and found. Answers how many units are held that were not.
pub(crate) fn confirm(transaction: &mut Transaction, name: &str, found: &[Sent]) -> Result<u64> {
    let delivery = Noted::read(transaction, name)?;
    let mut held = 0;
    for Sent { place, units, .. } in found {
        for key in units {
            let Some(pending) = still(transaction, key, place)? else { continue };
            transaction.remove(key.clone());
            settle(transaction, &delivery, pending.cut, 1)?;
            held += 1;
        }
    }
    Ok(held)
}

/// A segment that was sent was looked for and not found: its units are wanted again. Answers how many.
pub(crate) fn missed(transaction: &mut Transaction, name: &str, missing: &Sent) -> Result<u64> {
    Noted::read(transaction, name)?;
    let mut wanted = 0;
    for key in &missing.units {
        let Some(pending) = still(transaction, key, &missing.place)? else { continue };
        transaction.put(key.clone(), encode(&PendingForm { sent: None, ..pending }));
        wanted += 1;
    }
    Ok(wanted)
}

/// Goes on behind a cut that both sides know, under another incarnation. Where that is the last that was announced, the cuts behind it stay:
/// nobody else may know any more what they tell of, as deletions that were carried out since, and units that are gone. Where it is an earlier
/// one, or another's, whatever was cut behind it is forgotten, to be cut again. What is not held yet of that cut and those before stays
/// wanted, as theirs who announced it, and what of it turned out to be void since is told again.
pub(crate) fn rebase(transaction: &mut Transaction, name: &str, incarnation: [u8; 16], common: Option<Announced>) -> Result<()> {
    let mut delivery = Noted::read(transaction, name)?;
    if common == head_of(&delivery.form).announced {
        (delivery.form.incarnation, delivery.form.metadata_through) = (incarnation, 0);
        give_behind(transaction, delivery.form.number, delivery.form.announced, incarnation)?;
        delivery.write(transaction);
        return Ok(());
    }
    let behind = common.map_or(0, |common| common.cut);
    forget_behind(transaction, delivery.form.number, behind)?;
    voided::put_back(transaction, delivery.form.number, behind)?;
    let none = Announced { cut: 0, through: 0, taken_at: 0, incarnation: [0; 16], hash: [0; 32] };
    let common = common.unwrap_or(none);
    delivery.form = DeliveryForm {
        number: delivery.form.number,
        incarnation,
        cuts: common.cut,
        through: common.through,
        taken_at: common.taken_at,
        announced: common.cut,
        announced_through: common.through,
        announced_at: common.taken_at,
        announced_incarnation: common.incarnation,
        announced_hash: common.hash,
        metadata_through: 0,
        dropped: Vec::new(),
    };
    delivery.write(transaction);
    Ok(())
}

/// Units of cuts behind one are an incarnation's from now on.
fn give_behind(transaction: &mut Transaction, delivery: u32, cut: u64, incarnation: [u8; 16]) -> Result<()> {
    let mut given = Vec::new();
    for cell in transaction.scan(prefix(&all_units(delivery)), Direction::Forward)? {
        let (key, (_, cell)) = cell?;
        let pending: PendingForm = decode(&cell)?;
        given.extend((pending.cut > cut).then_some((key, PendingForm { incarnation, ..pending })));
    }
    given.into_iter().for_each(|(key, pending)| transaction.put(key, encode(&pending)));
    Ok(())
}

/// Forgets cuts behind one, and their units.
fn forget_behind(transaction: &mut Transaction, delivery: u32, cut: u64) -> Result<()> {
    let mut gone = Vec::new();
    for cell in transaction.scan(prefix(&cuts(delivery)), Direction::Forward)? {
        let (key, _) = cell?;
        gone.extend((cut_of(&key)? > cut).then_some(key));
    }
    for cell in transaction.scan(prefix(&all_units(delivery)), Direction::Forward)? {
        let (key, (_, cell)) = cell?;
        gone.extend((decode::<PendingForm>(&cell)?.cut > cut).then_some(key));
    }
    gone.into_iter().for_each(|key| transaction.remove(key));
    Ok(())
}

/// Forgets a delivery and all that was noted of it. Answers whether there was one.
pub(crate) fn remove(transaction: &mut Transaction, name: &str) -> Result<bool> {
    let delivery = match Noted::read(transaction, name) {
        Err(Error::NoSuchDelivery { .. }) => return Ok(false),
        found => found?,
    };
    let number = delivery.form.number;
    clear(transaction, &[cuts(number), all_units(number), all_voided(number), all_notes(number)])?;
    transaction.remove(delivery_key(name));
    Ok(true)
}

fn clear(transaction: &mut Transaction, beginnings: &[Vec<u8>]) -> Result<()> {
    for beginning in beginnings {
        let keys: Result<Vec<Key>> = transaction.scan(prefix(beginning), Direction::Forward)?.map(|cell| Ok(cell?.0)).collect();
        keys?.into_iter().for_each(|key| transaction.remove(key));
    }
    Ok(())
}

/// What whoever sends has noted under a name.
pub(crate) fn note(transaction: &Transaction, name: &str, note: &[u8]) -> Result<Option<Vec<u8>>> {
    let number = Noted::read(transaction, name)?.form.number;
    Ok(transaction.get(&note_key(number, note))?.map(|(_, cell)| cell.to_vec()))
}

/// All of it whose names begin so and are not before one, by name.
pub(crate) fn notes<'t>(
    transaction: &'t Transaction,
    name: &str,
    beginning: &[u8],
    from: &[u8],
) -> Result<impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>> + 't> {
    let number = Noted::read(transaction, name)?.form.number;
    let skipped = all_notes(number).len();
    let from = note_key(number, if from > beginning { from } else { beginning });
    let range = (Bound::Included(from), prefix(&note_key(number, beginning)).1);
    let cells = transaction.scan(range, Direction::Forward)?;
    let read = move |cell: Result<(Key, crate::catalog::Stored)>| {
        let (key, (_, cell)) = cell?;
        Ok((key.get(skipped..).unwrap_or_default().to_vec(), cell.to_vec()))
    };
    Ok(cells.map(read))
}

/// Whether nobody holds a unit yet.
pub(crate) fn wants(
    transaction: &Transaction,
    name: &str,
    table: TableId,
    (kind, start): (PartitionKind, i64),
    records: (Sequence, Sequence),
) -> Result<bool> {
    let number = Noted::read(transaction, name)?.form.number;
    Ok(transaction.get(&unit_key_of(number, table, (kind, start), records))?.is_some())
}

/// Notes something, or forgets it.
pub(crate) fn put_note(transaction: &mut Transaction, name: &str, note: &[u8], value: Option<&[u8]>) -> Result<()> {
    let key = note_key(Noted::read(transaction, name)?.form.number, note);
    match value {
        Some(value) => transaction.put(key, Arc::from(value)),
        None => transaction.remove(key),
    }
    Ok(())
}
