//! Certificates: which were issued here and which do not hold any more. What certifies is elsewhere; here is what is known of keys.

use sha2::{Digest, Sha256};

use super::form::{self, CertificateForm};
use crate::error::{Error, Result};
use crate::keyspace::{Direction, Transaction, prefix, space};
use crate::record::Key;

/// Hexadecimal digits of a hash that call a certificate, at least.
const FEWEST_DIGITS: usize = 8;

/// The SHA-256 of a public key, as it stands in certificates (the DER of a SubjectPublicKeyInfo, RFC 5280 §4.1). All certificates
/// of a key are known and revoked together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// Of a SubjectPublicKeyInfo in DER.
    pub fn of(public_key: &[u8]) -> Self {
        KeyHash(Sha256::digest(public_key).into())
    }
}

impl std::fmt::Display for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A certificate that was issued here, or whose key was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The key that it certifies.
    pub key: KeyHash,
    /// Whose it is; empty if that is not known.
    pub principal: String,
    /// When it begins to hold, in seconds since 1970, UTC.
    pub not_before: i64,
    /// When it ends, likewise.
    pub not_after: i64,
    /// When its key was revoked, in microseconds UTC; `None` if it was not.
    pub revoked_at: Option<i64>,
}

pub(super) fn cell_of(key: KeyHash) -> Key {
    form::key(space::CERTIFICATE, &key.0)
}

pub(super) fn open(key: &[u8], cell: &[u8]) -> Result<Certificate> {
    let hash = key.get(1..).and_then(|hash| hash.try_into().ok());
    let hash = hash.ok_or_else(|| Error::Internal("a certificate of a form that is not known".to_owned()))?;
    let CertificateForm { principal, not_before, not_after, revoked_at } = form::decode(cell)?;
    Ok(Certificate { key: KeyHash(hash), principal, not_before, not_after, revoked_at })
}

pub(super) fn put(transaction: &mut Transaction, certificate: Certificate) -> Result<()> {
    let Certificate { key, principal, not_before, not_after, revoked_at } = certificate;
    let form = CertificateForm { principal, not_before, not_after, revoked_at };
    transaction.put(cell_of(key), form::encode(&form)?);
    Ok(())
}

/// Revokes those that are not yet, and leaves no others.
pub(super) fn revoke(transaction: &mut Transaction, certificates: &mut Vec<Certificate>) -> Result<()> {
    let at = transaction.at().wall_micros;
    certificates.retain(|certificate| certificate.revoked_at.is_none());
    certificates.iter_mut().try_for_each(|certificate| {
        certificate.revoked_at = Some(at);
        put(transaction, certificate.clone())
    })
}

pub(super) fn read(transaction: &Transaction, key: KeyHash) -> Result<Option<Certificate>> {
    let key = cell_of(key);
    transaction.get(&key)?.map(|(_, cell)| open(&key, &cell)).transpose()
}

pub(super) fn all(transaction: &Transaction) -> Result<Vec<Certificate>> {
    let cells = transaction.scan(prefix(&[space::CERTIFICATE]), Direction::Forward)?;
    cells.map(|cell| cell.and_then(|(key, (_, cell))| open(&key, &cell))).collect()
}

/// Those whose hash begins with some digits, or that are a principal's.
pub(super) fn called(transaction: &Transaction, name: &str) -> Result<Vec<Certificate>> {
    let by_hash = name.len() >= FEWEST_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name_of_hash = name.to_ascii_lowercase();
    let mut found = all(transaction)?;
    found.retain(|one| one.principal == name || by_hash && one.key.to_string().starts_with(&name_of_hash));
    Ok(found)
}
