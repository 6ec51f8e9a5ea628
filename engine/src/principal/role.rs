//! Roles that every database has.

use super::grant::Grant;
use crate::error::Result;

/// Their names and grants.
const BUILT_IN: [(&str, &[&str]); 4] = [
    (
        "device",
        &[
            "read,write table:* where device=${principal}",
            "all key:${principal}/*",
            "read,consume queue:${principal}",
            "read,consume queue:${principal}/*",
        ],
    ),
    ("reader", &["read everything"]),
    ("operator", &["read,write,delete,consume,define,operate everything"]),
    ("admin", &["all everything"]),
];

/// Their names.
pub(super) fn built_in() -> impl Iterator<Item = &'static str> {
    BUILT_IN.into_iter().map(|(name, _)| name)
}

/// The grants of one; `None` if it is none of them.
pub(super) fn grants(name: &str) -> Option<Result<Vec<Grant>>> {
    let (_, grants) = BUILT_IN.into_iter().find(|(built_in, _)| *built_in == name)?;
    Some(grants.iter().map(|grant| grant.parse()).collect())
}
