//! Where HTTP is served, if it is.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The port that it has unless somebody says otherwise.
const PORT: u16 = 7_424;

/// An address, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HttpAt(pub(crate) Option<SocketAddr>);

impl Default for HttpAt {
    fn default() -> Self {
        HttpAt(Some((Ipv4Addr::LOCALHOST, PORT).into()))
    }
}

impl FromStr for HttpAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(HttpAt(None)),
            text => text.parse().map(|at| HttpAt(Some(at))).map_err(|error| format!("{error}: write 127.0.0.1:7424, or none")),
        }
    }
}

impl fmt::Display for HttpAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(at) => at.fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl<'de> Deserialize<'de> for HttpAt {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for HttpAt {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
