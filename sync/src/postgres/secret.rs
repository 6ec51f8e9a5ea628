//! What a gateway is known by.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::Error;

/// 256 random bits, as 64 lower-case hexadecimal digits. The centre keeps their hash alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    ///
    /// Where the system has no random numbers.
    pub fn random() -> Result<Secret, Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(Secret(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Its text, for the gateway alone.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the centre keeps: the SHA-256 of its text.
    pub(super) fn digest(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

impl FromStr for Secret {
    type Err = Error;

    fn from_str(text: &str) -> Result<Secret, Error> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == 64 && digits {
            return Ok(Secret(text.to_owned()));
        }
        Err(Error::Options("a gateway's secret has 64 lower-case hexadecimal digits".to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
