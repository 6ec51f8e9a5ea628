//! The series of one table: tag values to number and back, small enough to be kept in memory for 100,000 series.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::error::Result;
use crate::format::limits;
use crate::model::{SeriesId, SeriesKey};

/// A tag value as a number within its tag column; 0 is missing.
pub(crate) type TagCode = u32;

/// The tag values of a row as numbers, in the order of the table's tags.
pub(crate) type TagCodes<'a> = &'a [TagCode];

/// Accepts or refuses a tag value, or its absence.
pub(crate) type Accepts<'a> = Box<dyn Fn(Option<&str>) -> bool + 'a>;

/// A condition on the values of one tag.
pub(crate) enum TagTest<'a> {
    /// One of these values.
    OneOf(&'a [String]),
    /// Whatever this accepts; it is asked about each distinct value, and about absence, once.
    Matches(Accepts<'a>),
}

/// Every distinct value of one tag.
#[derive(Debug, Default)]
struct Interner {
    text: String,
    ends: Vec<u32>,
    lookup: HashTable<TagCode>,
    hasher: DefaultHashBuilder,
}

impl Interner {
    fn get(&self, code: TagCode) -> Option<&str> {
        let at = (code as usize).checked_sub(1)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        self.text.get(start..*self.ends.get(at)? as usize)
    }

    fn find(&self, value: &str) -> Option<TagCode> {
        self.lookup.find(self.hasher.hash_one(value), |&code| self.get(code) == Some(value)).copied()
    }

    fn intern(&mut self, value: &str) -> TagCode {
        if let Some(code) = self.find(value) {
            return code;
        }
        self.text.push_str(value);
        self.ends.push(self.text.len() as u32);
        let code = self.ends.len() as TagCode;
        let Interner { text, ends, lookup, hasher } = self;
        let value_of = |code: TagCode| {
            let at = code as usize - 1;
            &text[if at == 0 { 0 } else { ends[at - 1] as usize }..ends[at] as usize]
        };
        lookup.insert_unique(hasher.hash_one(value), code, |&code| hasher.hash_one(value_of(code)));
        code
    }
}

/// The values of one tag, by series.
#[derive(Debug, Default)]
struct TagColumn {
    values: Interner,
    codes: Vec<TagCode>,
}

impl TagColumn {
    /// By tag code, whether it passes.
    fn verdicts(&self, test: &TagTest<'_>) -> Vec<bool> {
        let codes = self.values.ends.len() as TagCode;
        match test {
            TagTest::OneOf(values) => {
                let mut verdicts = vec![false; codes as usize + 1];
                for code in values.iter().filter_map(|value| self.values.find(value)) {
                    verdicts[code as usize] = true;
                }
                verdicts
            }
            TagTest::Matches(accepts) => (0..=codes).map(|code| accepts(self.values.get(code))).collect(),
        }
    }
}

/// All series of a table.
#[derive(Debug, Default)]
pub(crate) struct SeriesIndex {
    columns: Vec<TagColumn>,
    count: u32,
    lookup: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Series by tag order, while no series was added since.
    order: Option<Arc<[SeriesId]>>,
    /// How many, from number 0 on, the log knows of.
    pub(crate) logged: u32,
}

impl SeriesIndex {
    /// Series so far.
    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    /// How many tags series have.
    pub(crate) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Makes room for the tags of a table; earlier series lack those added.
    pub(crate) fn set_tags(&mut self, tags: usize) {
        while self.columns.len() < tags {
            self.columns.push(TagColumn { values: Interner::default(), codes: vec![0; self.count as usize] });
        }
    }

    /// The code of a tag value, if any series has it.
    pub(crate) fn find_code(&self, tag: usize, value: &str) -> Option<TagCode> {
        self.columns.get(tag)?.values.find(value)
    }

    /// The code of a tag value, made if need be.
    pub(crate) fn intern(&mut self, tag: usize, value: &str) -> TagCode {
        self.columns[tag].values.intern(value)
    }

    /// The series with these tags.
    pub(crate) fn find(&self, codes: TagCodes<'_>) -> Option<SeriesId> {
        let same = |&id: &u32| self.columns.iter().zip(codes).all(|(column, &code)| column.codes[id as usize] == code);
        self.lookup.find(self.hash(codes), same).map(|&id| SeriesId(id))
    }

    /// The series with these tags, made if need be.
    pub(crate) fn find_or_add(&mut self, codes: TagCodes<'_>) -> Result<SeriesId> {
        if let Some(id) = self.find(codes) {
            return Ok(id);
        }
        limits::check("series of one table", u64::from(self.count) + 1, limits::SERIES, "")?;
        let id = self.count;
        for (column, &code) in self.columns.iter_mut().zip(codes) {
            column.codes.push(code);
        }
        self.count += 1;
        self.insert(SeriesId(id), codes);
        Ok(SeriesId(id))
    }

    /// Adds the series a log record or the catalog names. Numbers skipped belong to series whose definition is lost: they get
    /// a key that stands for that until one is named. A number that has another key already is refused.
    pub(crate) fn restore(&mut self, id: SeriesId, key: &SeriesKey) -> Result<(), String> {
        self.set_tags(key.0.len());
        while self.count < id.0 {
            self.push(&lost_key(SeriesId(self.count)))?;
        }
        let known = self.count > id.0;
        if known && self.key(id).normalized() == key.clone().normalized() {
            return Ok(());
        }
        if !known {
            return self.push(key);
        }
        if self.key(id).normalized() != lost_key(id) {
            return Err(format!("series {} has two different keys", id.0));
        }
        self.redefine(id, key)
    }

    /// Makes sure that every number up to `id` has a key, if only one that says that its definition is lost. Answers whether
    /// any had to be made up.
    pub(crate) fn presume(&mut self, id: SeriesId) -> Result<bool, String> {
        let missing = self.count <= id.0;
        self.set_tags(1);
        while self.count <= id.0 {
            self.push(&lost_key(SeriesId(self.count)))?;
        }
        Ok(missing)
    }

    fn push(&mut self, key: &SeriesKey) -> Result<(), String> {
        let codes = self.intern_key(key);
        let next = self.count;
        match self.find_or_add(&codes) {
            Ok(SeriesId(id)) if id == next => {
                self.logged = self.logged.max(id + 1);
                Ok(())
            }
            Ok(other) => Err(format!("series {next} has the key of series {}", other.0)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn redefine(&mut self, id: SeriesId, key: &SeriesKey) -> Result<(), String> {
        let codes = self.intern_key(key);
        if let Some(other) = self.find(&codes) {
            return Err(format!("series {} has the key of series {}", id.0, other.0));
        }
        let before: Vec<_> = self.columns.iter().map(|column| column.codes[id.0 as usize]).collect();
        if let Ok(entry) = self.lookup.find_entry(self.hash(&before), |&other| other == id.0) {
            entry.remove();
        }
        for (column, &code) in self.columns.iter_mut().zip(&codes) {
            column.codes[id.0 as usize] = code;
        }
        self.insert(id, &codes);
        Ok(())
    }

    fn intern_key(&mut self, key: &SeriesKey) -> Vec<TagCode> {
        (0..self.columns.len()).map(|tag| key.tag(tag).map_or(0, |value| self.intern(tag, value))).collect()
    }

    fn insert(&mut self, id: SeriesId, codes: TagCodes<'_>) {
        self.order = None;
        let (hash, columns, hasher) = (self.hash(codes), &self.columns, &self.hasher);
        self.lookup.insert_unique(hash, id.0, |&id| {
            let codes: Vec<_> = columns.iter().map(|column| column.codes[id as usize]).collect();
            hasher.hash_one(significant(&codes))
        });
    }

    /// The tag values of a series.
    pub(crate) fn key(&self, id: SeriesId) -> SeriesKey {
        SeriesKey((0..self.columns.len()).map(|tag| self.tag(id, tag).map(str::to_owned)).collect())
    }

    /// One tag value of a series.
    pub(crate) fn tag(&self, id: SeriesId, tag: usize) -> Option<&str> {
        let column = self.columns.get(tag)?;
        column.values.get(*column.codes.get(id.0 as usize)?)
    }

    /// All series in tag order: tag by tag, missing first, then by bytes.
    pub(crate) fn ordered(&mut self) -> Arc<[SeriesId]> {
        if let Some(order) = &self.order {
            return order.clone();
        }
        let mut ids: Vec<SeriesId> = (0..self.count).map(SeriesId).collect();
        ids.sort_unstable_by(|&a, &b| self.compare(a, b));
        let order: Arc<[SeriesId]> = ids.into();
        self.order = Some(order.clone());
        order
    }

    /// The order of all series if it is at hand, so that readers need no exclusive access.
    pub(crate) fn ordered_if_known(&self) -> Option<Arc<[SeriesId]>> {
        self.order.clone()
    }

    /// Tag order.
    pub(crate) fn compare(&self, a: SeriesId, b: SeriesId) -> Ordering {
        (0..self.columns.len())
            .map(|tag| self.tag(a, tag).cmp(&self.tag(b, tag)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// The series that satisfy every test, by number. Tests are given with the position of their tag.
    pub(crate) fn matching(&self, tests: &[(usize, TagTest<'_>)]) -> Vec<SeriesId> {
        let verdicts: Vec<(&[TagCode], Vec<bool>)> = tests
            .iter()
            .filter_map(|(position, test)| self.columns.get(*position).map(|column| (column, test)))
            .map(|(column, test)| (column.codes.as_slice(), column.verdicts(test)))
            .collect();
        let accepted = |&id: &u32| verdicts.iter().all(|(codes, verdict)| verdict[codes[id as usize] as usize]);
        (0..self.count).filter(accepted).map(SeriesId).collect()
    }

    fn hash(&self, codes: TagCodes<'_>) -> u64 {
        self.hasher.hash_one(significant(codes))
    }
}

/// The key of a series whose definition is lost.
fn lost_key(id: SeriesId) -> SeriesKey {
    SeriesKey(vec![Some(format!("\0lost series {}", id.0))])
}

/// Without missing tags at the end, so that a key hashes alike before and after its table gains a tag.
fn significant(codes: TagCodes<'_>) -> TagCodes<'_> {
    let len = codes.iter().rposition(|&code| code != 0).map_or(0, |last| last + 1);
    &codes[..len]
}
