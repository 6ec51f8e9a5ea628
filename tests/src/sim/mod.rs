//! A machine that does not exist: a disk that keeps what a real one may keep, a clock that jumps, and seeded randomness.

mod clock;
mod content;
mod device;
mod disk;
mod fault;

use std::sync::Arc;
use std::time::Duration;

use alluvium::io::{Components, Disk};
use alluvium::{Builder, Database, Keep, Result, Retention, Settings, Unheld};

pub use clock::{SimClock, SimEntropy};
pub use content::Content;
pub use device::{Change, Device, Image};
pub use disk::SimDisk;
pub(crate) use disk::locked;
pub use fault::{Fault, Injection, OpClass};

/// Where databases lie on simulated disks.
pub const ROOT: &str = "/data";

/// A disk, a clock and randomness, all from one seed.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The disk.
    pub disk: SimDisk,
    /// The clock.
    pub clock: Arc<SimClock>,
    entropy: Arc<SimEntropy>,
}

impl Machine {
    /// A machine with an empty disk.
    pub fn new(seed: u64) -> Self {
        Self::with_disk(SimDisk::default(), seed)
    }

    /// A machine that starts with what a disk holds.
    pub fn with_disk(disk: SimDisk, seed: u64) -> Self {
        Machine { disk, clock: Arc::default(), entropy: Arc::new(SimEntropy::new(seed)) }
    }

    /// A machine that is started again, with what is left on a device.
    pub fn from_image(image: &Image, seed: u64) -> Self {
        let machine = Self::with_disk(SimDisk::from_image(image), seed);
        machine.clock.start_again();
        machine
    }

    /// The database on the disk, opened by one thread that makes every step itself.
    pub fn open(&self, settings: Settings) -> Result<Database> {
        self.builder(settings).open(ROOT)
    }

    /// A builder over the parts of this machine.
    pub fn builder(&self, settings: Settings) -> Builder {
        self.builder_over(Arc::new(self.disk.clone()), settings)
    }

    /// The same, with something between the engine and the disk.
    pub fn builder_over(&self, disk: Arc<dyn Disk>, settings: Settings) -> Builder {
        let components = Components { disk, clock: self.clock.clone(), entropy: self.entropy.clone() };
        Database::builder().settings(settings).components(components)
    }
}

/// The table whose rows go by their age, and that age: so high that they stay until the wall clock is set ahead for it.
pub const FLEETING: &str = "fleeting";
/// See [`FLEETING`].
pub const FLEETING_AGE: Duration = Duration::from_secs(10_000 * 86_400);

/// Settings under which little data makes everything happen: short log files, small memory, no threads.
pub fn small_settings() -> Settings {
    let keep = Keep { age: Some(FLEETING_AGE), bytes: None };
    let tables = [(FLEETING.to_owned(), keep)].into();
    Settings {
        background: false,
        retention: Retention { tables, unheld: Unheld::Drop, ..Retention::default() },
        memtable_bytes: 1 << 20,
        page_cache_bytes: 1 << 18,
        catalog_cache_bytes: 1 << 19,
        log_file_bytes: 64 << 10,
        ballast_bytes: 64 << 10,
        history_bytes: 96 << 10,
        ..Settings::default()
    }
}
