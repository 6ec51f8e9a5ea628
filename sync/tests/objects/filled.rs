//! A centre that comes when everything was sent already, and learns of it from the store.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use alluvium_sync::worker::MemoryCentre;

use crate::support::gateway::{GATEWAY, Gateway};
use crate::support::{Fault, Kind, Rule, Store};

/// A request for the end of an object.
fn is_range(method: &str, path: &str) -> bool {
    method == "GET" && path.contains("#bytes=")
}

#[tokio::test]
async fn a_centre_that_comes_later_learns_what_is_right_whatever_becomes_of_the_reads() {
    for kind in Kind::REMOTE {
        let store = Store::new(kind).await;
        let (target, proxy) = store.behind_proxy().await;
        let gateway = Gateway::new();
        (0..3).for_each(|hour| gateway.live(hour));
        gateway.live_much(1);
        gateway.carry(&target).await.unwrap();
        let refused = || Fault::Answer(429, vec![("retry-after", "0".to_owned())], String::new());
        let faults =
            [Fault::Lost, Fault::ReplyLost, Fault::Truncated(100), Fault::Mistaken, Fault::Garbled, Fault::Twice, refused()];
        for fault in faults {
            let told = format!("{kind:?} {fault:?}");
            let centre = Arc::new(Mutex::new(MemoryCentre::new(GATEWAY)));
            // In the midst of them, and the one behind it; what comes out wrong in the same way twice is right as far as anybody knows.
            let times = if matches!(fault, Fault::Garbled) { 1 } else { 2 };
            let rule = Rule { after: 2, times, ..Rule::once(fault, is_range) };
            let struck = rule.struck.clone();
            proxy.rules([rule]);
            gateway.carry_and_tell(&target, &centre).await.unwrap_or_else(|why| panic!("{told}: {why}"));
            assert_eq!(struck.load(Ordering::Relaxed), times, "{told}");
            let centre = centre.lock().unwrap();
            let (head, missing) = (centre.head().map(|head| head.cut), centre.missing(1, 10));
            assert_eq!((centre.delivered_through(), missing), (head, Vec::new()), "{told}");
            let mut rows: Vec<_> = centre.told().iter().map(|segment| (segment.rows, segment.last - segment.first)).collect();
            rows.sort_unstable();
            assert_eq!(rows, [(5, 4), (5, 4), (5, 4), (9, 8)], "{told}");
        }
    }
}
