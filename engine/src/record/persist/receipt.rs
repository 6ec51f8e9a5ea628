//! A receipt of loss.

use serde::{Deserialize, Serialize};

use super::super::{DecodeError, Receipt, ReceiptKind};
use crate::model::{SeriesId, TableId};

#[derive(Serialize, Deserialize)]
struct ReceiptForm<'a> {
    at_micros: i64,
    kind: KindForm,
    file: &'a str,
    sequences: Option<(u64, u64)>,
    table: Option<u32>,
    series: Vec<u32>,
    times: Option<(i64, i64)>,
    bytes: u64,
    detail: &'a str,
}

#[derive(Serialize, Deserialize)]
enum KindForm {
    TornTail,
    LogDamage,
    SegmentDamage,
    CatalogRebuilt,
    Evicted,
}

pub(crate) fn encode(receipt: &Receipt) -> Vec<u8> {
    super::write(&ReceiptForm {
        at_micros: receipt.at_micros,
        kind: match receipt.kind {
            ReceiptKind::TornTail => KindForm::TornTail,
            ReceiptKind::LogDamage => KindForm::LogDamage,
            ReceiptKind::SegmentDamage => KindForm::SegmentDamage,
            ReceiptKind::CatalogRebuilt => KindForm::CatalogRebuilt,
            ReceiptKind::Evicted => KindForm::Evicted,
        },
        file: &receipt.file,
        sequences: receipt.sequences,
        table: receipt.table.map(|table| table.0),
        series: receipt.series.iter().map(|id| id.0).collect(),
        times: receipt.times,
        bytes: receipt.bytes,
        detail: &receipt.detail,
    })
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Receipt, DecodeError> {
    let form: ReceiptForm<'_> = super::read("receipt", bytes)?;
    Ok(Receipt {
        at_micros: form.at_micros,
        kind: match form.kind {
            KindForm::TornTail => ReceiptKind::TornTail,
            KindForm::LogDamage => ReceiptKind::LogDamage,
            KindForm::SegmentDamage => ReceiptKind::SegmentDamage,
            KindForm::CatalogRebuilt => ReceiptKind::CatalogRebuilt,
            KindForm::Evicted => ReceiptKind::Evicted,
        },
        file: form.file.to_owned(),
        sequences: form.sequences,
        table: form.table.map(TableId),
        series: form.series.into_iter().map(SeriesId).collect(),
        times: form.times,
        bytes: form.bytes,
        detail: form.detail.to_owned(),
    })
}
