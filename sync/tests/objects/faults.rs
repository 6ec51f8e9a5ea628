//! Links and stores that fail at one request.

use std::time::Duration;

use alluvium_sync::objects::{Kind as Trouble, NotPut, Verified};

use crate::support::{Fault, Kind, MIB, Rule, Store, bytes, key, names, put};

/// A request that changes something.
fn changes(method: &str, _: &str) -> bool {
    matches!(method, "PUT" | "POST")
}

#[tokio::test]
async fn whichever_request_fails_nothing_is_lost_or_doubled() {
    let faults = [
        Fault::BrokenOff,
        Fault::ReplyLost,
        Fault::Mistaken,
        Fault::Truncated(30),
        Fault::Lost,
        Fault::Truncated(0),
        Fault::Late(Duration::from_millis(50)),
        Fault::Answer(500, vec![], "<Error><Code>InternalError</Code></Error>".to_owned()),
        Fault::Answer(503, vec![("retry-after", "0".to_owned())], "<Error><Code>SlowDown</Code></Error>".to_owned()),
    ];
    for kind in Kind::REMOTE {
        // Large ones take long: of them those that leave something half done.
        for (length, faults) in [(1_000, &faults[..]), (9 * MIB, &faults[..4])] {
            let object = bytes(length as u64, length);
            for fault in faults {
                let store = Store::new(kind).await;
                let (target, proxy) = store.behind_proxy().await;
                for nth in 0..6 {
                    // At this request, of whatever kind it is, and where it is tried again at once, again.
                    proxy.rules([Rule { after: nth, times: 2, ..Rule::always(fault.clone(), |_, _| true) }]);
                    let mut tries = 0;
                    while let Err(error) = put(&target, &object).await {
                        tries += 1;
                        assert!(tries < 5, "{kind:?} {fault:?} at {nth}: {error}");
                    }
                    proxy.rules([]);
                    assert_eq!(target.get_bytes(&key(&object), 9 * MIB).await.unwrap(), object, "{kind:?} {fault:?} at {nth}");
                    assert_eq!(names(&target).await, [key(&object)], "{kind:?} {fault:?} at {nth}");
                    target.delete(&key(&object)).await.unwrap();
                }
            }
        }
    }
}

#[tokio::test]
async fn a_lost_reply_is_settled_within_the_call() {
    for kind in Kind::REMOTE {
        for length in [1_000, 9 * MIB] {
            let (target, proxy) = Store::new(kind).await.behind_proxy().await;
            let object = bytes(8, length);
            // Of every request that changes something the answer is lost once; parts are put anew by the next call.
            let last = |method: &str, path: &str| {
                changes(method, path)
                    && !path.contains("partNumber=")
                    && !path.contains("comp=block&")
                    && !path.contains("?uploads")
            };
            proxy.rules([Rule::always(Fault::ReplyLost, last)]);
            let delivered = put(&target, &object).await.unwrap();
            assert!(!delivered.already_there, "{kind:?} {length}");
            assert_eq!(target.get_bytes(&key(&object), 9 * MIB).await.unwrap(), object, "{kind:?} {length}");
        }
    }
}

#[tokio::test]
async fn what_was_changed_on_the_way_is_put_again() {
    // moto takes it and says what it got; Azurite too. s3s-fs refuses it.
    for kind in Kind::REMOTE {
        for length in [1_000, 9 * MIB] {
            let (target, proxy) = Store::new(kind).await.behind_proxy().await;
            let object = bytes(9, length);
            proxy.rules([Rule::once(Fault::Corrupted, changes)]);
            if length > 8 * MIB {
                // Not where the upload is begun.
                proxy.rules([Rule::once(Fault::Corrupted, |_, path| {
                    path.contains("partNumber=") || path.contains("comp=block&")
                })]);
            }
            let mut tries = 0;
            while let Err(error) = put(&target, &object).await {
                tries += 1;
                let NotPut::Trouble(trouble) = &error else { panic!("{kind:?} {error}") };
                assert!(tries < 3 && kind == Kind::S3s && trouble.kind == Trouble::Unreachable, "{kind:?} {length} {error}");
            }
            assert_eq!(target.get_bytes(&key(&object), 9 * MIB).await.unwrap(), object, "{kind:?} {length}");
        }
    }
    // A way that changes it always leaves nothing that is wrong.
    let (target, proxy) = Store::new(Kind::Moto).await.behind_proxy().await;
    proxy.rules([Rule::always(Fault::Corrupted, |method, _| method == "PUT")]);
    let NotPut::Trouble(trouble) = put(&target, &bytes(9, 1_000)).await.unwrap_err() else { panic!() };
    assert_eq!(trouble.kind, Trouble::Poisoned, "{trouble}");
    assert_eq!(names(&target).await, [""; 0]);
}

#[tokio::test]
async fn a_store_whose_mark_says_nothing_is_read_back() {
    // As one of S3 that encrypts: its marks are no MD5.
    let (target, proxy) = Store::new(Kind::Moto).await.behind_proxy().await;
    let object = bytes(10, 1_000);
    let mark = Fault::Answer(200, vec![("etag", "\"0123456789abcdef0123456789abcdef\"".to_owned())], String::new());
    target.put_new(&key(&object), &object).await.unwrap();
    proxy.rules([
        Rule::once(mark, |method, _| method == "PUT"),
        Rule::once(Fault::Answer(404, vec![], String::new()), |method, _| method == "HEAD"),
    ]);
    let delivered = put(&target, &object).await.unwrap();
    assert_eq!((delivered.verified, delivered.read), (Verified::ReadBack, 1_000));
}

#[tokio::test]
async fn what_does_not_move_is_given_up() {
    let store = Store::new(Kind::Moto).await;
    let (_, proxy) = store.behind_proxy().await;
    let settings = alluvium_sync::objects::Settings { stall_seconds: 1, retries: 0, ..store.settings(proxy.at) };
    let target = alluvium_sync::objects::Target::open(&settings).unwrap();
    proxy.rules([Rule::always(Fault::Late(Duration::from_secs(60)), |_, _| true)]);
    let begun = std::time::Instant::now();
    let NotPut::Trouble(trouble) = put(&target, &bytes(1, 100)).await.unwrap_err() else { panic!() };
    assert_eq!(trouble.kind, Trouble::Unreachable);
    assert!(trouble.detail.contains("nothing moved for 1 s"), "{trouble}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}
