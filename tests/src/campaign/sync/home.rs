//! What a gateway holds, and what it does by itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium::{Database, Keep, Retention, Settings};
use alluvium_sync::remote::Incarnation;

use super::fate::Fate;
use super::gateway::DELIVERY;
use super::kept::Kept;
use super::life::{self, Deed};
use super::mirror::MirroredDisk;
use super::store::Store;
use super::{Violation, ensure};
use crate::answers;
use crate::model::{Effect, Row};
use crate::sim::{Machine, small_settings};
use crate::steps::{self, Step};

/// How long rows are kept: longer than any life, so that they go when the clock is set ahead and never by themselves.
const KEEP: Duration = Duration::from_secs(10_000 * 86_400);

/// The record of rows where there are none.
const NO_ROWS: u64 = 0;

/// What a gateway holds, and should hold.
pub struct Home {
    db: Option<Arc<Database>>,
    /// What it should hold.
    pub kept: Kept,
    store: Store,
    /// What it runs on.
    pub machine: Machine,
    fate: Arc<Fate>,
    /// A step that went wrong while somebody else was at it.
    pub wrong: Option<Violation>,
    seed: u64,
    /// How often it lived on while a call took long.
    pub meanwhiles: u64,
}

/// Under which settings little makes much happen.
fn settings() -> Settings {
    let keep = Keep { age: Some(KEEP), bytes: None };
    let retention = Retention { keep, required: vec![DELIVERY.to_owned()], ..Retention::default() };
    Settings { ballast_bytes: 0, retention, ..small_settings() }
}

/// Appends rows. Answers their record.
fn put(db: &Database, table: &str, rows: &[Row]) -> alluvium::Result<u64> {
    let batch = answers::batch(&*db.table(table)?, rows);
    db.append(table, &batch).map(|ack| ack.sequence)
}

fn failed(what: &'static str) -> impl Fn(alluvium::Error) -> Violation {
    move |error| Violation(format!("cannot {what}: {error}"))
}

impl Home {
    /// With nothing in it, and no database yet.
    pub fn new(seed: u64, store: Store, fate: Arc<Fate>) -> Self {
        let machine = Machine::new(seed);
        machine.clock.set_wall(life::BEGIN);
        Home { db: None, kept: Kept::default(), store, machine, fate, wrong: None, seed, meanwhiles: 0 }
    }

    /// The database.
    pub fn db(&self) -> Result<&Arc<Database>, Violation> {
        self.db.as_ref().ok_or_else(|| Violation("the database is not open".to_owned()))
    }

    /// Opens it, in a directory in which its segments are shown.
    pub fn open(&mut self, data: &Path) -> Result<(), Violation> {
        let disk = MirroredDisk::new(self.machine.disk.clone(), self.fate.clone());
        let db = self.machine.builder_over(Arc::new(disk), settings()).open(data);
        self.db = Some(Arc::new(db.map_err(|error| Violation(format!("does not open: {error}")))?));
        Ok(())
    }

    /// The same after a power cut that left a machine.
    pub fn go_on(&mut self, mut machine: Machine) {
        self.db = None;
        machine.clock = self.machine.clock.clone();
        machine.clock.start_again();
        self.machine = machine;
    }

    /// Does something, and takes note of what there should be then.
    pub fn perform(&mut self, deed: &Deed) -> Result<(), Violation> {
        match deed {
            Deed::Step(step) => self.step(step),
            Deed::Evict(before, late) => self.evict(*before, late.clone()),
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), Violation> {
        let db = self.db()?;
        let done = match step {
            Step::Write(Effect::Put(table, rows)) => put(db, table, rows),
            Step::Write(effect) => steps::write(db, effect).map(|()| NO_ROWS),
            Step::Seal => db.seal().map(|()| NO_ROWS),
            Step::Compact => db.compact().map(|_| NO_ROWS),
            Step::Pass(micros) => {
                self.machine.clock.pass(*micros);
                Ok(NO_ROWS)
            }
            other => return Err(Violation(format!("no step of a gateway: {other:?}"))),
        };
        let record = done.map_err(|error| Violation(format!("{}: {error}", step.name())))?;
        self.kept.wrote(&step.effects(), record);
        Ok(())
    }

    /// Lets go of what is older than a moment. All but what comes late is sealed before, so that whole partitions go.
    fn evict(&mut self, before: i64, late: Option<Effect>) -> Result<(), Violation> {
        self.step(&Step::Seal)?;
        let db = self.db()?.clone();
        let sealed = self.kept.rows_through();
        late.map(Step::Write).iter().try_for_each(|late| self.step(late))?;
        let now = db.now().wall_micros;
        self.machine.clock.set_wall(before + i64::try_from(KEEP.as_micros()).unwrap_or(i64::MAX / 2));
        let (due, gone) = (db.evictions(), db.evict());
        self.machine.clock.set_wall(now);
        self.kept.stay(&due.map_err(failed("ask what may go"))?);
        let gone = gone.map_err(failed("let go of rows"))?;
        if !gone.is_empty() {
            let head = db.delivery(DELIVERY).head().map_err(failed("read who it is"))?;
            // One that has just forked has announced nothing by its own name yet.
            let names = head.announced.map(|announced| announced.incarnation).into_iter().chain([head.incarnation]);
            self.kept.goes_by(names.map(Incarnation));
            self.store.look(|bucket| self.kept.let_go(&gone, sealed, bucket))?;
        }
        let found = answers::digest(&db).map_err(failed("read"))?;
        ensure(found == self.kept.held.digest(), || format!("it holds something else once {gone:?} went"))
    }

    /// Lives on while a call takes long.
    pub fn meanwhile(&mut self) {
        self.meanwhiles += 1;
        let steps = life::meanwhile(&self.kept.written, self.seed ^ self.meanwhiles << 48);
        self.fate.count(false);
        let lived = steps.iter().try_for_each(|step| self.perform(step));
        self.fate.count(true);
        if let Err(violation) = lived {
            self.wrong.get_or_insert(violation);
        }
    }
}
