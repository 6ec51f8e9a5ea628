//! Tells troubles of targets in the audit trail, which the change feed carries.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{AuditEntry, AuditOutcome, Database};
use alluvium_sync::worker::Report;
use tokio::time::Instant;
use tracing::warn;

use super::Link;
use super::watch::{Event, Told, Watch};

/// Until when nothing has to be looked at.
const FOR_EVER: Duration = Duration::from_secs(86_400);
/// Who says it.
const WHO: &str = "server";
/// The note of a delivery that says what was told of it.
const NOTE: &[u8] = b"server/told";

/// Watches a worker until told to stop. What is being written then is written.
pub(super) async fn tell(db: Arc<Database>, link: Link, stop: impl Future<Output = ()>) {
    let began = Instant::now();
    let mut reports = link.worker.reports();
    let mut watch = Watch::new(told(&db, &link.name));
    let mut stop = std::pin::pin!(stop);
    loop {
        let wake = watch.wake.map_or(FOR_EVER, |wake| wake.saturating_sub(began.elapsed()));
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(wake) => {}
            changed = reports.changed() => if changed.is_err() {
                return;
            },
        }
        let report = reports.borrow_and_update().clone();
        look(&db, &link, &report, &mut watch, began.elapsed()).await;
    }
}

/// Tells what is to be told.
async fn look(db: &Arc<Database>, link: &Link, report: &Report, watch: &mut Watch, now: Duration) {
    let before = watch.clone();
    let events = watch.look(report, now);
    if events.is_empty() {
        return;
    }
    let (database, name, told) = (db.clone(), link.name.clone(), watch.told.clone());
    let written = tokio::task::spawn_blocking(move || write(&database, &name, &events, &told)).await;
    let error = match written {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(stopped) => stopped.to_string(),
    };
    warn!(delivery = link.name, error, "troubles of a target wait to be written to the audit trail");
    watch.untold(before);
}

fn told(db: &Database, name: &str) -> Told {
    // What is not understood was told by another version: it is told once more.
    let note = db.delivery(name).note(NOTE).ok().flatten();
    note.and_then(|note| serde_json::from_slice(&note).ok()).unwrap_or_default()
}

fn write(db: &Database, name: &str, events: &[Event], told: &Told) -> alluvium::Result<()> {
    for event in events {
        db.trail().append(entry(name, event))?;
    }
    let note = serde_json::to_vec(told).map_err(alluvium::Error::invalid)?;
    db.delivery(name).put_note(NOTE, Some(&note))
}

fn entry(name: &str, event: &Event) -> AuditEntry {
    let entry = |what: &str, outcome, times: u32, detail: String| {
        AuditEntry::new(WHO, what, outcome).object(format!("sync:{name}")).times(times).detail(detail)
    };
    match event {
        Event::Waits { why, times } => entry("sync.waits", AuditOutcome::Failed, *times, why.clone()),
        Event::Works { times } => entry("sync.works", AuditOutcome::Done, *times, "the target does its part again".to_owned()),
        Event::Aside { file, why, files } => entry("sync.aside", AuditOutcome::Failed, *files, format!("{file}: {why}")),
        Event::Forked { times } => {
            let detail = "the target has what is not ours, or lacks what was: it went on under another incarnation";
            entry("sync.fork", AuditOutcome::Done, *times, detail.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use alluvium_sync::objects;

    use super::super::Links;
    use super::*;
    use crate::config::SyncSettings;

    fn links(db: &Arc<Database>, dir: &Path) -> Links {
        let url = dir.join("bucket").to_str().unwrap().to_owned();
        let targets = [("cloud".to_owned(), objects::Settings::new(url))].into();
        Links::open(db, &dir.join("data"), "g", &SyncSettings { targets, ..SyncSettings::default() }).unwrap()
    }

    /// What was told so far, waited for as long as it is not enough: hours of the workers, moments of ours.
    async fn told(db: &Arc<Database>, enough: usize) -> Vec<(String, String, u32)> {
        let begun = std::time::Instant::now();
        loop {
            let entries = db.trail().read(1, 1_000).unwrap();
            let told = entries.into_iter().filter(|told| told.entry.object == "sync:cloud");
            let told: Vec<_> = told.map(|told| (told.entry.what, told.entry.detail, told.entry.times)).collect();
            if told.len() >= enough {
                return told;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{told:?}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_trail_tells_that_a_target_fails_and_that_it_works_again() {
        let dir = tempfile::tempdir().unwrap();
        let db = Arc::new(Database::open(dir.path().join("data")).unwrap());
        db.kv().put("a", b"b", alluvium::Put::default()).unwrap();
        let bucket = dir.path().join("bucket");
        std::fs::create_dir(&bucket).unwrap();
        // Where a folder is to be made.
        std::fs::write(bucket.join("gateways"), "of somebody").unwrap();
        let all = links(&db, dir.path());
        let at_work = all.start(&db);
        let entries = told(&db, 1).await;
        assert!(entries[0].0 == "sync.waits" && entries[0].1.contains("gateways"), "{entries:?}");
        assert!(all.troubles()[0].contains("cloud is waited for"), "{:?}", all.troubles());
        // For a day: it is tried again, and told no more.
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert_eq!(told(&db, 1).await.len(), 1);
        at_work.finish().await;
        let all = links(&db, dir.path());
        let at_work = all.start(&db);
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(told(&db, 1).await.len(), 1, "a restart is no news");
        std::fs::remove_file(bucket.join("gateways")).unwrap();
        let entries = told(&db, 2).await;
        assert_eq!((entries[1].0.as_str(), entries[1].2), ("sync.works", 1));
        assert_eq!(all.troubles(), Vec::<String>::new());
        at_work.finish().await;
    }
}
