//! Objects put into real stores: a folder, two that speak S3, one that speaks Azure Blob, and memory, on good links and on bad ones.
//!
//! moto takes wrong checksums and any credentials, s3s-fs refuses them; Azurite is Microsoft's own. `tests/object-store` installs them. What is
//! promised of all stores is asked of each.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests end where something is wrong")]

mod support;

mod budget;
mod create;
mod environment;
mod faults;
mod filled;
mod folder;
mod get;
mod put;
mod random;
mod resumed;
mod secured;
mod summed;
mod troubles;
mod worker;
