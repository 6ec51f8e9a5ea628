//! What the server allows, to everybody and to each.

use std::time::Duration;

/// Limits and sizes. The defaults are for a gateway of two cores and some hundred devices.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Connections at once.
    pub(crate) connections: usize,
    /// Handshakes at once. Beyond half of them, peers have to show first that they receive what is sent to their address.
    pub(crate) handshakes: usize,
    /// Streams of a connection at once.
    pub(crate) streams: u32,
    /// Bytes of payload of a bulk frame.
    pub(crate) bulk_bytes: usize,
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
    pub(crate) first_frame: Duration,
    /// Within which time a frame that was begun, or one that is to be sent, has to get on.
    pub(crate) progress: Duration,
    /// How long a connection may be silent. Clients keep theirs alive.
    pub(crate) idle: Duration,
    /// How long the server waits for what is under way when it ends.
    pub(crate) closing: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            connections: 1_024,
            handshakes: 128,
            streams: 64,
            bulk_bytes: 4 << 20,
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
