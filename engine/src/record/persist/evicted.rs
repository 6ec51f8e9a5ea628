//! An eviction, and what a table has let go of by evictions.

use serde::{Deserialize, Serialize};

use super::super::{DecodeError, Evicted, Evictions, SegmentId};
use super::receipt;
use crate::model::TableId;

#[derive(Serialize, Deserialize)]
struct EvictedForm<'a> {
    table: u32,
    removed: Vec<u64>,
    total: EvictionsForm,
    #[serde(borrow)]
    receipt: Option<&'a [u8]>,
}

#[derive(Serialize, Deserialize)]
struct EvictionsForm {
    segments: u64,
    rows: u64,
    bytes: u64,
    unheld_rows: u64,
    min_time: i64,
    max_time: i64,
    last_sequence: u64,
    at_micros: i64,
}

pub(crate) fn encode(evicted: &Evicted) -> Vec<u8> {
    let receipt = evicted.receipt.as_ref().map(receipt::encode);
    super::write(&EvictedForm {
        table: evicted.table.0,
        removed: evicted.removed.iter().map(|id| id.0).collect(),
        total: form(&evicted.total),
        receipt: receipt.as_deref(),
    })
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Evicted, DecodeError> {
    let form: EvictedForm<'_> = super::read("eviction", bytes)?;
    Ok(Evicted {
        table: TableId(form.table),
        removed: form.removed.into_iter().map(SegmentId).collect(),
        total: evictions(form.total),
        receipt: form.receipt.map(receipt::decode).transpose()?,
    })
}

pub(crate) fn encode_total(evictions: &Evictions) -> Vec<u8> {
    super::write(&form(evictions))
}

pub(crate) fn decode_total(bytes: &[u8]) -> Result<Evictions, DecodeError> {
    super::read("evictions", bytes).map(evictions)
}

fn form(evictions: &Evictions) -> EvictionsForm {
    EvictionsForm {
        segments: evictions.segments,
        rows: evictions.rows,
        bytes: evictions.bytes,
        unheld_rows: evictions.unheld_rows,
        min_time: evictions.times.0,
        max_time: evictions.times.1,
        last_sequence: evictions.last_sequence,
        at_micros: evictions.at_micros,
    }
}

fn evictions(form: EvictionsForm) -> Evictions {
    Evictions {
        segments: form.segments,
        rows: form.rows,
        bytes: form.bytes,
        unheld_rows: form.unheld_rows,
        times: (form.min_time, form.max_time),
        last_sequence: form.last_sequence,
        at_micros: form.at_micros,
    }
}
