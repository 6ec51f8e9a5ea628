//! Queries: every answer is what going through all documents by hand gives, whatever indexes there are.

use std::cmp::Ordering;

use fastrand::Rng;

use super::*;
use crate::{DocumentQuery, IndexSpec, Page, Where};

/// Documents in memory, as an independent model has them.
type Model = std::collections::BTreeMap<String, Value>;

/// Values as the documentation orders them, without any encoding.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let kind = |value: Option<&Value>| match value {
        None => 0,
        Some(Value::Null) => 1,
        Some(Value::Bool(_)) => 2,
        Some(Value::Number(_)) => 3,
        Some(Value::String(_)) => 4,
        Some(_) => 5,
    };
    kind(a).cmp(&kind(b)).then_with(|| match (a, b) {
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64().partial_cmp(&b.as_f64()).unwrap(),
        (Some(Value::String(a)), Some(Value::String(b))) => a.as_bytes().cmp(b.as_bytes()),
        _ => Ordering::Equal,
    })
}

/// What a condition says of a document.
type Says = Box<dyn Fn(&Value) -> bool>;

/// Documents and conditions at random.
struct Any(Rng);

impl Any {
    fn value(&mut self) -> Option<Value> {
        Some(match self.0.u64(..12) {
            0 => return None,
            1 => json!(null),
            2 => json!(self.0.bool()),
            3..=6 => json!(self.0.i64(0..6) - 2),
            7 => json!(self.0.u64(..6) as f64 / 2.0 - 1.0),
            8 | 9 => json!(["", "a", "ab", "b", "a\0", "ä"][self.0.usize(..6)]),
            10 => json!("a".repeat(self.0.usize(..4))),
            _ => json!([1]),
        })
    }

    fn scalar(&mut self) -> Value {
        loop {
            match self.value() {
                Some(value) if !value.is_array() => return value,
                _ => {}
            }
        }
    }

    fn document(&mut self) -> Value {
        let mut fields = serde_json::Map::new();
        for name in ["x", "y", "z"] {
            if let Some(value) = self.value() {
                fields.insert(name.into(), value);
            }
        }
        Value::Object(fields)
    }

    fn path(&mut self) -> &'static str {
        ["x", "y", "z"][self.0.usize(..3)]
    }

    /// A condition, and what it says of a document.
    fn condition(&mut self, depth: u64) -> (Where, Says) {
        let path = self.path();
        let pointer = format!("/{path}");
        match self.0.u64(..if depth == 0 { 5 } else { 8 }) {
            0 | 1 => {
                let wanted = self.scalar();
                let condition = Where::equal(path, wanted.clone()).unwrap();
                (condition, Box::new(move |document| is(document.pointer(&pointer), &wanted)))
            }
            2 => {
                let wanted = [self.scalar(), self.scalar(), self.scalar()];
                let condition = Where::any_of(path, wanted.clone()).unwrap();
                (condition, Box::new(move |document| wanted.iter().any(|wanted| is(document.pointer(&pointer), wanted))))
            }
            3 => {
                let (low, high) = (self.0.i64(0..5) - 2, self.0.i64(0..5) - 1);
                let (low, high) = (low.min(high), low.max(high));
                let condition = Where::range(path, json!(low)..json!(high)).unwrap();
                let within = move |number: f64| number >= low as f64 && number < high as f64;
                (condition, Box::new(move |document| document.pointer(&pointer).and_then(Value::as_f64).is_some_and(within)))
            }
            4 => {
                let beginning = ["", "a", "ab"][self.0.usize(..3)];
                let condition = Where::begins(path, beginning).unwrap();
                let begins = move |text: &str| text.starts_with(beginning);
                (condition, Box::new(move |document| document.pointer(&pointer).and_then(Value::as_str).is_some_and(begins)))
            }
            5 => {
                let ((a, says_a), (b, says_b)) = (self.condition(depth - 1), self.condition(depth - 1));
                (a.and(b), Box::new(move |document| says_a(document) && says_b(document)))
            }
            6 => {
                let ((a, says_a), (b, says_b)) = (self.condition(depth - 1), self.condition(depth - 1));
                (a.or(b), Box::new(move |document| says_a(document) || says_b(document)))
            }
            _ => {
                let (a, says_a) = self.condition(depth - 1);
                (a.not(), Box::new(move |document| !says_a(document)))
            }
        }
    }
}

fn is(found: Option<&Value>, wanted: &Value) -> bool {
    match found {
        None => wanted.is_null(),
        Some(found) => !found.is_array() && compare(Some(found), Some(wanted)).is_eq(),
    }
}

/// All pages of an answer.
fn pages(db: &Database, query: &DocumentQuery) -> Vec<Page> {
    let mut pages = vec![db.collection("things").query(query).unwrap()];
    while let Some(cursor) = pages.last().unwrap().cursor.clone() {
        pages.push(db.collection("things").query(&query.clone().after(&cursor)).unwrap());
    }
    pages
}

