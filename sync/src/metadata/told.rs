//! What a database tells of its metadata, as lines.

use std::time::Duration;

use alluvium::record::Moment;
use alluvium::{
    AuditOutcome, CollectionState, Compatibility, DocumentState, Event, ItemPlace, OnDelete, Owner, SeriesKey, TableSchema,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::line::{
    AuditValue, Bytes, CollectionValue, DocumentValue, FieldValue, IndexValue, ItemStateValue, ItemValue, Line, PairValue,
    PrincipalValue, QueueValue, ReferenceValue, RoleValue, SchemaValue, TableValue, kind,
};
use crate::remote::{Hash, TimeUnit};

/// What of a database's metadata is sent besides what always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Key-value pairs.
    pub pairs: bool,
    /// Queues and their items.
    pub queues: bool,
}

type Value = Option<Box<RawValue>>;

/// A line of what an event says; `None` for what is not sent. `now` tells when things expire.
pub(super) fn line(sequence: u64, event: &Event, wanted: Wanted, now: Moment) -> serde_json::Result<Option<Line>> {
    let told = match event {
        Event::Pair { .. } if !wanted.pairs => None,
        Event::Queue { .. } | Event::Item { .. } | Event::ItemState { .. } if !wanted.queues => None,
        Event::Pair { key, value } => {
            let value = value
                .as_ref()
                .map(|put| PairValue { value: Bytes::of(&put.value), expires_at: put.expires_at.map(|at| expiry(at, now)) });
            Some((kind::PAIR, vec![key.clone()], json(value.as_ref())?))
        }
        Event::Collection { name, state } => {
            let value = state.as_ref().map(collection);
            Some((kind::COLLECTION, vec![name.clone()], json(value.as_ref())?))
        }
        Event::Schema { collection, version, schema } => {
            let value = schema.as_ref().map(|version| SchemaValue {
                collection: name(collection),
                schema: version.schema.clone(),
                set_at: wall(version.set_at),
            });
            Some((kind::SCHEMA, vec![collection.number.to_string(), version.to_string()], json(value.as_ref())?))
        }
        Event::Document { collection, id, state } => {
            let value = state.as_ref().map(|state| document(collection, state, now)).transpose()?;
            Some((kind::DOCUMENT, vec![collection.number.to_string(), id.clone()], json(value.as_ref())?))
        }
        Event::Principal { name, principal } => {
            let value = principal.as_ref().map(|principal| PrincipalValue {
                roles: principal.roles.clone(),
                grants: principal.grants.iter().map(ToString::to_string).collect(),
                disabled: principal.disabled,
            });
            Some((kind::PRINCIPAL, vec![name.clone()], json(value.as_ref())?))
        }
        Event::Role { name, grants } => {
            let texts = |grants: &Vec<alluvium::Grant>| grants.iter().map(ToString::to_string).collect();
            let value = grants.as_ref().map(texts).map(|grants| RoleValue { grants });
            Some((kind::ROLE, vec![name.clone()], json(value.as_ref())?))
        }
        Event::Audited { number, entry } => {
            let value = entry.as_ref().map(audited);
            Some((kind::AUDIT, vec![number.to_string()], json(value.as_ref())?))
        }
        _ => queues(event)?,
    };
    Ok(told.map(|(kind, key, value)| Line { sequence, kind: kind.to_owned(), key, value }))
}

/// Queues and what is in them.
fn queues(event: &Event) -> serde_json::Result<Option<(&'static str, Vec<String>, Value)>> {
    Ok(match event {
        Event::Queue { name, state } => {
            let value = state.as_ref().map(queue);
            Some((kind::QUEUE, vec![name.clone()], json(value.as_ref())?))
        }
        Event::Item { queue, item, content } => {
            let value = content.as_ref().map(|content| ItemValue {
                queue: name(queue),
                payload: Bytes::of(&content.payload),
                due: content.due.map(wall),
                deduplication: content.deduplication.clone(),
            });
            Some((kind::ITEM, vec![queue.number.to_string(), item.to_string()], json(value.as_ref())?))
        }
        Event::ItemState { queue, item, state } => {
            let value = ItemStateValue {
                queue: name(queue),
                priority: state.priority,
                tries: state.tries,
                pushed: wall(state.pushed),
                place: place(state.place).to_owned(),
            };
            Some((kind::ITEM_STATE, vec![queue.number.to_string(), item.to_string()], json(Some(&value))?))
        }
        _ => None,
    })
}

/// A line of a table.
pub(super) fn table(sequence: u64, schema: &TableSchema, dropped: bool) -> serde_json::Result<Line> {
    let value = TableValue {
        name: schema.name.clone(),
        version: schema.version,
        unit: unit(schema.time_unit),
        partitions: schema.partitioning.to_string(),
        tags: schema.tags.iter().map(|tag| tag.name.clone()).collect(),
        tag_ids: schema.tags.iter().map(|tag| tag.id).collect(),
        fields: schema.fields.iter().map(field_value).collect(),
        dropped,
    };
    Ok(Line { sequence, kind: kind::TABLE.to_owned(), key: vec![schema.id.0.to_string()], value: json(Some(&value))? })
}

