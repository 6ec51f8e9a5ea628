//! How fast, and how much a day, is sent over real connections. Time is only ever measured from below.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use alluvium_sync::objects::{Kind as Trouble, NewObject, NotPut, Target, Throttle};
use bytes::Bytes;

use crate::support::{KINDS, Kind, MIB, Store, bytes, key, names, put};

fn with(store: &Store, throttle: Throttle) -> Target {
    match store.kind {
        Kind::Memory => Target::in_memory(throttle),
        Kind::Folder => Target::open_with(&store.settings(([127, 0, 0, 1], 1).into()), Arc::new(throttle)).unwrap(),
        kind => Target::open_with(&store.settings(kind.at()), Arc::new(throttle)).unwrap(),
    }
}

#[tokio::test]
async fn parallel_uploads_share_the_bandwidth_of_a_target() {
    for kind in KINDS {
        let store = Store::new(kind).await;
        let target = with(&store, Throttle::new(Some(MIB as u64), None));
        let (one, other) = (bytes(1, MIB), bytes(2, MIB));
        let begun = Instant::now();
        let (first, second) = tokio::join!(put(&target, &one), put(&target, &other));
        let took = begun.elapsed();
        assert_eq!((first.unwrap().sent, second.unwrap().sent), (MIB as u64, MIB as u64), "{kind:?}");
        // Two seconds' bytes, of which a quarter of a second's may go ahead.
        assert!(took > Duration::from_millis(1_700), "{kind:?} {took:?}");
        assert_eq!(target.throttle().spent().bytes, 2 * MIB as u64, "{kind:?}");
    }
}

#[tokio::test]
async fn a_spent_day_ends_uploads_until_the_next() {
    for kind in KINDS {
        let store = Store::new(kind).await;
        // Noon of 2025-11-29.
        let now = Arc::new(AtomicI64::new(1_764_417_600));
        let clock = Arc::clone(&now);
        let clock = move || jiff::Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap();
        let target = with(&store, Throttle::with_clock(None, Some(12 * MIB as u64), clock));
        let (small, large) = (bytes(3, MIB), bytes(4, 14 * MIB));
        put(&target, &small).await.unwrap();
        let mut kept = None;
        let ended = crate::support::put_with(&target, &large, None, &mut |unfinished| kept = Some(unfinished.clone())).await;
        let NotPut::Trouble(trouble) = ended.unwrap_err() else { panic!() };
        let until = "2025-11-30T00:00:00Z".parse().unwrap();
        assert_eq!(trouble.kind, Trouble::Spent { until }, "{kind:?} {trouble}");
        assert!(target.throttle().spent().bytes <= 12 * MIB as u64, "{kind:?}");
        assert_eq!(names(&target).await, [key(&small)], "{kind:?}");
        // What is read costs nothing.
        target.get_bytes(&key(&small), MIB).await.unwrap();
        now.store(jiff::Timestamp::as_second(until), Ordering::Relaxed);
        // What is larger than a whole day's budget begins anew in a folder, as the first of a day, and elsewhere goes on.
        let delivered = crate::support::put_with(&target, &large, kept, &mut |_| {}).await.unwrap();
        let most = if kind == Kind::Folder { 14 } else { 10 } * MIB as u64;
        assert!(delivered.sent <= most, "{kind:?} {delivered:?}");
    }
}

#[tokio::test]
async fn what_goes_nowhere_is_not_spent() {
    let store = Store::new(Kind::Moto).await;
    // Nobody listens there.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = Target::open_with(&store.settings(nowhere), Arc::new(Throttle::new(None, Some(1_000)))).unwrap();
    for _ in 0..3 {
        let trouble = target.put_new("a", &Bytes::from(vec![0; 900])).await.unwrap_err();
        assert_eq!(trouble.kind, Trouble::Unreachable, "{trouble}");
    }
    assert_eq!(target.throttle().spent().bytes, 0);
}

#[tokio::test]
async fn a_day_that_is_spent_says_nothing_of_what_is_there() {
    let store = Store::new(Kind::Moto).await;
    let manifest = Bytes::from_static(b"manifest");
    store.target().put_new("a", &manifest).await.unwrap();
    let target = with(&store, Throttle::new(None, Some(10)));
    assert_eq!(target.put_new("a", &manifest).await, Ok(NewObject::AlreadyThere));
    let trouble = target.put_new("b", &manifest).await.unwrap_err();
    assert!(matches!(trouble.kind, Trouble::Spent { .. }), "{trouble}");
}
