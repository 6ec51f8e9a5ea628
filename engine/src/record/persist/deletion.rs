//! A deletion.

use serde::{Deserialize, Serialize};

use super::super::{DecodeError, Deletion, SeriesSelection};
use super::RangeForm;
use crate::model::{SeriesId, TableId};

const WHAT: &str = "deletion";

#[derive(Serialize, Deserialize)]
struct DeletionForm {
    table: u32,
    series: SelectionForm,
    range: RangeForm,
}

#[derive(Serialize, Deserialize)]
enum SelectionForm {
    All,
    /// Strictly rising.
    Only(Vec<u32>),
}

/// Several of one record, one behind the other.
pub(crate) fn encode_all(deletions: &[Deletion]) -> Vec<u8> {
    deletions.iter().flat_map(encode).collect()
}

pub(crate) fn decode_all(mut bytes: &[u8]) -> Result<Vec<Deletion>, DecodeError> {
    let mut deletions = Vec::new();
    while !bytes.is_empty() {
        let (form, rest) = super::read_first(WHAT, bytes)?;
        deletions.push(deletion_of(form)?);
        bytes = rest;
    }
    Ok(deletions)
}

pub(crate) fn encode(deletion: &Deletion) -> Vec<u8> {
    let series = match &deletion.series {
        SeriesSelection::All => SelectionForm::All,
        SeriesSelection::Only(ids) => SelectionForm::Only(ids.iter().map(|id| id.0).collect()),
    };
    super::write(&DeletionForm { table: deletion.table.0, series, range: deletion.range.into() })
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Deletion, DecodeError> {
    deletion_of(super::read(WHAT, bytes)?)
}

fn deletion_of(form: DeletionForm) -> Result<Deletion, DecodeError> {
    let series = match form.series {
        SelectionForm::All => SeriesSelection::All,
        // Membership is a binary search, so disorder would silently bring deleted rows back.
        SelectionForm::Only(ids) if !ids.is_sorted_by(|a, b| a < b) => {
            return Err(DecodeError::new(WHAT, "series out of order"));
        }
        SelectionForm::Only(ids) => SeriesSelection::Only(ids.into_iter().map(SeriesId).collect()),
    };
    Ok(Deletion { table: TableId(form.table), series, range: form.range.into() })
}
