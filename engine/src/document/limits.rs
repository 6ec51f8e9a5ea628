//! How large and how deep documents may be.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::format::limits;
use crate::shared::Shared;

/// Refuses what is nested too deeply to be walked through.
pub(super) fn check_depth(content: &Value, shared: &Shared) -> Result<()> {
    let most = shared.document_depth;
    limits::check("levels of arrays and objects in a document", depth(content, most) as u64, most as u64, "document_depth")
}

/// The text of a document. Refuses one that is too large or nested too deeply.
pub(super) fn text(content: &Value, shared: &Shared) -> Result<Vec<u8>> {
    check_depth(content, shared)?;
    let text = serde_json::to_vec(content).map_err(|error| Error::Internal(format!("a document that is no JSON: {error}")))?;
    limits::check("bytes of a document", text.len() as u64, shared.document_bytes as u64, "document_bytes")?;
    Ok(text)
}

/// Levels of arrays and objects, as far as one more than `most`: whoever built the value may have nested it deeper than a stack
/// reaches.
fn depth(value: &Value, most: usize) -> usize {
    let below = |value: &Value| most.checked_sub(1).map_or(0, |most| depth(value, most));
    match value {
        Value::Array(values) => 1 + values.iter().map(below).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(below).max().unwrap_or(0),
        _ => 0,
    }
}
