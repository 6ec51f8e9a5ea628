//! Conditions on documents, as JSON says them.

use std::ops::Bound;

use alluvium::{Error, Result, Where};
use serde_json::{Map, Value};

/// Levels of `and`, `or` and `not` in each other.
const LEVELS: usize = 32;

/// Reads a condition. `{"room": "cellar", "size": {"gt": 3, "le": 9}}` holds where all of it does: a field has a value, or one that is `gt`, `ge`,
/// `lt`, `le`, `eq`, `ne`, `in` a list, `begins` with a text, or `exists`. Fields within fields are written `place.room`. `{"and": […]}`, `{"or": […]}` and
/// `{"not": {…}}` take conditions, and so no fields of these names: write such a one as `{"not": {"eq": …}}`.
///
/// # Errors
///
/// [`Error::Invalid`] where it is no condition.
pub fn condition(json: &Value) -> Result<Where> {
    read(json, LEVELS)
}

fn read(json: &Value, levels: usize) -> Result<Where> {
    let fields =
        json.as_object().ok_or_else(|| Error::invalid(format_args!("a condition is an object of fields, not {json}")))?;
    let Some(levels) = levels.checked_sub(1) else {
        return Err(Error::invalid(format_args!("a condition may have at most {LEVELS} levels of and, or and not")));
    };
    fields.iter().try_fold(Where::all(), |all, (name, value)| Ok(all.and(member(name, value, levels)?)))
}

fn member(name: &str, value: &Value, levels: usize) -> Result<Where> {
    match (name, value) {
        ("and", Value::Array(all)) => all.iter().try_fold(Where::all(), |sum, one| Ok(sum.and(read(one, levels)?))),
        ("or", Value::Array(any)) => {
            let mut any = any.iter().map(|one| read(one, levels));
            let first = any.next().ok_or_else(|| Error::invalid("\"or\" takes one condition at least"))??;
            any.try_fold(first, |sum, one| Ok(sum.or(one?)))
        }
        ("not", Value::Object(fields)) if !is_comparison(fields) => Ok(read(value, levels)?.not()),
        (path, Value::Object(fields)) if is_comparison(fields) => {
            fields.iter().try_fold(Where::all(), |all, (how, than)| Ok(all.and(comparison(path, how, than)?)))
        }
        (path, value) => Where::equal(path, value.clone()),
    }
}

/// Whether an object compares, and is no value itself.
fn is_comparison(fields: &Map<String, Value>) -> bool {
    !fields.is_empty() && fields.keys().all(|name| WORDS.contains(&name.as_str()))
}

const WORDS: [&str; 9] = ["gt", "ge", "lt", "le", "eq", "ne", "in", "begins", "exists"];

fn comparison(path: &str, how: &str, than: &Value) -> Result<Where> {
    let value = than.clone();
    match (how, than) {
        ("gt", _) => Where::range(path, (Bound::Excluded(value), Bound::Unbounded)),
        ("ge", _) => Where::range(path, value..),
        ("lt", _) => Where::range(path, ..value),
        ("le", _) => Where::range(path, ..=value),
        ("eq", _) => Where::equal(path, value),
        ("ne", _) => Ok(Where::equal(path, value)?.not()),
        ("in", Value::Array(values)) => Where::any_of(path, values.iter().cloned()),
        ("begins", Value::String(beginning)) => Where::begins(path, beginning),
        ("exists", Value::Bool(true)) => Where::exists(path),
        ("exists", Value::Bool(false)) => Ok(Where::exists(path)?.not()),
        _ => Err(Error::invalid(format_args!("{path:?}: {how:?} does not take {than}"))),
    }
}

#[cfg(test)]
mod tests {
    use alluvium::{CollectionSpec, Database, DocumentQuery};
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_find_what_they_say() {
        let folder = tempfile::tempdir().unwrap();
        let db = Database::open(folder.path().join("data")).unwrap();
        db.collections().create(CollectionSpec::new("devices")).unwrap();
        for (id, document) in [
            ("a", json!({"room": "cellar", "size": 1, "place": {"floor": 0}})),
            ("b", json!({"room": "attic", "size": 5})),
            ("c", json!({"room": "cellar", "size": 9, "or": "field"})),
        ] {
            db.collection("devices").put(id, &document, Default::default()).unwrap();
        }
        let found = |asked: Value| {
            let query = DocumentQuery::new().filter(condition(&asked).unwrap());
            let page = db.collection("devices").query(&query).unwrap();
            page.documents.into_iter().map(|document| document.id).collect::<Vec<_>>().join("")
        };
        assert_eq!(found(json!({})), "abc");
        assert_eq!(found(json!({"room": "cellar"})), "ac");
        assert_eq!(found(json!({"room": "cellar", "size": 9})), "c");
        assert_eq!(found(json!({"size": {"gt": 1, "le": 9}})), "bc");
        assert_eq!(found(json!({"size": {"ge": 1, "lt": 9}})), "ab");
        assert_eq!(found(json!({"size": {"in": [1, 9]}})), "ac");
        assert_eq!(found(json!({"room": {"begins": "a"}})), "b");
        assert_eq!(found(json!({"room": {"ne": "attic"}})), "ac");
        assert_eq!(found(json!({"place.floor": 0})), "a");
        assert_eq!(found(json!({"place": {"exists": true}})), "a");
        assert_eq!(found(json!({"place": {"exists": false}})), "bc");
        assert_eq!(found(json!({"or": [{"size": 1}, {"room": "attic"}]})), "ab");
        assert_eq!(found(json!({"not": {"room": "cellar"}})), "b");
        assert_eq!(found(json!({"and": [{"room": "cellar"}, {"not": {"size": 1}}]})), "c");
        assert_eq!(found(json!({"or": {"eq": "field"}})), "c");
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        let mut deep = json!({"a": 1});
        for _ in 0..LEVELS {
            deep = json!({"not": deep});
        }
        for wrong in [json!(3), json!([]), json!({"or": []}), json!({"a": {"in": 3}}), json!({"a": {"exists": 1}}), deep] {
            assert!(matches!(condition(&wrong), Err(Error::Invalid(_))), "{wrong}");
        }
    }
}
