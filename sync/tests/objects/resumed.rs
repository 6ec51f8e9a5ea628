//! Uploads in parts that were broken off.

use alluvium_sync::objects::{Delivered, Kind as Trouble, NotPut, Target, Unfinished};
use bytes::Bytes;

use crate::support::gateway::{Gateway, Wrong};
use crate::support::{Fault, Kind, MIB, Rule, Store, bytes, key, names, put, put_with};

/// A request that puts a part.
fn is_part(method: &str, path: &str) -> bool {
    method == "PUT" && (path.contains("partNumber=") || path.contains("comp=block&"))
}

/// A request that ends an upload in parts.
fn ends(method: &str, path: &str) -> bool {
    method == "POST" && path.contains("uploadId=") || method == "PUT" && path.contains("comp=blocklist")
}

/// What is kept of an upload of four parts, of which all but the first few are lost.
async fn broken_off(target: &Target, object: &Bytes) -> Unfinished {
    let mut kept = None;
    let error = put_with(target, object, None, &mut |unfinished| kept = Some(serde_json::to_string(unfinished).unwrap())).await;
    let NotPut::Trouble(trouble) = error.unwrap_err() else { panic!() };
    assert_eq!(trouble.kind, Trouble::Unreachable, "{trouble}");
    serde_json::from_str(&kept.unwrap()).unwrap()
}

#[tokio::test]
async fn only_what_is_missing_is_sent_after_a_restart() {
    for kind in Kind::REMOTE {
        let store = Store::new(kind).await;
        let (target, proxy) = store.behind_proxy().await;
        let object = bytes(1, 17 * MIB);
        proxy.rules([Rule { after: 2, ..Rule::always(Fault::BrokenOff, is_part) }]);
        let unfinished = broken_off(&target, &object).await;
        assert_eq!(unfinished.parts.iter().flatten().count(), 2, "{kind:?}");
        assert_eq!(names(&target).await, [""; 0], "{kind:?}");

        // After the restart, with what was kept alone.
        proxy.rules([]);
        proxy.seen();
        let restarted = Target::open(&store.settings(proxy.at)).unwrap();
        let delivered = put_with(&restarted, &object, Some(unfinished), &mut |_| {}).await.unwrap();
        let parts = proxy.seen().iter().filter(|seen| is_part(&seen.method, &seen.path)).count();
        assert_eq!((parts, delivered.already_there), (2, false), "{kind:?}");
        assert!(delivered.sent < 8 * MIB as u64, "{kind:?} {delivered:?}");
        assert_eq!(target.get_bytes(&key(&object), 17 * MIB).await.unwrap(), object, "{kind:?}");
    }
}

#[tokio::test]
async fn an_upload_that_the_store_knows_no_more_is_begun_anew() {
    for kind in [Kind::Moto, Kind::S3s] {
        let store = Store::new(kind).await;
        let (target, proxy) = store.behind_proxy().await;
        let object = bytes(2, 17 * MIB);
        for arrived in [0, 2, 4] {
            let rule = if arrived == 4 {
                Rule::always(Fault::Lost, ends)
            } else {
                Rule { after: arrived, ..Rule::always(Fault::Lost, is_part) }
            };
            proxy.rules([rule]);
            let unfinished = broken_off(&target, &object).await;
            proxy.rules([]);
            target.abandon(&unfinished).await.unwrap();
            let delivered = until_put(&target, &object, unfinished).await;
            assert!(!delivered.already_there, "{kind:?}");
            assert_eq!(target.get_bytes(&key(&object), 17 * MIB).await.unwrap(), object, "{kind:?}");
            target.delete(&key(&object)).await.unwrap();
        }
        if kind == Kind::Moto {
            assert_eq!(store.open_uploads().await, 0);
        }
    }
    // Azure forgets parts, and says so at the end.
    let (target, proxy) = Store::new(Kind::Azurite).await.behind_proxy().await;
    let object = bytes(2, 17 * MIB);
    proxy.rules([Rule::always(Fault::Lost, ends)]);
    let mut unfinished = broken_off(&target, &object).await;
    proxy.rules([]);
    for part in unfinished.parts.iter_mut().flatten() {
        part.id = "00000000-0000-0000-0000-00000000000".to_owned() + &part.id[part.id.len() - 1..];
    }
    put_with(&target, &object, Some(unfinished), &mut |_| {}).await.unwrap();
    assert_eq!(target.get_bytes(&key(&object), 17 * MIB).await.unwrap(), object);
}

/// Goes on until it is there: to who asks for an upload that it knows no more moto says that it failed, and s3s-fs that it is not allowed.
async fn until_put(target: &Target, object: &Bytes, mut unfinished: Unfinished) -> Delivered {
    for tried in 0..=9 {
        let mut told = unfinished.clone();
        match put_with(target, object, Some(unfinished), &mut |now| told = now.clone()).await {
            Ok(delivered) => {
                assert!(tried >= 3, "it was begun anew after {tried} failures");
                return delivered;
            }
            Err(_) => unfinished = told,
        }
    }
    panic!("it is never begun anew: {unfinished:?}");
}

