//! Where the centre is, and how it is spoken to: plain data, as a file of settings has them.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Options, SecretFrom};

/// The variable that the gateway's secret is in, where nothing else is said.
const SECRET_VARIABLE: &str = "ALLUVIUM_GATEWAY_SECRET";

/// Where the centre is. No secret is among them: those are in the environment or in files that are named here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `postgresql://alluvium_gateway@HOST:PORT/DATABASE`, or `key=value` pairs as libpq takes them, without a password. `sslmode` is
    /// `verify-full`, which it is without being said, `require` or `disable`.
    pub url: String,
    /// The login's password is in this file, which is read again for each connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The gateway's secret is in this file, which is read again whenever it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Or in this variable of the environment; without either, in `ALLUVIUM_GATEWAY_SECRET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// A PEM file with the certificates of the authority that signs for the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_certificates: Option<PathBuf>,
    /// Whether a connection may leave this machine and not be encrypted.
    #[serde(default)]
    pub allow_plain: bool,
    /// Seconds within which a connection has to be made.
    #[serde(default = "connect_seconds")]
    pub connect_seconds: u64,
    /// Seconds within which the server has to answer.
    #[serde(default = "answer_seconds")]
    pub answer_seconds: u64,
    /// Seconds after which a connection is closed that is not used.
    #[serde(default = "idle_seconds")]
    pub idle_seconds: u64,
    /// The target whose cuts are registered there; may be left out where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// What a setting of the centre cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {problem}; {advice}")]
pub struct NotASetting {
    /// The option at fault.
    pub option: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub advice: &'static str,
}

fn connect_seconds() -> u64 {
    15
}

fn answer_seconds() -> u64 {
    30
}

fn idle_seconds() -> u64 {
    30
}

impl Settings {
    /// Refuses what cannot be meant. Nothing is read, and nobody asked.
    ///
    /// # Errors
    ///
    /// The first of these.
    pub fn check(&self) -> Result<(), NotASetting> {
        for (option, seconds) in [
            ("connect_seconds", self.connect_seconds),
            ("answer_seconds", self.answer_seconds),
            ("idle_seconds", self.idle_seconds),
        ] {
            if seconds == 0 {
                return Err(wrong(option, "it is 0", "give at least 1, or leave it out"));
            }
        }
        if self.secret_file.is_some() && self.secret_env.is_some() {
            return Err(wrong("secret_file", "secret_env names another place", "leave out one of them"));
        }
        if self.secret_env.as_ref().is_some_and(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(wrong("secret_env", "no variable can be called so", "name a variable of the environment"));
        }
        let checked = self.options_without_files().check().map_err(|error| wrong("url", error, "see sync/POSTGRES.md"))?;
        if checked.has_password {
            let advice = "put it into a file, and name that in password_file";
            return Err(wrong("url", "it has a password, which whoever reads the settings sees", advice));
        }
        if checked.lacks_roots && self.root_certificates.is_none() {
            let problem = "none are named, and the server's certificate is verified by them";
            return Err(wrong("root_certificates", problem, "name the file of the authority that signs for the server"));
        }
        Ok(())
    }

    /// How to get there.
    ///
    /// # Errors
    ///
    /// [`NotASetting`] where a file that is named cannot be read.
    pub fn options(&self) -> Result<Options, NotASetting> {
        self.check()?;
        let read = |path: &PathBuf| {
            let advice = "check the file's name and who may read it";
            std::fs::read(path).map_err(|error| wrong("root_certificates", format!("{}: {error}", path.display()), advice))
        };
        let roots = self.root_certificates.as_ref().map(read).transpose()?;
        Ok(Options { roots, ..self.options_without_files() })
    }

    /// Where the gateway's secret is.
    pub fn secret(&self) -> SecretFrom {
        match &self.secret_file {
            Some(file) => SecretFrom::File(file.clone()),
            None => SecretFrom::Environment(self.secret_env.clone().unwrap_or_else(|| SECRET_VARIABLE.to_owned())),
        }
    }

    fn options_without_files(&self) -> Options {
        Options {
            password_file: self.password_file.clone(),
            plain_anywhere: self.allow_plain,
            connect_timeout: Duration::from_secs(self.connect_seconds),
            statement_timeout: Duration::from_secs(self.answer_seconds),
            idle: Duration::from_secs(self.idle_seconds),
            ..Options::new(&self.url)
        }
    }
}

fn wrong(option: &'static str, problem: impl ToString, advice: &'static str) -> NotASetting {
    NotASetting { option, problem: problem.to_string(), advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_url_is_enough_and_what_is_not_known_is_refused() {
        let url = "postgresql://alluvium_gateway@centre.example/alluvium";
        let known = settings(&format!(r#"{{"url":"{url}?sslrootcert=x"}}"#));
        known.check().unwrap();
        assert_eq!((known.connect_seconds, known.answer_seconds, known.allow_plain), (15, 30, false));
        assert!(matches!(known.secret(), SecretFrom::Environment(name) if name == "ALLUVIUM_GATEWAY_SECRET"));
        let unknown = serde_json::from_str::<Settings>(&format!(r#"{{"url":"{url}","secret":"x"}}"#)).unwrap_err();
        assert!(unknown.to_string().contains("unknown field `secret`"), "{unknown}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, told) in [
            (r#"{"url":"postgresql://a@b/c","connect_seconds":0}"#, "connect_seconds: it is 0"),
            (r#"{"url":"postgresql://a@b/c","secret_file":"x","secret_env":"Y"}"#, "leave out one"),
            (r#"{"url":"postgresql://a@b/c","secret_env":""}"#, "secret_env"),
            (r#"{"url":"postgresql://a:hunter2@b/c"}"#, "password_file"),
            (r#"{"url":"host=b user=a password=hunter2"}"#, "password_file"),
            (r#"{"url":"postgresql:///c"}"#, "on which host"),
            (r#"{"url":"postgresql://b/c?sslmode=prefer"}"#, "verify-full, require or disable"),
            (r#"{"url":"postgresql://b/c?sslmode=disable"}"#, "leaves this machine"),
            (r#"{"url":"nonsense"}"#, "key=value"),
            (r#"{"url":"postgresql://a@b/c"}"#, "root_certificates"),
        ] {
            let said = settings(text).check().unwrap_err().to_string();
            assert!(said.contains(told) && !said.contains("hunter2"), "{text}: {said}");
        }
        settings(r#"{"url":"postgresql://b/c?sslmode=disable","allow_plain":true}"#).check().unwrap();
        let said = settings(r#"{"url":"postgresql://a@b/c","root_certificates":"/nowhere/at/all"}"#).options().unwrap_err();
        assert!(said.to_string().contains("/nowhere/at/all"), "{said}");
    }
}
