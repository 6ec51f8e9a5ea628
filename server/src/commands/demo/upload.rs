//! What the demo recorded, carried to a folder beside it, as it would be to a bucket.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use alluvium_sync::objects::Settings;
use alluvium_sync::worker::Once;

use super::gateway::Gateway;
use crate::config::SyncSettings;
use crate::failure::{Failure, Outcome};
use crate::sync::Link;

/// What the target is called.
const NAME: &str = "demo";

/// A folder in which everything is.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) folder: PathBuf,
    pub(super) segments: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

/// Carries everything to the folder `bucket` in a directory.
pub(super) async fn upload(gateway: &Gateway, directory: &Path) -> Outcome<Bucket> {
    let (begun, folder) = (Instant::now(), directory.join("bucket"));
    let target = Settings::new(folder.display().to_string());
    let link = Link::open(&gateway.db, directory, &gateway.id(), &SyncSettings::default(), (NAME, &target))?;
    match link.worker.run_once().await {
        Once::Done(report) => {
            let (segments, bytes) = (report.counts.segments, report.counts.bytes_sent);
            Ok(Bucket { folder, segments, bytes, took: begun.elapsed() })
        }
        Once::Left(_, failed) => Err(Failure::failed(failed)),
    }
}
