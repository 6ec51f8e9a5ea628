//! Documents that several threads put at once: each is decided on a state that others may have left behind.

use super::*;

const THREADS: u64 = 8;
const EACH: u64 = 40;

/// Runs something in every thread.
fn everywhere(work: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| {
        let work = &work;
        (0..THREADS).for_each(|thread| drop(scope.spawn(move || work(thread))));
    });
}

#[test]
fn of_many_that_compare_and_set_none_is_lost() {
    let db = with(CollectionSpec::new("devices"));
    db.collection("devices").put("a", &json!(0), how()).unwrap();
    everywhere(|_| {
        for _ in 0..EACH {
            loop {
                let found = db.collection("devices").get("a").unwrap().unwrap();
                let next = json!(found.content.as_u64().unwrap() + 1);
                match db.collection("devices").put("a", &next, how().only_if(IfRevision::Is(found.revision))) {
                    Ok(_) => break,
                    Err(Error::Stale { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        }
    });
    assert_eq!(content(db.collection("devices").get("a").unwrap()), Some(json!(THREADS * EACH)));
}

#[test]
fn merges_of_one_document_keep_what_others_merged() {
    let db = with(CollectionSpec::new("devices"));
    db.collection("devices").put("a", &json!({}), how()).unwrap();
    everywhere(|thread| {
        for n in 0..EACH {
            db.collection("devices").merge("a", &json!({ format!("{thread}/{n}"): n }), IfRevision::Any).unwrap();
        }
    });
    let merged = content(db.collection("devices").get("a").unwrap()).unwrap();
    assert_eq!(merged.as_object().unwrap().len() as u64, THREADS * EACH);
}

#[test]
fn a_unique_value_has_one_owner() {
    let db = with(CollectionSpec::new("devices").unique("by_serial", &["serial"]).unwrap());
    let won = std::sync::atomic::AtomicU64::new(0);
    everywhere(|thread| {
        for n in 0..EACH {
            match db.collection("devices").put(&format!("{thread}/{n}"), &json!({"serial": n}), how()) {
                Ok(_) => drop(won.fetch_add(1, std::sync::atomic::Ordering::Relaxed)),
                Err(Error::NotUnique { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    });
    assert_eq!(won.into_inner(), EACH);
    assert_eq!(db.collection("devices").count(crate::Where::all()).unwrap(), EACH);
}

#[test]
fn many_put_together_see_what_others_put_meanwhile() {
    let db = with(CollectionSpec::new("devices").unique("by_serial", &["serial"]).unwrap());
    let stored = std::sync::atomic::AtomicU64::new(0);
    everywhere(|thread| {
        let documents = (0..EACH).map(|n| (Some(format!("{thread}/{n}")), json!({"serial": n}))).collect();
        let outcome = db.collection("devices").put_many(documents).unwrap();
        assert_eq!(outcome.stored.len() + outcome.failed.len(), EACH as usize);
        assert!(outcome.failed.iter().all(|(_, error)| matches!(error, Error::NotUnique { .. })));
        stored.fetch_add(outcome.stored.len() as u64, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(stored.into_inner(), EACH);
}
