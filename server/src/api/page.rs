//! Pages of lists: every list goes on behind `after`, which is the `next` of the page before.

use std::fmt::Display;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{Answer, Problem};

/// Entries of a page at most, and where nobody says how many.
const MOST: u16 = 1_000;

/// Which page.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Paged {
    /// Goes on behind this: the `next` of the page before.
    pub(super) after: Option<String>,
    /// Entries at most.
    #[serde(default)]
    pub(super) limit: Limit,
}

/// Entries of a page.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Limit(u16);

impl Limit {
    pub(super) fn get(self) -> usize {
        self.0.into()
    }
}

impl Default for Limit {
    fn default() -> Self {
        Limit(MOST)
    }
}

impl TryFrom<u64> for Limit {
    type Error = String;

    fn try_from(limit: u64) -> Result<Self, String> {
        let fits = u16::try_from(limit).ok().filter(|limit| (1..=MOST).contains(limit));
        fits.map(Limit).ok_or_else(|| format!("a page has 1 to {MOST} entries, not {limit}"))
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": MOST, "default": MOST })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl Paged {
    /// The page of a list that is known whole, by names, and its `next`.
    pub(super) fn by_name<T>(&self, mut all: Vec<T>, name: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
        all.retain(|one| self.after.as_deref().is_none_or(|after| name(one) > after));
        all.sort_by(|one, other| name(one).cmp(name(other)));
        self.first(all, |one| name(one).to_owned())
    }

    /// The first of what is left of a list, and the `next`.
    pub(super) fn first<T>(&self, mut left: Vec<T>, key: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        let is_more = left.len() > self.limit.get();
        left.truncate(self.limit.get());
        let next = left.last().filter(|_| is_more).map(key);
        (left, next)
    }

    /// Behind which number it goes on, in a list of numbers.
    pub(super) fn after_number<N: FromStr<Err: Display>>(&self) -> Answer<Option<N>> {
        let wrong = |error| Problem::invalid(format_args!("after: {error}: give the next of the page before"));
        self.after.as_deref().map(|after| after.parse().map_err(wrong)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paged(after: Option<&str>, limit: u64) -> Paged {
        Paged { after: after.map(str::to_owned), limit: limit.try_into().unwrap() }
    }

    fn name<'n>(one: &'n &str) -> &'n str {
        one
    }

    #[test]
    fn pages_follow_one_another_whatever_is_removed_meanwhile() {
        let all = || vec!["d", "a", "c", "b"];
        assert_eq!(paged(None, 2).by_name(all(), name), (vec!["a", "b"], Some("b".to_owned())));
        assert_eq!(paged(Some("b"), 2).by_name(all(), name), (vec!["c", "d"], None));
        assert_eq!(paged(Some("b"), 2).by_name(vec!["c", "a"], name), (vec!["c"], None), "b is gone");
        assert_eq!(paged(Some("d"), 2).by_name(all(), name), (vec![], None));
    }

    #[test]
    fn a_page_has_bounds() {
        assert_eq!(Limit::try_from(1_000).unwrap().get(), 1_000);
        assert!(Limit::try_from(0).is_err() && Limit::try_from(1_001).is_err() && Limit::try_from(u64::MAX).is_err());
        assert_eq!(paged(Some("7"), 1).after_number::<u64>().unwrap(), Some(7));
        assert!(paged(Some("x"), 1).after_number::<u64>().is_err());
    }
}
