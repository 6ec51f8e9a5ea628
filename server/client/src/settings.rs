//! How a client finds its server, and what it allows it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How to reach a server, and who to be there.
///
/// ```
/// use alluvium_client::{Pem, Settings};
///
/// let pem = |path: &str| Pem::File(path.into());
/// let mut settings = Settings::new("gateway-7", "gateway.local:7443", pem("ca.pem"), pem("pump.pem"), pem("pump.key"));
/// settings.agent = "pump 1.4".into();
/// settings.limits.frame_bytes = 1 << 20;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The server's name: its gateway's id, which has to be in its certificate as a DNS name, whatever its address.
    pub name: String,
    /// Where it is, as `host:port`. The host is resolved anew at each attempt.
    pub address: String,
    /// The certificate of the CA that the server's is to be signed by; several may be there.
    pub authority: Pem,
    /// This client's certificate, and those between it and the server's CA.
    pub chain: Pem,
    /// The key of this client's certificate.
    pub key: Pem,
    /// What this client is, for the server's log: at most 128 bytes.
    pub agent: String,
    /// What it allows the server, and itself.
    pub limits: Limits,
}

impl Settings {
    /// With default limits, and this crate as the agent.
    pub fn new(name: impl Into<String>, address: impl Into<String>, authority: Pem, chain: Pem, key: Pem) -> Self {
        let agent = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned();
        let limits = Limits::default();
        Settings { name: name.into(), address: address.into(), authority, chain, key, agent, limits }
    }
}

/// Certificates or a key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// As they are.
    Bytes(Vec<u8>),
    /// In a file. It is read anew at each attempt to connect, so that certificates may be renewed in its place.
    File(PathBuf),
}

impl fmt::Debug for Pem {
    /// Never shows a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pem::Bytes(bytes) => write!(f, "Pem::Bytes({} bytes)", bytes.len()),
            Pem::File(path) => write!(f, "Pem::File({path:?})"),
        }
    }
}

/// Sizes and times. The defaults are for a device of little memory on a slow link.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of payload of a frame from the server, at most; less if the server says so.
    pub frame_bytes: usize,
    /// Bytes of one batch of an answer, and of all its dictionaries together.
    pub answer_bytes: usize,
    /// Bytes of one stream that were received and not taken yet: how far the server reads ahead of whoever takes an answer. Each
    /// answer that is open holds so much at most.
    pub stream_bytes: u32,
    /// Within which time a handshake and a greeting have to be done.
    pub handshake: Duration,
    /// Within which time the server has to answer that a writer may go on.
    pub answer: Duration,
    /// How long the server may be silent before the connection counts as lost. A third of it is how often it is asked for a sign.
    pub idle: Duration,
    /// The longest wait after the first failure to connect. It doubles with each.
    pub first_retry: Duration,
    /// The longest wait of all.
    pub longest_retry: Duration,
    /// The longest wait where no retry mends it, but perhaps somebody.
    pub slow_retry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            frame_bytes: 8 << 20,
            answer_bytes: 32 << 20,
            stream_bytes: 512 << 10,
            handshake: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            first_retry: Duration::from_millis(200),
            longest_retry: Duration::from_secs(30),
            slow_retry: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_shown() {
        assert_eq!(format!("{:?}", Pem::Bytes(b"secret".to_vec())), "Pem::Bytes(6 bytes)");
    }
}
