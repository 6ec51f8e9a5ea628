//! Whom a certificate names.

use std::fmt;
use std::sync::Arc;

use alluvium::{KeyHash, Principal};
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, OtherError};

use super::der;

/// What stands before the name of a principal in a certificate.
pub(super) const SCHEME: &str = "alluvium:";

/// Whom a certificate names, and by which key they are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The principal: `NAME`, or `NAME@ISSUER` by an authority of others.
    pub(crate) principal: String,
    /// The hash of their key.
    pub(crate) key: KeyHash,
    /// Whose authority says so; `None` if it is our own.
    pub(crate) issuer: Option<String>,
}

/// Why nobody is known by a certificate.
#[derive(Clone, PartialEq)]
pub(crate) enum Unfit {
    /// It does not hold: not now, or by no authority that is known.
    NotHeld(rustls::Error),
    /// It is not encoded as it has to be.
    Broken,
    /// It has no URI among its names.
    NoName,
    /// It has so many.
    SeveralNames(usize),
    /// Its URI is another than `alluvium:NAME`.
    OtherScheme(String),
    /// Its name cannot be a principal's.
    WrongName(String),
    /// It is by our own authority and names somebody whom only another's could.
    NotOurs(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::NotHeld(error) => write!(f, "{error}"),
            Unfit::Broken => write!(f, "the certificate is not encoded as it has to be: have another issued"),
            Unfit::NoName => {
                write!(f, "the certificate has no URI among its alternative names, and has to have one: {SCHEME}NAME")
            }
            Unfit::SeveralNames(count) => {
                write!(f, "the certificate has {count} URIs among its alternative names, and has to have one: {SCHEME}NAME")
            }
            Unfit::OtherScheme(uri) => {
                write!(f, "the certificate has the URI {uri:?} among its alternative names, and has to have {SCHEME}NAME")
            }
            Unfit::WrongName(why) => write!(f, "the certificate names nobody that could be: {why}"),
            Unfit::NotOurs(name) => write!(f, "the certificate names {name:?}, which only another's authority could"),
        }
    }
}

/// In words as well: of an error in a handshake, this is all that the log is told.
impl fmt::Debug for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Unfit {}

impl From<der::Broken> for Unfit {
    fn from(_: der::Broken) -> Self {
        Unfit::Broken
    }
}

impl From<Unfit> for rustls::Error {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::NotHeld(error) => error,
            Unfit::Broken => CertificateError::BadEncoding.into(),
            other => CertificateError::Other(OtherError(Arc::new(other))).into(),
        }
    }
}

/// Whom a certificate names that an authority issued: `issuer`, or our own.
pub(super) fn of(certificate: &CertificateDer<'_>, issuer: Option<&str>) -> Result<Identity, Unfit> {
    let principal = name(certificate, issuer)?;
    Ok(Identity { principal, key: key(certificate)?, issuer: issuer.map(str::to_owned) })
}

/// The hash of the key of a certificate.
pub(super) fn key(certificate: &CertificateDer<'_>) -> Result<KeyHash, Unfit> {
    let certificate = webpki::EndEntityCert::try_from(certificate).map_err(|_| Unfit::Broken)?;
    Ok(KeyHash::of(&certificate.subject_public_key_info()))
}

fn name(certificate: &[u8], issuer: Option<&str>) -> Result<String, Unfit> {
    let uri = match der::uris(certificate)?[..] {
        [] => return Err(Unfit::NoName),
        [uri] => uri,
        ref several => return Err(Unfit::SeveralNames(several.len())),
    };
    let uri = String::from_utf8_lossy(uri);
    let name = uri.strip_prefix(SCHEME).ok_or_else(|| Unfit::OtherScheme(uri.clone().into_owned()))?;
    // Alone as well: nothing is a name only by what is put behind it.
    check(name)?;
    match issuer {
        Some(issuer) => {
            let name = format!("{name}@{issuer}");
            check(&name).map(|()| name)
        }
        None if name.contains('@') => Err(Unfit::NotOurs(name.to_owned())),
        None => Ok(name.to_owned()),
    }
}

fn check(name: &str) -> Result<(), Unfit> {
    Principal::check_name(name).map_err(|error| Unfit::WrongName(error.to_string()))
}
