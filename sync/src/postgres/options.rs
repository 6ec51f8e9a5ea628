//! Where the centre is, and how much of a connection is trusted.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::Error;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tls {
    /// Encrypted, and the server proves by a certificate that it is the one of that name: `verify-full`.
    #[default]
    VerifyFull,
    /// Encrypted, to whoever answers: `require`. Who is between can read and change everything.
    Unverified,
    /// Not encrypted: `disable`. Only to this machine, unless [`Options::plain_anywhere`].
    Plain,
}

/// How to get to the centre.
///
/// ```
/// use alluvium_sync::postgres::Options;
///
/// let mut options = Options::new("postgresql://alluvium_gateway@centre.example/alluvium?sslrootcert=/etc/alluvium/centre.pem");
/// options.password_file = Some("/etc/alluvium/centre.password".into());
/// ```
#[derive(Clone)]
pub struct Options {
    /// A URL (`postgresql://…`) or `key=value` pairs, as libpq takes them. Of `sslmode` the values `verify-full`, `require` and `disable` are known: those that
    /// fall back, and `verify-ca`, prove nothing. `sslrootcert` is a file of certificates.
    pub conninfo: String,
    /// The password is in this file, which is read whenever a connection is made: it may be rotated.
    pub password_file: Option<PathBuf>,
    /// How connections are protected, whatever `conninfo` says.
    pub tls: Option<Tls>,
    /// Certificates of authorities in PEM, in place of `sslrootcert`.
    pub roots: Option<Vec<u8>>,
    /// Whether a connection may be plain that leaves this machine.
    pub plain_anywhere: bool,
    /// In so long a connection is made, with all that this takes.
    pub connect_timeout: Duration,
    /// In so long a statement is answered.
    pub statement_timeout: Duration,
    /// A connection that is not used for so long is closed.
    pub idle: Duration,
}

impl Options {
    /// With the certificate verified, and a password only where `conninfo` has one.
    pub fn new(conninfo: impl Into<String>) -> Options {
        Options {
            conninfo: conninfo.into(),
            password_file: None,
            tls: None,
            roots: None,
            plain_anywhere: false,
            connect_timeout: Duration::from_secs(15),
            statement_timeout: Duration::from_secs(30),
            idle: Duration::from_secs(30),
        }
    }

    /// Whether they can be, as far as that is known without reading files.
    pub(super) fn check(&self) -> Result<Checked, Error> {
        let (_, said) = separate(&self.conninfo)?;
        let resolved = Options { roots: Some(Vec::new()), ..self.clone() }.resolve()?;
        let has_password = resolved.config.get_password().is_some();
        let lacks_roots = resolved.tls == Tls::VerifyFull && self.roots.is_none() && said.root.is_none();
        Ok(Checked { has_password, lacks_roots })
    }

    /// What they amount to.
    pub(super) fn resolve(&self) -> Result<Resolved, Error> {
        let (rest, said) = separate(&self.conninfo)?;
        let mut config: Config = rest.parse().map_err(|error: tokio_postgres::Error| Error::Options(within(&error)))?;
        if config.get_hosts().is_empty() {
            return Err(Error::Options("it is not said on which host the centre is".to_owned()));
        }
        let asked = match (self.tls, said.mode.as_deref()) {
            (Some(tls), _) => tls,
            (None, None | Some("verify-full")) => Tls::VerifyFull,
            (None, Some("require")) => Tls::Unverified,
            (None, Some("disable")) => Tls::Plain,
            (None, Some(other)) => {
                return Err(Error::Options(format!("sslmode is verify-full, require or disable, and not {other:?}")));
            }
        };
        let tls = self.allowed(&config, asked)?;
        let roots = match (&self.roots, said.root) {
            (Some(pem), _) => pem.clone(),
            (None, Some(file)) => read(Path::new(&file))?,
            (None, None) => Vec::new(),
        };
        config.ssl_mode(if tls == Tls::Plain { SslMode::Disable } else { SslMode::Require });
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.connect_timeout(self.connect_timeout);
        if config.get_application_name().is_none() {
            config.application_name("alluvium");
        }
        Ok(Resolved { config, tls, roots, options: self.clone() })
    }

