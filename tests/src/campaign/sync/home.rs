//! What a gateway holds, and what it does by itself.

use std::path::Path;
use std::sync::Arc;

use alluvium::{Database, Settings};

use super::Violation;
use super::fate::Fate;
use super::life;
use super::mirror::MirroredDisk;
use crate::model::Model;
use crate::sim::{Machine, small_settings};
use crate::steps::{self, Step};

/// What a gateway holds, and should hold.
pub struct Home {
    db: Option<Arc<Database>>,
    /// What it should hold.
    pub model: Model,
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
    Settings { ballast_bytes: 0, ..small_settings() }
}

impl Home {
    /// With nothing in it, and no database yet.
    pub fn new(seed: u64, fate: Arc<Fate>) -> Self {
        let machine = Machine::new(seed);
        machine.clock.set_wall(life::BEGIN);
        Home { db: None, model: Model::default(), machine, fate, wrong: None, seed, meanwhiles: 0 }
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
    pub fn perform(&mut self, step: &Step) -> Result<(), Violation> {
        let db = self.db()?;
        let done = match step {
            Step::Write(effect) => steps::write(db, effect),
            Step::Seal => db.seal(),
            Step::Compact => db.compact().map(drop),
            Step::Pass(micros) => {
                self.machine.clock.pass(*micros);
                Ok(())
            }
            other => return Err(Violation(format!("no step of a gateway: {other:?}"))),
        };
        done.map_err(|error| Violation(format!("{}: {error}", step.name())))?;
        step.apply(&mut self.model, |_, _| {});
        Ok(())
    }

    /// Lives on while a call takes long.
    pub fn meanwhile(&mut self) {
        self.meanwhiles += 1;
        let steps = life::meanwhile(&self.model, self.seed ^ self.meanwhiles << 48);
        self.fate.count(false);
        let lived = steps.iter().try_for_each(|step| self.perform(step));
        self.fate.count(true);
        if let Err(violation) = lived {
            self.wrong.get_or_insert(violation);
        }
    }
}