fn field_value(field: &alluvium::model::Field) -> FieldValue {
    FieldValue { name: field.name.clone(), id: field.id, kind: field.kind.to_string() }
}

/// A line of a series.
pub(super) fn series(sequence: u64, table: u32, number: u32, key: &SeriesKey) -> serde_json::Result<Line> {
    let texts = vec![table.to_string(), number.to_string()];
    Ok(Line { sequence, kind: kind::SERIES.to_owned(), key: texts, value: json(Some(&key.0))? })
}

/// What the times of a table count.
pub(crate) fn unit(unit: alluvium::TimeUnit) -> TimeUnit {
    match unit {
        alluvium::TimeUnit::Milli => TimeUnit::Milli,
        alluvium::TimeUnit::Micro => TimeUnit::Micro,
        alluvium::TimeUnit::Nano => TimeUnit::Nano,
    }
}

/// A moment of the wall clock, at the end of what has a date where it has none.
pub(crate) fn wall(micros: i64) -> Timestamp {
    let end = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(end)
}

/// When something expires by the wall clock that does so by the engine's.
fn expiry(engine_micros: u64, now: Moment) -> Timestamp {
    let left = i128::from(engine_micros) - i128::from(now.engine_micros);
    let at = i128::from(now.wall_micros) + left;
    wall(i64::try_from(at).unwrap_or(i64::MAX))
}

fn json<T: Serialize + ?Sized>(value: Option<&T>) -> serde_json::Result<Value> {
    value.map(to_raw_value).transpose()
}

fn name(owner: &Owner) -> Option<String> {
    owner.name.as_deref().map(str::to_owned)
}

fn document(collection: &Owner, state: &DocumentState, now: Moment) -> serde_json::Result<DocumentValue> {
    Ok(DocumentValue {
        collection: name(collection),
        body: RawValue::from_string(state.json.clone())?,
        expires_at: state.expires_at.map(|at| expiry(at, now)),
        deleted_at: state.deleted_at.map(wall),
    })
}

fn collection(state: &CollectionState) -> CollectionValue {
    let spec = &state.spec;
    let reference = |reference: &alluvium::ReferenceSpec| ReferenceValue {
        path: reference.path.to_string(),
        to: reference.to.clone(),
        on_delete: on_delete(reference.on_delete).to_owned(),
    };
    let index = |index: &alluvium::IndexSpec| IndexValue {
        name: index.name.clone(),
        paths: index.paths.iter().map(ToString::to_string).collect(),
        unique: index.unique,
    };
    CollectionValue {
        number: state.number,
        soft_delete: spec.soft_delete,
        keep_deleted_ms: spec.keep_deleted.map(millis),
        history: spec.history,
        compatibility: compatibility(spec.compatibility).to_owned(),
        references: spec.references.iter().map(reference).collect(),
        indexes: spec.indexes.iter().map(index).collect(),
    }
}

fn queue(state: &alluvium::QueueState) -> QueueValue {
    let spec = &state.spec;
    QueueValue {
        number: state.number,
        lease_ms: millis(spec.lease),
        tries: spec.tries,
        back_off_ms: millis(spec.back_off),
        back_off_limit_ms: millis(spec.back_off_limit),
        dead_letters: spec.dead_letters,
        deduplication_ms: millis(spec.deduplication),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn audited(audited: &alluvium::Audited) -> AuditValue {
    let entry = &audited.entry;
    AuditValue {
        at: wall(audited.at),
        who: entry.who.clone(),
        what: entry.what.clone(),
        object: entry.object.clone(),
        outcome: outcome(entry.outcome).to_owned(),
        detail: entry.detail.clone(),
        times: entry.times,
        hash: Hash(audited.hash),
    }
}

fn outcome(outcome: AuditOutcome) -> &'static str {
    match outcome {
        AuditOutcome::Done => "done",
        AuditOutcome::Refused => "refused",
        _ => "failed",
    }
}

fn compatibility(compatibility: Compatibility) -> &'static str {
    match compatibility {
        Compatibility::None => "none",
        Compatibility::Backward => "backward",
        Compatibility::Forward => "forward",
        Compatibility::Full => "full",
    }
}

fn on_delete(on_delete: OnDelete) -> &'static str {
    match on_delete {
        OnDelete::Restrict => "restrict",
        OnDelete::Cascade => "cascade",
        OnDelete::SetNull => "set_null",
    }
}

fn place(place: ItemPlace) -> &'static str {
    match place {
        ItemPlace::Ready => "ready",
        ItemPlace::Scheduled(_) => "scheduled",
        ItemPlace::Leased(_) => "leased",
        ItemPlace::Delayed(_) => "delayed",
        ItemPlace::Dead => "dead",
    }
}
