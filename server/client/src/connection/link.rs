//! One connection: from its address to its greeting.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use alluvium_protocol::frame::BULK_BYTES;
use alluvium_protocol::greeting::Terms;
use alluvium_protocol::message::{Hello, Welcome};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, VarInt};
use tokio::time::timeout;

use crate::state::Peer;
use crate::stream::{Reader, Writer};
use crate::{Error, Result, Settings, tls};

const CONNECTING: &str = "connecting";
const GREETING: &str = "greeting";
/// Codes of QUIC errors that are alerts of TLS.
const ALERTS: std::ops::Range<u64> = 0x100..0x200;

/// A connection that was greeted.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: Connection,
    pub(crate) peer: Peer,
    /// Bytes of payload of a bulk frame that the server takes, and that it is to send.
    pub(crate) bulk_bytes: usize,
    frame_bytes: usize,
    endpoint: Endpoint,
    /// Stays open as long as the connection.
    _greeting: (Writer, Reader),
}

impl Link {
    /// Connects to the first address of the server that answers.
    pub(crate) async fn connect(settings: &Settings) -> Result<Link> {
        let config = config(settings).await?;
        let unreachable = |detail: String| Error::Unreachable { address: settings.address.clone(), detail };
        let found = timeout(settings.limits.handshake, tokio::net::lookup_host(&settings.address)).await;
        let found = found.map_err(|_| unreachable("its name was not resolved in time".to_owned()))?;
        let found = found.map_err(|error| unreachable(error.to_string()))?;
        let mut last = unreachable("its name has no address".to_owned());
        for address in found {
            match timeout(settings.limits.handshake, attempt(settings, config.clone(), address)).await {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(error)) => last = error,
                Err(_) => last = unreachable(format!("no answer from {address} in time")),
            }
        }
        Err(last)
    }

    /// A stream of its own.
    pub(crate) async fn stream(&self, doing: &'static str) -> Result<(Writer, Reader)> {
        let opened = self.connection.open_bi().await;
        let (send, receive) = opened.map_err(|error| Error::connection(doing, &error))?;
        Ok((Writer::new(send, doing), Reader::new(receive, self.frame_bytes, doing)))
    }

    /// Resolves once the connection is lost, with how.
    pub(crate) async fn lost(&self) -> Error {
        Error::connection("keeping it", &self.connection.closed().await)
    }

    /// Closes it, and tells the server.
    pub(crate) async fn close(&self) {
        self.connection.close(VarInt::from_u32(0), b"");
        self.endpoint.wait_idle().await;
    }
}

async fn config(settings: &Settings) -> Result<ClientConfig> {
    let settings = settings.clone();
    let reading = tokio::task::spawn_blocking(move || tls::config(&settings));
    reading.await.map_err(|error| Error::settings(format!("reading certificates: {error}")))?
}

async fn attempt(settings: &Settings, config: ClientConfig, address: SocketAddr) -> Result<Link> {
    let any = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let unreachable = |detail: String| Error::Unreachable { address: address.to_string(), detail };
    let endpoint = Endpoint::client(any).map_err(|error| unreachable(error.to_string()))?;
    let connecting = endpoint.connect_with(config, address, &settings.name);
    let connecting = connecting.map_err(|error| unreachable(error.to_string()))?;
    let refused = |error: &ConnectionError| refused(settings, address, error);
    let connection = connecting.await.map_err(|error| refused(&error))?;
    // The server looks at this client's certificate after the client believes the handshake done.
    greet(settings, endpoint, connection.clone()).await.map_err(|error| match connection.close_reason() {
        Some(reason) if matches!(error, Error::Lost { .. }) => refused(&reason),
        _ => error,
    })
}

async fn greet(settings: &Settings, endpoint: Endpoint, connection: Connection) -> Result<Link> {
    let opened = connection.open_bi().await.map_err(|error| Error::connection(GREETING, &error))?;
    let (mut writer, mut reader) = (Writer::new(opened.0, GREETING), Reader::new(opened.1, 0, GREETING));
    let ours = Terms::OURS;
    writer.message(&Hello { minor: ours.minor, features: ours.features, agent: settings.agent.clone() }).await?;
    let welcome: Welcome = reader.expect().await?;
    ours.accept(&welcome).map_err(|failed| Error::Failed { doing: GREETING, failed })?;
    let bulk_bytes = (welcome.bulk_bytes as usize).min(BULK_BYTES);
    let frame_bytes = bulk_bytes.min(settings.limits.frame_bytes);
    let Welcome { gateway, principal, wall_micros, .. } = welcome;
    let peer = Peer { address: connection.remote_address(), gateway, principal, wall_micros };
    Ok(Link { connection, peer, bulk_bytes, frame_bytes, endpoint, _greeting: (writer, reader) })
}

/// Why there is no connection.
fn refused(settings: &Settings, address: SocketAddr, error: &ConnectionError) -> Error {
    let code = match error {
        ConnectionError::TransportError(error) => Some(error.code),
        ConnectionError::ConnectionClosed(close) => Some(close.error_code),
        _ => None,
    };
    let is_alert = code.is_some_and(|code| ALERTS.contains(&u64::from(code)));
    let (address, detail) = (address.to_string(), error.to_string());
    match error {
        ConnectionError::ApplicationClosed(_) => Error::connection(CONNECTING, error),
        ConnectionError::VersionMismatch => Error::Handshake { name: settings.name.clone(), address, detail },
        _ if is_alert => Error::Handshake { name: settings.name.clone(), address, detail },
        _ => Error::Unreachable { address, detail },
    }
}
