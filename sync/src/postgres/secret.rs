//! What a gateway is known by.

use std::fmt;
use std::path::PathBuf;
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

/// Where a gateway's secret is.
#[derive(Debug, Clone)]
pub enum SecretFrom {
    /// Here.
    Here(Secret),
    /// In the first line of a file, which is read whenever the secret is shown: it may be rotated.
    File(PathBuf),
    /// In a variable of the environment.
    Environment(String),
}

impl SecretFrom {
    /// The secret by now.
    pub(super) fn read(&self) -> Result<Secret, Error> {
        let (place, text) = match self {
            SecretFrom::Here(secret) => return Ok(secret.clone()),
            SecretFrom::File(path) => {
                (path.display().to_string(), std::fs::read_to_string(path).map_err(|error| error.to_string()))
            }
            SecretFrom::Environment(name) => (name.clone(), std::env::var(name).map_err(|error| error.to_string())),
        };
        let not = |why: String| Error::Options(format!("the gateway's secret is not to be had from {place}: {why}"));
        let text = text.map_err(not)?;
        text.lines().next().unwrap_or_default().trim_end().parse().map_err(|error: Error| not(error.to_string()))
    }
}

impl From<Secret> for SecretFrom {
    fn from(secret: Secret) -> Self {
        SecretFrom::Here(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_again_and_never_told() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        let from = SecretFrom::File(file.clone());
        assert!(from.read().unwrap_err().to_string().contains(&file.display().to_string()));
        for digit in ["a", "b"] {
            std::fs::write(&file, format!("{}\n", digit.repeat(64))).unwrap();
            assert_eq!(from.read().unwrap().expose(), digit.repeat(64));
        }
        std::fs::write(&file, "hunter2").unwrap();
        let said = from.read().unwrap_err().to_string();
        assert!(said.contains("64 lower-case hexadecimal digits") && !said.contains("hunter2"), "{said}");
        let none = SecretFrom::Environment("ALLUVIUM_NO_SUCH_VARIABLE".to_owned());
        assert!(none.read().unwrap_err().to_string().contains("ALLUVIUM_NO_SUCH_VARIABLE"));
        assert_eq!(format!("{:?}", SecretFrom::from(Secret("c".repeat(64)))), "Here(Secret(…))");
    }
}
