//! The workers of a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium::Database;
use alluvium_sync::objects::{self, Target};
use alluvium_sync::postgres::Ledger;
use alluvium_sync::worker::Worker;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::events;
use crate::config::SyncSettings;
use crate::failure::{Failure, Outcome};

/// What is sent and not kept is written there, below a database directory.
pub(crate) fn scratch(data: &Path) -> PathBuf {
    data.join("local").join("outbox")
}

/// One target and its worker.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) name: String,
    /// Where it goes, without anything secret.
    pub(crate) url: String,
    pub(crate) worker: Worker,
}

impl Link {
    /// Makes one ready to work.
    pub(crate) fn open(
        db: &Arc<Database>,
        data: &Path,
        gateway: &str,
        settings: &SyncSettings,
        (name, target): (&str, &objects::Settings),
    ) -> Outcome<Link> {
        let url = target.url.clone();
        let target = Target::open(target).map_err(|error| Failure::usage(format_args!("target {name:?}: {error}")))?;
        let (db, scratch, policy) = (db.clone(), scratch(data), settings.policy());
        let worker = match ledger(gateway, settings, name)? {
            Some(ledger) => Worker::with_ledger(db, name, gateway, target, policy, &scratch, ledger),
            None => Worker::new(db, name, gateway, target, policy, &scratch),
        };
        Ok(Link { name: name.to_owned(), url, worker: worker.map_err(Failure::failed)? })
    }
}

/// The centre, where the cuts of a target are registered there.
pub(crate) fn ledger(gateway: &str, settings: &SyncSettings, name: &str) -> Outcome<Option<Ledger>> {
    let Some(postgres) = settings.postgres.as_ref().filter(|_| settings.registered().is_ok_and(|of| of == Some(name))) else {
        return Ok(None);
    };
    let wrong = |error: &dyn std::fmt::Display| Failure::usage(format_args!("sync.postgres: {error}"));
    let options = postgres.options().map_err(|error| wrong(&error))?;
    Ledger::new(&options, gateway, postgres.secret()).map(Some).map_err(|error| wrong(&error))
}

/// All targets of a server, at which it works until it ends.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(crate) all: Vec<Link>,
}

impl Links {
    /// Those of the settings.
    pub(crate) fn open(db: &Arc<Database>, data: &Path, gateway: &str, settings: &SyncSettings) -> Outcome<Links> {
        if settings.postgres.is_some() && settings.targets.is_empty() {
            return Err(Failure::usage(
                "sync.postgres: a server carries nothing anywhere that could be registered; name a target",
            ));
        }
        let targets = settings.targets.iter().map(|(name, target)| (name.as_str(), target));
        let all = targets.map(|target| Link::open(db, data, gateway, settings, target)).collect::<Outcome<_>>()?;
        Ok(Links { all })
    }

    /// One of them.
    pub(crate) fn find(&self, name: &str) -> Option<&Link> {
        self.all.iter().find(|link| link.name == name)
    }

    /// Those that do not do their part, or do not take some file, each with why.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let of = |link: &Link| {
            let reports = link.worker.reports();
            let report = reports.borrow();
            let waits = report.circuit.as_ref().map(|circuit| format!("{} is waited for: {}", link.name, circuit.why));
            let aside =
                || report.aside.iter().next().map(|(file, aside)| format!("{}: {file} was set aside: {}", link.name, aside.why));
            waits.or_else(aside)
        };
        self.all.iter().filter_map(of).collect()
    }

    /// Works at all of them, and tells of their troubles, until it is dropped or told to end.
    pub(crate) fn start(&self, db: &Arc<Database>) -> AtWork {
        let (ending, is_ending) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for link in &self.all {
            let (link, db, is_ending) = (link.clone(), db.clone(), is_ending.clone());
            tasks.spawn(async move {
                let worker = link.worker.clone();
                tokio::join!(worker.run(ended(is_ending.clone())), events::tell(db, link, ended(is_ending)));
            });
        }
        AtWork { ending, tasks }
    }
}

/// Returns when it says so; whoever dropped the other end ends it as well.
async fn ended(mut is_ending: watch::Receiver<bool>) {
    drop(is_ending.wait_for(|ending| *ending).await);
}

/// Workers that work.
#[derive(Debug)]
pub(crate) struct AtWork {
    ending: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl AtWork {
    /// Ends them; what is on its way is gone on with the next time.
    pub(crate) async fn finish(mut self) {
        self.ending.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}
