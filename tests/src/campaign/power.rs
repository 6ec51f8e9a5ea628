//! Power cuts: at every change to the device, with several survivals of what was not synced, and again at every change that the
//! recovery makes.

use std::sync::atomic::Ordering;

use alluvium::record::ReceiptKind;
use alluvium::{Database, FieldType, Query, RowBuilder, TableSpec};
use fastrand::Rng;

use super::workload::{Allowed, Recording};
use super::{Progress, Violation, at, ensure, parallel};
use crate::answers;
use crate::feed::Found;
use crate::sim::{Change, Device, Image, Machine, small_settings};

/// Changes that one piece of work goes through.
const PIECE: usize = 16;
/// The table that shows that writing goes on.
const AFTERWARDS: &str = "afterwards";

/// How many trials.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Survivals tried at each change.
    pub survivals: usize,
    /// At each how many of them recovery is cut again, at every change it makes.
    pub again_every: usize,
    /// Distance of the changes at which power is cut.
    pub stride: usize,
}

impl Plan {
    /// About so many trials over a whole life, half of them cuts of recoveries.
    pub fn for_trials(recording: &Recording, trials: usize) -> Plan {
        /// Changes that a recovery makes, about.
        const RECOVERY: usize = 7;
        let cuts = recording.journal.len() + 1;
        let survivals = (trials / 2).div_ceil(cuts).max(1);
        Plan { survivals, again_every: (survivals * cuts * RECOVERY / (trials / 2).max(1)).max(1), stride: 1 }
    }
}

/// Cuts power throughout a recorded life. Answers how many trials were made.
pub fn run(recording: &Recording, seed: u64, plan: Plan, tell: &(dyn Fn(&Progress) + Sync)) -> Result<u64, Violation> {
    let cuts: Vec<usize> = (0..=recording.journal.len()).step_by(plan.stride).collect();
    let starts: Vec<usize> = cuts.chunks(PIECE).map(|piece| piece[0]).collect();
    let devices = devices(recording, &starts);
    let work = |piece: usize, progress: &Progress| {
        let (mut device, mut reached) = (devices[piece].clone(), starts[piece]);
        for &cut in cuts[piece * PIECE..].iter().take(PIECE) {
            recording.journal[reached..cut].iter().for_each(|change| device.apply(change));
            reached = cut;
            let allowed = recording.allowed(cut);
            for survival in 0..plan.survivals {
                let trial = Trial { seed: seed ^ (cut as u64) << 20 ^ survival as u64, allowed: &allowed, progress };
                let again = (cut / plan.stride * plan.survivals + survival).is_multiple_of(plan.again_every);
                trial.cut(&device, again).map_err(at(format_args!("cut {cut} survival {survival}, step {}", allowed.step)))?;
            }
        }
        Ok(())
    };
    parallel(starts.len(), work, tell)
}

/// The device after each of some numbers of changes.
fn devices(recording: &Recording, after: &[usize]) -> Vec<Device> {
    let (mut device, mut reached) = (Device::default(), 0);
    let mut devices = Vec::with_capacity(after.len());
    for &changes in after {
        recording.journal[reached..changes].iter().for_each(|change| device.apply(change));
        reached = changes;
        devices.push(device.clone());
    }
    devices
}

/// One power cut, or those that follow from one.
struct Trial<'a> {
    seed: u64,
    allowed: &'a Allowed,
    progress: &'a Progress,
}

