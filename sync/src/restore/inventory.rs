//! What a bucket holds of one gateway.

use std::collections::BTreeMap;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::error::NotRestored;
use super::{Progress, Tell};
use crate::objects::{Kind, Target, Trouble};
use crate::prove::{Content, Prover};
use crate::remote::{Key, MOST_BYTES, SegmentKey};

/// Manifests that are read at the same time, each held in memory whole.
const READS: usize = 4;
/// How often it is told how far listing is.
const TOLD_EVERY: u64 = 1_000;

/// A segment that is there.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Segment {
    /// How it is called.
    pub key: SegmentKey,
    /// How long it is.
    pub bytes: u64,
}

/// All that there is of one gateway: names are believed, manifests read.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) gateway: String,
    pub(super) prover: Prover,
    pub(super) segments: Vec<Segment>,
}

impl Inventory {
    /// Asks the bucket for it: of the only gateway there is, or of the one of a name.
    pub(super) async fn take(target: &Target, wanted: Option<&str>, tell: &mut Tell<'_>) -> Result<Self, NotRestored> {
        let (gateway, objects) = one_of(list(target, wanted, tell).await?, wanted)?;
        let mut prover = Prover::new(&gateway);
        let (mut segments, mut manifests) = (Vec::new(), Vec::new());
        for (key, bytes) in objects {
            match key {
                Key::Manifest { .. } => manifests.push(key),
                Key::Metadata { .. } => prover.see(&key, &Content::Unread),
                Key::Segment(segment) => {
                    prover.see(&Key::Segment(segment.clone()), &Content::Unread);
                    segments.push(Segment { key: segment, bytes });
                }
            }
        }
        let of = manifests.len() as u64;
        let reading = stream::iter(manifests).map(|key| read(target, key).boxed());
        let mut reading = std::pin::pin!(reading.buffer_unordered(READS));
        let mut done = 0;
        while let Some((key, content)) = reading.try_next().await? {
            prover.see(&key, &content);
            done += 1;
            tell(Progress::Manifests { read: done, of });
        }
        Ok(Inventory { gateway, prover, segments })
    }
}

type Objects = Vec<(Key, u64)>;

/// What there is of each gateway, or of one. Where one is asked for, of others no more than their names.
async fn list(target: &Target, wanted: Option<&str>, tell: &mut Tell<'_>) -> Result<BTreeMap<String, Objects>, Trouble> {
    let mut found = BTreeMap::<String, Objects>::new();
    let mut listed = std::pin::pin!(target.list(""));
    let mut objects = 0;
    while let Some(object) = listed.try_next().await? {
        objects += 1;
        if objects % TOLD_EVERY == 0 {
            tell(Progress::Listed { objects });
        }
        let Ok(key) = object.key.parse::<Key>() else { continue };
        let of = found.entry(key.gateway().to_owned()).or_default();
        if wanted.is_none_or(|wanted| wanted == key.gateway()) || (of.is_empty() && matches!(key, Key::Manifest { .. })) {
            of.push((key, object.bytes));
        }
    }
    tell(Progress::Listed { objects });
    // Without a manifest nothing can be said of a gateway.
    found.retain(|_, objects| objects.iter().any(|(key, _)| matches!(key, Key::Manifest { .. })));
    Ok(found)
}

fn one_of(mut found: BTreeMap<String, Objects>, wanted: Option<&str>) -> Result<(String, Objects), NotRestored> {
    let there = || found.keys().cloned().collect::<Vec<_>>();
    let name = match (wanted, found.len()) {
        (Some(wanted), _) => Some(wanted.to_owned()).filter(|wanted| found.contains_key(wanted)),
        (None, 1) => found.keys().next().cloned(),
        (None, 0) => None,
        (None, _) => return Err(NotRestored::ManyGateways { there: there() }),
    };
    let none = || NotRestored::NoGateway { wanted: wanted.map(str::to_owned), there: there() };
    let name = name.ok_or_else(none)?;
    let objects = found.remove(&name).unwrap_or_default();
    Ok((name, objects))
}

async fn read(target: &Target, key: Key) -> Result<(Key, Content), Trouble> {
    match target.get_bytes(&key.to_string(), MOST_BYTES).await {
        Ok(bytes) => Ok((key, Content::Bytes(bytes.into()))),
        // Larger than any: that is for the prover to say.
        Err(Trouble { kind: Kind::Poisoned, .. }) => Ok((key, Content::Unread)),
        Err(trouble) => Err(trouble),
    }
}
