//! Opening after a crash: a process that puts documents is killed in the middle of it, and its store is opened again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use alluvium::Database;
use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};

use super::{BATCH, DEVICES, chosen, document, id, open, put};
use crate::child::{self, Child};
use crate::threads::rate;

/// Seconds; it is killed long before.
const FOR_EVER: u64 = 3_600;

/// What the process does until it is killed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Load {
    /// A thousand documents at a time, one after another.
    Together,
    /// One at a time, anywhere, from many threads.
    Each,
}

/// A store, and what is done to it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    store: PathBuf,
    documents: usize,
    cache: usize,
    threads: usize,
    load: Load,
}

/// Measures and prints. Nobody else has the store open.
pub(super) fn measure(store: &Path, super::Options { documents, cache, threads, seconds, .. }: &super::Options) -> Result<()> {
    let loads = [(Load::Together, "many together"), (Load::Each, "each by itself, anywhere")];
    for (load, what) in loads {
        for seconds in [*seconds, seconds * 2] {
            let job = Job { store: store.to_owned(), documents: *documents, cache: *cache, threads: *threads, load };
            let mut child = Child::start("documents", &job)?;
            child.tell(&())?;
            std::thread::sleep(Duration::from_secs(seconds));
            child.kill()?;
            let began = Instant::now();
            let crashed = open(store, *cache)?;
            let opened = began.elapsed();
            let found = crashed.collection(DEVICES).get(&id(documents / 2))?;
            found.ok_or_else(|| anyhow!("a document is not there after the crash"))?;
            crashed.close()?;
            println!("opened in {:.2} s after a crash in the midst of {seconds} s of puts, {what}", opened.as_secs_f64());
        }
    }
    Ok(())
}

/// The child that puts until it is killed.
pub(crate) fn serve(job: &Job) -> Result<()> {
    let database = open(&job.store, job.cache)?;
    child::serve(|(): ()| match job.load {
        Load::Together => rate(1, FOR_EVER, &|_, done| put_together(&database, job.documents, done)),
        Load::Each => rate(job.threads, FOR_EVER, &|thread, done| put(&database, job.documents, thread, done)),
    })
}

fn put_together(database: &Database, documents: usize, done: u64) -> Result<()> {
    let first = chosen(documents, 0, done);
    let some = (first..documents.min(first + BATCH)).map(|number| (Some(id(number)), document(number, done + 1)));
    let outcome = database.collection(DEVICES).put_many(some.collect())?;
    anyhow::ensure!(outcome.failed.is_empty(), "documents were refused: {:?}", outcome.failed.first());
    Ok(())
}
