//! What the worker notes in the database: JSON, under names of its delivery.

use alluvium::Database;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Shared;
use super::failed::Failed;
use crate::metadata::Told;
use crate::objects::{Spent, Unfinished};
use crate::remote::Hash;

/// What was sent of tables and series.
const TOLD: &str = "told";
/// What the gateway is called there.
const GATEWAY: &str = "gateway";
/// Whether nothing is to be sent.
const PAUSED: &str = "paused";
/// Whether the target creates a name only once, as was found out once.
const ONLY_ONCE: &str = "only_once";
/// Bytes sent today.
const SPENT: &str = "spent";
/// Manifests that may have been put, by their hash: the next cut is announced by one of them, if by any of ours.
const OFFERED: &str = "offered/";
/// Uploads in parts, by the hash of their object.
const UPLOAD: &str = "upload/";
/// Names that tables had when segments of them were sent, behind the number of the table.
const SENT_AS: &str = "sent_as/";

/// A manifest that may have been put.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Offered {
    pub(super) cut: u64,
    /// What is sent with it of tables and series.
    pub(super) told: Told,
    /// Itself, where another one could be put beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) manifest: Option<String>,
}

/// What the gateway is called there, once somebody has said so.
pub(super) fn gateway(db: &Database, name: &str) -> Result<Option<String>, Failed> {
    let note = db.delivery(name).note(GATEWAY.as_bytes())?;
    Ok(note.map(|note| serde_json::from_slice(&note)).transpose()?)
}

pub(super) fn put_gateway(shared: &Shared) -> Result<(), Failed> {
    write(shared, GATEWAY, &shared.gateway)
}

/// Whether nothing is to be sent until somebody says otherwise.
pub(super) fn is_paused(db: &Database, name: &str) -> Result<bool, Failed> {
    Ok(db.delivery(name).note(PAUSED.as_bytes())?.is_some())
}

pub(super) fn pause(db: &Database, name: &str, paused: bool) -> Result<(), Failed> {
    Ok(db.delivery(name).put_note(PAUSED.as_bytes(), paused.then_some(b"true"))?)
}

pub(super) fn creates_only_once(shared: &Shared) -> Result<Option<bool>, Failed> {
    read(shared, ONLY_ONCE)
}

pub(super) fn put_creates_only_once(shared: &Shared, known: bool) -> Result<(), Failed> {
    write(shared, ONLY_ONCE, &known)
}

/// It may be another target by now.
pub(super) fn forget_creates_only_once(shared: &Shared) -> Result<(), Failed> {
    forget(shared, ONLY_ONCE)
}

/// Goes on with today's budget.
pub(super) fn resume_budget(shared: &Shared) -> Result<(), Failed> {
    if let Some(spent) = read::<Spent>(shared, SPENT)? {
        shared.target.throttle().resume(spent);
    }
    Ok(())
}

/// Notes what was sent today, where there is a budget.
pub(super) fn put_budget(shared: &Shared) -> Result<(), Failed> {
    write(shared, SPENT, &shared.target.throttle().spent())
}

pub(super) fn told(shared: &Shared) -> Result<Told, Failed> {
    Ok(read(shared, TOLD)?.unwrap_or_default())
}

pub(super) fn put_told(shared: &Shared, told: &Told) -> Result<(), Failed> {
    write(shared, TOLD, told)
}

/// The manifest of a hash, if we may have put it as that of a cut.
pub(super) fn offered(shared: &Shared, cut: u64, hash: Hash) -> Result<Option<Offered>, Failed> {
    let offered: Option<Offered> = read(shared, &format!("{OFFERED}{hash}"))?;
    Ok(offered.filter(|offered| offered.cut == cut))
}

pub(super) fn offer(shared: &Shared, hash: Hash, offered: &Offered) -> Result<(), Failed> {
    write(shared, &format!("{OFFERED}{hash}"), offered)
}

/// The manifest that was offered as that of a cut, if it was kept.
pub(super) fn offered_of(shared: &Shared, cut: u64) -> Result<Option<String>, Failed> {
    for (_, note) in shared.db.delivery(&shared.name).notes(OFFERED.as_bytes())? {
        let offered: Offered = serde_json::from_slice(&note)?;
        if offered.cut == cut && offered.manifest.is_some() {
            return Ok(offered.manifest);
        }
    }
    Ok(None)
}

/// Forgets what was offered: one of them was taken, or none ever will be.
pub(super) fn forget_offers(shared: &Shared) -> Result<(), Failed> {
    forget(shared, OFFERED)
}

/// All uploads in parts that were begun and came to no end.
pub(super) fn uploads(shared: &Shared) -> Result<Vec<Unfinished>, Failed> {
    let notes = shared.db.delivery(&shared.name).notes(UPLOAD.as_bytes())?;
    notes.iter().map(|(_, note)| Ok(serde_json::from_slice(note)?)).collect()
}

pub(super) fn upload(shared: &Shared, hash: Hash) -> Result<Option<Unfinished>, Failed> {
    read(shared, &format!("{UPLOAD}{hash}"))
}

pub(super) fn put_upload(shared: &Shared, hash: Hash, unfinished: Option<&Unfinished>) -> Result<(), Failed> {
    let name = format!("{UPLOAD}{hash}");
    match unfinished {
        Some(unfinished) => write(shared, &name, unfinished),
        None => Ok(shared.db.delivery(&shared.name).put_note(name.as_bytes(), None)?),
    }
}

/// The names under which segments of a table may have been sent.
pub(super) fn sent_as(shared: &Shared, table: u32) -> Result<Vec<String>, Failed> {
    let beginning = format!("{SENT_AS}{table}/");
    let notes = shared.db.delivery(&shared.name).notes(beginning.as_bytes())?;
    Ok(notes.iter().filter_map(|(name, _)| String::from_utf8(name.strip_prefix(beginning.as_bytes())?.to_vec()).ok()).collect())
}

/// Notes that segments of tables are sent under names, in a database that goes on as the delivery `delivery`.
pub(crate) fn put_sent_as<'a>(
    db: &Database,
    delivery: &str,
    names: impl Iterator<Item = (u32, &'a str)>,
) -> Result<(), alluvium::Error> {
    let delivery = db.delivery(delivery);
    for (table, name) in names {
        let note = format!("{SENT_AS}{table}/{name}");
        if delivery.note(note.as_bytes())?.is_none() {
            delivery.put_note(note.as_bytes(), Some(b"true"))?;
        }
    }
    Ok(())
}

pub(super) fn forget(shared: &Shared, beginning: &str) -> Result<(), Failed> {
    let delivery = shared.db.delivery(&shared.name);
    for (name, _) in delivery.notes(beginning.as_bytes())? {
        delivery.put_note(&name, None)?;
    }
    Ok(())
}

fn read<T: DeserializeOwned>(shared: &Shared, name: &str) -> Result<Option<T>, Failed> {
    let note = shared.db.delivery(&shared.name).note(name.as_bytes())?;
    Ok(note.map(|note| serde_json::from_slice(&note)).transpose()?)
}

fn write<T: Serialize>(shared: &Shared, name: &str, value: &T) -> Result<(), Failed> {
    let value = serde_json::to_vec(value)?;
    Ok(shared.db.delivery(&shared.name).put_note(name.as_bytes(), Some(&value))?)
}
