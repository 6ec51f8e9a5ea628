//! What the tests share: an independent model of a table, random operations on it, and ways to read answers.

pub mod actors;
pub mod answers;
pub mod binary;
pub mod campaign;
pub mod device;
pub mod documents;
pub mod feed;
pub mod gateway;
pub mod history;
pub mod http;
pub mod imports;
pub mod metrics;
pub mod model;
pub mod mutants;
pub mod proxy;
pub mod questions;
pub mod queues;
pub mod served;
pub mod sim;
pub mod site;
pub mod slow;
pub mod steps;
pub mod wire;

/// The seed of a randomised test: `ALLUVIUM_SEED` where set, else a fixed one per test; printed, so that a failure names it.
pub fn seed(default: u64) -> u64 {
    let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    println!("ALLUVIUM_SEED={seed}");
    seed
}

/// How many cases of a campaign to run: `ALLUVIUM_CASES` where set, else `default`.
pub fn cases(default: u64) -> u64 {
    std::env::var("ALLUVIUM_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