#[tokio::test]
async fn a_store_that_says_so_is_believed_at_once() {
    let no_such = "<Error><Code>NoSuchUpload</Code><Message>The specified upload does not exist.</Message></Error>";
    for of in [is_part as fn(&str, &str) -> bool, ends] {
        let store = Store::new(Kind::Moto).await;
        let (target, proxy) = store.behind_proxy().await;
        let object = bytes(7, 17 * MIB);
        proxy.rules([Rule { after: 2, ..Rule::always(Fault::Lost, is_part) }]);
        let unfinished = broken_off(&target, &object).await;
        proxy.rules([Rule::once(Fault::Answer(404, vec![], no_such.to_owned()), of)]);
        let before = unfinished.upload_id.clone();
        let mut told = None;
        put_with(&target, &object, Some(unfinished), &mut |now| told = Some(now.clone())).await.unwrap();
        assert_ne!(told.unwrap().upload_id, before);
        assert_eq!(target.get_bytes(&key(&object), 17 * MIB).await.unwrap(), object);
        assert_eq!(store.open_uploads().await, 0);
    }
}

#[tokio::test]
async fn an_upload_that_was_completed_without_anybody_hearing_is_not_sent_again() {
    for kind in Kind::REMOTE {
        let (target, proxy) = Store::new(kind).await.behind_proxy().await;
        let object = bytes(3, 11 * MIB);
        proxy.rules([
            Rule::always(Fault::ReplyLost, ends),
            Rule { after: 1, ..Rule::always(Fault::Lost, |method, _| method == "HEAD") },
        ]);
        let mut kept = None;
        put_with(&target, &object, None, &mut |unfinished| kept = Some(unfinished.clone())).await.unwrap_err();
        proxy.rules([]);
        proxy.seen();
        let delivered = put_with(&target, &object, kept, &mut |_| {}).await.unwrap();
        let parts = proxy.seen().iter().filter(|seen| is_part(&seen.method, &seen.path)).count();
        assert_eq!((delivered.already_there, parts), (true, 0), "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_left_of_another_object_is_given_up() {
    let store = Store::new(Kind::Moto).await;
    let (target, proxy) = store.behind_proxy().await;
    let (object, other) = (bytes(4, 17 * MIB), bytes(5, 17 * MIB));
    proxy.rules([Rule { after: 2, ..Rule::always(Fault::Lost, is_part) }]);
    let unfinished = broken_off(&target, &object).await;
    assert_eq!(store.open_uploads().await, 1);
    proxy.rules([]);
    put_with(&target, &other, Some(unfinished.clone()), &mut |_| {}).await.unwrap();
    assert_eq!(store.open_uploads().await, 0);
    assert_eq!(target.get_bytes(&key(&other), 17 * MIB).await.unwrap(), other);
    // And where the object is there by other means.
    proxy.rules([Rule { after: 2, ..Rule::always(Fault::Lost, is_part) }]);
    let unfinished = broken_off(&target, &object).await;
    proxy.rules([]);
    put(&target, &object).await.unwrap();
    let delivered = put_with(&target, &object, Some(unfinished), &mut |_| {}).await.unwrap();
    assert!(delivered.already_there);
    assert_eq!(store.open_uploads().await, 0);
}

#[tokio::test]
async fn parts_of_a_file_that_was_changed_since_are_not_mixed_with_it() {
    let (target, proxy) = Store::new(Kind::Moto).await.behind_proxy().await;
    let object = bytes(6, 17 * MIB);
    proxy.rules([Rule { after: 2, ..Rule::always(Fault::Lost, is_part) }]);
    let mut unfinished = broken_off(&target, &object).await;
    proxy.rules([]);
    // What arrived first was of another state of the file.
    let changed = put_changed(&unfinished);
    unfinished = changed;
    let delivered = put_with(&target, &object, Some(unfinished), &mut |_| {}).await.unwrap();
    assert!(delivered.sent > 11 * MIB as u64, "{delivered:?}");
    assert_eq!(target.get_bytes(&key(&object), 17 * MIB).await.unwrap(), object);
}

/// The same, of which the first part came to something else.
fn put_changed(unfinished: &Unfinished) -> Unfinished {
    let mut json = serde_json::to_value(unfinished).unwrap();
    json["parts"][0]["md5"] = "d41d8cd98f00b204e9800998ecf8427e".into();
    serde_json::from_value(json).unwrap()
}

#[tokio::test]
async fn an_upload_of_a_segment_that_was_folded_into_another_is_given_up() {
    let store = Store::new(Kind::Moto).await;
    let (target, proxy) = store.behind_proxy().await;
    let gateway = Gateway::new();
    gateway.live_much(0);
    proxy.rules([Rule { after: 1, ..Rule::always(Fault::Lost, is_part) }]);
    gateway.carry(&target).await.unwrap_err();
    assert_eq!((gateway.uploads(), store.open_uploads().await), (1, 1));
    // Who begins again while it is still to be sent goes on with it.
    gateway.carry(&target).await.unwrap_err();
    assert_eq!((gateway.uploads(), store.open_uploads().await), (1, 1));
    gateway.live_much(0);
    gateway.compact();
    proxy.rules([]);
    gateway.carry(&target).await.unwrap();
    assert_eq!((gateway.uploads(), store.open_uploads().await), (0, 0));
    assert_eq!(gateway.wrong(&target).await, Wrong { branches: 1, ..Wrong::default() });
}
