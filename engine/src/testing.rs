//! A database on a disk in memory and clocks that are set by hand, for the tests of models.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use fastrand::Rng;

use crate::io::{Clock, Components, MemoryDisk};
use crate::{Database, Settings};

const ROOT: &str = "/data";
/// In microseconds.
pub(crate) const SECOND: u64 = 1_000_000;

/// Randomness that begins with `ALLUVIUM_SEED`, or else with `default`, and says so.
pub(crate) fn random(default: u64) -> Rng {
    let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    println!("ALLUVIUM_SEED={seed}");
    Rng::with_seed(seed)
}

/// Clocks that are set by hand.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    monotonic: AtomicU64,
    wall: AtomicI64,
    /// 0 where the machine does not tell its starts apart.
    boot: AtomicU64,
}

impl Clock for Hands {
    fn wall_micros(&self) -> i64 {
        self.wall.load(Ordering::Relaxed)
    }

    fn monotonic_micros(&self) -> u64 {
        self.monotonic.load(Ordering::Relaxed)
    }

    fn boot(&self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.boot.load(Ordering::Relaxed))
    }
}

impl Hands {
    /// Sets the wall clock.
    pub(crate) fn set_wall(&self, micros: i64) {
        self.wall.store(micros, Ordering::Relaxed);
    }

    /// Starts the machine again; 0 is a start that cannot be told from others.
    pub(crate) fn start_again(&self, boot: u64) {
        self.boot.store(boot, Ordering::Relaxed);
        self.monotonic.store(0, Ordering::Relaxed);
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, micros: u64) {
        self.monotonic.fetch_add(micros, Ordering::Relaxed);
    }
}

/// Small files and no threads.
pub(crate) fn settings() -> Settings {
    Settings { background: false, log_file_bytes: 64 << 10, ballast_bytes: 256 << 10, ..Settings::default() }
}

/// Opens the database on a disk.
pub(crate) fn open(disk: &MemoryDisk, clock: &Arc<Hands>) -> Database {
    open_with(disk, clock, settings())
}

/// Opens it with settings of the test's own.
pub(crate) fn open_with(disk: &MemoryDisk, clock: &Arc<Hands>, settings: Settings) -> Database {
    let components = Components { disk: Arc::new(disk.clone()), clock: clock.clone(), ..Components::os() };
    Database::builder().settings(settings).components(components).open(ROOT).unwrap()
}

/// A new database.
pub(crate) fn begin() -> (MemoryDisk, Arc<Hands>, Database) {
    let (disk, clock) = (MemoryDisk::new(), Arc::new(Hands::default()));
    let db = open(&disk, &clock);
    (disk, clock, db)
}