fn ask(db: &Database, model: &Model, random: &mut Any) -> bool {
    let (filter, says) = random.condition(2);
    let limit = 1 + random.0.usize(..40);
    let mut query = DocumentQuery::new().filter(filter.clone()).limit(limit);
    let order: Vec<(&str, bool)> = (0..random.0.u64(..3)).map(|_| (random.path(), random.0.bool())).collect();
    for (path, ascending) in &order {
        query = if *ascending { query.ascending(path).unwrap() } else { query.descending(path).unwrap() };
    }
    let mut expected: Vec<(&String, &Value)> = model.iter().filter(|(_, document)| says(document)).collect();
    expected.sort_by(|(id, a), (other, b)| {
        let directed = |order: Ordering, ascending: bool| if ascending { order } else { order.reverse() };
        let by_values = order.iter().map(|(path, ascending)| directed(compare(a.get(path), b.get(path)), *ascending));
        let ids = directed(id.cmp(other), order.last().is_none_or(|(_, ascending)| *ascending));
        by_values.fold(Ordering::Equal, Ordering::then).then(ids)
    });
    let plan = db.collection("things").explain(&query).unwrap();
    let pages = pages(db, &query);
    let found = pages.iter().flat_map(|page| &page.documents).map(|document| (&document.id, &document.content));
    let context = || format!("{query:?}\nby {plan}");
    assert_eq!(found.collect::<Vec<_>>(), expected, "{}", context());
    assert!(pages.iter().rev().skip(1).all(|page| page.documents.len() == limit), "{}", context());
    assert_eq!(db.collection("things").count(filter).unwrap(), expected.len() as u64, "{}", context());
    !plan.indexes.is_empty()
}

#[test]
fn answers_do_not_depend_on_indexes() {
    let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(5);
    println!("ALLUVIUM_SEED={seed}");
    let mut random = Any(Rng::with_seed(seed));
    let db = with(CollectionSpec::new("things"));
    let mut model = Model::new();
    let indexes: [&[&str]; 6] = [&["x"], &["x", "y"], &["z", "y", "x"], &["y"], &["x", "z"], &["z"]];
    let (mut by_index, mut asked) = (0, 0);
    for (round, paths) in indexes.into_iter().enumerate() {
        for _ in 0..60 {
            let id = format!("{:02}", random.0.u64(..80));
            if random.0.u64(..5) == 0 {
                db.collection("things").delete(&id, IfRevision::Any).unwrap();
                model.remove(&id);
            } else {
                let document = random.document();
                db.collection("things").put(&id, &document, how()).unwrap();
                model.insert(id, document);
            }
        }
        for _ in 0..120 {
            by_index += usize::from(ask(&db, &model, &mut random));
            asked += 1;
        }
        db.create_index("things", IndexSpec::new(&format!("index {round}"), paths).unwrap()).unwrap();
    }
    assert!(by_index > asked / 4, "{by_index} of {asked} by an index");
}

#[test]
fn an_index_keeps_what_is_examined_near_what_is_returned() {
    let spec = CollectionSpec::new("things").index("by_kind", &["kind", "n"]).unwrap().index("by_name", &["name"]).unwrap();
    let db = with(spec);
    let thing = |n: u64| json!({"kind": n % 10, "n": n, "name": format!("thing {n:04}")});
    let many = (0..2_000).map(|n| (Some(format!("{n:04}")), thing(n))).collect();
    db.collection("things").put_many(many).unwrap();
    let kind = || Where::equal("kind", 3).unwrap();
    let queries = [
        DocumentQuery::new().filter(kind()).ascending("n").unwrap().limit(20),
        DocumentQuery::new().filter(kind()).descending("n").unwrap().limit(20),
        DocumentQuery::new().filter(kind().and(Where::range("n", json!(100)..json!(300)).unwrap())),
        DocumentQuery::new().filter(Where::begins("name", "thing 01").unwrap()),
        DocumentQuery::new().filter(Where::any_of("name", [json!("thing 0001"), json!("thing 1999"), json!("none")]).unwrap()),
        DocumentQuery::new().filter(Where::equal("name", "thing 0007").unwrap().or(Where::equal("kind", 4).unwrap())),
        DocumentQuery::new().ascending("name").unwrap().limit(10),
        DocumentQuery::new().descending("name").unwrap().limit(10),
        DocumentQuery::new().limit(10),
    ];
    for query in queries {
        let page = db.collection("things").query(&query).unwrap();
        let (examined, found) = (page.examined, page.documents.len() as u64);
        assert!(found > 0 && examined <= 2 * found, "{query:?}: {found} found, {examined} examined");
    }
    let told = |query: DocumentQuery| db.collection("things").explain(&query).unwrap().to_string();
    assert_eq!(told(DocumentQuery::new()), "all documents, in order");
    assert_eq!(told(DocumentQuery::new().ascending("kind").unwrap()), "all documents, sorted in memory");
    let by_kind = DocumentQuery::new().filter(kind()).ascending("n").unwrap();
    assert_eq!(told(by_kind), "index \"by_kind\" (1 of 2 values given), in order");
}

#[test]
fn a_cursor_goes_on_where_it_was_whatever_happens_meanwhile() {
    let db = with(CollectionSpec::new("things").index("by_n", &["n"]).unwrap());
    let many = (0..100).map(|n| (Some(format!("{n:02}")), json!({"n": n % 3}))).collect();
    db.collection("things").put_many(many).unwrap();
    let query = DocumentQuery::new().ascending("n").unwrap().limit(40);
    let first = db.collection("things").query(&query).unwrap();
    let cursor = first.cursor.unwrap();
    // The document it stands at goes, others come before and behind it, and so does the index.
    let last = first.documents.last().unwrap().id.clone();
    db.collection("things").delete(&last, IfRevision::Any).unwrap();
    db.collection("things").put("aa", &json!({"n": 0}), how()).unwrap();
    db.collection("things").put("ab", &json!({"n": 2}), how()).unwrap();
    db.collections().drop_index("things", "by_n").unwrap();
    let rest = db.collection("things").query(&query.clone().limit(1_000).after(&cursor)).unwrap();
    assert_eq!(rest.documents.len(), 61);
    assert!(rest.documents.iter().any(|document| document.id == "ab"));
    assert!(!rest.documents.iter().any(|document| document.id == "aa"));
    for bad in ["", "!", "AA", "MAA"] {
        let refused = db.collection("things").query(&query.clone().after(bad)).unwrap_err();
        assert!(refused.to_string().contains("is no cursor of a query with this order"), "{bad}: {refused}");
    }
}
