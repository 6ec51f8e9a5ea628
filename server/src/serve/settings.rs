//! What the server allows, to everybody and to each.

use std::time::Duration;

use alluvium_protocol::frame::BULK_BYTES;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome};

/// Limits and sizes. The defaults are for a gateway of two cores and some hundred devices.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Connections at once.
    pub(crate) connections: usize,
    /// Connections over HTTP at once. Others wait until there is a place.
    pub(crate) http_connections: usize,
    /// Handshakes at once. Beyond half of them, peers have to show first that they receive what is sent to their address.
    pub(crate) handshakes: usize,
    /// Streams of a connection at once.
    pub(crate) streams: u32,
    /// Bytes of payload of a bulk frame.
    pub(crate) bulk_bytes: usize,
    /// Bytes of a body that came packed, once it is unpacked.
    pub(crate) unpacked_bytes: usize,
    /// Bytes of batches on one writer stream that are not acknowledged yet.
    pub(crate) window_bytes: u32,
    /// Bytes of large frames, of all connections together, that are received or not yet applied.
    pub(crate) received_bytes: usize,
    /// Queries at once.
    pub(crate) queries: usize,
    /// Threads that apply the batches of writers. A writer always has the same.
    pub(crate) lanes: usize,
    /// Bytes that the storage device may be written in its life, as its maker says.
    pub(crate) endurance_bytes: Option<u64>,
    /// Bytes that have to be free on the disk, lest the server be not ready. Without, what the next seal may take.
    pub(crate) min_free_bytes: Option<u64>,
    /// Within which time a stream has to say what it is for.
    #[serde(with = "duration")]
    pub(crate) first_frame: Duration,
    /// Within which time a frame that was begun, or one that is to be sent, has to get on.
    #[serde(with = "duration")]
    pub(crate) progress: Duration,
    /// How long a connection may be silent. Clients keep theirs alive.
    #[serde(with = "duration")]
    pub(crate) idle: Duration,
    /// How long the server waits for what is under way when it ends.
    #[serde(with = "duration")]
    pub(crate) closing: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            connections: 1_024,
            http_connections: 256,
            handshakes: 128,
            streams: 64,
            bulk_bytes: 4 << 20,
            unpacked_bytes: 8 << 20,
            window_bytes: 512 << 10,
            received_bytes: 64 << 20,
            queries: 8,
            lanes: 2,
            endurance_bytes: None,
            min_free_bytes: None,
            first_frame: Duration::from_secs(5),
            progress: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            closing: Duration::from_secs(10),
        }
    }
}

impl Settings {
    /// Refuses limits that would let nothing through.
    pub(crate) fn check(&self) -> Outcome {
        let numbers = [
            ("connections", self.connections),
            ("http_connections", self.http_connections),
            ("handshakes", self.handshakes),
            ("streams", self.streams as usize),
            ("bulk_bytes", self.bulk_bytes),
            ("window_bytes", self.window_bytes as usize),
            ("queries", self.queries),
            ("lanes", self.lanes),
        ];
        let times = [("first_frame", self.first_frame), ("progress", self.progress), ("idle", self.idle)];
        let nothing = numbers.into_iter().filter(|(_, number)| *number == 0).map(|(name, _)| name);
        let nothing = nothing.chain(times.into_iter().filter(|(_, time)| time.is_zero()).map(|(name, _)| name)).next();
        if let Some(name) = nothing {
            return Err(Failure::usage(format_args!("limits.{name} = 0 lets nothing through: give more")));
        }
        if self.bulk_bytes > self.received_bytes || self.bulk_bytes > BULK_BYTES {
            return Err(Failure::usage(format_args!(
                "limits.bulk_bytes = {} is more than limits.received_bytes, or than the {BULK_BYTES} that the protocol allows",
                self.bulk_bytes
            )));
        }
        Ok(())
    }
}