impl Trial<'_> {
    fn cut(&self, device: &Device, again: bool) -> Result<(), Violation> {
        let image = device.after_power_cut(&mut Rng::with_seed(self.seed));
        let recovery = self.recover(&image, self.seed)?;
        if !again {
            return Ok(());
        }
        let mut device = Device::new(&image);
        for (number, change) in recovery.iter().enumerate() {
            let seed = self.seed ^ (number as u64 + 1) << 40;
            let image = device.after_power_cut(&mut Rng::with_seed(seed));
            self.recover(&image, seed).map_err(at(format_args!("recovery cut at change {number}")))?;
            device.apply(change);
        }
        Ok(())
    }

    /// Opens what is left, checks it, and goes on. Answers what opening changed.
    fn recover(&self, image: &Image, seed: u64) -> Result<Vec<Change>, Violation> {
        let machine = Machine::from_image(image, seed);
        machine.disk.record();
        let opened = machine.open(small_settings());
        let db = opened.map_err(|error| Violation(format!("does not open: {error}")))?;
        let recovery = machine.disk.journal();
        let choice = Rng::with_seed(seed).u8(0..8);
        let found = self.check(&db, choice.is_multiple_of(4))?;
        goes_on(&db, found, choice < 2)?;
        drop(db);
        match choice {
            6 if self.allowed.has_snapshot => self.restores_the_catalog(image)?,
            7 => keeps_what_followed(&machine, found, seed)?,
            _ => {}
        }
        self.progress.trials.fetch_add(1, Ordering::Relaxed);
        Ok(recovery)
    }

    /// With the catalog gone, a snapshot and the log make up for it.
    fn restores_the_catalog(&self, image: &Image) -> Result<(), Violation> {
        let mut image = image.clone();
        let is_pages = |path: &std::path::Path| path.to_string_lossy().contains("catalog.pages");
        image.files.retain(|path, _| !is_pages(path));
        let db = Machine::from_image(&image, self.seed).open(small_settings());
        let db = db.map_err(|error| Violation(format!("does not open without its catalog: {error}")))?;
        ensure(self.allowed.contains(digest(&db)?), || "holds something else without its catalog".to_owned())?;
        let receipts = db.inspect().map_err(failed("inspect"))?.receipts;
        let restored = receipts.iter().any(|receipt| receipt.receipt.detail.contains("restored from the snapshot"));
        ensure(restored, || "finds no snapshot".to_owned())
    }

    /// Everything acknowledged is there, nothing that was never written is, batches are whole, and nothing counts as damaged.
    fn check(&self, db: &Database, verify: bool) -> Result<u64, Violation> {
        let found = digest(db)?;
        ensure(self.allowed.contains(found), || format!("holds something else: {}", summary(db)))?;
        let feed = Found::read(db, 1, AFTERWARDS).map_err(failed("read the feed"))?;
        ensure(feed.is_whole(), || "a gap in the feed".to_owned())?;
        self.allowed.may_be_told(&feed).map_err(|what| Violation(format!("the feed: {what}")))?;
        let inspection = db.inspect().map_err(failed("inspect"))?;
        ensure(self.allowed.incarnation.as_ref().is_none_or(|own| *own == inspection.incarnation), || {
            "is another database".to_owned()
        })?;
        let mut rebuilt = 0;
        for receipt in inspection.receipts.into_iter().map(|receipt| receipt.receipt) {
            rebuilt += usize::from(receipt.kind == ReceiptKind::CatalogRebuilt);
            let expected = matches!(receipt.kind, ReceiptKind::TornTail | ReceiptKind::CatalogRebuilt);
            ensure(expected && rebuilt <= self.allowed.lost_catalogs, || format!("takes a power cut for damage: {receipt:?}"))?;
        }
        if verify {
            let problems = db.verify(&mut |_, _| {}).map_err(failed("verify"))?.problems;
            ensure(problems.is_empty(), || format!("finds problems: {problems:?}"))?;
        }
        Ok(found)
    }
}

/// What was written after the opening survives another power cut.
fn keeps_what_followed(machine: &Machine, found: u64, seed: u64) -> Result<(), Violation> {
    let image = machine.disk.after_power_cut(&mut Rng::with_seed(seed + 1));
    let db = Machine::from_image(&image, seed).open(small_settings());
    let db = db.map_err(|error| Violation(format!("does not open after going on: {error}")))?;
    ensure(digest(&db)? == found && afterwards(&db)? == 3, || "what was written afterwards is not there".to_owned())
}

pub(super) fn failed(what: &str) -> impl Fn(alluvium::Error) -> Violation {
    move |error| Violation(format!("cannot {what}: {error}"))
}

pub(super) fn digest(db: &Database) -> Result<u64, Violation> {
    answers::digest_without(db, AFTERWARDS).map_err(failed("read"))
}

/// Writes three rows to a table of their own; nothing else changes by it.
pub(super) fn goes_on(db: &Database, found: u64, seal: bool) -> Result<(), Violation> {
    if db.table(AFTERWARDS).is_err() {
        db.create_table(TableSpec::new(AFTERWARDS).field("n", FieldType::Int64)).map_err(failed("make a table"))?;
    }
    let mut rows = RowBuilder::new(db.table(AFTERWARDS).map_err(failed("find a table"))?);
    for n in 0..3_i64 {
        rows.row(n).value("n", n).map_err(failed("build a row"))?;
    }
    db.append(AFTERWARDS, &rows.finish().map_err(failed("build rows"))?).map_err(failed("append"))?;
    if seal {
        db.seal().map_err(failed("seal"))?;
    }
    ensure(afterwards(db)? == 3, || "rows just written are not there".to_owned())?;
    ensure(!seal || digest(db)? == found, || "sealing changed what is read".to_owned())
}

fn afterwards(db: &Database) -> Result<usize, Violation> {
    answers::rows(db, &Query::table(AFTERWARDS)).map(|rows| rows.len()).map_err(failed("read"))
}

fn summary(db: &Database) -> String {
    let tables = db.tables();
    let tables = tables.iter().map(|schema| {
        let rows =
            answers::rows(db, &Query::table(&schema.name)).map_or_else(|error| error.to_string(), |rows| rows.len().to_string());
        format!("{} version {} with {rows} rows", schema.name, schema.version)
    });
    tables.collect::<Vec<_>>().join(", ")
}
