//! Whether the server can be relied on, and if not, for which reason.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::failed;
use super::session::Server;
use crate::output::terminal;

/// How long the disk may take to be heard of.
const PATIENCE: Duration = Duration::from_secs(5);

/// What has to be right, each `ok` or why it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Checks {
    /// Whether what is written lasts.
    pub(crate) storage: String,
    /// Whether there is room for more.
    pub(crate) disk: String,
    /// Whether the wall clock can be believed.
    pub(crate) clock: String,
}

impl Checks {
    /// Whether all is right.
    pub(crate) fn are_ok(&self) -> bool {
        self.reasons().is_empty()
    }

    /// What is not right, and why.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let named = [("storage", &self.storage), ("disk", &self.disk), ("clock", &self.clock)];
        named.into_iter().filter(|(_, said)| *said != OK).map(|(name, said)| format!("{name}: {said}")).collect()
    }
}

/// What is said of what is right.
const OK: &str = "ok";

/// Looks at all of it.
pub(crate) async fn checks(server: &Server) -> Checks {
    let said = |outcome: Result<(), String>| outcome.err().unwrap_or_else(|| OK.to_owned());
    Checks { storage: said(storage(server).await), disk: said(disk(server).await), clock: said(server.wall.look()) }
}

/// Writes what is to be written, so that a disk that takes nothing is noticed.
async fn storage(server: &Server) -> Result<(), String> {
    let flushed = timeout(PATIENCE, server.engine(|db| db.flush())).await;
    flushed.unwrap_or_else(|_| Err(failed::timeout("what is written"))).map_err(|failed| failed.message)
}

async fn disk(server: &Server) -> Result<(), String> {
    let sample = server.sampled.get(&server.db).await.map_err(|failed| failed.message)?;
    let status = &sample.status;
    if !status.has_room {
        return Err("it is full: rows are refused until there is room".to_owned());
    }
    let needed = server.settings.min_free_bytes.unwrap_or(status.needs_free_bytes);
    match status.free_bytes {
        Some(free) if free < needed => {
            Err(format!("{} are free and {} are needed: make room", terminal::bytes(free), terminal::bytes(needed)))
        }
        _ => Ok(()),
    }
}
