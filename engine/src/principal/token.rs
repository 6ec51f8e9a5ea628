//! Tokens: 256 random bits, of which only the SHA-256 is stored.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::form::{self, TokenForm};
use crate::error::{Error, Result};
use crate::keyspace::{Direction, Transaction, prefix, space};
use crate::record::Key;

/// What the text of a token begins with, so that people and scanners for secrets know it.
const MARK: &str = "alluvium_";
/// Bytes of the hash by which a token is called.
const ID_BYTES: usize = 6;
/// Bytes of a label, at most.
pub(super) const LABEL_BYTES: usize = 255;

/// A token that was issued. What it says itself is known to nobody but whoever it was issued to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// What it is called: the beginning of its hash, in hexadecimal digits.
    pub id: String,
    /// Whose it is.
    pub principal: String,
    /// What it is for, as its issuer put it.
    pub label: String,
    /// When it was issued, in microseconds UTC.
    pub issued_at: i64,
    /// How much longer it holds, by the engine's clock; `None` if until it is revoked.
    pub expires_in: Option<Duration>,
}

/// The text of a token.
pub(super) fn text(random: &[u8; 32]) -> String {
    format!("{MARK}{}", URL_SAFE_NO_PAD.encode(random))
}

/// The cell of a token; `None` where the text is none.
pub(super) fn cell_of(text: &str) -> Option<Key> {
    let random: [u8; 32] = URL_SAFE_NO_PAD.decode(text.strip_prefix(MARK)?).ok()?.try_into().ok()?;
    Some(form::key(space::TOKEN, &Sha256::digest(random)))
}

/// What a cell says, unless the token has expired.
pub(super) fn open(transaction: &Transaction, key: &[u8], cell: &[u8]) -> Result<Option<Token>> {
    let TokenForm { principal, label, issued_at, expires_at } = form::decode(cell)?;
    let left = expires_at.map(|at| at.saturating_sub(transaction.at().engine_micros));
    let expires_in = left.map(Duration::from_micros);
    Ok((left != Some(0)).then_some(Token { id: id_of(key), principal, label, issued_at, expires_in }))
}

/// The tokens there are, expired or not, with their cells.
pub(super) fn all(transaction: &Transaction) -> Result<Vec<(Key, TokenForm)>> {
    let cells = transaction.scan(prefix(&[space::TOKEN]), Direction::Forward)?;
    cells.map(|cell| cell.and_then(|(key, (_, cell))| Ok((key, form::decode(&cell)?)))).collect()
}

pub(super) fn id_of(key: &[u8]) -> String {
    key.iter().skip(1).take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// The one token that is called so.
pub(super) fn find(transaction: &Transaction, id: &str) -> Result<Option<(Key, TokenForm)>> {
    let mut found = all(transaction)?.into_iter().filter(|(key, _)| !id.is_empty() && id_of(key) == id);
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(Error::invalid(format!("more than one token is called {id}: revoke all of its principal"))),
        (found, None) => Ok(found),
    }
}
