//! Everything carried by a worker, whatever fails on the way.

use std::future::pending;

use alluvium_sync::worker::{Once, Worker};

/// Single runs after which all has to be there.
const RUNS: usize = 6;

/// Carries everything there is. Nothing is waited for: who waits is told to try again.
pub(crate) async fn carry(worker: &Worker) -> Result<(), String> {
    let mut why = String::new();
    for _ in 0..RUNS {
        match hurried(worker).await {
            Once::Done(_) => return Ok(()),
            Once::Left(report, failed) => why = format!("{failed}: {report:?}"),
        }
    }
    Err(why)
}

async fn hurried(worker: &Worker) -> Once {
    let mut reports = worker.reports();
    let hurry = async {
        while reports.changed().await.is_ok() {
            let waits = {
                let report = reports.borrow_and_update();
                report.circuit.is_some() || report.ledger.as_ref().is_some_and(|ledger| ledger.circuit.is_some())
            };
            if waits {
                worker.retry();
            }
        }
        pending::<Once>().await
    };
    tokio::select! {
        once = worker.run_once() => once,
        once = hurry => once,
    }
}
