//! Authorities of others whose certificates are believed: `trusted/ISSUER.pem`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use alluvium::{KeyHash, Principal};
use rustls::pki_types::CertificateDer;

use super::{authority, der, files, identity};
use crate::failure::{Failure, Outcome};

const DIRECTORY: &str = "trusted";
const ENDING: &str = ".pem";

/// An authority, or several under one name.
#[derive(Debug)]
pub(super) struct Trusted {
    /// What stands behind the `@` of principals.
    pub(super) issuer: String,
    /// Its certificates.
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

/// The directory of all.
pub(super) fn directory(certificates: &Path) -> PathBuf {
    certificates.join(DIRECTORY)
}

/// The file of one.
pub(super) fn file(certificates: &Path, issuer: &str) -> PathBuf {
    directory(certificates).join(format!("{issuer}{ENDING}"))
}

/// Refuses what cannot stand behind an `@`, or would be another file.
pub(super) fn check_issuer(issuer: &str) -> Outcome {
    Principal::check_name(issuer).map_err(Failure::of_request)?;
    if issuer.contains('@') || issuer.starts_with('.') {
        return Err(Failure::usage(format_args!("issuer {issuer:?}: give a name without @ that does not begin with a point")));
    }
    Ok(())
}

/// Reads the certificates of authorities.
pub(super) fn parse(content: &[u8], path: &Path) -> Outcome<Vec<CertificateDer<'static>>> {
    let certificates: Vec<CertificateDer<'static>> = files::parse(content, "certificate", path)?;
    // It would be copied to where everybody may read it.
    if memchr::memmem::find(content, b"PRIVATE KEY").is_some() {
        return Err(Failure::failed(format_args!("{} holds a private key: leave only certificates in it", path.display())));
    }
    for certificate in &certificates {
        if der::is_authority(certificate) != Ok(true) {
            return Err(Failure::failed(format_args!(
                "{} holds a certificate that is no authority's: only what certifies others can be trusted to",
                path.display()
            )));
        }
    }
    Ok(certificates)
}

/// All that are trusted, by name.
pub(super) fn all(certificates: &Path) -> Outcome<Vec<Trusted>> {
    let directory = directory(certificates);
    let failed = |error: io::Error| Failure::io("read", directory.display(), &error);
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let Some(issuer) = name.to_str().and_then(|name| name.strip_suffix(ENDING)) else { continue };
        check_issuer(issuer)?;
        let path = file(certificates, issuer);
        // One that has gone meanwhile is not trusted.
        let Some(content) = files::read(&path)? else { continue };
        all.push(Trusted { issuer: issuer.to_owned(), certificates: parse(&content, &path)? });
    }
    all.sort_by(|a, b| a.issuer.cmp(&b.issuer));
    Ok(all)
}

/// The keys of our own authority and of others than `issuer`, and whose they are.
pub(super) fn known(certificates: &Path, issuer: &str) -> Outcome<Vec<(String, KeyHash)>> {
    let mut known = vec![("our own".to_owned(), key(&authority::certificate(certificates)?)?)];
    for other in all(certificates)?.into_iter().filter(|other| other.issuer != issuer) {
        for certificate in &other.certificates {
            known.push((format!("that of {}", other.issuer), key(certificate)?));
        }
    }
    Ok(known)
}

/// The hash of the key of an authority.
pub(super) fn key(certificate: &CertificateDer<'_>) -> Outcome<KeyHash> {
    identity::key(certificate).map_err(Failure::failed)
}
