//! Units that turned out to be void, kept for whoever forgets that he was told: nothing else here knows of them.

use std::ops::Bound;

use super::form::{CutForm, PendingForm, VoidedForm, all_voided, cut_key, decode, encode, unit_key, voided_by, voided_key};
use crate::catalog::KeyRange;
use crate::error::Result;
use crate::keyspace::{Direction, Transaction, prefix};

/// So many of a delivery are kept, those of the last cuts.
const KEPT: usize = 4_096;

/// What is kept of a unit: as it stood, with its cut. None where that is not known any more.
pub(super) fn of(transaction: &Transaction, delivery: u32, pending: &PendingForm) -> Result<Option<VoidedForm>> {
    let Some((_, cell)) = transaction.get(&cut_key(delivery, pending.cut))? else { return Ok(None) };
    let cut = CutForm { left: 0, content: None, ..decode(&cell)? };
    Ok(Some(VoidedForm { pending: pending.clone(), cut }))
}

/// Keeps some more, of which a cut tells, and lets go of the oldest of too many.
pub(super) fn keep(transaction: &mut Transaction, delivery: u32, told_by: u64, voided: &[VoidedForm]) -> Result<()> {
    if voided.is_empty() {
        return Ok(());
    }
    for voided in voided {
        transaction.put(voided_key(delivery, told_by, &voided.pending.unit), encode(voided));
    }
    let mut keys = Vec::new();
    for cell in transaction.scan(prefix(&all_voided(delivery)), Direction::Forward)? {
        keys.push(cell?.0);
    }
    let too_many = keys.len().saturating_sub(KEPT);
    keys.into_iter().take(too_many).for_each(|key| transaction.remove(key));
    Ok(())
}

/// Cuts behind one are forgotten: what they told of units of those before is to be found out, and told, again.
pub(super) fn put_back(transaction: &mut Transaction, delivery: u32, common: u64) -> Result<()> {
    let mut forgotten = Vec::new();
    for cell in transaction.scan(voided_behind(delivery, common), Direction::Forward)? {
        let (key, (_, cell)) = cell?;
        forgotten.push((key, decode::<VoidedForm>(&cell)?));
    }
    for (key, VoidedForm { pending, cut }) in forgotten {
        transaction.remove(key);
        if pending.cut > common {
            continue;
        }
        let of_cut = cut_key(delivery, pending.cut);
        let cut = transaction.get(&of_cut)?.map_or(Ok(cut), |(_, cell)| decode(&cell))?;
        transaction.put(of_cut, encode(&CutForm { left: cut.left + 1, ..cut }));
        transaction.put(unit_key(delivery, &pending.unit), encode(&pending));
    }
    Ok(())
}

/// The keys of those that cuts behind one tell of.
fn voided_behind(delivery: u32, cut: u64) -> KeyRange {
    (Bound::Included(voided_by(delivery, cut + 1).into()), prefix(&all_voided(delivery)).1)
}
