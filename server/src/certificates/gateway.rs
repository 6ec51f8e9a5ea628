//! The gateway's id, which is the name of its server, and the server's certificate.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, DnsName, UnixTime};
use rustls::sign::CertifiedKey;
use webpki::{EndEntityCert, KeyUsage};

use super::authority::{self, Authority};
use super::files::{self, Kept};
use super::{Clock, END, provider};
use crate::failure::{Failure, Outcome};

const CERTIFICATE: &str = "server.pem";
const KEY: &str = "server.key";
/// For how long the server's certificate is issued, in seconds: ten years.
const LIFE: i64 = 10 * 365 * 86_400;
/// Of a part of a name between points, at most.
const LABEL_BYTES: usize = 63;
/// What a gateway is called whose host has no name that could be.
const NAMELESS: &str = "gateway";

/// The file of the server's certificate.
pub(super) fn certificate_file(directory: &Path) -> PathBuf {
    directory.join(CERTIFICATE)
}

/// The file of its key.
pub(super) fn key_file(directory: &Path) -> PathBuf {
    directory.join(KEY)
}

/// The id that a gateway has if nobody chose one: after its host.
pub(super) fn default_id() -> String {
    reduce(&sysinfo::System::host_name().unwrap_or_default())
}

/// What of a host's name may be an id.
fn reduce(host: &str) -> String {
    let first = host.split('.').next().unwrap_or_default();
    let kept: String = first.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(LABEL_BYTES).collect();
    let kept = kept.trim_matches('-').to_ascii_lowercase();
    if is_id(&kept) { kept } else { NAMELESS.to_owned() }
}

fn is_id(id: &str) -> bool {
    id.len() <= LABEL_BYTES
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !id.starts_with('-')
        && !id.ends_with('-')
        // Among others, digits alone are none: they could be an address.
        && DnsName::try_from(id).is_ok()
}

/// An id that somebody chose.
pub(super) fn check_id(id: &str) -> Outcome<String> {
    let id = id.to_ascii_lowercase();
    match is_id(&id) {
        true => Ok(id),
        false => Err(Failure::usage(format_args!(
            "gateway id {id:?}: give at most {LABEL_BYTES} letters and digits of ASCII and hyphens between them, not digits alone"
        ))),
    }
}

/// The one name in a server's certificate.
pub(super) fn id_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let mut names = certificate.valid_dns_names();
    names.next().filter(|_| names.next().is_none()).map(str::to_owned)
}

/// The server's certificate and key; `None` where either is not there.
pub(super) fn open(directory: &Path) -> Outcome<Option<CertifiedKey>> {
    let (certificate_file, key_file) = (certificate_file(directory), key_file(directory));
    let (Some(chain), Some(key)) = (files::read(&certificate_file)?, files::read(&key_file)?) else { return Ok(None) };
    let chain = files::parse(&chain, "certificate", &certificate_file)?;
    let key = files::parse_first(&key, "private key", &key_file)?;
    CertifiedKey::from_der(chain, key, &provider()).map(Some).map_err(|error| {
        Failure::failed(format_args!(
            "{} and {} do not belong together: {error}: remove both where the authority's key is, to have others made",
            certificate_file.display(),
            key_file.display()
        ))
    })
}

/// Sees to it that the server has a certificate of this id that holds for a while: for a third of its life.
pub(super) fn renew(directory: &Path, authority: Option<&Authority>, id: &str, clock: &Clock) -> Outcome {
    let now = clock.seconds();
    let present = open(directory)?;
    let names_it = present.as_ref().is_some_and(|present| present.cert.first().and_then(id_of).as_deref() == Some(id));
    // It can end no later than the authority, so then there is nothing to renew.
    let holds = |at: i64| present.as_ref().is_some_and(|present| holds(directory, present, at.min(END - 1)));
    if names_it && holds(now.saturating_add(LIFE / 3)) {
        return Ok(());
    }
    match authority {
        Some(authority) => make(directory, authority, id, now),
        None if !names_it => Err(Failure::failed(format_args!(
            "the server has no certificate for gateway {id:?}, and its authority's key is kept elsewhere: put it back as {} to have \
             one issued",
            authority::key_file(directory).display()
        ))),
        None => {
            let how = if holds(now) { "ends soon" } else { "does not hold any more: clients will refuse it" };
            tracing::warn!(
                file = %certificate_file(directory).display(),
                "the server's certificate {how}, and its authority's key, which could renew it, is kept elsewhere"
            );
            Ok(())
        }
    }
}

/// The key stays, so that one file is all that changes.
fn make(directory: &Path, authority: &Authority, id: &str, now: i64) -> Outcome {
    let key = authority::open_or_make_key(&key_file(directory))?;
    let chain = authority.certify_server(id, &key, now.saturating_add(LIFE).min(END))?;
    files::put(&certificate_file(directory), chain.as_bytes(), Kept::Open)
}

/// Whether a server's certificate is one of our authority at a time, in seconds since 1970.
fn holds(directory: &Path, present: &CertifiedKey, at: i64) -> bool {
    let Ok(authority) = authority::certificate(directory) else { return false };
    let Ok(anchor) = webpki::anchor_from_trusted_cert(&authority) else { return false };
    let Some(Ok(certificate)) = present.cert.first().map(EndEntityCert::try_from) else { return false };
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at.unsigned_abs()));
    let algorithms = provider().signature_verification_algorithms.all;
    certificate.verify_for_usage(algorithms, &[anchor], &[], at, KeyUsage::server_auth(), None, None).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_may_be_of_the_hosts_name() {
        for (host, id) in [
            ("pump-house", "pump-house"),
            ("Gw_7.example.org", "gw7"),
            ("-a-", "a"),
            ("", "gateway"),
            ("ü", "gateway"),
            ("1234", "gateway"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(reduce(host), id, "{host:?}");
        }
        assert_eq!(reduce(&"x".repeat(80)), "x".repeat(63));
    }

    #[test]
    fn what_cannot_be_an_id_is_refused() {
        assert_eq!(check_id("GW-7").unwrap(), "gw-7");
        for odd in ["", "a.b", "-a", "a-", "a b", "ä", "7", "a_b", &"x".repeat(64)] {
            assert!(check_id(odd).is_err(), "{odd:?}");
        }
    }
}
