//! Names that are created only once.

use alluvium_sync::objects::{Kind as Trouble, NewObject};
use alluvium_sync::remote::{Hash, Incarnation};
use bytes::Bytes;

use crate::support::{Fault, KINDS, Kind, Rule, Store, names};

const KEY: &str = "gateways/gw=pump%20house/00000000000000000000000000000001/000000000001.manifest.json";

fn taken(bytes: &[u8]) -> NewObject {
    NewObject::Taken { hash: Hash::of(bytes) }
}

/// A request that puts an object.
fn puts(method: &str, _: &str) -> bool {
    method == "PUT"
}

#[tokio::test]
async fn a_name_is_created_once_and_stays_as_it_is() {
    let (first, second) = (Bytes::from_static(b"the first"), Bytes::from_static(b"the second"));
    for kind in KINDS {
        let target = Store::new(kind).await.target();
        assert_eq!(target.put_new(KEY, &first).await, Ok(NewObject::Created), "{kind:?}");
        assert_eq!(target.put_new(KEY, &first).await, Ok(NewObject::AlreadyThere), "{kind:?}");
        assert_eq!(target.put_new(KEY, &second).await, Ok(taken(&first)), "{kind:?}");
        assert_eq!(target.get_bytes(KEY, 100).await.unwrap(), first, "{kind:?}");
        assert_eq!(names(&target).await, [KEY], "{kind:?}");
    }
}

const WHO: Incarnation = Incarnation([7; 16]);

#[tokio::test]
async fn a_probe_tells_whether_names_are_created_once_and_leaves_nothing() {
    for kind in KINDS {
        let target = Store::new(kind).await.target();
        assert_eq!(target.create_only_works(WHO).await, Ok(true), "{kind:?}");
        assert_eq!(names(&target).await, [""; 0], "{kind:?}");
        // What one left that came to no end.
        target.put_new(&format!(".alluvium-probe-{WHO}"), &Bytes::from_static(b"first")).await.unwrap();
        assert_eq!(target.create_only_works(WHO).await, Ok(true), "{kind:?}");
        assert_eq!(names(&target).await, [""; 0], "{kind:?}");
    }
    // A store that knows nothing of conditions, as those are that came before S3 had them.
    let (target, proxy) = Store::new(Kind::Moto).await.behind_proxy().await;
    proxy.rules([Rule::always(Fault::Without("if-none-match"), puts)]);
    assert_eq!(target.create_only_works(WHO).await, Ok(false));
    assert_eq!(names(&target).await, [""; 0]);
    // One that refuses them.
    let refusal = "<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message></Error>";
    proxy.rules([Rule { times: 2, ..Rule::always(Fault::Answer(501, vec![], refusal.to_owned()), puts) }]);
    assert_eq!(target.create_only_works(WHO).await, Ok(false));
    // None that does not answer.
    proxy.rules([Rule::always(Fault::Lost, puts)]);
    assert_eq!(target.create_only_works(WHO).await.unwrap_err().kind, Trouble::Unreachable);
}

#[tokio::test]
async fn whatever_is_unclear_is_settled_by_a_look() {
    let (ours, theirs) = (Bytes::from_static(b"ours"), Bytes::from_static(b"theirs"));
    for kind in Kind::REMOTE {
        for fault in [Fault::ReplyLost, Fault::Mistaken, Fault::Truncated(0)] {
            let (target, proxy) = Store::new(kind).await.behind_proxy().await;
            proxy.rules([Rule::once(fault.clone(), puts)]);
            // It was done, though nobody said so; who asks again hears that it is there.
            let new = target.put_new(KEY, &ours).await.unwrap();
            assert!(matches!(new, NewObject::Created | NewObject::AlreadyThere), "{kind:?} {fault:?} {new:?}");
            assert_eq!(target.put_new(KEY, &ours).await, Ok(NewObject::AlreadyThere), "{kind:?} {fault:?}");
            // Another was before us.
            proxy.rules([Rule::once(fault.clone(), puts)]);
            assert_eq!(target.put_new(KEY, &theirs).await, Ok(taken(&ours)), "{kind:?} {fault:?}");
            assert_eq!(target.get_bytes(KEY, 100).await.unwrap(), ours, "{kind:?} {fault:?}");
        }
    }
}

#[tokio::test]
async fn what_never_arrived_is_not_said_to_be_there() {
    let ours = Bytes::from_static(b"ours");
    for kind in Kind::REMOTE {
        let (target, proxy) = Store::new(kind).await.behind_proxy().await;
        proxy.rules([Rule::always(Fault::Lost, puts)]);
        assert_eq!(target.put_new(KEY, &ours).await.unwrap_err().kind, Trouble::Unreachable, "{kind:?}");
        // Neither does the look arrive.
        proxy.rules([Rule::once(Fault::ReplyLost, puts), Rule::always(Fault::Lost, |method, _| method == "GET")]);
        assert_eq!(target.put_new(KEY, &ours).await.unwrap_err().kind, Trouble::Unreachable, "{kind:?}");
        // It had been done all the same, which the next one finds.
        proxy.rules([]);
        assert_eq!(target.put_new(KEY, &ours).await, Ok(NewObject::AlreadyThere), "{kind:?}");
    }
}

#[tokio::test]
async fn of_two_at_once_one_wins_and_both_know_which() {
    // s3s-fs looks and writes in two steps, so that of two at once both may be told that they won: a store for the probe's second kind.
    for kind in KINDS.into_iter().filter(|kind| *kind != Kind::S3s) {
        let store = Store::new(kind).await;
        let target = store.target();
        for round in 0..10 {
            let key = format!("gateways/gw=a/{round}");
            let (one, other) = (Bytes::from_static(b"one"), Bytes::from_static(b"other"));
            let (first, second) = tokio::join!(target.put_new(&key, &one), target.put_new(&key, &other));
            let there = target.get_bytes(&key, 100).await.unwrap();
            let (won, lost) = if there == one { (first, second) } else { (second, first) };
            assert_eq!((won, lost), (Ok(NewObject::Created), Ok(taken(&there))), "{kind:?}");
        }
    }
}
