//! Objects that are named by their hash.

use alluvium_sync::objects::{NotPut, Source, Upload, Verified};
use alluvium_sync::remote::Hash;
use bytes::Bytes;

use crate::support::{KINDS, Kind, MIB, Store, bytes, key, names, put, put_with};

/// How it is known of these stores that they have what they were sent: those of S3 say what it comes to, as Azurite does of what goes in one
/// request.
fn expected(kind: Kind, length: usize) -> Verified {
    match kind {
        Kind::Moto | Kind::S3s => Verified::Checksum,
        Kind::Azurite if length <= 8 * MIB => Verified::Checksum,
        Kind::Memory | Kind::Folder | Kind::Azurite => Verified::ReadBack,
    }
}

#[tokio::test]
async fn small_and_large_ones_arrive_and_are_verified() {
    for kind in KINDS {
        let target = Store::new(kind).await.target();
        let mut all = Vec::new();
        for length in [0, 1, 8 * MIB, 8 * MIB + 1, 11 * MIB] {
            let object = bytes(length as u64, length);
            let delivered = put(&target, &object).await.unwrap();
            let read_back = if delivered.verified == Verified::ReadBack { length as u64 } else { 0 };
            assert_eq!((delivered.already_there, delivered.verified), (false, expected(kind, length)), "{kind:?} {length}");
            // Parts are named in a request of their own, in Azure's way and in that of S3.
            let more = delivered.sent.saturating_sub(length as u64);
            assert!(delivered.sent >= length as u64 && more < 2_000, "{kind:?} {length}: {delivered:?}");
            assert!(delivered.read >= read_back && delivered.read - read_back < 2_000, "{kind:?} {length}: {delivered:?}");
            assert_eq!(target.get_bytes(&key(&object), 11 * MIB).await.unwrap(), object, "{kind:?} {length}");
            all.push(key(&object));
        }
        all.sort();
        assert_eq!(names(&target).await, all, "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_there_is_verified_and_not_sent_again() {
    for kind in KINDS {
        let target = Store::new(kind).await.target();
        for length in [1_000, 11 * MIB] {
            let object = bytes(3, length);
            put(&target, &object).await.unwrap();
            let again = put(&target, &object).await.unwrap();
            assert_eq!((again.already_there, again.sent), (true, 0), "{kind:?} {length}");
            // What the store says of it is enough, where it was enough before.
            assert_eq!(again.verified, expected(kind, length), "{kind:?} {length}: {again:?}");
            assert_eq!(again.read, if again.verified == Verified::Checksum { 0 } else { length as u64 }, "{kind:?} {length}");
            assert_eq!(target.get_hash(&key(&object)).await, Ok(Some(Hash::of(&object))), "{kind:?} {length}");
        }
    }
}

#[tokio::test]
async fn what_is_under_the_name_and_is_not_it_is_replaced() {
    for kind in KINDS {
        let target = Store::new(kind).await.target();
        let object = bytes(4, 1_000);
        // As long and another, shorter, and nothing at all, as a file system may leave it.
        for other in [bytes(5, 1_000), bytes(4, 999), Bytes::new()] {
            target.put_new(&key(&object), &other).await.unwrap();
            let delivered = put(&target, &object).await.unwrap();
            assert!(!delivered.already_there, "{kind:?}");
            assert_eq!(target.get_bytes(&key(&object), 2_000).await.unwrap(), object, "{kind:?}");
            target.delete(&key(&object)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_that_is_not_what_it_should_be_is_not_sent() {
    for kind in KINDS {
        let store = Store::new(kind).await;
        let target = store.target();
        for length in [1_000, 11 * MIB] {
            let object = bytes(6, length);
            let (hash, size) = (Hash::of(&object), object.len() as u64);
            let path = store.folder.join("segment.parquet");
            // A bit has turned near its end; it is shorter; it is longer.
            let mut turned = object.to_vec();
            *turned.last_mut().unwrap() ^= 1;
            for altered in [turned, object[..length - 1].to_vec(), [&object[..], b"more"].concat()] {
                std::fs::write(&path, &altered).unwrap();
                let mut progress = |_: &_| {};
                let mut upload = Upload::new(&mut progress);
                let refused = target.put_object("a", &Source::File(&path), hash, size, &mut upload).await.unwrap_err();
                let NotPut::Altered(said) = refused else { panic!("{kind:?} {refused}") };
                assert_eq!((said.expected, said.bytes), (hash, size), "{kind:?} {said}");
                assert!(said.what.ends_with("segment.parquet"), "{said}");
                assert_eq!(upload.unfinished, None, "{kind:?}");
            }
            assert_eq!(names(&target).await, [""; 0], "{kind:?}");
            std::fs::write(&path, &object).unwrap();
            let mut progress = |_: &_| {};
            let delivered =
                target.put_object("a", &Source::File(&path), hash, size, &mut Upload::new(&mut progress)).await.unwrap();
            assert!(!delivered.already_there);
            // Where it is there already, what is here has to be it too.
            std::fs::write(&path, vec![7; length]).unwrap();
            let refused = target.put_object("a", &Source::File(&path), hash, size, &mut Upload::new(&mut progress)).await;
            assert!(matches!(refused, Err(NotPut::Altered(_))), "{kind:?}");
            target.delete("a").await.unwrap();
        }
        if kind == Kind::Moto {
            assert_eq!(store.open_uploads().await, 0);
        }
        if kind == Kind::Folder {
            // Not even beside it.
            assert_eq!(std::fs::read_dir(store.root()).unwrap().count(), 0);
        }
    }
}

#[tokio::test]
async fn no_more_parts_are_under_way_than_were_allowed() {
    for (kind, parallel) in [(Kind::Moto, 1), (Kind::Moto, 3), (Kind::Azurite, 2)] {
        let (target, proxy) = Store::new(kind).await.behind_proxy().await;
        let object = bytes(7, 31 * MIB);
        let mut progress = |_: &_| {};
        let mut upload = Upload { parallel, ..Upload::new(&mut progress) };
        let source = Source::Bytes(object.clone());
        target.put_object("a", &source, Hash::of(&object), object.len() as u64, &mut upload).await.unwrap();
        let most = proxy.most_at_once();
        assert!(most <= parallel && (parallel == 1 || most > 1), "{kind:?} {parallel} {most}");
    }
}

#[tokio::test]
async fn an_object_that_names_no_object_is_refused_before_it_is_sent() {
    let target = Store::new(Kind::Memory).await.target();
    for wrong in ["", "/", "a//b", "a/../b", "/a", "a/"] {
        let refused = target.put_new(wrong, &Bytes::new()).await.unwrap_err();
        assert_eq!(refused.kind, alluvium_sync::objects::Kind::Poisoned, "{wrong}");
    }
    let object = bytes(1, 10);
    put_with(&target, &object, None, &mut |_| panic!("there are no parts")).await.unwrap();
}
