//! Whether what was told leads to what is there.

use std::collections::BTreeMap;

use alluvium::{ItemPlace, ItemState};

use super::found::{Found, FoundDocument, FoundItem};
use crate::documents::Documents;
use crate::model::Model;
use crate::queues::{Place, Queue, QueueItem};

impl Found {
    /// Whether the last that is told of each pair is what the model holds.
    pub fn leads_to(&self, model: &Model) -> std::result::Result<(), String> {
        for (key, value) in &model.pairs {
            match self.pairs.get(key) {
                Some(Some((told, false))) if told == value => {}
                None if self.gap => {}
                other => return Err(format!("{key:?} was told to be {other:?}")),
            }
        }
        let stray = self.pairs.iter().find(|(key, told)| matches!(told, Some((_, false))) && !model.pairs.contains_key(*key));
        stray.map_or(Ok(()), |(key, _)| Err(format!("nobody told that {key:?} is gone")))?;
        model.queues.values().try_for_each(|queue| self.leads_to_queue(queue))?;
        self.leads_to_collections(&model.documents)
    }

    /// Of dropped collections, documents may be left.
    fn leads_to_collections(&self, documents: &Documents) -> std::result::Result<(), String> {
        for (name, told) in &self.collections {
            let there = documents.get(name).map(|collection| collection.number);
            if *told != there {
                return Err(format!("collection {name} was told to be {told:?} instead of {there:?}"));
            }
        }
        for (name, collection) in documents.all() {
            if !self.gap && !self.collections.contains_key(name) {
                return Err(format!("nobody told of collection {name}"));
            }
            let (first, end) = ((collection.number, String::new()), (collection.number + 1, String::new()));
            let told = self.documents.range(first..end).filter(|(_, found)| !found.has_expired);
            let stray = told.clone().find(|((_, id), _)| !collection.documents.contains_key(id));
            stray.map_or(Ok(()), |((_, id), _)| Err(format!("nobody told that {id} of {name} is gone")))?;
            let told: BTreeMap<_, _> = told.map(|((_, id), found)| (id, found)).collect();
            for (id, stored) in &collection.documents {
                let expected =
                    FoundDocument { json: stored.content.json().to_string(), deleted: stored.deleted, has_expired: false };
                match told.get(id) {
                    None if self.gap => {}
                    Some(found) if **found == expected => {}
                    other => return Err(format!("{id} of {name} was told to be {other:?} instead of {expected:?}")),
                }
            }
        }
        Ok(())
    }

    /// Of dropped queues, items may be left.
    fn leads_to_queue(&self, queue: &Queue) -> std::result::Result<(), String> {
        let number = queue.number();
        let (told, most) = (self.items.range((number, 0)..=(number, u64::MAX)).count(), queue.len());
        let may_be_gone = |place: Place| place == Place::Returning || self.gap;
        let least = queue.items().filter(|(place, _)| !may_be_gone(*place)).count();
        if told > most || told < least {
            return Err(format!("{told} items of queue {number} were told of instead of {least} to {most}"));
        }
        for (place, item) in queue.items() {
            let FoundItem { payload, state } = match self.items.get(&(number, item.id)) {
                None if may_be_gone(place) => continue,
                told => told.cloned().unwrap_or_default(),
            };
            let pushed = payload.as_ref() == Some(&item.payload) || (payload.is_none() && self.gap);
            let stands = state.as_ref().map_or(self.gap, |state| is_at(state, place, item));
            if !pushed || !stands {
                return Err(format!("{place:?} {item:?} of queue {number} was told to be {payload:?} {state:?}"));
            }
        }
        Ok(())
    }
}

/// Who waits may have come back without a word.
fn is_at(state: &ItemState, place: Place, item: &QueueItem) -> bool {
    let same = match place {
        Place::Waiting => !matches!(state.place, ItemPlace::Scheduled(_) | ItemPlace::Dead),
        Place::Returning => !matches!(state.place, ItemPlace::Scheduled(_)),
        Place::Leased => matches!(state.place, ItemPlace::Leased(_)),
        Place::Scheduled => matches!(state.place, ItemPlace::Scheduled(_)),
        Place::Delayed => matches!(state.place, ItemPlace::Delayed(_)),
        Place::Dead => state.place == ItemPlace::Dead,
    };
    same && state.tries == item.tries && state.priority == item.priority
}
