//! Fetches objects, several at a time, each believed only once it has its hash.

use std::path::PathBuf;

use futures_util::{FutureExt, StreamExt, stream};

use super::error::NotRestored;
use crate::objects::{Kind, NotGot, Target, Trouble};
use crate::remote::Hash;

/// An object and where it goes.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) key: String,
    pub(super) hash: Hash,
    pub(super) bytes: u64,
    pub(super) path: PathBuf,
}

/// Fetches what is not there yet, and tells of each. Answers those that the bucket does not have as their names say.
pub(super) async fn fetch(
    target: &Target,
    wanted: Vec<Wanted>,
    parallel: usize,
    done: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Vec<Wanted>, NotRestored> {
    let fetching = stream::iter(wanted).map(|wanted| {
        async move {
            let got = one(target, &wanted).await;
            (wanted, got)
        }
        .boxed()
    });
    let mut fetching = std::pin::pin!(fetching.buffer_unordered(parallel.max(1)));
    let (mut altered, mut objects, mut bytes) = (Vec::new(), 0, 0);
    while let Some((wanted, got)) = fetching.next().await {
        (objects, bytes) = (objects + 1, bytes + wanted.bytes);
        if !got? {
            altered.push(wanted);
        }
        done(objects, bytes);
    }
    Ok(altered)
}

/// Whether it is there as its name says.
async fn one(target: &Target, wanted: &Wanted) -> Result<bool, NotRestored> {
    // It got its name when it was whole.
    if tokio::fs::try_exists(&wanted.path).await.map_err(NotRestored::file("look at", &wanted.path))? {
        return Ok(true);
    }
    match target.get_to_file(&wanted.key, &wanted.path, wanted.hash).await {
        Ok(_) => Ok(true),
        Err(NotGot::Altered { key, expected, found }) => {
            tracing::warn!(key, %expected, %found, "an object of the bucket does not have the hash in its name");
            Ok(false)
        }
        Err(NotGot::Trouble(Trouble { kind: Kind::NotFound, .. })) => Ok(false),
        Err(NotGot::Trouble(trouble)) => Err(trouble.into()),
    }
}
