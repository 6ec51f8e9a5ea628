//! Who may do what, and who did: `alluvium user`, `role`, `grant`, `token`, `cert` and `audit`.
//!
//! What is changed here is written to the audit trail in the same transaction.

pub(crate) mod audit;
pub(crate) mod cert;
pub(crate) mod grant;
pub(crate) mod role;
pub(crate) mod token;
pub(crate) mod user;

use std::os::unix::fs::MetadataExt;

use alluvium::{AuditEntry, AuditOutcome, Database, Error, Grant, Principal, Transaction};

use crate::failure::{Failure, Outcome};

/// Makes a change, and an entry of the audit trail that says what was changed and how.
pub(super) fn change<T>(
    database: &Database,
    what: &str,
    object: &str,
    detail: &str,
    change: impl Fn(&mut Transaction<'_>) -> Result<T, Error>,
) -> Outcome<T> {
    let changed = database.transaction(|transaction| {
        let changed = change(transaction)?;
        let entry = AuditEntry::new(local_user(), what, AuditOutcome::Done).object(object).detail(detail);
        transaction.trail().append(entry)?;
        Ok::<T, Error>(changed)
    });
    changed.map_err(Failure::of_request)
}

/// Whoever runs this program: nobody asked for a name to get at the files themselves.
fn local_user() -> String {
    std::fs::metadata("/proc/self").map_or_else(|_| "local".to_owned(), |process| format!("local:uid={}", process.uid()))
}

/// Reads a grant on the command line.
fn parse_grant(text: &str) -> Result<Grant, String> {
    text.parse().map_err(|error: Error| error.to_string())
}

/// The principal of a name, to be put back changed.
fn principal(transaction: &mut Transaction<'_>, name: &str) -> Result<Principal, Error> {
    transaction.principals().get(name)?.ok_or_else(|| Error::NoSuchPrincipal { name: name.to_owned() })
}

/// Grants as they are listed.
pub(crate) fn lines(grants: &[Grant]) -> Vec<String> {
    grants.iter().map(Grant::to_string).collect()
}
