//! Makes the database of what was fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alluvium::io::Components;
use alluvium::{Announced, Assembled, Database, Parts, SegmentPart, Settings};
use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;

use super::apply::Applying;
use super::error::NotRestored;
use super::lineage::{Lineage, Source, in_words};
use super::plan::Plan;
use super::stage::Stage;
use super::told::Told;
use super::{Options, Progress, Restored, Whole, parts};
use crate::remote::{AuditHead, Incarnation};
use crate::worker::put_sent_as;

/// All that is needed to make it, without the bucket.
pub(super) struct Job {
    parts: Parts,
    told: Told,
    metadata: Vec<Source>,
    now: Timestamp,
    announced: Announced,
    /// The segments of which rows may have been deleted later: their names, and how many rows were cut of each.
    doubtful: BTreeMap<u64, (String, u64)>,
    /// The names under which segments of tables, by their number, are in the bucket.
    sent_as: BTreeSet<(u32, String)>,
    /// What will have been restored, as far as it is known before.
    restored: Restored,
    options: Options,
}

/// A job under way.
pub(super) struct Making {
    pub(super) stage: Arc<Stage>,
    pub(super) job: Job,
    /// Who waits for it, until he does not.
    pub(super) tell: UnboundedSender<Progress>,
}

impl Job {
    pub(super) fn new(
        gateway: &str,
        lineage: &Lineage<'_>,
        plan: Plan,
        mut told: Told,
        metadata: Vec<Source>,
        options: &Options,
    ) -> Result<Self, NotRestored> {
        let Some(((incarnation, number), cut)) = lineage.last() else {
            return Err(NotRestored::NoGateway { wanted: Some(gateway.to_owned()), there: Vec::new() });
        };
        let now = Timestamp::now();
        let through = parts::through(lineage, &plan, metadata.iter().map(|source| source.through));
        let parts = parts::parts(lineage, &plan, &mut told, through, now.as_microsecond());
        let parts = parts.map_err(|why| NotRestored::Database(alluvium::Error::invalid(why)))?;
        let name = |number: u64| {
            let at = usize::try_from(number - 1).ok()?;
            plan.segments.get(at).map(|segment| segment.key.to_string())
        };
        let doubtful = plan.doubtful.iter().filter_map(|(number, rows)| Some((*number, (name(*number)?, *rows))));
        let doubtful = doubtful.collect();
        let sent_as = plan.segments.iter().map(|segment| (segment.key.table, segment.key.name.clone())).collect();
        let mut left_out = std::mem::take(&mut told.left_out);
        let dead = told.items.values().filter(|item| item.is_dead()).count() as u64;
        if dead > 0 {
            left_out.insert("dead item".to_owned(), dead);
        }
        let restored = Restored {
            gateway: gateway.to_owned(),
            incarnation,
            cut: number,
            record: cut.records.1,
            sealed_at: cut.sealed_at,
            metadata_at: metadata.iter().rfind(|source| source.is_of_then).map(|source| source.at),
            newer_through: plan.newer,
            erased_later: Vec::new(),
            missing: plan.missing,
            gone: plan.gone,
            problems: in_words(&lineage.tolerated),
            audit: cut.audit,
            goes_on_as: None,
            tables: 0,
            series: 0,
            segments: plan.segments.len() as u64,
            rows: 0,
            bytes: plan.segments.iter().map(|segment| segment.bytes).sum(),
            left_out,
        };
        let announced = Announced {
            cut: number,
            through: cut.records.1,
            taken_at: cut.sealed_at.as_microsecond(),
            incarnation: incarnation.0,
            hash: cut.hash.0,
        };
        Ok(Job { parts, told, metadata, now, announced, doubtful, sent_as, restored, options: options.clone() })
    }
}

impl Making {
    /// Makes it, and notes that it is whole.
    pub(super) fn run(mut self) -> Result<Restored, NotRestored> {
        self.stage.clear()?;
        let assembled = self.assemble()?;
        // No threads: nothing is to be folded together meanwhile, and the room for a full disk is for who uses it.
        let settings = Settings { background: false, ballast_bytes: 0, ..self.job.options.settings.clone() };
        let db = Database::builder().settings(settings).open(self.stage.dir())?;
        let goes_on_as = self.fill(&db)?;
        db.close()?;
        let restored = Restored {
            goes_on_as,
            tables: assembled.tables,
            series: assembled.series,
            rows: assembled.rows,
            ..self.job.restored.clone()
        };
        let Options { gateway, incarnation, until, allow_missing, allow_newer, delivery, .. } = self.job.options.clone();
        let whole = Whole { gateway, incarnation, until, allow_missing, allow_newer, delivery, restored: restored.clone() };
        let bytes =
            serde_json::to_vec_pretty(&whole).map_err(|error| NotRestored::file("write", self.stage.dir())(error.into()))?;
        self.stage.conclude(&bytes)?;
        Ok(restored)
    }

    fn assemble(&mut self) -> Result<Assembled, NotRestored> {
        let Job { parts, doubtful, restored, options, .. } = &mut self.job;
        let (tell, parts) = (&self.tell, std::mem::take(parts));
        let (of, cut) = (parts.segments.len() as u64, restored.cut);
        let (mut segments, mut refused) = (0, None);
        let mut checked = |part: &SegmentPart, rows: u64| {
            segments += 1;
            if let Some((key, cut_rows)) = doubtful.get(&part.number).filter(|(_, cut_rows)| rows < *cut_rows) {
                if !options.allow_newer {
                    refused = Some(NotRestored::Erased { cut, key: key.clone(), rows, cut_rows: *cut_rows });
                    return Err(alluvium::Error::Closed);
                }
                restored.erased_later.push(key.clone());
            }
            tell.send(Progress::Checked { segments, of }).map_err(|_| alluvium::Error::Closed)
        };
        let made = parts.assemble(self.stage.dir(), &Components::os(), &options.settings, &mut checked);
        made.map_err(|error| match error {
            alluvium::Error::Closed => refused.unwrap_or(NotRestored::Stopped),
            error => {
                if let alluvium::Error::Damaged { path, .. } = &error {
                    self.stage.discard(path);
                }
                error.into()
            }
        })
    }

    /// Puts metadata into it, and lets its delivery go on. Answers under which incarnation.
    fn fill(&mut self, db: &Database) -> Result<Option<Incarnation>, NotRestored> {
        let Job { told, metadata, now, announced, restored, options, .. } = &self.job;
        let (of, tell) = (told.later, &self.tell);
        let mut lines = 0;
        let mut progress = |more| {
            lines += more;
            tell.send(Progress::Put { lines, of }).map_err(|_| NotRestored::Stopped)
        };
        let mut applying = Applying { db, told, now: *now, progress: &mut progress };
        applying.trail(&format!("gateway:{}", restored.gateway), told_of(restored))?;
        applying.all(&self.stage, metadata)?;
        let Some(name) = &options.delivery else { return Ok(None) };
        let delivery = db.delivery(name);
        delivery.begin()?;
        put_sent_as(db, name, self.job.sent_as.iter().map(|(table, name)| (*table, name.as_str())))?;
        Ok(Some(Incarnation(delivery.fork(Some(*announced))?.head.incarnation)))
    }
}

/// What the new trail says of the old one.
fn told_of(restored: &Restored) -> String {
    let Restored { incarnation, cut, record, audit, .. } = restored;
    let ended = match audit {
        Some(AuditHead { number, hash }) => format!("its audit trail ended with entry {number} of hash {hash}"),
        None => "its audit trail was empty".to_owned(),
    };
    format!("restored from cut {cut} of incarnation {incarnation}, up to record {record}; {ended}")
}
