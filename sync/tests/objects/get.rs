//! Objects that are read.

use alluvium_sync::objects::bucket::{Depth, prove};
use alluvium_sync::objects::{Kind as Trouble, NotGot};
use alluvium_sync::remote::Hash;
use bytes::Bytes;
use futures_util::TryStreamExt;

use crate::support::{Fault, KINDS, Kind, MIB, Rule, Store, bytes, key, put};

/// A request that reads an object.
fn reads(method: &str, path: &str) -> bool {
    method == "GET" && path.contains("parquet")
}

#[tokio::test]
async fn objects_are_listed_got_and_deleted() {
    for kind in KINDS {
        let target = Store::new(kind).await.target();
        let object = bytes(1, 1_000);
        put(&target, &object).await.unwrap();
        target.put_new("gateways/gw=a/1", &object).await.unwrap();
        target.put_new("gateways/gw=ab/1", &object).await.unwrap();
        // Whole parts of names alone.
        let listed: Vec<_> = target.list("gateways/gw=a/").try_collect().await.unwrap();
        assert_eq!(listed.len(), 1, "{kind:?} {listed:?}");
        assert_eq!((listed[0].key.as_str(), listed[0].bytes), ("gateways/gw=a/1", 1_000), "{kind:?}");
        assert!(listed[0].put_at.is_some());
        assert_eq!(target.list("").try_collect::<Vec<_>>().await.unwrap().len(), 3, "{kind:?}");
        assert_eq!(target.list("nowhere").try_collect::<Vec<_>>().await.unwrap(), [], "{kind:?}");

        assert_eq!(target.get_bytes(&key(&object), 1_000).await.unwrap(), object);
        assert_eq!(target.get_bytes(&key(&object), 999).await.unwrap_err().kind, Trouble::Poisoned, "{kind:?}");
        target.delete(&key(&object)).await.unwrap();
        target.delete(&key(&object)).await.unwrap();
        assert_eq!(target.get_bytes(&key(&object), 1_000).await.unwrap_err().kind, Trouble::NotFound, "{kind:?}");
    }
}

#[tokio::test]
async fn a_file_is_there_when_it_is_right() {
    for kind in KINDS {
        let store = Store::new(kind).await;
        let target = store.target();
        let object = bytes(2, 3 * MIB);
        put(&target, &object).await.unwrap();
        let file = store.folder.join("got");
        let got = target.get_to_file(&key(&object), &file, Hash::of(&object)).await;
        assert_eq!(got, Ok(object.len() as u64), "{kind:?}");
        assert_eq!(std::fs::read(&file).unwrap(), object);
        // As another, it is refused, and what was there stays.
        let refused = target.get_to_file(&key(&object), &file, Hash::of(b"other")).await.unwrap_err();
        assert!(matches!(&refused, NotGot::Altered { found, .. } if *found == Hash::of(&object)), "{kind:?} {refused}");
        assert_eq!(std::fs::read(&file).unwrap(), object);
        let nowhere = target.get_to_file("nowhere", &file, Hash::of(b"")).await.unwrap_err();
        assert!(matches!(&nowhere, NotGot::Trouble(trouble) if trouble.kind == Trouble::NotFound), "{kind:?} {nowhere}");
        // What was kept of something else is not mixed with it, however long it is.
        for kept in [1, object.len(), 2 * object.len()] {
            std::fs::write(store.folder.join("got.partial"), vec![7; kept]).unwrap();
            let got = target.get_to_file(&key(&object), &file, Hash::of(&object)).await;
            assert_eq!(got, Ok(object.len() as u64), "{kind:?} {kept}");
            assert_eq!(std::fs::read(&file).unwrap(), object);
        }
        // What was kept whole is not read again.
        std::fs::rename(&file, store.folder.join("got.partial")).unwrap();
        assert_eq!(target.get_to_file(&key(&object), &file, Hash::of(&object)).await, Ok(object.len() as u64), "{kind:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_gone_on_with() {
    for kind in Kind::REMOTE {
        let store = Store::new(kind).await;
        let (target, proxy) = store.behind_proxy().await;
        let object = bytes(3, 3 * MIB);
        put(&target, &object).await.unwrap();
        let file = store.folder.join("got");
        proxy.rules([Rule::always(Fault::Truncated(MIB), reads)]);
        // Each call gets further; none says that it is whole before it is.
        let mut calls = 0;
        while let Err(error) = target.get_to_file(&key(&object), &file, Hash::of(&object)).await {
            assert!(matches!(&error, NotGot::Trouble(trouble) if trouble.kind == Trouble::Unreachable), "{kind:?} {error}");
            assert!(!file.exists());
            calls += 1;
            assert!(calls < 4, "{kind:?}");
        }
        assert!(calls > 0, "{kind:?}");
        assert_eq!(std::fs::read(&file).unwrap(), object);
        // In one piece it needs the whole of it.
        let refused = target.get_bytes(&key(&object), 3 * MIB).await;
        assert!(refused.is_err() || refused.unwrap() == object, "{kind:?}");
        proxy.rules([Rule::once(Fault::Truncated(MIB), reads)]);
        assert_eq!(target.get_bytes(&key(&object), 3 * MIB).await.unwrap(), object, "{kind:?}");
    }
}

#[tokio::test]
async fn a_listing_that_fails_says_so() {
    for kind in Kind::REMOTE {
        let (target, proxy) = Store::new(kind).await.behind_proxy().await;
        proxy.rules([Rule::always(Fault::Lost, |_, _| true)]);
        let listed: Result<Vec<_>, _> = target.list("").try_collect().await;
        assert_eq!(listed.unwrap_err().kind, Trouble::Unreachable, "{kind:?}");
    }
}

#[tokio::test]
async fn every_store_is_asked_what_it_proves() {
    for kind in KINDS {
        let target = Store::new(kind).await.target();
        let segment = format!(
            "table=air/date=1970-01-02/gw=a/t3_day86400_{}_000000000001-000000000002_{}.parquet",
            "07".repeat(16),
            Hash::of(b"rows")
        );
        for key in [segment.as_str(), "notes.txt"] {
            target.put_new(key, &Bytes::from_static(b"rows")).await.unwrap();
        }
        let (store, prefix) = target.store();
        let found = prove(store, prefix, Depth::Contents, &mut |_| {}).await.unwrap();
        assert_eq!((found.objects, found.foreign, found.gateways.len(), found.bytes), (2, 1, 1, 4), "{kind:?}");
    }
}
