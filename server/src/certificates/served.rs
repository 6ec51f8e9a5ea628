//! The certificate that the server shows, and how it shakes hands.

use std::path::Path;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};

use super::{Clock, Judge, gateway, provider};
use crate::failure::{Failure, Outcome};

/// What the server shows to whoever connects. It may be exchanged meanwhile.
#[derive(Debug)]
pub(super) struct Served(RwLock<Arc<CertifiedKey>>);

impl Served {
    /// What is there.
    pub(super) fn open(directory: &Path) -> Outcome<Served> {
        read(directory).map(|key| Served(RwLock::new(Arc::new(key))))
    }

    /// From now on what is there now.
    pub(super) fn reload(&self, directory: &Path) -> Outcome {
        let key = read(directory)?;
        *self.0.write() = Arc::new(key);
        Ok(())
    }

    /// The gateway's id, as it is shown.
    pub(super) fn gateway(&self) -> Option<String> {
        self.0.read().cert.first().and_then(gateway::id_of)
    }
}

fn read(directory: &Path) -> Outcome<CertifiedKey> {
    gateway::open(directory)?.ok_or_else(|| {
        Failure::failed(format_args!(
            "there is no server's certificate, or not its key, in {}: `alluvium serve` makes them where the authority's key is",
            directory.display()
        ))
    })
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

/// The same for people and tools, who have no certificates but tokens.
pub(super) fn https_config(served: Arc<Served>) -> Outcome<ServerConfig> {
    let mut config = builder()?.with_no_client_auth().with_cert_resolver(served);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(without_resumption(config))
}

/// How whoever trusts one authority shakes hands with a server of HTTPS.
pub(super) fn client_config(authority: CertificateDer<'static>) -> Outcome<ClientConfig> {
    let failed = |error: &dyn std::fmt::Display| Failure::failed(format_args!("cannot set up TLS 1.3: {error}"));
    let mut roots = RootCertStore::empty();
    roots.add(authority).map_err(|error| failed(&error))?;
    let builder = ClientConfig::builder_with_details(provider(), Arc::new(KnownTime(Clock::new(None))));
    let builder = builder.with_protocol_versions(&[&TLS13]).map_err(|error| failed(&error))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The time by which a client judges: never one before this was written.
#[derive(Debug)]
struct KnownTime(Clock);

impl TimeProvider for KnownTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0.unix())
    }
}

/// TLS 1.3 and nothing before it, no early data, which could be repeated by others, and nothing kept to resume: every connection is
/// judged anew.
pub(super) fn config(served: Arc<Served>, judge: Arc<Judge>) -> Outcome<ServerConfig> {
    let mut config = builder()?.with_client_cert_verifier(judge).with_cert_resolver(served);
    config.alpn_protocols = vec![alluvium_protocol::ALPN.to_vec()];
    Ok(without_resumption(config))
}

fn builder() -> Outcome<ConfigBuilder<ServerConfig, WantsVerifier>> {
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13]);
    builder.map_err(|error| Failure::failed(format_args!("cannot set up TLS 1.3: {error}")))
}

fn without_resumption(mut config: ServerConfig) -> ServerConfig {
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config
}
