//! The engine's settings, as a file says them.

use std::time::Duration;

use alluvium::{OnDamage, Profile, Settings};
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, Serialize)]
#[serde(remote = "Settings", default = "Settings::default", deny_unknown_fields)]
pub(super) struct Described {
    #[serde(with = "DescribedProfile")]
    profile: Profile,
    #[serde(with = "DescribedOnDamage")]
    on_damage: OnDamage,
    #[serde(with = "duration")]
    commit_interval: Duration,
    memtable_bytes: usize,
    page_cache_bytes: usize,
    catalog_cache_bytes: usize,
    batch_bytes: usize,
    value_bytes: usize,
    document_bytes: usize,
    document_depth: usize,
    log_file_bytes: u64,
    seal_log_bytes: u64,
    #[serde(with = "duration")]
    seal_after: Duration,
    history_bytes: u64,
    audit_entries: u64,
    writers: usize,
    ballast_bytes: u64,
    /// In a section of its own.
    #[serde(skip)]
    retention: alluvium::Retention,
    /// A server has nobody to make the steps by hand.
    #[serde(skip)]
    background: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Profile", rename_all = "lowercase")]
enum DescribedProfile {
    Open,
    Compact,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "OnDamage", rename_all = "lowercase")]
enum DescribedOnDamage {
    Receipt,
    Refuse,
}
