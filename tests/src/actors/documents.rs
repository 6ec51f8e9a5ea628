//! Those who use documents.

use std::collections::BTreeSet;

use fastrand::Rng;

use super::Actors;
use crate::documents::{self, COLLECTIONS, Content, DocumentChange, Documents, KEPT, PLAIN, REFERRING};
use crate::model::{Effect, Lasts, Model};
use crate::steps::Step;

impl Actors {
    /// One change of a collection or its documents, or several of documents and pairs at once.
    pub(super) fn use_documents(&mut self, model: &Model) -> Step {
        let name = |rng: &mut Rng| COLLECTIONS[rng.usize(0..COLLECTIONS.len())];
        if self.rng.u8(0..4) > 0 {
            let name = name(&mut self.rng);
            let (name, change) = self.change_collection(&model.documents, name);
            return Step::Write(Effect::Documents(vec![(name.to_owned(), change)], Vec::new()));
        }
        // Each change is made up for what those before it leave, and is of another document.
        let (mut documents, mut changes, mut changed) = (model.documents.clone(), Vec::new(), BTreeSet::new());
        for _ in 0..self.rng.usize(1..5) {
            let (name, id) = (name(&mut self.rng), self.document_id());
            if documents.get(name).is_some() && changed.insert((name, id.clone())) {
                let change = self.change_document(&documents, name, id);
                documents.apply(name, &change);
                changes.push((name.to_owned(), change));
            }
        }
        let pairs = (0..self.rng.usize(1..3)).map(|_| self.pair()).collect();
        Step::Write(Effect::Documents(changes, pairs))
    }

    fn change_collection(&mut self, documents: &Documents, name: &'static str) -> (&'static str, DocumentChange) {
        match (documents.get(name), self.rng.u8(0..50)) {
            // What is referred to has to be there.
            (None, _) if name == REFERRING && documents.get(PLAIN).is_none() => (PLAIN, DocumentChange::Create),
            (None, _) => (name, DocumentChange::Create),
            (Some(_), 0) if name == PLAIN && documents.get(REFERRING).is_some() => (REFERRING, DocumentChange::Drop),
            (Some(_), 0) => (name, DocumentChange::Drop),
            (Some(collection), 1..=4) => (name, DocumentChange::Index(!collection.indexed)),
            _ => {
                let id = self.document_id();
                (name, self.change_document(documents, name, id))
            }
        }
    }

    fn document_id(&mut self) -> String {
        documents::ids().nth(self.rng.usize(0..usize::from(documents::IDS))).expect("an id there is")
    }

    fn change_document(&mut self, documents: &Documents, name: &str, id: String) -> DocumentChange {
        let stored = documents.get(name).and_then(|collection| collection.documents.get(&id));
        match (stored.map(|stored| stored.deleted), self.rng.u8(0..10)) {
            (Some(false), 0..=3) => DocumentChange::Delete(id),
            (Some(true), 0..=4) => DocumentChange::Restore(id),
            _ => {
                let lasts = match (name, self.rng.u8(0..8)) {
                    // What others refer to must not expire, and what has expired may leave its history for a while.
                    (REFERRING, 0) => Lasts::NotAtAll,
                    (REFERRING | KEPT, 1..=2) => Lasts::Long,
                    _ => Lasts::Forever,
                };
                let content = self.content(documents, name, &id);
                DocumentChange::Put(id, content, lasts)
            }
        }
    }

    fn content(&mut self, documents: &Documents, name: &str, id: &str) -> Content {
        let most = if self.rng.u8(0..20) == 0 { 9_000 } else { 40 };
        let text = (0..self.rng.usize(0..most)).map(|_| self.rng.alphanumeric()).collect();
        let mut content = Content { n: self.rng.bool().then(|| self.rng.i64(-5..5)), text, ..Content::default() };
        let Some(plain) = documents.get(PLAIN) else { return content };
        if name == PLAIN {
            let u = Some(format!("u/{}", self.rng.u8(0..40)));
            let is_free = plain.documents.iter().all(|(other, stored)| other == id || stored.content.u != u);
            content.u = u.filter(|_| is_free);
        }
        if name == REFERRING {
            let ids: Vec<_> = plain.documents.keys().cloned().collect();
            let mut other = || Some(ids.get(self.rng.usize(0..ids.len() + 3))?.clone());
            (content.parent, content.also) = (other(), other().map(Some));
        }
        content
    }
}
