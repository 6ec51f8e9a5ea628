//! Asks an object store for what a proof needs: every name, every manifest, and whatever else is to be believed only when read.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::prove::{Content, Proof, Prover};
use crate::remote::{Hash, Key, MOST_BYTES};

/// Objects that are read at the same time. A manifest is held in memory whole, everything else as it comes.
const READS: usize = 4;

/// How much is taken on trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Manifests are read; of other objects the names are believed.
    Names,
    /// Everything is read, and has to have the hash in its name.
    Contents,
}

/// What a bucket proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Of each gateway, by its name.
    pub gateways: BTreeMap<String, Proof>,
    /// Objects that there are.
    pub objects: u64,
    /// Those of them that are none of Alluvium's, which are left alone.
    pub foreign: u64,
    /// Bytes read.
    pub bytes: u64,
}

impl Findings {
    /// Whether everything announced by any gateway is there or stated to be lost, and nothing is wrong.
    pub fn hold(&self) -> bool {
        self.gateways.values().all(Proof::holds)
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Objects looked at.
    pub objects: u64,
    /// Bytes read.
    pub bytes: u64,
}

/// The store does not answer, so that nothing is proved.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// It does not say what there is.
    #[error("the objects below {prefix:?} cannot be listed: {source}")]
    List {
        /// Below which prefix.
        prefix: String,
        /// What it says instead.
        source: object_store::Error,
    },
    /// It does not show an object that it listed.
    #[error("{key:?} is listed and cannot be read: {source}")]
    Read {
        /// The object.
        key: String,
        /// What it says instead.
        source: object_store::Error,
    },
}

/// An object of ours and what is known of it, and how many bytes were read for that.
type Seen = (Option<(Key, Content)>, u64);

/// What the objects below a prefix prove. `progress` is told behind each of them. Nothing is changed.
///
/// # Errors
///
/// [`Unanswered`] where the store does not answer. Whatever an answer holds is no error but a finding.
pub async fn prove(
    store: &dyn ObjectStore,
    prefix: &Path,
    depth: Depth,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Findings, Unanswered> {
    let mut provers = BTreeMap::<String, Prover>::new();
    let (mut so_far, mut foreign) = (Progress { objects: 0, bytes: 0 }, 0);
    let listed = store.list(Some(prefix)).map_err(|source| Unanswered::List { prefix: prefix.to_string(), source });
    let looked_at = listed.map(|object| async { look(store, prefix, depth, object?).await });
    let mut looked_at = std::pin::pin!(looked_at.buffer_unordered(READS));
    while let Some((seen, bytes)) = looked_at.try_next().await? {
        so_far = Progress { objects: so_far.objects + 1, bytes: so_far.bytes + bytes };
        match seen {
            Some((key, content)) => {
                let prover = provers.entry(key.gateway().to_owned()).or_insert_with(|| Prover::new(key.gateway()));
                prover.see(&key, &content);
            }
            None => foreign += 1,
        }
        progress(so_far);
    }
    let gateways = provers.into_iter().map(|(gateway, prover)| (gateway, prover.conclude())).collect();
    Ok(Findings { gateways, objects: so_far.objects, foreign, bytes: so_far.bytes })
}

async fn look(store: &dyn ObjectStore, prefix: &Path, depth: Depth, object: ObjectMeta) -> Result<Seen, Unanswered> {
    let below = object.location.prefix_match(prefix).into_iter().flatten();
    let name = below.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
    let Ok(key) = name.parse::<Key>() else { return Ok((None, 0)) };
    let is_manifest = matches!(key, Key::Manifest { .. });
    let wanted = if is_manifest { object.size <= MOST_BYTES as u64 } else { depth == Depth::Contents };
    if !wanted {
        return Ok((Some((key, Content::Unread)), 0));
    }
    let failed = |source| Unanswered::Read { key: object.location.to_string(), source };
    let found = store.get(&object.location).await.map_err(failed)?;
    if is_manifest {
        let bytes = found.bytes().await.map_err(failed)?;
        let read = bytes.len() as u64;
        return Ok((Some((key, Content::Bytes(bytes.into()))), read));
    }
    let (mut hasher, mut stream) = (blake3::Hasher::new(), found.into_stream());
    while let Some(bytes) = stream.try_next().await.map_err(failed)? {
        hasher.update(&bytes);
    }
    Ok((Some((key, Content::Hash(Hash(*hasher.finalize().as_bytes())))), hasher.count()))
}

#[cfg(test)]
mod tests;
