//! What tests of objects are made of.

#[path = "../../support/carry.rs"]
mod carry;
pub(crate) mod gateway;
pub(crate) mod proxy;
pub(crate) mod servers;
mod short;
pub(crate) mod stores;

use alluvium_sync::objects::{Delivered, NotPut, Source, Target, Unfinished, Upload};
use alluvium_sync::remote::Hash;
use bytes::Bytes;
use fastrand::Rng;

pub(crate) use proxy::{Fault, Proxy, Rule};
pub(crate) use stores::{KINDS, Kind, Store};

pub(crate) const MIB: usize = 1 << 20;

/// Randomness that begins with `ALLUVIUM_SEED`, or else with `default`, and says so.
pub(crate) fn seeded(default: u64) -> Rng {
    let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    println!("ALLUVIUM_SEED={seed}");
    Rng::with_seed(seed)
}

/// Bytes that do not repeat.
pub(crate) fn bytes(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    Rng::with_seed(seed).fill(&mut bytes);
    bytes.into()
}

/// A name much like objects have it. s3s-fs makes a file's name of that of an object and of an upload, which leaves it no more room.
pub(crate) fn key(bytes: &[u8]) -> String {
    format!("table=K%C3%BCche/{}.parquet", &Hash::of(bytes).to_string()[..32])
}

/// Puts bytes under their name.
pub(crate) async fn put(target: &Target, bytes: &Bytes) -> Result<Delivered, NotPut> {
    put_with(target, bytes, None, &mut |_| {}).await
}

/// Goes on with putting bytes under their name.
pub(crate) async fn put_with(
    target: &Target,
    bytes: &Bytes,
    unfinished: Option<Unfinished>,
    progress: &mut (dyn FnMut(&Unfinished) + Send),
) -> Result<Delivered, NotPut> {
    let mut upload = Upload { unfinished, ..Upload::new(progress) };
    let source = Source::Bytes(bytes.clone());
    target.put_object(&key(bytes), &source, Hash::of(bytes), bytes.len() as u64, &mut upload).await
}

/// The names of all objects, in order.
pub(crate) async fn names(target: &Target) -> Vec<String> {
    use futures_util::TryStreamExt;
    let mut names: Vec<_> = target.list("").map_ok(|listed| listed.key).try_collect().await.unwrap();
    names.sort();
    names
}
