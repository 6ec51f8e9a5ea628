//! Which server is asked, and who we are to it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;

use crate::failure::{Failure, Outcome};

/// A server: its gateway's id, which its certificate has to name, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerAt {
    pub(super) name: String,
    /// `host:port`.
    pub(super) address: String,
}

impl FromStr for ServerAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "write NAME@HOST:PORT, where NAME is the gateway's id, as in gateway-7@10.0.0.7:7423";
        let (name, address) = text.split_once('@').ok_or(form)?;
        let (host, port) = address.rsplit_once(':').ok_or(form)?;
        if name.is_empty() || host.is_empty() || port.parse::<u16>().is_err() {
            return Err(form.to_owned());
        }
        Ok(ServerAt { name: name.to_owned(), address: address.to_owned() })
    }
}

impl fmt::Display for ServerAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.address)
    }
}

/// By what a server and we know each other.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Credentials {
    /// With --server: the certificate of the server's authority, as `alluvium cert ca export` prints it
    #[arg(
        id = "client_ca",
        long = "ca",
        global = true,
        env = "ALLUVIUM_CA",
        value_name = "FILE",
        hide_env_values = true,
        display_order = 1_003
    )]
    ca: Option<PathBuf>,
    /// With --server: your certificate, as `alluvium cert issue` makes it
    #[arg(
        id = "client_cert",
        long = "cert",
        global = true,
        env = "ALLUVIUM_CERT",
        value_name = "FILE",
        hide_env_values = true,
        display_order = 1_004
    )]
    cert: Option<PathBuf>,
    /// With --server: the key of your certificate
    #[arg(
        id = "client_key",
        long = "cert-key",
        global = true,
        env = "ALLUVIUM_KEY",
        value_name = "FILE",
        hide_env_values = true,
        display_order = 1_005
    )]
    key: Option<PathBuf>,
}

impl Credentials {
    /// All three files, or which of them nobody named.
    pub(super) fn files(&self) -> Outcome<[&Path; 3]> {
        let named = [(&self.ca, "--ca"), (&self.cert, "--cert"), (&self.key, "--cert-key")];
        let missing: Vec<_> = named.iter().filter(|(file, _)| file.is_none()).map(|(_, option)| *option).collect();
        match (&self.ca, &self.cert, &self.key) {
            (Some(ca), Some(cert), Some(key)) => Ok([ca, cert, key]),
            _ => Err(Failure::failed(format_args!(
                "a server lets in whom it has given a certificate: name the files with {}, or in ALLUVIUM_CA, ALLUVIUM_CERT and \
                 ALLUVIUM_KEY; `alluvium cert ca export` and `alluvium cert issue NAME` on the gateway make them",
                missing.join(" and ")
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_name_and_an_address() {
        let read = |text: &str| text.parse::<ServerAt>();
        let at = |name: &str, address: &str| Ok(ServerAt { name: name.to_owned(), address: address.to_owned() });
        assert_eq!(read("gateway-7@10.0.0.7:7423"), at("gateway-7", "10.0.0.7:7423"));
        assert_eq!(read("a@[::1]:7"), at("a", "[::1]:7"));
        for wrong in ["", "a", "a@b", "@b:1", "a@:1", "a@b:x", "10.0.0.7:7423", "a@b:70000"] {
            assert!(read(wrong).unwrap_err().contains("NAME@HOST:PORT"), "{wrong}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let Failure::Failed(said) = Credentials { ca: Some("ca.pem".into()), ..Credentials::default() }.files().unwrap_err()
        else {
            panic!("a failure");
        };
        assert!(said.contains("--cert and --cert-key") && !said.contains("--ca "), "{said}");
    }
}
