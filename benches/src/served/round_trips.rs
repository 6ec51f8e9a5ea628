//! How long a request takes, beside a bare echo over QUIC.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_protocol::message::{Call, Message};
use alluvium_tests::wire::Wire;
use anyhow::{Context, Result};
use quinn::Connection;
use quinn::crypto::rustls::QuicServerConfig;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::percentile;

/// Requests one after another.
const REQUESTS: usize = 5_000;
/// Requests a second at a steady rate, and for how many seconds.
const RATE: u64 = 1_000;
const SECONDS: u64 = 5;

/// Median of requests one after another, and the 99th percentile at a steady rate.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) median: Duration,
    pub(super) p99: Duration,
}

/// An echo that runs in threads of its own until it is dropped.
pub(super) struct Echo {
    pub(super) at: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Echo {
    /// With as many threads as the server has.
    pub(super) fn start() -> Result<Echo> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let endpoint = runtime.block_on(async {
            let made = rcgen::generate_simple_self_signed(["server".to_owned()])?;
            let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
            let builder = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
            let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?.with_no_client_auth();
            let mut tls = builder.with_single_cert(vec![made.cert.der().clone()], key.into())?;
            tls.alpn_protocols = vec![alluvium_protocol::ALPN.to_vec()];
            let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
            anyhow::Ok(quinn::Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into())?)
        })?;
        let at = endpoint.local_addr()?;
        runtime.spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                tokio::spawn(async move {
                    let Ok(connection) = incoming.await else { return };
                    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                        tokio::spawn(async move {
                            let bytes = receive.read_to_end(1 << 20).await.unwrap_or_default();
                            let _ = send.write_all(&bytes).await;
                            let _ = send.finish();
                        });
                    }
                });
            }
        });
        Ok(Echo { at, _runtime: runtime })
    }

    /// Of as many bytes as a request has.
    pub(super) fn times(&self) -> Result<Times> {
        measure(self.at, false)
    }
}

/// Of looking up a key-value pair.
pub(super) fn requests(at: SocketAddr) -> Result<Times> {
    measure(at, true)
}

fn measure(at: SocketAddr, is_server: bool) -> Result<Times> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (wire, _greeting) = if is_server {
            let (wire, greeting, _) = Wire::connect(at, None).await?;
            wire.call("PUT", "/kv/pump", &json!({ "value": "on" })).await;
            (wire, Some(greeting))
        } else {
            (Wire::dial(at, None).await?, None)
        };
        let mut request = Vec::new();
        Call { method: "GET".to_owned(), path: "/kv/pump".to_owned(), body: Vec::new() }.frame()?.write(&mut request)?;
        let request = Arc::new(request);
        let mut times = Vec::with_capacity(REQUESTS);
        for _ in 0..REQUESTS {
            times.push(once(&wire.connection, &request).await?);
        }
        let median = percentile(&mut times, 50).context("no times")?;
        let mut beats = interval(Duration::from_micros(1_000_000 / RATE));
        beats.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut under_way = Vec::new();
        for _ in 0..RATE * SECONDS {
            let (due, connection, request) = (beats.tick().await, wire.connection.clone(), request.clone());
            // From when it was due, so that one that is late because of another counts as late.
            under_way.push(tokio::spawn(async move { once(&connection, &request).await.map(|_| due.elapsed()) }));
        }
        let mut times = Vec::with_capacity(under_way.len());
        for one in under_way {
            times.push(one.await??);
        }
        Ok(Times { median, p99: percentile(&mut times, 99).context("no times")? })
    })
}

async fn once(connection: &Connection, request: &[u8]) -> Result<Duration> {
    let began = Instant::now();
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(request).await?;
    send.finish()?;
    receive.read_to_end(1 << 20).await?;
    Ok(began.elapsed())
}
