//! The gateway's own authority: its certificate, and the key with which it certifies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alluvium::KeyHash;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::files::{self, Kept};
use super::{BEGIN, END, identity, provider};
use crate::failure::{Failure, Outcome};

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";
/// Bytes of a serial number, which is random.
const SERIAL_BYTES: usize = 16;
/// Digits of its key's hash in the name of an authority, so that no two have the same.
const NAME_DIGITS: usize = 16;

/// An authority whose key is there.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// The file of the authority's certificate.
pub(super) fn certificate_file(directory: &Path) -> PathBuf {
    directory.join(CERTIFICATE)
}

/// The file of its key.
pub(super) fn key_file(directory: &Path) -> PathBuf {
    directory.join(KEY)
}

/// The authority's certificate, as it is in its file.
pub(super) fn pem(directory: &Path) -> Outcome<String> {
    let path = certificate_file(directory);
    let content = files::read(&path)?.ok_or_else(|| {
        Failure::failed(format_args!(
            "there is no {}: the first certificate makes it, see `alluvium cert issue --help`",
            path.display()
        ))
    })?;
    String::from_utf8(content)
        .map_err(|_| Failure::failed(format_args!("{} is no text: bring it back as it was", path.display())))
}

/// The authority's certificate.
pub(super) fn certificate(directory: &Path) -> Outcome<CertificateDer<'static>> {
    files::parse_first(pem(directory)?.as_bytes(), "certificate", &certificate_file(directory))
}

impl Authority {
    /// The authority that is there; `None` if its key is kept elsewhere.
    pub(super) fn open(directory: &Path) -> Outcome<Option<Authority>> {
        let path = key_file(directory);
        let Some(key) = files::read(&path)? else { return Ok(None) };
        let key = parse_key(&key, &path)?;
        let certificate = certificate(directory)?;
        if identity::key(&certificate).ok() != Some(KeyHash::of(&key.subject_public_key_info())) {
            return Err(Failure::failed(format_args!(
                "{} is not the key of {}: bring back the one that is",
                path.display(),
                certificate_file(directory).display()
            )));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|error| not_made("an authority", &error))?;
        Ok(Some(Authority { issuer, pem: pem(directory)? }))
    }

    /// Makes an authority. A key that is there already is its key: whoever stopped before the certificate goes on.
    pub(super) fn make(directory: &Path) -> Outcome<()> {
        let key = open_or_make_key(&key_file(directory))?;
        let id = KeyHash::of(&key.subject_public_key_info()).to_string();
        let mut params = params(&format!("Alluvium authority {}", &id[..NAME_DIGITS]), END)?;
        // What it certifies certifies nothing itself.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(|error| not_made("an authority", &error))?;
        files::put(&certificate_file(directory), certificate.pem().as_bytes(), Kept::Open)
    }

    /// Certifies a client's key under one name, to the end of `until`, in seconds since 1970. Answers the chain in PEM.
    pub(super) fn certify_client(&self, name: &str, key: &impl PublicKeyData, until: i64) -> Outcome<String> {
        let uri = format!("{}{name}", identity::SCHEME);
        let uri = uri.try_into().map_err(|error| not_made("a certificate", &error))?;
        self.certify(name, SanType::URI(uri), ExtendedKeyUsagePurpose::ClientAuth, key, until)
    }

    /// Certifies the server's key, likewise.
    pub(super) fn certify_server(&self, gateway: &str, key: &impl PublicKeyData, until: i64) -> Outcome<String> {
        let name = gateway.try_into().map_err(|error| not_made("a certificate", &error))?;
        self.certify(gateway, SanType::DnsName(name), ExtendedKeyUsagePurpose::ServerAuth, key, until)
    }

    fn certify(
        &self,
        common_name: &str,
        name: SanType,
        usage: ExtendedKeyUsagePurpose,
        key: &impl PublicKeyData,
        until: i64,
    ) -> Outcome<String> {
        let mut params = params(common_name, until)?;
        params.subject_alt_names = vec![name];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(key, &self.issuer).map_err(|error| not_made("a certificate", &error))?;
        Ok(certificate.pem() + &self.pem)
    }
}

/// What all that is issued has in common.
fn params(common_name: &str, until: i64) -> Outcome<CertificateParams> {
    let mut params = CertificateParams::default();
    let mut serial = [0; SERIAL_BYTES];
    let drawn = provider().secure_random.fill(&mut serial);
    drawn.map_err(|_| Failure::failed("cannot make a certificate: the system gives no random numbers"))?;
    params.serial_number = Some(serial.to_vec().into());
    params.distinguished_name = DistinguishedName::new();
    // Standards allow it no more characters, and nothing reads it but people.
    params.distinguished_name.push(DnType::CommonName, common_name.chars().take(64).collect::<String>());
    let at = |seconds: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.clamp(0, END).unsigned_abs());
    (params.not_before, params.not_after) = (at(BEGIN), at(until));
    Ok(params)
}

/// The key of a file, made where there is none.
pub(super) fn open_or_make_key(path: &Path) -> Outcome<KeyPair> {
    if let Some(content) = files::read(path)? {
        return parse_key(&content, path);
    }
    let key = make_key()?;
    files::put(path, key.serialize_pem().as_bytes(), Kept::Secret)?;
    Ok(key)
}

/// A new key: ECDSA over P-256, with SHA-256.
pub(super) fn make_key() -> Outcome<KeyPair> {
    KeyPair::generate().map_err(|error| not_made("a key", &error))
}

fn parse_key(content: &[u8], path: &Path) -> Outcome<KeyPair> {
    let key: PrivateKeyDer<'static> = files::parse_first(content, "private key", path)?;
    KeyPair::try_from(&key).map_err(|error| {
        Failure::failed(format_args!("cannot use the key in {}: {error}: bring it back as it was", path.display()))
    })
}

fn not_made(what: &str, error: &rcgen::Error) -> Failure {
    Failure::failed(format_args!("cannot make {what}: {error}"))
}
