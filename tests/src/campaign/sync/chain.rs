//! The manifests that one follows, as a store has them.

use alluvium_sync::remote::{Hash, Link, Manifest};

use super::Violation;
use super::store::Store;

/// The object of a hash, by what its name ends in.
pub fn object(store: &Store, hash: Hash, end: &str) -> Option<Vec<u8>> {
    store.look(|bucket| {
        let mut objects = bucket.objects().filter(|(path, _)| path.ends_with(end)).map(|(_, object)| &object.bytes);
        objects.find(|bytes| Hash::of(bytes) == hash).map(|bytes| bytes.to_vec())
    })
}

/// The manifests that one follows, and itself, oldest first.
pub fn chain(store: &Store, tip: Hash) -> Result<Vec<Manifest>, Violation> {
    let (mut next, mut chain) = (Some(tip), Vec::new());
    while let Some(hash) = next {
        let bytes = object(store, hash, ".manifest.json");
        let bytes = bytes.ok_or_else(|| Violation(format!("no manifest has the hash {hash}")))?;
        let manifest = Manifest::decode(&bytes).map_err(|error| Violation(format!("cannot read a manifest: {error}")))?;
        next = manifest.previous.map(|Link { hash, .. }| hash);
        chain.push(manifest);
    }
    chain.reverse();
    Ok(chain)
}
