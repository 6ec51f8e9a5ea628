//! A client of Alluvium's server: what devices and tools link in, without engine or server. `server/PROTOCOL.md` describes what is
//! said on the wire.
//!
//! A [`Client`] keeps a connection, and makes it anew whenever it is lost. A [`Writer`] sends rows, each batch once in effect, from a
//! buffer in memory or from a file that survives a restart of the device. A [`Query`] is answered by [`Rows`], read no
//! faster than they are taken. All else is a [call](Client::call).
//!
//! ```no_run
//! use alluvium_client::rows::{FieldKind, Value};
//! use alluvium_client::{Client, Pem, Query, Settings, TableSpec, WriterSettings};
//!
//! # async fn run() -> Result<(), alluvium_client::Error> {
//! let pem = |path: &str| Pem::File(path.into());
//! let settings = Settings::new("gateway-7", "10.0.0.7:7443", pem("ca.pem"), pem("pump.pem"), pem("pump.key"));
//! let client = Client::connect(settings).await?;
//!
//! let writer = client.writer(WriterSettings::disk("/var/lib/pump/queue")).await?;
//! let air = writer.table(TableSpec::new("air").tag("room").field("kw", FieldKind::Float64).create(true))?;
//! let mut rows = air.rows();
//! rows.row(1_700_000_000_000_000, &[Some("A")], &[Some(Value::Float64(3.5))])?;
//! let mut receipt = writer.append(&air, &rows.finish()).await?;
//! receipt.durable().await?;
//!
//! let mut rows = client.query(&Query { table: "air".into(), ..Query::default() }).await?;
//! while let Some(batch) = rows.next().await {
//!     println!("{} rows", batch?.num_rows());
//! }
//! # Ok(())
//! # }
//! ```

mod backoff;
mod call;
mod client;
mod connection;
mod error;
mod lock;
mod query;
mod queue;
mod settings;
mod state;
mod stream;
mod tls;
mod writer;

pub use alluvium_protocol::message::{self, Query};
pub use alluvium_protocol::{code, frame, rows};
pub use call::Answer;
pub use client::Client;
pub use error::{Error, Result};
pub use query::Rows;
pub use settings::{Limits, Pem, Settings};
pub use state::{Peer, State};
pub use writer::{Keep, OnRefusal, Receipt, Refusal, Table, TableSpec, TimeUnit, Writer, WriterSettings};
