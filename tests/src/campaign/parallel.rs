//! Trials on every core, one process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::Violation;
use crate::sim::locked;

/// A trial that takes longer hangs.
const HANG: Duration = Duration::from_secs(60);

/// How far a campaign has come.
#[derive(Debug, Default)]
pub struct Progress {
    /// Trials made.
    pub trials: AtomicU64,
}

/// Runs pieces of work, each of which answers how many trials it made, until all are done or one finds a violation. A panic is
/// one, and so is a piece that makes no progress for a minute. `tell` is called now and then.
pub fn parallel(
    pieces: usize,
    work: impl Fn(usize, &Progress) -> Result<(), Violation> + Sync,
    tell: &(dyn Fn(&Progress) + Sync),
) -> Result<u64, Violation> {
    keep_refusals_quiet();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (next, ended, progress) = (AtomicUsize::new(0), AtomicUsize::new(0), Progress::default());
    let (found, stop) = (Mutex::new(None), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let piece = next.fetch_add(1, Ordering::Relaxed);
                    if piece >= pieces {
                        break;
                    }
                    let outcome = catch_unwind(AssertUnwindSafe(|| work(piece, &progress)));
                    let outcome = outcome.unwrap_or_else(|panic| Err(Violation(format!("panic: {}", message(&*panic)))));
                    if let Err(violation) = outcome {
                        locked(&found).get_or_insert(Violation(format!("piece {piece}: {violation}")));
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        watch(&progress, &|| ended.load(Ordering::Relaxed) == threads, tell);
    });
    match locked(&found).take() {
        Some(violation) => Err(violation),
        None => Ok(progress.trials.load(Ordering::Relaxed)),
    }
}

/// What a decoder panics over behind its fence is not for people.
fn keep_refusals_quiet() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !alluvium::is_fenced() {
                tell(panic);
            }
        }));
    });
}

/// Waits for the end, and ends the process if nothing moves any more: a hang cannot be unwound.
fn watch(progress: &Progress, ended: &dyn Fn() -> bool, tell: &(dyn Fn(&Progress) + Sync)) {
    let (mut seen, mut since) = (0, Instant::now());
    while !ended() {
        std::thread::sleep(Duration::from_millis(20));
        tell(progress);
        let now = progress.trials.load(Ordering::Relaxed);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        if since.elapsed() > HANG {
            eprintln!("no trial ended for {} s: something hangs after trial {now}", HANG.as_secs());
            std::process::abort();
        }
    }
}

pub(super) fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
