//! A server for all tests, a database for each, and a gateway that makes manifests.

#[path = "../../support/carry.rs"]
mod carry;
mod gateway;
pub(crate) mod link;
mod proxy;
mod server;

pub(crate) use carry::carry;
pub(crate) use gateway::{Device, segment, segment_of, unit};
pub(crate) use proxy::Proxy;
pub(crate) use server::{Authority, Centre, PASSWORD, server};

/// What randomised tests begin with: `ALLUVIUM_SEED`, or another one each time, which is told.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("ALLUVIUM_SEED={seed}");
    seed
}

/// How many cases a randomised test tries: `ALLUVIUM_CASES`, or so many.
pub(crate) fn cases(usual: u64) -> u64 {
    std::env::var("ALLUVIUM_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
