//! How targets stand, as the API and the command line tell it.

use alluvium::{Database, DeliveryState, TimeUnit};
use alluvium_sync::worker::{self, CircuitReport, Failed, LedgerReport, Report, Told};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Links;
use crate::output::timestamp;

/// A target and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SyncTarget")]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
    /// Where it is; null where no server works at it.
    pub(crate) url: Option<String>,
    /// What the gateway is called there.
    pub(crate) gateway: Option<String>,
    /// The gateway's incarnation there.
    pub(crate) incarnation: String,
    /// Whether it was told to send nothing.
    pub(crate) paused: bool,
    /// Cuts taken.
    pub(crate) cuts: u64,
    /// Cuts announced.
    pub(crate) announced: u64,
    /// How far everything is there; null where that is not even the first cut.
    pub(crate) delivered: Option<Delivered>,
    /// Cuts that are not announced, or not all there.
    pub(crate) cuts_left: u64,
    /// Units that are not there.
    pub(crate) units_left: u64,
    /// Why the target is left alone; null while it does its part, or where no server works at it.
    pub(crate) circuit: Option<Circuit>,
    /// Files that were set aside.
    pub(crate) aside: Vec<Aside>,
    /// What the centre was told of it; null where it never was to be.
    pub(crate) ledger: Option<Ledger>,
    /// What was done since the server was started; null where none works at it.
    pub(crate) totals: Option<Totals>,
}

/// What the centre was told of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SyncLedger")]
pub(crate) struct Ledger {
    /// The last cut that it was told; null before the first.
    pub(crate) cut: Option<u64>,
    /// Cuts that are to be told.
    pub(crate) cuts_left: u64,
    /// Cuts whose metadata are to be told.
    pub(crate) metadata_left: u64,
    /// Segments that are there and are to be told.
    pub(crate) segments_left: u64,
    /// Segments that the centre does not take.
    pub(crate) refused: u64,
    /// Cuts whose metadata were set aside, and are tried again.
    pub(crate) aside: u64,
    /// Why the centre is left alone; null while it does its part, or where no server works at it.
    pub(crate) circuit: Option<Circuit>,
}

/// How far everything is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SyncDelivered")]
pub(crate) struct Delivered {
    /// The cut.
    pub(crate) cut: u64,
    /// Its last record.
    pub(crate) record: u64,
    /// When it was taken.
    pub(crate) at: String,
}

/// Why a target is left alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SyncCircuit")]
pub(crate) struct Circuit {
    /// Failures in a row.
    pub(crate) failures: u32,
    /// In how many seconds it is asked again.
    pub(crate) retry_seconds: f64,
    /// What it said last, and what to do about it.
    pub(crate) why: String,
}

/// A file that was set aside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SyncAside")]
pub(crate) struct Aside {
    /// The file.
    pub(crate) file: String,
    /// How often it was tried.
    pub(crate) tries: u32,
    /// In how many seconds it is tried again.
    pub(crate) retry_seconds: f64,
    /// What happened last, and what to do about it.
    pub(crate) why: String,
}

/// What was done since the server was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SyncTotals")]
pub(crate) struct Totals {
    /// Files on their way.
    pub(crate) sending: u64,
    /// Cuts announced.
    pub(crate) announced: u64,
    /// Segments sent, or found to be there.
    pub(crate) segments: u64,
    /// Bytes sent.
    pub(crate) bytes_sent: u64,
    /// Bytes read, to see what is there.
    pub(crate) bytes_read: u64,
    /// Things that failed, and were or are tried again.
    pub(crate) failures: u64,
    /// How often it went on under a new incarnation.
    pub(crate) forks: u64,
}

/// All targets of a database, by name, with what the workers of a server say.
pub(crate) fn of_all(db: &Database, links: &Links) -> Result<Vec<Target>, Failed> {
    db.deliveries()?.into_iter().map(|state| told(db, state, links)).collect()
}

/// One of them; `None` where there is none of this name.
pub(crate) fn of(db: &Database, name: &str, links: &Links) -> Result<Option<Target>, Failed> {
    match db.delivery(name).state() {
        Ok(state) => told(db, state, links).map(Some),
        Err(alluvium::Error::NoSuchDelivery { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn told(db: &Database, state: DeliveryState, links: &Links) -> Result<Target, Failed> {
    let link = links.find(&state.name);
    let report = link.map(|link| link.worker.reports().borrow().clone());
    let delivered = state.delivered.map(|delivered| Delivered {
        cut: delivered.cut,
        record: delivered.record,
        at: timestamp::utc(delivered.taken_at, TimeUnit::Micro),
    });
    Ok(Target {
        url: link.map(|link| link.url.clone()),
        gateway: worker::gateway_of(db, &state.name)?,
        incarnation: alluvium_sync::remote::Incarnation(state.head.incarnation).to_string(),
        paused: worker::is_paused(db, &state.name)?,
        cuts: state.head.cuts,
        announced: state.head.announced.map_or(0, |announced| announced.cut),
        delivered,
        cuts_left: state.cuts_left,
        units_left: state.units_left,
        circuit: report.as_ref().and_then(|report| report.circuit.as_ref()).map(circuit),
        ledger: ledger(worker::told(db, &state.name)?, report.as_ref().and_then(|report| report.ledger.as_ref())),
        aside: report.as_ref().map(aside).unwrap_or_default(),
        totals: report.as_ref().map(totals),
        name: state.name,
    })
}

fn circuit(circuit: &CircuitReport) -> Circuit {
    let retry_seconds = circuit.retry_in.as_secs_f64();
    Circuit { failures: circuit.failures, retry_seconds, why: circuit.why.clone() }
}

fn ledger(told: Option<Told>, report: Option<&LedgerReport>) -> Option<Ledger> {
    let told = told.or(report.map(|report| report.told))?;
    Some(Ledger {
        cut: told.cut,
        cuts_left: told.cuts,
        metadata_left: told.metadata,
        segments_left: told.segments,
        refused: told.refused,
        aside: report.map_or(0, |report| report.aside),
        circuit: report.and_then(|report| report.circuit.as_ref()).map(circuit),
    })
}

fn aside(report: &Report) -> Vec<Aside> {
    let told = report.aside.iter().map(|(file, aside)| Aside {
        file: file.clone(),
        tries: aside.tries,
        retry_seconds: aside.retry_in.as_secs_f64(),
        why: aside.why.clone(),
    });
    told.collect()
}

fn totals(report: &Report) -> Totals {
    let counts = &report.counts;
    Totals {
        sending: report.sending,
        announced: counts.announced,
        segments: counts.segments,
        bytes_sent: counts.bytes_sent,
        bytes_read: counts.bytes_read,
        failures: counts.failures,
        forks: counts.forks,
    }
}
