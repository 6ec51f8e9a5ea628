//! Work done over and over by some threads.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// How often a second some threads do something, which is told the number of its thread and how often that did it before.
pub(crate) fn rate(threads: usize, seconds: u64, work: &(dyn Fn(usize, u64) -> Result<()> + Sync)) -> Result<f64> {
    let began = Instant::now();
    let repeat = |thread: usize| -> Result<u64> {
        let mut done = 0;
        while began.elapsed() < Duration::from_secs(seconds) {
            work(thread, done)?;
            done += 1;
        }
        Ok(done)
    };
    let done = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || repeat(thread))).collect();
        workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a thread panicked"))?).sum::<Result<u64>>()
    })?;
    Ok(done as f64 / began.elapsed().as_secs_f64())
}
