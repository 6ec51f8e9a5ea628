//! What the operating system says a process has cost.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

/// Bytes this process has caused to be written to storage, by `write_bytes` of `/proc/self/io`: pages are counted when they
/// become dirty, so nothing has to reach the disk first; file-system journals are not counted.
pub(crate) fn written_bytes() -> Result<u64> {
    number_after("/proc/self/io", "write_bytes:")
}

/// The largest resident set this process ever had, in bytes (`VmHWM`).
pub(crate) fn peak_memory() -> Result<u64> {
    Ok(number_after("/proc/self/status", "VmHWM:")? * 1024)
}

/// The resident set of this process now, in bytes; from now on [`peak_memory`] is the largest since.
pub(crate) fn memory_from_now() -> Result<u64> {
    fs::write("/proc/self/clear_refs", "5").context("the largest resident set cannot be forgotten")?;
    Ok(number_after("/proc/self/status", "VmRSS:")? * 1024)
}

fn number_after(path: &str, label: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let rest = text.lines().find_map(|line| line.strip_prefix(label)).with_context(|| format!("{path} has no {label}"))?;
    let number = rest.split_whitespace().next().unwrap_or_default();
    number.parse().with_context(|| format!("{path}: {label} {number:?} is no number"))
}

/// CPU time of all threads of this process so far.
pub(crate) fn process_cpu() -> Duration {
    cpu(ClockId::ProcessCPUTime)
}

/// CPU time of the calling thread so far.
pub(crate) fn thread_cpu() -> Duration {
    cpu(ClockId::ThreadCPUTime)
}

fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// The type of the file system that holds `path`, as `/proc/self/mounts` names it.
pub(crate) fn file_system(path: &Path) -> Result<String> {
    let path = path.canonicalize().with_context(|| format!("cannot resolve {}", path.display()))?;
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    let best = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (mount, kind) = (PathBuf::from(words.next()?), words.next()?);
        path.starts_with(&mount).then(|| (mount.components().count(), kind))
    });
    // Of equal mount points the last one mounted is the one seen.
    Ok(best.max_by_key(|(depth, _)| *depth).map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned()))
}
