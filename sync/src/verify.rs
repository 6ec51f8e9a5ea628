//! Compares what a database notes of a delivery with what a bucket proves, and with what the centre was told.

mod centre;

use alluvium::{Database, DeliveryHead, SendOrder};

use crate::gather::period;
use crate::objects::bucket::Findings;
use crate::prove::{Branch, Proof};
use crate::remote::Incarnation;
use crate::worker::Failed;
pub use centre::{Compared, differences_at_centre};

/// Every difference, in words; none where both agree.
///
/// # Errors
///
/// [`Failed`] where the database does not tell.
pub fn differences(
    db: &Database,
    delivery: &str,
    gateway: &str,
    head: &DeliveryHead,
    findings: &Findings,
) -> Result<Vec<String>, Failed> {
    let Some(announced) = head.announced else {
        let said =
            findings.gateways.contains_key(gateway).then(|| format!("nothing was announced, and {gateway} has objects there"));
        return Ok(said.into_iter().collect());
    };
    let Some(proof) = findings.gateways.get(gateway) else {
        return Ok(vec![format!("cut {} was announced, and {gateway} has no objects there", announced.cut)]);
    };
    let mut found: Vec<_> = proof.problems.iter().map(ToString::to_string).collect();
    let Some(branch) = ours(proof, Incarnation(announced.incarnation), announced.cut) else {
        found.push(format!("cut {} was announced, and its manifest is not there", announced.cut));
        return Ok(found);
    };
    found.extend(beyond(branch, announced.cut));
    found.extend(missing(db, delivery, branch)?);
    Ok(found)
}

/// The branch that a cut of ours is on.
fn ours(proof: &Proof, incarnation: Incarnation, cut: u64) -> Option<&Branch> {
    proof.branches.iter().find(|branch| branch.incarnation == incarnation && branch.last >= cut)
}

fn beyond(branch: &Branch, announced: u64) -> Option<String> {
    let more = branch.last - announced;
    (more > 0).then(|| format!("{more} cuts behind number {announced}, the last that was announced, are there"))
}

/// Units that are neither there nor yet to be sent.
fn missing(db: &Database, delivery: &str, branch: &Branch) -> Result<Vec<String>, Failed> {
    let wanted = db.delivery(delivery).pending(SendOrder::Oldest, usize::MAX)?;
    let is_wanted = |table: u32, of: crate::remote::Period, records: (u64, u64)| {
        wanted.iter().any(|shipment| {
            shipment.table.id.0 == table
                && period(shipment.partition, shipment.table.time_unit).holds(of)
                && shipment.records.0 <= records.0
                && records.1 <= shipment.records.1
        })
    };
    let lost = branch.missing.iter().filter(|unit| !unit.stated && !is_wanted(unit.table, unit.period, unit.records));
    let said = lost.map(|unit| {
        let (first, last) = unit.records;
        format!("records {first} to {last} of table {}, {}, are held as is noted, and are not there", unit.table, unit.period)
    });
    Ok(said.collect())
}
