//! How the command line finds the server that has a database open: in `local/` of its directory the server leaves `server.json`,
//! which says where it is, and at its first start `token`, which only the owner may read. Whoever may read that file may read the
//! database itself. `secret` beside it is what servers of the database know their connections by.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use alluvium::{AuditEntry, AuditOutcome, Database, Error, Principal, Transaction};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::certificates::files::{self, Kept};
use crate::failure::{Failure, Outcome};
use crate::serve::Secret;

const DIRECTORY: &str = "local";
const TOKEN: &str = "token";
const SERVER: &str = "server.json";
const SECRET: &str = "secret";
/// The principal of the token.
const PRINCIPAL: &str = "local";
/// What the token is called among others.
const LABEL: &str = "the command line on this machine";
/// Its role, if nobody gave it another.
const ROLE: &str = "admin";

/// What is left for the command line.
#[derive(Debug)]
pub(crate) struct Local {
    directory: PathBuf,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Its process.
    process: u32,
    /// Where it serves HTTP.
    pub(crate) http: SocketAddr,
    /// Whether over TLS.
    #[serde(default)]
    pub(crate) https: bool,
    /// The gateway's id, which its certificate names.
    #[serde(default)]
    pub(crate) gateway: String,
}

impl Found {
    /// Whether it is the one that the lock of the directory names.
    pub(crate) fn is(&self, holder: &str) -> bool {
        holder.strip_prefix("process ").is_some_and(|process| process == self.process.to_string())
    }
}

impl Local {
    /// In a database directory.
    pub(crate) fn of(data: &Path) -> Self {
        Local { directory: data.join(DIRECTORY) }
    }

    /// Where the token is, or would be.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.directory.join(TOKEN)
    }

    /// The token; `None` where there is none, or an empty file in its place, which keeps any from being made.
    pub(crate) fn token(&self) -> Outcome<Option<String>> {
        let found = files::read(&self.token_file())?;
        let text = found.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// Leaves a token where no file of one is. Those of a file that was lost are revoked.
    pub(crate) fn leave_token(&self, db: &Database) -> Outcome {
        if files::read(&self.token_file())?.is_some() {
            return Ok(());
        }
        files::make_directory(&self.directory)?;
        let text = db.transaction(issue)?;
        files::put(&self.token_file(), format!("{text}\n").as_bytes(), Kept::Secret)
    }

    /// What only servers of this database know. One that is not there, or is none, is made anew: then clients of the server before
    /// hear later that it is gone, and so they do where it cannot be kept.
    pub(crate) fn secret(&self) -> Outcome<Secret> {
        let file = self.directory.join(SECRET);
        let found = files::read(&file).unwrap_or_default();
        if let Some(secret) = found.and_then(|bytes| Secret::try_from(bytes).ok()) {
            return Ok(secret);
        }
        let mut secret = Secret::default();
        getrandom::fill(&mut secret)
            .map_err(|error| Failure::failed(format_args!("the system gives nothing random: {error}")))?;
        let kept = files::make_directory(&self.directory).and_then(|()| files::put(&file, &secret, Kept::Secret));
        if let Err(failure) = kept {
            warn!(?failure, "clients will hear late of this server's end");
        }
        Ok(secret)
    }

    /// Says where this process serves.
    pub(crate) fn announce(&self, http: SocketAddr, https: bool, gateway: &str) -> Outcome {
        files::make_directory(&self.directory)?;
        let found = Found { process: std::process::id(), http, https, gateway: gateway.to_owned() };
        let said = serde_json::to_vec(&found).map_err(Failure::failed)?;
        files::put(&self.directory.join(SERVER), &said, Kept::Open)
    }

    /// Says no more where it did.
    pub(crate) fn withdraw(&self) -> Outcome {
        files::remove(&self.directory.join(SERVER)).map(|_| ())
    }

    /// Where a server is, or was that ended without a word; `None` if none says so.
    pub(crate) fn find(&self) -> Outcome<Option<Found>> {
        let said = files::read(&self.directory.join(SERVER))?;
        Ok(said.and_then(|said| serde_json::from_slice(&said).ok()))
    }
}

fn issue(transaction: &mut Transaction<'_>) -> Result<String, Error> {
    if transaction.principals().get(PRINCIPAL)?.is_none() {
        transaction.principals().put(&Principal::new(PRINCIPAL).role(ROLE))?;
    }
    let lost =
        transaction.principals().tokens()?.into_iter().filter(|token| token.principal == PRINCIPAL && token.label == LABEL);
    for token in lost {
        transaction.principals().revoke_token(&token.id)?;
    }
    let (text, _) = transaction.principals().issue_token(PRINCIPAL, LABEL, None)?;
    let entry = AuditEntry::new("server", "token.issue", AuditOutcome::Done).object(PRINCIPAL).detail(LABEL);
    transaction.trail().append(entry)?;
    Ok(text)
}
