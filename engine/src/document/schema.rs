//! The schemas of a collection: a registry of versions, of which the newest holds.
//!
//! A cell holds when the version was set, in microseconds UTC and big-endian, and the schema as JSON text.

use std::sync::Arc;

use jsonschema::canonical::{CanonicalSchema, Containment};
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use super::definition::{Compatibility, Definition};
use super::{definition, key};
use crate::catalog::Stored;
use crate::error::{Error, InvalidDocument, Result};
use crate::keyspace::{Direction, Transaction, prefix};
use crate::record::Key;
use crate::shared::Shared;

/// One version of the schema of a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaVersion {
    /// From 1, without gaps.
    pub version: u32,
    /// JSON Schema, draft 2020-12.
    pub schema: Value,
    /// When it was set, in microseconds UTC.
    pub set_at: i64,
}

/// Compiles a schema. Its patterns are matched in linear time, and nothing outside it is looked up.
pub(super) fn compile(schema: &Value) -> Result<Validator> {
    let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true).offline();
    let compiled = options.with_pattern_options(PatternOptions::regex().size_limit(1 << 20)).build(schema);
    compiled.map_err(|error| {
        let at = Some(error.instance_path().to_string()).filter(|at| !at.is_empty());
        let at = at.map_or(String::new(), |at| format!(" at {at}"));
        Error::invalid(format!("this is no JSON Schema of draft 2020-12{at}: {error}"))
    })
}

/// What the documents of a collection are held against, if it has a schema.
pub(super) fn validator(transaction: &Transaction, shared: &Shared, of: &Definition) -> Result<Option<Arc<Validator>>> {
    if of.schema == 0 {
        return Ok(None);
    }
    let lost = || Error::Internal(format!("collection {:?} lacks version {} of its schema", of.name, of.schema));
    let (sequence, cell) = transaction.get(&key::schema(of.number, of.schema))?.ok_or_else(lost)?;
    let compile = || compile(&decode(of.schema, &cell)?.schema);
    shared.validators.get((of.number, of.schema, sequence), compile).map(Some)
}

/// Refuses a document that its schema does not allow.
pub(super) fn validate(validator: &Validator, of: &Definition, id: &str, content: &Value) -> Result<()> {
    let Err(error) = validator.validate(content) else { return Ok(()) };
    Err(InvalidDocument {
        collection: of.name.clone(),
        id: id.to_owned(),
        path: error.instance_path().to_string(),
        rule: error.schema_path().to_string(),
        detail: error.to_string(),
    }
    .into())
}

/// Sets a new version, if it agrees with the one before as the collection asks. The same schema again is no new version.
pub(super) fn set(transaction: &mut Transaction, shared: &Shared, name: &str, schema: &Value) -> Result<u32> {
    let mut of = (*definition::find(transaction, shared, name)?).clone();
    if let Some(current) = get(transaction, &of, of.schema)? {
        if current.schema == *schema {
            return Ok(of.schema);
        }
        agree(&of, &current.schema, schema)?;
    }
    of.schema += 1;
    let set_at = transaction.at().wall_micros.to_be_bytes();
    let text = schema.to_string();
    transaction.put(key::schema(of.number, of.schema), set_at.iter().chain(text.as_bytes()).copied().collect());
    definition::put(transaction, &of)?;
    Ok(of.schema)
}

/// A version of a schema, if there is one.
pub(super) fn get(transaction: &Transaction, of: &Definition, version: u32) -> Result<Option<SchemaVersion>> {
    let cell = transaction.get(&key::schema(of.number, version))?;
    cell.map(|(_, cell)| decode(version, &cell)).transpose()
}

/// All versions, oldest first.
pub(super) fn all(transaction: &Transaction, of: &Definition) -> Result<Vec<SchemaVersion>> {
    let cells = transaction.scan(prefix(&key::schemas(of.number)), Direction::Forward)?;
    let version = |(key, (_, cell)): (Key, Stored)| {
        let version = key.last_chunk().ok_or_else(|| Error::Internal("a schema without a version".to_owned()))?;
        decode(u32::from_be_bytes(*version), &cell)
    };
    cells.map(|cell| version(cell?)).collect()
}

pub(super) fn decode(version: u32, cell: &[u8]) -> Result<SchemaVersion> {
    let wrong = || Error::Internal(format!("version {version} of a schema cannot be read"));
    let (set_at, text) = cell.split_first_chunk().ok_or_else(wrong)?;
    let schema = serde_json::from_slice(text).map_err(|_| wrong())?;
    Ok(SchemaVersion { version, schema, set_at: i64::from_be_bytes(*set_at) })
}

/// Refuses a schema that does not agree with the one before.
fn agree(of: &Definition, old: &Value, new: &Value) -> Result<()> {
    let (backward, forward) = match of.compatibility {
        Compatibility::None => return Ok(()),
        Compatibility::Backward => (true, false),
        Compatibility::Forward => (false, true),
        Compatibility::Full => (true, true),
    };
    let refused = |direction: &'static str, detail: String| Error::Incompatible {
        collection: of.name.clone(),
        version: of.schema,
        direction,
        detail,
    };
    let (old, new) = (canonical(old)?, canonical(new)?);
    if backward && let Some(why) = lost(&old, &new) {
        return Err(refused("backward", format!("documents that version {} allows would be refused: {why}", of.schema)));
    }
    if forward && let Some(why) = lost(&new, &old) {
        return Err(refused("forward", format!("documents would be allowed that version {} refuses: {why}", of.schema)));
    }
    Ok(())
}

fn canonical(schema: &Value) -> Result<CanonicalSchema> {
    let options = jsonschema::canonical::options().with_draft(Draft::Draft202012).should_validate_formats(true).offline();
    let canonical = options.with_pattern_options(PatternOptions::regex().size_limit(1 << 20)).canonicalize(schema);
    canonical.map_err(|error| Error::invalid(format!("this schema cannot be compared with others: {error}")))
}

/// What `from` allows and `to` does not; `None` where that is nothing for certain.
fn lost(from: &CanonicalSchema, to: &CanonicalSchema) -> Option<String> {
    if matches!(to.covers(from), Ok(Containment::Yes)) {
        return None;
    }
    Some(match from.subtract(to) {
        Ok(difference) => {
            let mut difference = difference.to_json_schema();
            difference.as_object_mut().map(|fields| fields.remove("$schema"));
            format!("those of the schema {difference}")
        }
        Err(_) => "it cannot be shown that there are none".to_owned(),
    })
}
