//! How the centre and its gateways are.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Head;

/// How the centre is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Of PostgreSQL.
    pub server_version: String,
    /// TimescaleDB, where the server has it. Nothing needs it.
    pub timescale: Option<Timescale>,
    /// The numbers of the migrations that were made.
    pub migrations: Vec<u32>,
    /// Versions of the functions that gateways may call.
    pub apis: Vec<u32>,
    /// Segments of months without a partition, counted up to 100,000: of the far past and future, or until the next migration.
    pub segments_outside_months: u64,
    /// What is not as it should be with the server and its roles, in words.
    pub warnings: Vec<String>,
    /// Those that were asked for, by name.
    pub gateways: Vec<GatewayStatus>,
}

/// TimescaleDB on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timescale {
    /// The version that the server could install.
    pub available: Option<String>,
    /// The version that this database has.
    pub installed: Option<String>,
}

/// How one gateway is. Cuts are those of its branch: the head, and what it follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayStatus {
    /// Its name.
    pub name: String,
    /// When it was provisioned.
    pub created_at: Timestamp,
    /// When it was retired.
    pub retired_at: Option<Timestamp>,
    /// The version of the functions that it called last.
    pub api: Option<u32>,
    /// When it last wrote.
    pub seen_at: Option<Timestamp>,
    /// Its last cut.
    pub head: Option<Head>,
    /// The last cut up to which everything is held or stated to be lost.
    pub delivered_through: Option<u64>,
    /// When that was sealed, by the gateway's clock.
    pub delivered_sealed_at: Option<Timestamp>,
    /// How long ago.
    pub lag_seconds: Option<f64>,
    /// Cuts behind it.
    pub cuts_behind: u64,
    /// Units that no segment holds and no cut states to be lost.
    pub missing: u64,
    /// Units that no segment holds and a cut states to be lost.
    pub lost: u64,
    /// Cuts whose metadata did not come.
    pub missing_metadata: u64,
    /// How many incarnations it has had: more than one where it was copied or restored.
    pub incarnations: u32,
}
