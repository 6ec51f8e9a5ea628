//! What the feed must tell.

use std::collections::{BTreeMap, BTreeSet};

use super::{Told, document, hash, item, pair};
use crate::documents::{DocumentChange, Documents};
use crate::model::{Effect, Lasts, Model, Row, Span, Value};
use crate::queues::{Queue, QueueChange};

/// What the feed tells of an effect, in order. Removals of pairs are left out: whether what has expired was taken away already,
/// effects do not say.
pub fn told(effect: &Effect, model: &Model) -> Vec<Told> {
    let rows = |table: &String, rows: &[Row], without: &[Span]| {
        let tags = model.tables[table].columns.tags.len();
        let place = |row: &Row| {
            let mut key = row.key.clone();
            key.resize(tags, None);
            (key, row.time)
        };
        let mut places: BTreeSet<_> = rows.iter().map(place).collect();
        places.retain(|(key, time)| !without.iter().any(|span| span.table == *table && span.holds(key, *time)));
        Told::Rows(model.tables[table].number, places.len() as u64)
    };
    let deleted = |span: &Span| Told::Deleted(model.tables[&span.table].number, hash((span.start, span.end)));
    match effect {
        Effect::Create(spec) => vec![Told::Other(hash(("table", &spec.name, 1_u32)))],
        Effect::Extend(table, more) => {
            let columns = &model.tables[table].columns;
            let count = columns.tags.len() + columns.fields.len() + more.tags.len() + more.fields.len();
            vec![Told::Other(hash(("columns", table, count)))]
        }
        Effect::Rename(table, name) => {
            let columns = &model.tables[table].columns;
            vec![Told::Other(hash(("columns", name, columns.tags.len() + columns.fields.len())))]
        }
        Effect::DropTable(table) => vec![Told::Dropped(model.tables[table].number)],
        Effect::Put(table, written) => vec![rows(table, written, &[])],
        Effect::Delete(span) => vec![deleted(span)],
        Effect::Evict(_) => Vec::new(),
        Effect::Transact(pairs, blocks, deletions) => {
            let blocks = blocks.iter().map(|(table, written)| rows(table, written, deletions));
            let blocks = blocks.filter(|told| !matches!(told, Told::Rows(_, 0)));
            put_pairs(pairs).into_iter().chain(deletions.iter().map(deleted)).chain(blocks).collect()
        }
        Effect::Count(key, by) => {
            let count: i64 = model.pairs.get(key).map_or(0, |bytes| String::from_utf8_lossy(bytes).parse().expect("a counter"));
            vec![pair(key, (count + by).to_string().as_bytes())]
        }
        Effect::Queues(changes, pairs) => queues(changes, pairs, model),
        Effect::Documents(changes, pairs) => documents(changes, pairs, &model.documents),
    }
}

fn put_pairs(pairs: &[(String, Option<Value>)]) -> Vec<Told> {
    let last: BTreeMap<&String, &Option<Value>> = pairs.iter().map(|(key, value)| (key, value)).collect();
    last.into_iter().filter_map(|(key, value)| Some(pair(key, &value.as_ref()?.bytes))).collect()
}

/// Pairs first, then definitions, then what is new in queues: all by key.
fn queues(changes: &[(String, QueueChange)], pairs: &[(String, Option<Value>)], model: &Model) -> Vec<Told> {
    let mut told = put_pairs(pairs);
    let mut pushed = BTreeMap::new();
    for name in changes.iter().map(|(name, _)| name).collect::<BTreeSet<_>>() {
        let mut queue = model.queues.get(name).cloned();
        let before = queue.as_ref().map_or(0, Queue::drawn);
        for (_, change) in changes.iter().filter(|(changed, _)| changed == name) {
            match (change, &mut queue) {
                (QueueChange::Create | QueueChange::Drop, _) => {
                    told.push(Told::Other(hash(("queue", name, *change == QueueChange::Create))));
                }
                (change, queue) => queue.as_mut().unwrap_or_else(|| panic!("the model has no queue {name}")).apply(change),
            }
        }
        let now = queue.iter().flat_map(|queue| queue.items().map(|(_, item)| ((queue.number(), item.id), item)));
        pushed.extend(now.filter(|((_, id), _)| *id > before).map(|(at, item)| (at, item.payload.clone())));
    }
    told.extend(pushed.iter().map(|(at, payload)| item(*at, payload)));
    told
}

/// Pairs first, then documents as they are in the end, by collection and id. Of those taken away nothing is told here.
fn documents(changes: &[(String, DocumentChange)], pairs: &[(String, Option<Value>)], before: &Documents) -> Vec<Told> {
    let (mut now, mut last) = (before.clone(), BTreeMap::new());
    for (name, change) in changes {
        let earlier = now.clone();
        now.apply(name, change);
        for (of, collection) in now.all() {
            let number = collection.number;
            let then = earlier.get(of).map(|collection| &collection.documents);
            for (id, stored) in &collection.documents {
                // Also what was put again as it was.
                let put = of == name && change.id() == Some(id);
                if put || then.and_then(|then| then.get(id)) != Some(stored) {
                    last.insert((number, id.clone()), Some((stored.content.json(), stored.deleted)));
                }
            }
            let gone = then.into_iter().flat_map(|then| then.keys()).filter(|id| !collection.documents.contains_key(*id));
            last.extend(gone.map(|id| ((number, id.clone()), None)));
        }
        if let (DocumentChange::Put(id, content, Lasts::NotAtAll), Some(of)) = (change, now.get(name)) {
            last.insert((of.number, id.clone()), Some((content.json(), false)));
        }
    }
    let mut told = put_pairs(pairs);
    told.extend(last.iter().filter_map(|((number, id), last)| {
        let (json, deleted) = last.as_ref()?;
        Some(document((*number, id), &json.to_string(), *deleted))
    }));
    told
}
