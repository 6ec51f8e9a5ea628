//! The client.

use std::sync::Arc;

use alluvium_protocol::message::{Call, Query};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connection::{Core, keep};
use crate::lock::lock;
use crate::writer::{Writer, WriterSettings};
use crate::{Answer, Error, Peer, Result, Rows, Settings, State, tls};

/// A client of one server. It keeps a connection, and makes it anew by itself whenever it is lost. Clones share it; it ends with the
/// last of them and of its writers.
///
/// ```no_run
/// # async fn run() -> Result<(), alluvium_client::Error> {
/// use alluvium_client::{Client, Pem, Settings};
///
/// let pem = |path: &str| Pem::File(path.into());
/// let settings = Settings::new("gateway-7", "10.0.0.7:7443", pem("ca.pem"), pem("pump.pem"), pem("pump.key"));
/// let client = Client::connect(settings).await?;
/// println!("taken for {}", client.connected().await?.principal);
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    core: Arc<Core>,
    keeper: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(keeper) = lock(&self.keeper).take() {
            keeper.abort();
        }
    }
}

impl Client {
    /// A client that connects from now on. It does not wait until it has: a device may begin to write before there is a network;
    /// [`connected`](Client::connected) waits.
    ///
    /// Refuses settings that cannot be and certificates that cannot be read. Needs a tokio runtime with time and I/O.
    pub async fn connect(settings: Settings) -> Result<Client> {
        let runtime = Handle::try_current().map_err(|error| Error::settings(format!("run this within tokio: {error}")))?;
        let checked = settings.clone();
        let checking = runtime.spawn_blocking(move || tls::config(&checked));
        checking.await.map_err(|error| Error::settings(format!("reading certificates: {error}")))??;
        let core = Arc::new(Core::new(settings));
        let keeper = runtime.spawn(keep(core.clone()));
        Ok(Client(Arc::new(Kept { core, keeper: Some(keeper).into() })))
    }

    /// Tells how the client stands with its server, now and whenever that changes.
    pub fn state(&self) -> watch::Receiver<State> {
        self.0.core.state()
    }

    /// Waits for a connection, and answers whose it is. Fails if somebody has to mend something first, or if the client is closed.
    pub async fn connected(&self) -> Result<Peer> {
        Ok(self.0.core.link().await?.peer.clone())
    }

    /// A writer of rows. Give each that runs at a time a queue of its own.
    ///
    /// Fails where its queue file cannot be read, is damaged, or is in use.
    pub async fn writer(&self, settings: WriterSettings) -> Result<Writer> {
        Writer::start(self.clone(), self.0.core.clone(), settings).await
    }

    /// Asks for rows, aggregates or last values. Waits for a connection as [`connected`](Client::connected) does.
    ///
    /// ```no_run
    /// # async fn run(client: alluvium_client::Client) -> Result<(), alluvium_client::Error> {
    /// use alluvium_client::Query;
    ///
    /// let query = Query { table: "air".into(), functions: vec!["max".into()], every: "1h".into(), ..Query::default() };
    /// let mut rows = client.query(&query).await?;
    /// println!("{}", rows.schema().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn query(&self, query: &Query) -> Result<Rows> {
        let link = self.0.core.link().await?;
        Rows::ask(&link, query, self.0.core.settings.limits.answer_bytes).await
    }

    /// Asks for anything else: a method and a path below `/api/v1` as `server/PROTOCOL.md` lists them, and a body of JSON, or none.
    /// Waits for a connection as [`connected`](Client::connected) does. Nothing is sent twice: where the connection is lost
    /// meanwhile, whether it was done is not known.
    pub async fn call(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Answer> {
        let link = self.0.core.link().await?;
        Answer::ask(&link, &Call { method: method.to_owned(), path: path.to_owned(), body }).await
    }

    /// Closes the connection and makes no other. What writers keep stays kept; close them first.
    pub async fn close(&self) {
        self.0.core.close();
        let keeper = lock(&self.0.keeper).take();
        if let Some(keeper) = keeper {
            // A panic of it was reported.
            let _ = keeper.await;
        }
    }
}
