use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

const KIB: u64 = 1 << 10;

/// A wall clock that stands until it is moved, in seconds since 1970.
fn standing(at: &Arc<AtomicI64>) -> impl Fn() -> Timestamp + Send + Sync + 'static {
    let at = Arc::clone(at);
    move || Timestamp::from_second(at.load(Ordering::Relaxed)).unwrap()
}

/// Noon of 2025-11-29.
fn noon() -> Arc<AtomicI64> {
    Arc::new(AtomicI64::new(1_764_417_600))
}

#[tokio::test(start_paused = true)]
async fn parallel_uploads_share_the_bandwidth_smoothly() {
    let throttle = Arc::new(Throttle::new(Some(100 * KIB), None));
    let begun = Instant::now();
    let passed = Arc::new(Mutex::new(Vec::new()));
    let uploads = (0..4).map(|_| {
        let (throttle, passed) = (Arc::clone(&throttle), Arc::clone(&passed));
        async move {
            for _ in 0..25 {
                throttle.pass(10 << 10).await;
                passed.lock().push(begun.elapsed());
            }
        }
    });
    futures_util::future::join_all(uploads).await;
    // A thousand KiB at a hundred a second, but for what went ahead.
    let took = begun.elapsed().as_secs_f64();
    assert!((9.7..=10.0).contains(&took), "{took}");
    // Within no second did more than a second's bytes and what may go ahead pass.
    let times = passed.lock();
    for (first, from) in times.iter().enumerate() {
        let within = times[first..].iter().take_while(|at| **at - *from < Duration::from_secs(1)).count() as u64;
        assert!(within * 10 * KIB <= 125 * KIB + 10 * KIB, "{within} pieces from {from:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_saves_up_no_more_than_a_quarter_of_a_second() {
    let throttle = Throttle::new(Some(100 * KIB), None);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let begun = Instant::now();
    throttle.pass(100 << 10).await;
    let took = begun.elapsed().as_secs_f64();
    assert!((0.7..=0.8).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn the_slowest_link_goes_on_byte_by_byte() {
    let throttle = Throttle::new(Some(5), None);
    assert_eq!(throttle.piece(), 1);
    let begun = Instant::now();
    throttle.pass(50).await;
    assert!((9.0..=10.1).contains(&begun.elapsed().as_secs_f64()));
}

#[test]
fn a_day_has_so_many_bytes_and_the_next_as_many_again() {
    let clock = noon();
    let throttle = Arc::new(Throttle::with_clock(None, Some(1_000), standing(&clock)));
    let take = |bytes| throttle.admit(bytes, false).map(|mut admitted| admitted.passed(bytes));
    take(600).unwrap();
    let midnight = take(600).unwrap_err();
    assert_eq!(midnight.to_string(), "2025-11-30T00:00:00Z");
    take(400).unwrap();
    take(1).unwrap_err();
    // What has no body, and what ends an upload, goes whatever was sent.
    take(0).unwrap();
    throttle.admit(10, true).unwrap().passed(10);
    assert_eq!(throttle.spent().bytes, 1_010);
    clock.store(midnight.as_second() - 1, Ordering::Relaxed);
    take(1).unwrap_err();
    clock.store(midnight.as_second(), Ordering::Relaxed);
    // What no day has room for goes first.
    take(1_500).unwrap();
    take(1).unwrap_err();
}

#[test]
fn what_did_not_pass_is_not_spent() {
    let throttle = Arc::new(Throttle::with_clock(None, Some(1_000), standing(&noon())));
    for _ in 0..20 {
        let mut admitted = throttle.admit(900, false).unwrap();
        admitted.passed(5);
    }
    assert_eq!(throttle.spent().bytes, 100);
}

#[test]
fn a_restart_gives_no_second_budget() {
    let clock = noon();
    let before = Arc::new(Throttle::with_clock(None, Some(1_000), standing(&clock)));
    before.admit(900, false).unwrap().passed(900);
    let kept = serde_json::to_string(&before.spent()).unwrap();
    assert_eq!(kept, r#"{"day":"2025-11-29","bytes":900}"#);
    let spent: Spent = serde_json::from_str(&kept).unwrap();

    let after = Arc::new(Throttle::with_clock(None, Some(1_000), standing(&clock)));
    after.resume(spent);
    after.admit(200, false).unwrap_err();
    // Of yesterday it says nothing.
    clock.fetch_add(86_400, Ordering::Relaxed);
    let next = Arc::new(Throttle::with_clock(None, Some(1_000), standing(&clock)));
    next.resume(spent);
    assert_eq!(next.spent().bytes, 0);
    next.admit(200, false).unwrap();
}