    /// Nobody can listen to a Unix socket, and TLS would have no name to verify.
    fn allowed(&self, config: &Config, asked: Tls) -> Result<Tls, Error> {
        let is_unix = |host: &Host| !matches!(host, Host::Tcp(_));
        if config.get_hosts().iter().all(is_unix) && config.get_hostaddrs().is_empty() {
            return Ok(Tls::Plain);
        }
        let is_here = |host: &Host| match host {
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
            _ => true,
        };
        // Where addresses are given, it is they that count.
        let here = match config.get_hostaddrs() {
            [] => config.get_hosts().iter().all(is_here),
            addresses => addresses.iter().all(IpAddr::is_loopback),
        };
        if asked == Tls::Plain && !here && !self.plain_anywhere {
            return Err(Error::Options(
                "a connection that leaves this machine is encrypted, unless it is allowed not to be".to_owned(),
            ));
        }
        Ok(asked)
    }
}

impl fmt::Debug for Options {
    /// Without what may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("password_file", &self.password_file).field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// What can be said of options without reading files.
pub(super) struct Checked {
    pub(super) has_password: bool,
    /// Whether a certificate is to be verified, and by what is not said.
    pub(super) lacks_roots: bool,
}

/// Options that were understood.
pub(super) struct Resolved {
    config: Config,
    pub(super) tls: Tls,
    pub(super) roots: Vec<u8>,
    pub(super) options: Options,
}

impl Resolved {
    /// What to connect by now: the password may have changed.
    pub(super) fn config(&self) -> Result<Config, Error> {
        let mut config = self.config.clone();
        if let Some(file) = &self.options.password_file {
            let password = read(file)?;
            config.password(password.trim_ascii_end());
        }
        Ok(config)
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|error| Error::Options(format!("{}: {error}", file.display())))
}

fn within(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// What `conninfo` says of TLS that the client behind it has no words for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    mode: Option<String>,
    root: Option<String>,
}

impl Said {
    /// Whether it is of TLS, and noted.
    fn takes(&mut self, key: &str, value: &str) -> bool {
        let place = match key {
            "sslmode" => &mut self.mode,
            "sslrootcert" => &mut self.root,
            _ => return false,
        };
        *place = Some(value.to_owned());
        true
    }
}

/// Takes out what is said of TLS.
fn separate(conninfo: &str) -> Result<(String, Said), Error> {
    let mut said = Said::default();
    let is_url = ["postgresql://", "postgres://"].iter().any(|scheme| conninfo.starts_with(scheme));
    if is_url {
        let Some((base, query)) = conninfo.split_once('?') else { return Ok((conninfo.to_owned(), said)) };
        let kept = query.split('&').filter(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            !said.takes(key, &percent_decoded(value))
        });
        let kept: Vec<_> = kept.collect();
        let rest = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
        return Ok((rest, said));
    }
    let mut kept = String::new();
    let mut rest = conninfo.trim_start();
    while !rest.is_empty() {
        let ((key, value), raw, behind) =
            pair(rest).ok_or_else(|| Error::Options("key=value pairs, or a URL, are expected".to_owned()))?;
        if !said.takes(&key, &value) {
            kept = format!("{kept} {raw}");
        }
        rest = behind;
    }
    Ok((kept, said))
}

/// The first pair with its text, and what is behind it. A value may stand between quotes, and a backslash before any character.
fn pair(text: &str) -> Option<((String, String), &str, &str)> {
    let (key, after) = text.split_once('=')?;
    let (start, quoted) = (text.len() - after.trim_start().len(), after.trim_start().starts_with('\''));
    let (mut value, mut escaped, mut end) = (String::new(), false, text.len());
    for (at, letter) in text[start..].char_indices().skip(usize::from(quoted)) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => {
                escaped = true;
                continue;
            }
            '\'' if quoted => {
                end = start + at + 1;
                break;
            }
            space if !quoted && space.is_whitespace() => {
                end = start + at;
                break;
            }
            _ => {}
        }
        value.push(letter);
    }
    Some(((key.trim().to_owned(), value), &text[..end], text[end..].trim_start()))
}

fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, more)) = rest.split_first() {
        let digits = more.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        let decoded = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { more.get(2..).unwrap_or_default() } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(conninfo: &str) -> Result<Tls, String> {
        Options::new(conninfo).resolve().map(|resolved| resolved.tls).map_err(|error| error.to_string())
    }

    #[test]
    fn certificates_are_verified_unless_something_else_is_asked_for() {
        for verified in [
            "host=centre.example dbname=a",
            "postgresql://u:p@centre.example:5433/a",
            "postgres://centre.example/a?sslmode=verify-full&application_name=x",
            "host = centre.example sslmode = 'verify-full' password='it\\'s sslmode=disable'",
            "host=127.0.0.1",
        ] {
            assert_eq!(tls(verified), Ok(Tls::VerifyFull), "{verified}");
        }
        assert_eq!(tls("host=centre.example sslmode=require"), Ok(Tls::Unverified));
        for plain in ["host=localhost sslmode=disable", "postgresql://[::1]/a?sslmode=disable", "host=/run/postgresql dbname=a"] {
            assert_eq!(tls(plain), Ok(Tls::Plain), "{plain}");
        }
        for (refused, why) in [
            ("host=centre.example sslmode=disable", "leaves this machine"),
            ("host=/run/postgresql,centre.example sslmode=disable", "leaves this machine"),
            ("host=localhost hostaddr=192.0.2.1 sslmode=disable", "leaves this machine"),
            ("host=centre.example sslmode=prefer", "verify-full, require or disable"),
            ("postgresql://centre.example/?sslmode=verify-ca", "verify-full, require or disable"),
            ("dbname=a", "on which host"),
            ("host=a port=x", "port"),
            ("nonsense", "key=value"),
            ("host=a sslrootcert=/nowhere/at/all", "/nowhere/at/all"),
        ] {
            let error = tls(refused).unwrap_err();
            assert!(error.contains(why), "{refused}: {error}");
        }
        let mut anywhere = Options::new("host=centre.example sslmode=disable");
        anywhere.plain_anywhere = true;
        assert_eq!(anywhere.resolve().unwrap().tls, Tls::Plain);
        let overruled = Options { tls: Some(Tls::VerifyFull), ..anywhere };
        assert_eq!(overruled.resolve().unwrap().tls, Tls::VerifyFull);
    }

    #[test]
    fn what_is_said_of_tls_is_taken_out_and_nothing_else() {
        let (rest, said) = separate("host=a sslmode='ver\\ify-full'  password='a b=\\'c' sslrootcert=x user=u").unwrap();
        assert_eq!(rest.trim(), "host=a password='a b=\\'c' user=u");
        assert_eq!(said, Said { mode: Some("verify-full".to_owned()), root: Some("x".to_owned()) });
        let (rest, said) = separate("postgresql://h/d?sslrootcert=%2Fetc%2Fa%20b&options=-c%20x&sslmode=require").unwrap();
        assert_eq!(rest, "postgresql://h/d?options=-c%20x");
        assert_eq!(said, Said { mode: Some("require".to_owned()), root: Some("/etc/a b".to_owned()) });
        assert_eq!(percent_decoded("100%"), "100%");
    }

    #[test]
    fn a_password_is_not_told() {
        let options = Options::new("host=a password=hunter2");
        let told = format!("{options:?} {:?}", options.resolve().unwrap());
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn a_rotated_password_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        let mut options = Options::new("host=a");
        options.password_file = Some(file.clone());
        let resolved = options.resolve().unwrap();
        assert!(matches!(resolved.config(), Err(Error::Options(_))));
        for password in ["one\n", "two"] {
            std::fs::write(&file, password).unwrap();
            assert_eq!(resolved.config().unwrap().get_password(), Some(password.trim().as_bytes()));
        }
    }
}
