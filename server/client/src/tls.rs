//! TLS as the protocol wants it: version 1.3, both sides with certificates, nothing resumed, nothing sent early.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, IdleTimeout, TransportConfig, VarInt};
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, UnixTime};
use rustls::time_provider::TimeProvider;

use crate::settings::{Limits, Pem};
use crate::{Error, Result, Settings};

/// When this was written, in seconds since 1970: 1 January 2026. No clock that is right shows less.
const BUILT: Duration = Duration::from_secs(1_767_225_600);
/// Bytes on the way to the server.
const SENT_BYTES: u64 = 1 << 20;

/// The clock by which certificates are judged. Devices boot in 1970, and certificates were made later.
#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(judged_at(SystemTime::now())))
    }
}

fn judged_at(clock: SystemTime) -> Duration {
    clock.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().max(BUILT)
}

/// How to connect, with what files hold now. Blocks while they are read.
pub(crate) fn config(settings: &Settings) -> Result<ClientConfig> {
    check(settings)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates("the CA certificate", &settings.authority)? {
        roots.add(certificate).map_err(|error| unusable("the CA certificate", &error))?;
    }
    let chain = certificates("this client's certificate", &settings.chain)?;
    let key = PrivateKeyDer::from_pem_slice(&read("this client's key", &settings.key)?);
    let key = key.map_err(|error| unusable("this client's key", &error))?;
    let tls = rustls::ClientConfig::builder_with_details(Arc::new(ring::default_provider()), Arc::new(Clock))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Error::settings(format!("TLS 1.3: {error}")))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key);
    let mut tls = tls.map_err(|error| unusable("this client's certificate and key", &error))?;
    tls.alpn_protocols = vec![alluvium_protocol::ALPN.to_vec()];
    tls.resumption = Resumption::disabled();
    tls.enable_early_data = false;
    let tls = QuicClientConfig::try_from(tls).map_err(|error| Error::settings(format!("TLS for QUIC: {error}")))?;
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport(&settings.limits)?));
    Ok(config)
}

fn check(settings: &Settings) -> Result<()> {
    if DnsName::try_from(settings.name.as_str()).is_err() {
        return Err(Error::settings(format!("the server's name {:?} is no DNS name: give the gateway's id", settings.name)));
    }
    if settings.agent.len() > 128 {
        return Err(Error::settings(format!("the agent has {} bytes, the limit is 128", settings.agent.len())));
    }
    let Limits { handshake, answer, idle, first_retry, longest_retry, slow_retry, .. } = settings.limits;
    if [handshake, answer, idle, first_retry, longest_retry, slow_retry].contains(&Duration::ZERO) {
        return Err(Error::settings("a limit of no time at all: each has to be longer"));
    }
    match settings.address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(()),
        _ => Err(Error::settings(format!("the address {:?} is not of the form host:port", settings.address))),
    }
}

fn transport(limits: &Limits) -> Result<TransportConfig> {
    let idle = IdleTimeout::try_from(limits.idle).map_err(|_| Error::settings("the idle time is too long"))?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(limits.stream_bytes.into())
        // Each stream has its own bound. One of all together would be used up by answers that nobody takes, and hold up the others.
        .receive_window(VarInt::MAX)
        .send_window(SENT_BYTES)
        .keep_alive_interval(Some(limits.idle / 3))
        .max_idle_timeout(Some(idle));
    Ok(transport)
}

fn read(what: &'static str, pem: &Pem) -> Result<Vec<u8>> {
    match pem {
        Pem::Bytes(bytes) => Ok(bytes.clone()),
        Pem::File(path) => std::fs::read(path).map_err(|error| unusable(what, &format_args!("{}: {error}", path.display()))),
    }
}

fn certificates(what: &'static str, pem: &Pem) -> Result<Vec<CertificateDer<'static>>> {
    let read = read(what, pem)?;
    let found = CertificateDer::pem_slice_iter(&read).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| unusable(what, &error))?;
    if found.is_empty() { Err(unusable(what, &"there is no certificate in this PEM")) } else { Ok(found) }
}

fn unusable(what: &'static str, detail: &dyn std::fmt::Display) -> Error {
    Error::Certificate { what, detail: detail.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_counts_for_nothing() {
        assert_eq!(judged_at(SystemTime::UNIX_EPOCH), BUILT);
        assert_eq!(judged_at(SystemTime::UNIX_EPOCH - Duration::from_secs(5)), BUILT);
        let later = BUILT + Duration::from_secs(5);
        assert_eq!(judged_at(SystemTime::UNIX_EPOCH + later), later);
    }

    #[test]
    fn settings_that_cannot_be_are_refused() {
        let nothing = || Pem::Bytes(Vec::new());
        let refused = |name: &str, address: &str| {
            let settings = Settings::new(name, address, nothing(), nothing(), nothing());
            config(&settings).unwrap_err().to_string()
        };
        assert!(refused("not a name", "host:1").contains("no DNS name"));
        assert!(refused("gateway", "host").contains("host:port"));
        assert!(refused("gateway", "host:70000").contains("host:port"));
        assert!(refused("gateway", "host:1").contains("there is no certificate"));
        let mut settings = Settings::new("gateway", "host:1", nothing(), nothing(), nothing());
        settings.agent = "x".repeat(129);
        assert!(config(&settings).unwrap_err().to_string().contains("129 bytes"));
        settings.agent.clear();
        settings.limits.first_retry = Duration::ZERO;
        assert!(config(&settings).unwrap_err().to_string().contains("no time at all"));
        settings.limits.first_retry = Duration::from_millis(1);
        settings.authority = Pem::File("/nowhere/ca.pem".into());
        assert!(config(&settings).unwrap_err().to_string().contains("/nowhere/ca.pem"));
    }
}
