//! What lies in the cells of principals, roles, tokens and certificates: JSON objects, their grants as text.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Grant, Principal};
use crate::error::{Error, Result};
use crate::keyspace::space;
use crate::record::Key;

/// The cell of a principal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrincipalForm {
    roles: Vec<String>,
    grants: Vec<String>,
    disabled: bool,
}

/// The cell of a role.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleForm {
    grants: Vec<String>,
}

/// The cell of a token.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenForm {
    pub(super) principal: String,
    pub(super) label: String,
    /// Microseconds UTC by the wall clock.
    pub(super) issued_at: i64,
    /// Microseconds of the engine's clock.
    pub(super) expires_at: Option<u64>,
}

/// The cell of a certificate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateForm {
    pub(super) principal: String,
    /// Seconds UTC.
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    /// Microseconds UTC by the wall clock.
    pub(super) revoked_at: Option<i64>,
}

pub(super) fn key(space: u8, name: &[u8]) -> Key {
    [space].iter().chain(name).copied().collect()
}

/// The name in the key of a principal or role.
pub(super) fn name(key: &[u8]) -> Result<&str> {
    std::str::from_utf8(key.get(1..).unwrap_or_default()).map_err(|_| wrong("a name that is no text"))
}

pub(super) fn encode<T: Serialize>(form: &T) -> Result<Arc<[u8]>> {
    serde_json::to_vec(form).map(Arc::from).map_err(|error| wrong(&error.to_string()))
}

pub(super) fn decode<T: for<'d> Deserialize<'d>>(cell: &[u8]) -> Result<T> {
    serde_json::from_slice(cell).map_err(|error| wrong(&error.to_string()))
}

fn wrong(how: &str) -> Error {
    Error::Internal(format!("a principal, role, token or certificate of a form that is not known: {how}"))
}

impl PrincipalForm {
    pub(super) fn of(principal: &Principal) -> Self {
        let Principal { name: _, roles, grants, disabled } = principal;
        PrincipalForm { roles: roles.clone(), grants: texts(grants), disabled: *disabled }
    }

    pub(super) fn open(self, name: &str) -> Result<Principal> {
        Ok(Principal { name: name.to_owned(), roles: self.roles, grants: parse(&self.grants)?, disabled: self.disabled })
    }
}

impl RoleForm {
    pub(super) fn of(grants: &[Grant]) -> Self {
        RoleForm { grants: texts(grants) }
    }

    pub(super) fn open(&self) -> Result<Vec<Grant>> {
        parse(&self.grants)
    }
}

fn texts(grants: &[Grant]) -> Vec<String> {
    grants.iter().map(Grant::to_string).collect()
}

fn parse(texts: &[String]) -> Result<Vec<Grant>> {
    texts.iter().map(|text| text.parse()).collect()
}

/// What a cell says, for the change feed; `None` where it is neither principal nor role.
pub(crate) fn told(key: &[u8], value: Option<&[u8]>) -> Option<Told> {
    let name = name(key).ok()?.to_owned();
    match *key.first()? {
        space::PRINCIPAL => {
            let principal = value.map(|cell| decode::<PrincipalForm>(cell).and_then(|form| form.open(&name))).transpose().ok()?;
            Some(Told::Principal { name, principal })
        }
        space::ROLE => {
            let grants = value.map(|cell| decode::<RoleForm>(cell).and_then(|form| form.open())).transpose().ok()?;
            Some(Told::Role { name, grants })
        }
        _ => None,
    }
}

/// What the feed is told.
pub(crate) enum Told {
    Principal { name: String, principal: Option<Principal> },
    Role { name: String, grants: Option<Vec<Grant>> },
}
