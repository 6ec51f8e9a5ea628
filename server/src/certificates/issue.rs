//! Certificates for clients: of a new key, or of one that a device made and keeps.

use std::path::Path;

use alluvium::{Certificate, KeyHash, Principal};
use rcgen::{CertificateParams, CertificateSigningRequestParams, KeyPair, PublicKey, PublicKeyData};
use rustls::pki_types::CertificateSigningRequestDer;

use super::authority::{self, Authority};
use super::{BEGIN, Clock, END, der, files};
use crate::failure::{Failure, Outcome};

const DAY_SECONDS: i64 = 86_400;

/// Whose key is certified.
#[derive(Debug)]
pub(crate) enum Subject {
    /// A new one, which goes to whoever asked.
    Fresh(Box<KeyPair>),
    /// One of a signing request.
    Requested(PublicKey),
}

/// A certificate for a client.
#[derive(Debug)]
pub(crate) struct Issued {
    /// What the engine keeps of it.
    pub(crate) certificate: Certificate,
    /// It and our authority's, in PEM.
    pub(crate) chain: String,
    /// Its key, in PEM; `None` if it was requested, for then only the device has it.
    pub(crate) private_key: Option<String>,
}

impl Subject {
    /// A new key.
    pub(crate) fn fresh() -> Outcome<Self> {
        authority::make_key().map(|key| Subject::Fresh(Box::new(key)))
    }

    /// The key of a signing request in PEM. Whoever made the request has to have it; of what it asks for nothing is heeded.
    pub(crate) fn requested(request: &[u8], path: &Path) -> Outcome<Self> {
        let refused = |why: &dyn std::fmt::Display| {
            Failure::failed(format_args!(
                "cannot certify the key in {}: {why}: make a plain request, as with `openssl req -new -key KEY -subj /CN=NAME`",
                path.display()
            ))
        };
        let request: CertificateSigningRequestDer<'static> = files::parse_first(request, "signing request", path)?;
        let key = CertificateSigningRequestParams::from_der(&request).map_err(|error| refused(&error))?.public_key;
        // The kind of key is guessed from the kind of signature. Where the two do not belong together, it is another key.
        if der::requested_key(&request) != Ok(&key.subject_public_key_info()) {
            return Err(refused(&"keys are ECDSA over P-256 with SHA-256 or P-384 with SHA-384, Ed25519, or RSA"));
        }
        Ok(Subject::Requested(key))
    }

    /// A new key, and a request in PEM to have it certified elsewhere.
    pub(crate) fn to_request() -> Outcome<(String, String)> {
        let key = authority::make_key()?;
        let request = CertificateParams::default().serialize_request(&key).and_then(|request| request.pem());
        Ok((
            key.serialize_pem(),
            request.map_err(|error| Failure::failed(format_args!("cannot make a signing request: {error}")))?,
        ))
    }

    /// The hash of the key.
    pub(crate) fn key(&self) -> KeyHash {
        KeyHash::of(&match self {
            Subject::Fresh(key) => key.subject_public_key_info(),
            Subject::Requested(key) => key.subject_public_key_info(),
        })
    }
}

impl Authority {
    /// Certifies that a key is a principal's, for so many days from now.
    pub(crate) fn issue(&self, name: &str, subject: &Subject, days: u32, clock: &Clock) -> Outcome<Issued> {
        check_name(name)?;
        let not_after = clock.seconds().saturating_add(i64::from(days) * DAY_SECONDS);
        if not_after > END {
            return Err(Failure::usage(format_args!(
                "{days} days are longer than the authority, which ends with 2059: give fewer"
            )));
        }
        let (chain, private_key) = match subject {
            Subject::Fresh(key) => (self.certify_client(name, &**key, not_after)?, Some(key.serialize_pem())),
            Subject::Requested(key) => (self.certify_client(name, key, not_after)?, None),
        };
        let (principal, key) = (name.to_owned(), subject.key());
        let certificate = Certificate { key, principal, not_before: BEGIN, not_after, revoked_at: None };
        Ok(Issued { certificate, chain, private_key })
    }
}

/// Refuses names that are nobody's, or another authority's.
fn check_name(name: &str) -> Outcome {
    Principal::check_name(name).map_err(Failure::of_request)?;
    if name.contains('@') {
        return Err(Failure::usage(format_args!(
            "{name:?} is known by a certificate of another authority, the one behind the @: have it issued there"
        )));
    }
    Ok(())
}
