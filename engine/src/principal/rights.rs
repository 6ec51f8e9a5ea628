//! What a principal may do: the one place where that is decided.

use std::collections::{BTreeMap, BTreeSet};

use super::grant::{Action, Grant, Object};
use super::pattern::Pattern;

/// What somebody wants to do something to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target<'t> {
    /// A table, with all its series.
    Table(&'t str),
    /// A collection.
    Collection(&'t str),
    /// A queue.
    Queue(&'t str),
    /// A key-value pair.
    Key(&'t str),
    /// The database as a whole.
    Database,
}

/// What one principal may do, by its own grants and those of its roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    principal: String,
    grants: Vec<Grant>,
}

/// Which series of a table somebody may do something to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    principal: String,
    /// Tags that each have to match one of their patterns; enough if one of these does. `None` for all series there are.
    alternatives: Option<Vec<BTreeMap<String, BTreeSet<Pattern>>>>,
}

impl Rights {
    pub(super) fn new(principal: &str, grants: Vec<Grant>) -> Self {
        Rights { principal: principal.to_owned(), grants }
    }

    /// Those of someone who may do everything, as whoever has the files themselves.
    pub fn everything(principal: &str) -> Self {
        let everything = Grant { actions: Action::ALL.into(), object: Object::Everything, tags: BTreeMap::new() };
        Rights::new(principal, vec![everything])
    }

    /// Whose they are.
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// Whether an action on all of something is allowed. Of a table, that is not so where only some of its series are: what cannot
    /// be told apart by series is refused to those.
    pub fn permit(&self, action: Action, target: Target<'_>) -> bool {
        self.of(action, target).any(|grant| grant.tags.is_empty())
    }

    /// To which series of a table an action is allowed; `None` if to none.
    pub fn scope(&self, action: Action, table: &str) -> Option<Scope> {
        let grants: Vec<&Grant> = self.of(action, Target::Table(table)).collect();
        if grants.is_empty() {
            return None;
        }
        let all = grants.iter().any(|grant| grant.tags.is_empty());
        let alternatives = (!all).then(|| grants.into_iter().map(|grant| grant.tags.clone()).collect());
        Some(Scope { principal: self.principal.clone(), alternatives })
    }

    fn of(&self, action: Action, target: Target<'_>) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(move |grant| grant.actions.contains(&action) && self.covers(&grant.object, target))
    }

    fn covers(&self, object: &Object, target: Target<'_>) -> bool {
        match (object, target) {
            (Object::Everything, _) | (Object::Database, Target::Database) => true,
            (Object::Tables(names), Target::Table(name))
            | (Object::Collections(names), Target::Collection(name))
            | (Object::Queues(names), Target::Queue(name))
            | (Object::Keys(names), Target::Key(name)) => names.matches(name, &self.principal),
            _ => false,
        }
    }
}

impl Scope {
    /// Whether it is all series there are and will be.
    pub fn is_everything(&self) -> bool {
        self.alternatives.is_none()
    }

    /// Whether a series is among them. `value` looks up its tags: `None` for one that is missing, which no pattern matches.
    pub fn holds<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> bool {
        let Some(alternatives) = &self.alternatives else { return true };
        let matches = |tag: &str, patterns: &BTreeSet<Pattern>| {
            value(tag).is_some_and(|value| patterns.iter().any(|pattern| pattern.matches(value, &self.principal)))
        };
        alternatives.iter().any(|tags| tags.iter().all(|(tag, patterns)| matches(tag, patterns)))
    }
}
