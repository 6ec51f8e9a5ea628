//! Where the next page begins: the place of the last document in the order that was asked for, as URL-safe base64. It says
//! nothing of how the page was found, so it stays good when indexes come and go.

use std::cmp::Ordering;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use super::spec::DocumentQuery;
use crate::document::ordered;
use crate::error::{Error, Result};
use crate::keyspace::Direction;

/// The place of a document in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The forms of the values it is ordered by.
    pub(super) values: Vec<Vec<u8>>,
    pub(super) id: String,
}

impl Place {
    pub(super) fn of(query: &DocumentQuery, id: &str, content: &Value) -> Place {
        let values = query.order.iter().map(|(path, _)| ordered::encoded(path.find(content))).collect();
        Place { values, id: id.to_owned() }
    }

    /// Which comes first in the order of a query.
    pub(super) fn compare(&self, other: &Place, query: &DocumentQuery) -> Ordering {
        let directed = |order: Ordering, direction: Direction| match direction {
            Direction::Forward => order,
            Direction::Backward => order.reverse(),
        };
        let pairs = self.values.iter().zip(&other.values).zip(&query.order);
        let by_values = pairs.map(|((a, b), (_, direction))| directed(a.cmp(b), *direction));
        by_values.fold(Ordering::Equal, Ordering::then).then_with(|| directed(self.id.cmp(&other.id), query.last))
    }

    pub(super) fn encode(&self) -> String {
        let mut bytes: Vec<u8> = self.values.concat();
        bytes.extend(self.id.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place that a query is to go on after.
    pub(super) fn decode(query: &DocumentQuery) -> Result<Option<Place>> {
        let Some(cursor) = &query.after else { return Ok(None) };
        let wrong = || Error::invalid(format!("{cursor:?} is no cursor of a query with this order: begin anew"));
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        let mut rest = &bytes[..];
        let mut values = Vec::new();
        for _ in &query.order {
            let (value, after) = rest.split_at(ordered::len(rest).ok_or_else(wrong)?);
            values.push(value.to_vec());
            rest = after;
        }
        match std::str::from_utf8(rest) {
            Ok(id) if !id.is_empty() => Ok(Some(Place { values, id: id.to_owned() })),
            _ => Err(wrong()),
        }
    }
}
