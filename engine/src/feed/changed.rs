//! Which metadata changed, by their latest state: the dirty-key index.

use std::collections::VecDeque;
use std::marker::PhantomData;

use super::cells;
use super::change::Event;
use super::names::Names;
use crate::catalog::Note;
use crate::error::Result;
use crate::keyspace::View;
use crate::model::Sequence;
use crate::record::Key;

/// Keys looked at at once.
const PAGE: usize = 1_024;

/// A key of metadata and what it holds by now.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ChangedKey {
    /// The record that changed it last.
    pub sequence: Sequence,
    /// Its state, as the event that led to it.
    pub event: Event,
}

/// Keys of metadata that changed after a sequence, each with its latest state, in the order of their last changes.
///
/// All of one state of the database, which does not move while this is read; the memory it takes does not depend on how many
/// there are. It takes no log, so nothing is ever missing: a consumer that met [`Error::Gap`](crate::Error::Gap) goes on from
/// here. A key that went, came back and went again may be listed as gone more than once.
#[derive(Debug)]
pub struct ChangedKeys<'d> {
    view: View,
    /// Behind which note of the catalog to go on; `None` once they are all read.
    after: Option<(Sequence, Key)>,
    page: VecDeque<Note>,
    /// What the catalog was not told yet, which is newer than all it was told.
    rest: std::vec::IntoIter<Note>,
    names: Names,
    database: PhantomData<&'d ()>,
}

impl ChangedKeys<'_> {
    pub(crate) fn new(view: View, after: Sequence) -> Self {
        let mut rest: Vec<_> = view.newer().filter(|note| note.sequence > after).collect();
        rest.sort_by(|a, b| (a.sequence, &a.key).cmp(&(b.sequence, &b.key)));
        // The least key there can be behind all of `after` is that of the sequence behind it.
        let first = (after.saturating_add(1), Key::from([]));
        let names = Names::new({
            let view = view.clone();
            move |key| view.get(key)
        });
        ChangedKeys { view, after: Some(first), page: VecDeque::new(), rest: rest.into_iter(), names, database: PhantomData }
    }

    /// The state of the database that this is of: ask for what changed after it the next time.
    pub fn through(&self) -> Sequence {
        self.view.sequence()
    }

    fn step(&mut self) -> Result<Option<ChangedKey>> {
        loop {
            if let Some(note) = self.page.pop_front() {
                if let Some(changed) = self.told(&note)? {
                    return Ok(Some(changed));
                }
                continue;
            }
            let Some((sequence, key)) = self.after.take() else { break };
            self.page = self.view.noted(sequence, &key, PAGE)?.into();
            if let Some(last) = self.page.back().filter(|_| self.page.len() == PAGE) {
                self.after = Some((last.sequence, last.key.clone()));
            }
        }
        for Note { sequence, key, value, .. } in self.rest.by_ref() {
            if let Some(event) = cells::event(&key, value.as_deref(), &mut self.names)? {
                return Ok(Some(ChangedKey { sequence, event }));
            }
        }
        Ok(None)
    }

    /// A note of the catalog, unless something newer is known of its key.
    fn told(&mut self, note: &Note) -> Result<Option<ChangedKey>> {
        let value = match self.view.get(&note.key)? {
            Some((sequence, value)) if sequence == note.sequence => Some(value),
            None if note.gone && !self.view.is_newer(&note.key) => None,
            _ => return Ok(None),
        };
        let event = cells::event(&note.key, value.as_deref(), &mut self.names)?;
        Ok(event.map(|event| ChangedKey { sequence: note.sequence, event }))
    }
}

impl Iterator for ChangedKeys<'_> {
    type Item = Result<ChangedKey>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}
