//! New series of a table.

use serde::{Deserialize, Serialize};

use super::super::DecodeError;
use crate::format::limits;
use crate::model::{SeriesId, SeriesKey, TableId};

const WHAT: &str = "new series";

#[derive(Serialize, Deserialize)]
struct SeriesForm<'a> {
    table: u32,
    first: u32,
    /// Tag values of each, in the order of the table's tags.
    #[serde(borrow)]
    keys: Vec<Vec<Option<&'a str>>>,
}

/// A table, the number of the first new series, and the keys of all.
pub(crate) type NewSeries = (TableId, SeriesId, Vec<SeriesKey>);

pub(crate) fn encode(table: TableId, first: SeriesId, keys: &[SeriesKey]) -> Vec<u8> {
    let keys = keys.iter().map(|key| key.0.iter().map(Option::as_deref).collect()).collect();
    super::write(&SeriesForm { table: table.0, first: first.0, keys })
}

pub(crate) fn decode(bytes: &[u8]) -> Result<NewSeries, DecodeError> {
    let form: SeriesForm<'_> = super::read(WHAT, bytes)?;
    if u64::from(form.first) + form.keys.len() as u64 > limits::SERIES {
        return Err(DecodeError::new(WHAT, format!("{} from number {}", form.keys.len(), form.first)));
    }
    if let Some(key) = form.keys.iter().find(|key| key.len() as u64 > limits::COLUMNS) {
        return Err(DecodeError::new(WHAT, format!("{} tags", key.len())));
    }
    let key = |tags: Vec<Option<&str>>| SeriesKey(tags.into_iter().map(|tag| tag.map(str::to_owned)).collect());
    Ok((TableId(form.table), SeriesId(form.first), form.keys.into_iter().map(key).collect()))
}
