//! Stores that say by SHA-256 what they got, and those that do not.

use alluvium_sync::objects::{Kind as Trouble, NotPut, Verified};
use alluvium_sync::remote::Incarnation;

use crate::support::{Fault, KINDS, Kind, Rule, Store, bytes, key, names, put};

const WHO: Incarnation = Incarnation([7; 16]);
/// An ETag that says nothing of what it is of.
const OPAQUE: &str = "\"opaque\"";

fn puts(method: &str, _: &str) -> bool {
    method == "PUT"
}

#[tokio::test]
async fn it_is_found_out_who_knows_sums_and_nothing_stays_of_it() {
    for kind in KINDS {
        let target = Store::new(kind).await.target();
        assert_eq!(target.learn_sums(WHO).await, Ok(kind == Kind::S3s), "{kind:?}");
        assert_eq!(names(&target).await, [""; 0], "{kind:?}");
    }
    // Some refuse whoever asks for them.
    let (target, proxy) = Store::new(Kind::S3s).await.behind_proxy().await;
    let refusal = "<Error><Code>InvalidArgument</Code><Message>Unsupported header 'x-amz-checksum-sha256'</Message></Error>";
    proxy.rules([Rule { times: 2, ..Rule::once(Fault::Answer(400, vec![], refusal.to_owned()), puts) }]);
    assert_eq!(target.learn_sums(WHO).await, Ok(false));
    let object = bytes(1, 1_000);
    assert_eq!(put(&target, &object).await.unwrap().verified, Verified::Checksum);
    // Some are not to take a body that is not signed.
    let (target, proxy) = Store::new(Kind::S3s).await.behind_proxy().await;
    let refusal = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    proxy.rules([Rule::once(Fault::Answer(403, vec![], refusal.to_owned()), puts)]);
    assert_eq!(target.learn_sums(WHO).await, Ok(false));
    // Who takes nothing at all does not refuse for the sum.
    let (target, proxy) = Store::new(Kind::S3s).await.behind_proxy().await;
    proxy.rules([Rule::always(Fault::Answer(403, vec![], refusal.to_owned()), puts)]);
    assert_eq!(target.learn_sums(WHO).await.unwrap_err().kind, Trouble::Refused);
    // Of one that does not answer it is not known, and asked again.
    let (target, proxy) = Store::new(Kind::S3s).await.behind_proxy().await;
    proxy.rules([Rule::always(Fault::Lost, puts)]);
    assert_eq!(target.learn_sums(WHO).await.unwrap_err().kind, Trouble::Unreachable);
    proxy.rules([]);
    assert_eq!(target.learn_sums(WHO).await, Ok(true));
}

#[tokio::test]
async fn who_takes_what_is_not_of_its_sum_is_not_believed() {
    let (target, proxy) = Store::new(Kind::S3s).await.behind_proxy().await;
    // As if it had taken what was altered, and said again what it was told.
    proxy.rules([Rule::once(Fault::Answer(200, vec![("etag", OPAQUE.to_owned())], String::new()), puts)]);
    assert_eq!(target.learn_sums(WHO).await, Ok(false));
    assert_eq!(names(&target).await, [""; 0]);
}

#[tokio::test]
async fn what_is_altered_on_the_way_is_noticed_by_the_store_or_by_us() {
    for (kind, knows) in [(Kind::S3s, true), (Kind::Moto, false)] {
        let (target, proxy) = Store::new(kind).await.behind_proxy().await;
        assert_eq!(target.learn_sums(WHO).await, Ok(knows));
        let object = bytes(1, 100_000);
        proxy.rules([Rule { times: 10, ..Rule::once(Fault::Corrupted, puts) }]);
        let altered = put(&target, &object).await;
        assert!(matches!(altered, Err(NotPut::Trouble(_))), "{kind:?} {altered:?}");
        // s3s-fs keeps what it refuses, until the next put.
        assert!(kind == Kind::S3s || names(&target).await.is_empty(), "{kind:?}");
        proxy.rules([]);
        assert_eq!(put(&target, &object).await.unwrap().verified, Verified::Checksum, "{kind:?}");
        assert_eq!(target.get_bytes(&key(&object), 200_000).await.unwrap(), object, "{kind:?}");
    }
}

#[tokio::test]
async fn a_sum_is_enough_and_without_it_an_object_is_read_back() {
    let (target, proxy) = Store::new(Kind::S3s).await.behind_proxy().await;
    proxy.rules([Rule::always(Fault::Marked("etag", OPAQUE), puts)]);
    // Nothing is asked of a store before it was tried.
    let object = bytes(2, 1_000);
    assert_eq!(put(&target, &object).await.unwrap().verified, Verified::ReadBack);
    assert_eq!(target.learn_sums(WHO).await, Ok(true));
    let object = bytes(3, 1_000);
    let delivered = put(&target, &object).await.unwrap();
    assert_eq!((delivered.verified, delivered.read < 1_000), (Verified::Checksum, true), "{delivered:?}");
    // That of something else, or none, proves nothing.
    for (sum, object) in [("AAAA", bytes(4, 1_000)), ("", bytes(5, 1_000))] {
        proxy.rules([Rule::always(Fault::Marked("x-amz-checksum-sha256", sum), puts)]);
        assert_eq!(put(&target, &object).await.unwrap().verified, Verified::ReadBack, "{sum:?}");
    }
}
