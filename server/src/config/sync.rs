//! What is carried elsewhere, as a file says it.

use std::collections::BTreeMap;
use std::time::Duration;

use alluvium::SendOrder;
use alluvium_sync::metadata::Wanted;
use alluvium_sync::worker::Policy;
use alluvium_sync::{objects, postgres};
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome};

/// Where everything goes, and how. Without targets nothing goes anywhere.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SyncSettings {
    /// Segments on their way to a target at the same time.
    pub(crate) parallel: usize,
    pub(crate) order: Order,
    /// How often to look for what was sealed.
    #[serde(with = "duration")]
    pub(crate) cut_every: Duration,
    /// After how long everything is sent, however little it is.
    #[serde(with = "duration")]
    pub(crate) max_delay: Duration,
    /// How long after the end of a partition rows of it are still expected.
    #[serde(with = "duration")]
    pub(crate) late_allowance: Duration,
    /// Bytes of a segment that is sent at once.
    pub(crate) enough_bytes: u64,
    /// Whether key-value pairs are sent.
    pub(crate) pairs: bool,
    /// Whether queues and their items are.
    pub(crate) queues: bool,
    /// Where, by names that stay: what was sent is noted under them.
    /// The centre, where what a target has is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) postgres: Option<postgres::Settings>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) targets: BTreeMap<String, objects::Settings>,
}

/// Which segments go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Those with the latest records.
    #[default]
    Newest,
    /// Those with the earliest.
    Oldest,
}

impl Default for SyncSettings {
    fn default() -> Self {
        let Policy { parallel, cut_every, max_delay, late_allowance, enough_bytes, .. } = Policy::default();
        let (order, pairs, queues, postgres, targets) = Default::default();
        SyncSettings { parallel, order, cut_every, max_delay, late_allowance, enough_bytes, pairs, queues, postgres, targets }
    }
}

impl SyncSettings {
    /// How a worker goes about it.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            parallel: self.parallel,
            order: match self.order {
                Order::Newest => SendOrder::Newest,
                Order::Oldest => SendOrder::Oldest,
            },
            cut_every: self.cut_every,
            max_delay: self.max_delay,
            late_allowance: self.late_allowance,
            enough_bytes: self.enough_bytes,
            wanted: Wanted { pairs: self.pairs, queues: self.queues },
        }
    }

    /// The targets that have to hold rows before these are let go of.
    pub(super) fn required(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().filter(|(_, target)| target.required).map(|(name, _)| name.as_str())
    }

    /// Refuses what cannot be meant.
    pub(super) fn check(&self) -> Outcome {
        if self.parallel == 0 {
            return Err(Failure::usage("sync.parallel = 0: nothing would ever be sent; 4 is the default"));
        }
        if self.cut_every.is_zero() {
            return Err(Failure::usage("sync.cut_every = \"0s\": it would do nothing else; 1m is the default"));
        }
        for (name, target) in &self.targets {
            let whole = |error| Failure::usage(format_args!("sync.targets.{name}: {error}"));
            target.check().map_err(whole)?;
        }
        if let Some(postgres) = &self.postgres {
            postgres.check().map_err(|error| Failure::usage(format_args!("sync.postgres.{error}")))?;
        }
        self.registered().map(drop)
    }

    /// The target whose cuts are registered at the centre; none where there is no centre, or no target.
    pub(crate) fn registered(&self) -> Outcome<Option<&str>> {
        let Some(postgres) = &self.postgres else { return Ok(None) };
        let names = || self.targets.keys().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        match (&postgres.target, self.targets.len()) {
            // Where no target has a name, there is one that nobody gave a name.
            (Some(name), 0) => Ok(Some(name)),
            (None, 0) => Ok(None),
            (Some(name), _) if self.targets.contains_key(name) => Ok(Some(name)),
            (Some(name), _) => {
                Err(Failure::usage(format_args!("sync.postgres.target = {name:?}: there is no such target, but {}", names())))
            }
            (None, 1) => Ok(self.targets.keys().next().map(String::as_str)),
            (None, _) => Err(Failure::usage(format_args!(
                "sync.postgres.target: the centre knows the cuts of one target; say of which: {}",
                names()
            ))),
        }
    }
}
