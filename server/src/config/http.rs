//! Who is answered over HTTP.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::{HeaderValue, Uri};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome};

/// What fits every name and every page.
pub(crate) const ANY: &str = "*";

/// Whom the server answers over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpSettings {
    /// Networks and addresses whose requests are answered.
    pub(crate) allow_from: Vec<Network>,
    /// Names by which the server may be called, with any port; `*` for all. By default those of this machine where it listens on
    /// loopback, else all.
    pub(crate) allow_hosts: Option<Vec<String>>,
    /// Pages of which web sites may ask, as `https://panel.example`; `*` for all.
    pub(crate) cors_origins: Vec<Origin>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        let everybody = vec![Network(Ipv4Net::default().into()), Network(Ipv6Net::default().into())];
        HttpSettings { allow_from: everybody, allow_hosts: None, cors_origins: Vec::new() }
    }
}

impl HttpSettings {
    /// Refuses what would let nobody through.
    pub(crate) fn check(&self) -> Outcome {
        let nobody = |name: &str, instead: &str| {
            Err(Failure::usage(format_args!("http.{name} = [] lets nobody through: leave it out for {instead}, or http off")))
        };
        if self.allow_from.is_empty() {
            return nobody("allow_from", "everybody");
        }
        match &self.allow_hosts {
            Some(names) if names.is_empty() => nobody("allow_hosts", "the default"),
            Some(names) => names.iter().try_for_each(|name| check_host(name)),
            None => Ok(()),
        }
    }
}

/// A name or an address, without a port, since any will do.
fn check_host(name: &str) -> Outcome {
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if is_address || (!name.is_empty() && !name.contains([':', '/', '@']) && !name.contains(char::is_whitespace)) {
        return Ok(());
    }
    Err(Failure::usage(format_args!(
        "http.allow_hosts: {name:?} is no name: write panel.example, 192.168.1.5, or {ANY:?} for all"
    )))
}

/// A network, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Network(IpNet);

impl Network {
    /// Whether an address is of it. Of those of IPv4 in the dress of IPv6 the former counts.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Network).map_err(|_| format!("{text:?} is no network: write 192.168.1.0/24, fd00::/8, or an address"))
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.0.to_string()
    }
}

/// What web pages come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Origin(HeaderValue);

impl Origin {
    /// As browsers say it; `None` for all.
    pub(crate) fn named(&self) -> Option<HeaderValue> {
        (self.0 != ANY).then(|| self.0.clone())
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no origin: write https://panel.example, http://localhost:3000, or {ANY:?} for all");
        let uri = text
            .parse::<Uri>()
            .ok()
            .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some());
        // Browsers say no path, not even `/`, and would never be heard.
        let is_origin = uri.is_some_and(|uri| uri.path() == "/" && uri.query().is_none() && !text.ends_with('/'));
        if !is_origin && text != ANY {
            return Err(wrong());
        }
        HeaderValue::from_str(&text).map(Origin).map_err(|_| wrong())
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> String {
        origin.to_string()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn is_in(text: &str, address: &str) -> bool {
        network(text).contains(address.parse().unwrap())
    }

    #[test]
    fn networks_and_addresses() {
        assert!(is_in("192.168.1.0/24", "192.168.1.9") && !is_in("192.168.1.0/24", "192.168.2.9"));
        assert!(is_in("10.1.2.3", "10.1.2.3") && !is_in("10.1.2.3", "10.1.2.4"));
        assert!(is_in("10.0.0.0/8", "::ffff:10.9.9.9"), "as sockets for both say it");
        assert!(is_in("fd00::/8", "fd00::1") && !is_in("fd00::/8", "fe80::1"));
        let everybody = HttpSettings::default().allow_from;
        assert!(["8.8.8.8", "2001:db8::1"].iter().all(|at| everybody.iter().any(|net| net.contains(at.parse().unwrap()))));
        assert!("10.0.0.0/33".parse::<Network>().is_err() && "lan".parse::<Network>().is_err());
    }

    #[test]
    fn origins_are_as_browsers_say_them() {
        let origin = |text: &str| Origin::try_from(text.to_owned());
        for right in ["https://panel.example", "http://localhost:3000", "*"] {
            assert_eq!(String::from(origin(right).unwrap()), right);
        }
        assert_eq!(origin("*").unwrap().named(), None);
        for wrong in ["https://panel.example/", "https://panel.example/x", "panel.example", "", "https://a\n.example"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_lets_nobody_through_is_refused() {
        let hosts = |names: &[&str]| {
            let allow_hosts = Some(names.iter().map(|name| (*name).to_owned()).collect());
            HttpSettings { allow_hosts, ..HttpSettings::default() }.check()
        };
        assert!(hosts(&["panel.example", "192.168.1.5", "[::1]", "*"]).is_ok());
        for wrong in [&[][..], &["panel.example:80"], &["http://panel.example"], &[""]] {
            assert!(hosts(wrong).is_err(), "{wrong:?}");
        }
        assert!(HttpSettings { allow_from: Vec::new(), ..HttpSettings::default() }.check().is_err());
    }
}
