//! Connections.

use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::of_connection;
use super::options::Resolved;
use super::{Error, Options, tls};

/// Where connections are made.
pub(super) struct Door {
    resolved: Resolved,
    tls: MakeRustlsConnect,
}

impl Door {
    pub(super) fn new(options: &Options) -> Result<Door, Error> {
        let resolved = options.resolve()?;
        let tls = tls::connector(resolved.tls, &resolved.roots)?;
        Ok(Door { resolved, tls })
    }

    pub(super) fn options(&self) -> &Options {
        &self.resolved.options
    }

    /// A connection to a server that takes writes. It ends when the client is dropped.
    pub(super) async fn open(&self) -> Result<Client, Error> {
        let config = self.resolved.config()?;
        let most = self.options().connect_timeout;
        let opened = timeout(most, config.connect(self.tls.clone())).await;
        let late = |_| Error::Unreachable(format!("no connection within {} s", most.as_secs_f32()));
        let (client, connection) = opened.map_err(late)?.map_err(|error| of_connection(&error))?;
        // Its errors are those of the statements under way.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}
