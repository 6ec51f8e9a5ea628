//! What is allowed: actions on objects, of tables perhaps only on some series.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use super::pattern::Pattern;
use super::words::{self, quoted};
use crate::error::{Error, Result};

/// Something that may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Action {
    /// To read rows, documents, pairs; to look into queues; of the database, its status.
    Read,
    /// To append rows, put documents and pairs, push to queues.
    Write,
    /// To delete rows, documents and pairs.
    Delete,
    /// To pop from queues, and to acknowledge or give back what was popped.
    Consume,
    /// To make, change and drop tables, collections and queues.
    Define,
    /// To seal, compact, verify and look after the database.
    Operate,
    /// To manage principals, roles, tokens and certificates, and to read the audit trail.
    Administer,
}

/// What actions are done to, as far as a grant says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Object {
    /// Tables, by name.
    Tables(Pattern),
    /// Collections, by name, with their documents.
    Collections(Pattern),
    /// Queues, by name, with their items.
    Queues(Pattern),
    /// Key-value pairs, by key.
    Keys(Pattern),
    /// The database as a whole.
    Database,
    /// All of that.
    Everything,
}

/// Some actions allowed on some objects.
///
/// As text: `read,write table:air_* where device=${principal}`. Actions are `read`, `write`, `delete`, `consume`, `define`, `operate`
/// and `administer`, or `all`; objects `table:PATTERN`, `collection:PATTERN`, `queue:PATTERN`, `key:PATTERN`, `database` and
/// `everything`. In patterns `*` stands for any characters and `${principal}` for the name of whoever asks. Of a table only the
/// series whose tags are as said may be read, written or deleted: `where site=a|b and device=${principal}`. What holds spaces or other
/// odd characters stands in double quotes.
///
/// ```
/// use alluvium::Grant;
///
/// let grant: Grant = "write,read table:air where device=${principal}".parse()?;
/// assert_eq!(grant.to_string(), "read,write table:air where device=${principal}");
/// assert!("consume table:air".parse::<Grant>().is_err()); // only queues are consumed
/// # Ok::<(), alluvium::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant {
    pub(super) actions: BTreeSet<Action>,
    pub(super) object: Object,
    /// By tag, the patterns of which one has to match.
    pub(super) tags: BTreeMap<String, BTreeSet<Pattern>>,
}

impl Action {
    /// All there are.
    pub const ALL: [Action; 7] =
        [Action::Read, Action::Write, Action::Delete, Action::Consume, Action::Define, Action::Operate, Action::Administer];

    /// Its name in a grant.
    pub fn name(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::Write => "write",
            Action::Delete => "delete",
            Action::Consume => "consume",
            Action::Define => "define",
            Action::Operate => "operate",
            Action::Administer => "administer",
        }
    }
}

impl FromStr for Action {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Action::ALL.into_iter().find(|action| action.name() == name);
        found.ok_or_else(|| Error::invalid(format!("{name:?} is no action: there are {}", list(Action::ALL))))
    }
}

impl Object {
    /// What can be done to it at all.
    fn actions(&self) -> &'static [Action] {
        use Action::{Administer, Consume, Define, Delete, Operate, Read, Write};
        match self {
            Object::Tables(_) | Object::Collections(_) => &[Read, Write, Delete, Define],
            Object::Queues(_) => &[Read, Write, Delete, Consume, Define],
            Object::Keys(_) => &[Read, Write, Delete],
            Object::Database => &[Read, Operate, Administer],
            Object::Everything => &Action::ALL,
        }
    }

    fn parse(word: &str) -> Result<Self> {
        let pattern = |kind: fn(Pattern) -> Object, pattern: &str| match pattern {
            "" => Err(Error::invalid(format!("{word:?} lacks a name or pattern: {word}* means all"))),
            pattern => Ok(kind(Pattern::new(pattern))),
        };
        match word.split_once(':') {
            Some(("table", name)) => pattern(Object::Tables, name),
            Some(("collection", name)) => pattern(Object::Collections, name),
            Some(("queue", name)) => pattern(Object::Queues, name),
            Some(("key", key)) => pattern(Object::Keys, key),
            None if word == "database" => Ok(Object::Database),
            None if word == "everything" => Ok(Object::Everything),
            _ => Err(Error::invalid(format!(
                "{word:?} is no object of a grant: there are table:NAME, collection:NAME, queue:NAME, key:KEY, database and everything"
            ))),
        }
    }
}

impl Grant {
    fn check(self) -> Result<Self> {
        let possible = self.object.actions();
        if let Some(action) = self.actions.iter().find(|action| !possible.contains(action)) {
            let possible = list(possible.iter().copied());
            return Err(Error::invalid(format!("{} cannot be done to {}: {possible} can", action.name(), self.object)));
        }
        if self.tags.is_empty() {
            return Ok(self);
        }
        if !matches!(self.object, Object::Tables(_)) {
            return Err(Error::invalid(format!("{} has no tags: only tables do", self.object)));
        }
        match self.actions.contains(&Action::Define) {
            true => Err(Error::invalid("a table cannot be defined for some of its series only: grant that apart, without tags")),
            false => Ok(self),
        }
    }
}

impl FromStr for Grant {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words = words::split(text)?;
        let [actions, object, rest @ ..] = &words[..] else {
            return Err(Error::invalid(format!("{text:?} is no grant: it says ACTIONS OBJECT, as in `read,write table:air`")));
        };
        let object = Object::parse(&object.plain())?;
        let actions = match actions.plain().as_str() {
            "all" => object.actions().iter().copied().collect(),
            names => names.split(',').map(str::parse).collect::<Result<_>>()?,
        };
        let mut tags = BTreeMap::new();
        if let Some((first, conditions)) = rest.split_first() {
            let joints = conditions.iter().skip(1).step_by(2);
            if first.plain() != "where" || conditions.len() % 2 == 0 || !joints.clone().all(|joint| joint.plain() == "and") {
                return Err(Error::invalid(format!(
                    "what follows the object of a grant is `where TAG=VALUE and TAG=VALUE …`, in {text:?}"
                )));
            }
            for condition in conditions.iter().step_by(2) {
                let (tag, values) = condition.tag()?;
                if tags.insert(tag.clone(), values.into_iter().map(Pattern::new).collect()).is_some() {
                    return Err(Error::invalid(format!("tag {tag:?} is named twice: TAG=ONE|OTHER allows several values")));
                }
            }
        }
        Grant { actions, object, tags }.check()
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Tables(name) => write!(f, "table:{}", quoted(name.as_str())),
            Object::Collections(name) => write!(f, "collection:{}", quoted(name.as_str())),
            Object::Queues(name) => write!(f, "queue:{}", quoted(name.as_str())),
            Object::Keys(key) => write!(f, "key:{}", quoted(key.as_str())),
            Object::Database => f.write_str("database"),
            Object::Everything => f.write_str("everything"),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.actions.len() == self.object.actions().len();
        let actions = if all { "all".to_owned() } else { list(self.actions.iter().copied()) };
        write!(f, "{actions} {}", self.object)?;
        for (number, (tag, values)) in self.tags.iter().enumerate() {
            let values: Vec<_> = values.iter().map(|value| quoted(value.as_str())).collect();
            write!(f, " {} {}={}", if number == 0 { "where" } else { "and" }, quoted(tag), values.join("|"))?;
        }
        Ok(())
    }
}

fn list(actions: impl IntoIterator<Item = Action>) -> String {
    actions.into_iter().map(Action::name).collect::<Vec<_>>().join(",")
}
