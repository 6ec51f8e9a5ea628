//! Where a target is, and how it is spoken to: plain data, as a file of settings has them.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::location::Location;

/// Where objects go. No secret is among them: those are in the environment or in a file that is named here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A folder (`/mnt/archive` or `file:///mnt/archive`), `s3://bucket/prefix`, `az://container/prefix`,
    /// `abfss://container@account.dfs.core.windows.net/prefix` or `https://account.blob.core.windows.net/container/prefix`.
    pub url: String,
    /// Whether it has to hold rows before these are let go of where they were written.
    #[serde(default)]
    pub required: bool,
    /// Of a store that is not Amazon's or Microsoft's own: where it listens, as `https://minio.plant.example:9000`. With
    /// `virtual_hosted` the host begins with the bucket's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The region of a bucket of S3; without, that of the environment (`AWS_REGION`, `AWS_DEFAULT_REGION`), else `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whether what is sent may be read on the way: an endpoint of `http://` is refused otherwise.
    #[serde(default)]
    pub allow_http: bool,
    /// Whether the bucket is part of the host's name instead of the path.
    #[serde(default)]
    pub virtual_hosted: bool,
    /// A file of credentials, which is read again when it changes. For S3 as Amazon's tools have it (`aws_access_key_id`,
    /// `aws_secret_access_key`, `aws_session_token`), for Azure with `account_key` or `sas_token`. Without, they are taken from the
    /// environment or, on a machine of theirs, from what its provider offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<PathBuf>,
    /// The section of that file; without, `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The account of a container of Azure where the URL does not name it; without, `AZURE_STORAGE_ACCOUNT_NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Whether it is Azurite, Microsoft's emulator, with the account and key that are known to all.
    #[serde(default)]
    pub emulator: bool,
    /// A PEM file of root certificates that are trusted besides those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_certificates: Option<PathBuf>,
    /// Bytes a second that uploads may take together; without, as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// Bytes that may be sent on one day of UTC; without, any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_day: Option<u64>,
    /// Seconds without a byte in either direction after which an exchange is given up.
    #[serde(default = "stall_seconds")]
    pub stall_seconds: u64,
    /// Seconds within which a connection has to be made.
    #[serde(default = "connect_seconds")]
    pub connect_seconds: u64,
    /// How often a request is tried again at once, before the caller is told of the trouble.
    #[serde(default = "retries")]
    pub retries: usize,
}

/// What an option of a target cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option} of the target {url:?}: {problem}; {advice}")]
pub struct NotASetting {
    /// The target, without any secret that was in its URL.
    pub url: String,
    /// The option at fault.
    pub option: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub advice: &'static str,
}

fn stall_seconds() -> u64 {
    120
}

fn connect_seconds() -> u64 {
    15
}

fn retries() -> usize {
    1
}

impl Settings {
    /// A target at this URL with nothing said besides.
    pub fn new(url: impl Into<String>) -> Self {
        Settings {
            url: url.into(),
            required: false,
            endpoint: None,
            region: None,
            allow_http: false,
            virtual_hosted: false,
            credentials_file: None,
            profile: None,
            account: None,
            emulator: false,
            root_certificates: None,
            bytes_per_second: None,
            bytes_per_day: None,
            stall_seconds: stall_seconds(),
            connect_seconds: connect_seconds(),
            retries: retries(),
        }
    }

    /// The folder that it is, if it is one.
    pub fn folder(&self) -> Option<PathBuf> {
        match Location::of(self) {
            Ok(Location::Folder(path)) => Some(path),
            _ => None,
        }
    }

    /// After how long without a byte an exchange is given up.
    pub(super) fn stall(&self) -> Duration {
        Duration::from_secs(self.stall_seconds)
    }

    /// Says that an option cannot be what it is.
    pub(super) fn wrong(&self, option: &'static str, problem: impl Into<String>, advice: &'static str) -> NotASetting {
        NotASetting { url: super::location::without_secrets(&self.url), option, problem: problem.into(), advice }
    }

    /// Refuses numbers with which nothing would go on, and what says nothing.
    ///
    /// # Errors
    ///
    /// The first of these.
    pub fn check(&self) -> Result<(), NotASetting> {
        let at_least_one = "give at least 1, or leave it out";
        for (option, number) in [
            ("bytes_per_second", self.bytes_per_second),
            ("bytes_per_day", self.bytes_per_day),
            ("stall_seconds", Some(self.stall_seconds)),
            ("connect_seconds", Some(self.connect_seconds)),
        ] {
            if number == Some(0) {
                return Err(self.wrong(option, "it is 0", at_least_one));
            }
        }
        if self.profile.is_some() && self.credentials_file.is_none() {
            return Err(self.wrong("profile", "it is a section of a file, and no file is named", "name it in credentials_file"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_enough_and_what_is_not_known_is_refused() {
        let settings: Settings = serde_json::from_str(r#"{"url":"s3://bucket/a"}"#).unwrap();
        assert_eq!(settings, Settings::new("s3://bucket/a"));
        let unknown = serde_json::from_str::<Settings>(r#"{"url":"s3://bucket/a","secret":"x"}"#).unwrap_err();
        assert!(unknown.to_string().contains("unknown field `secret`"), "{unknown}");
    }

    #[test]
    fn what_would_wait_for_ever_or_say_nothing_is_refused() {
        let mut settings = Settings::new("s3://bucket");
        settings.check().unwrap();
        settings.bytes_per_second = Some(0);
        let said = settings.check().unwrap_err().to_string();
        assert_eq!(said, "bytes_per_second of the target \"s3://bucket\": it is 0; give at least 1, or leave it out");
        let settings = Settings { profile: Some("plant".to_owned()), ..Settings::new("s3://bucket") };
        assert!(settings.check().unwrap_err().to_string().ends_with("; name it in credentials_file"));
    }
}
