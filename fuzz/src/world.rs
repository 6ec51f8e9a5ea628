//! Databases in memory in which nothing is left to chance.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium::io::{Clock, Components, Entropy, MemoryDisk};
use alluvium::{Database, OnDamage, Settings};

/// Where databases lie.
pub(crate) const ROOT: &str = "/data";

/// It is always the same moment.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn wall_micros(&self) -> i64 {
        1_700_000_000_000_000
    }

    fn monotonic_micros(&self) -> u64 {
        0
    }
}

/// No two draws are the same, and every run draws the same.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
        Ok(())
    }
}

/// Opens the database on a disk, with little memory and nothing in the background.
pub(crate) fn open(disk: &MemoryDisk, on_damage: OnDamage) -> alluvium::Result<Database> {
    let components = Components { disk: Arc::new(disk.clone()), clock: Arc::new(Still), entropy: Arc::new(Counted::default()) };
    let settings = Settings {
        background: false,
        ballast_bytes: 0,
        memtable_bytes: 64 << 20,
        page_cache_bytes: 1 << 18,
        catalog_cache_bytes: 1 << 20,
        log_file_bytes: 1 << 14,
        on_damage,
        ..Settings::default()
    };
    Database::builder().settings(settings).components(components).open(ROOT)
}
