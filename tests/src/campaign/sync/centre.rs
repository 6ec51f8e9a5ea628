//! The centre, as the worker sees it: every call to it can go wrong, and it may be put back to a backup.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alluvium_sync::postgres::{Advance, Applied, Error, Head, Held, KnownCut, KnownSegment, Line, MissingUnit, Segment};
use alluvium_sync::remote::{Hash, Incarnation};
use alluvium_sync::worker::{Centre, MemoryCentre};
use async_trait::async_trait;

use super::far::{Far, Trouble};
use super::fate::Fate;
use super::fault::{Call, Part};

/// How long an answer is waited for, as by a connection to PostgreSQL.
const PATIENCE: Duration = Duration::from_secs(60);

/// A centre, and its backups.
#[derive(Debug)]
struct Office {
    now: MemoryCentre,
    /// As it was before each call that changes it, oldest first.
    before: Vec<MemoryCentre>,
    /// How often it was put back to one of these.
    put_back: u64,
}

/// The centre. Clones are the same one.
#[derive(Clone)]
pub struct SimulatedCentre {
    far: Far<Office>,
}

impl fmt::Debug for SimulatedCentre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated centre")
    }
}

impl Trouble for Error {
    fn refused() -> Self {
        Error::Refused("the gateway is unknown, or its secret is another".to_owned())
    }

    fn unreachable() -> Self {
        Error::Unreachable("the wire was cut on the way there".to_owned())
    }

    fn unheard() -> Self {
        Error::Ambiguous("the wire was cut on the way back".to_owned())
    }
}

impl Office {
    /// It is asked something, before which it may be put back.
    fn asked(&mut self, put_back: Option<u64>) -> &MemoryCentre {
        if let Some(choice) = put_back {
            self.put_back += 1;
            let backups = self.before.len();
            if let Some(at) = usize::try_from(choice).unwrap_or(0).checked_rem(backups) {
                // Backups of what comes to nothing are of no use to anybody.
                self.now = self.before.split_off(at).swap_remove(0);
            }
        }
        &self.now
    }

    /// The same of what changes it.
    fn told(&mut self, put_back: Option<u64>) -> &mut MemoryCentre {
        self.asked(put_back);
        self.before.push(self.now.clone());
        &mut self.now
    }
}

impl SimulatedCentre {
    /// One that knows nothing yet of a gateway.
    pub fn new(gateway: &str, fate: Arc<Fate>) -> Self {
        let office = Office { now: MemoryCentre::new(gateway), before: Vec::new(), put_back: 0 };
        SimulatedCentre { far: Far::new(Part::Centre, office, fate, Some(PATIENCE)) }
    }

    /// All that it knows.
    pub fn now(&self) -> MemoryCentre {
        self.far.look(|office| office.now.clone())
    }

    /// How often it was put back.
    pub fn put_back(&self) -> u64 {
        self.far.look(|office| office.put_back)
    }

    /// Says what happens while a call takes long; nothing, with none.
    pub fn meanwhile(&self, what: Option<Box<dyn Fn() + Send + Sync>>) {
        self.far.meanwhile(what);
    }

    /// Nobody waits any more for what was asked.
    pub fn give_up(&self) {
        self.far.give_up();
    }
}

#[async_trait]
impl Centre for SimulatedCentre {
    async fn head(&self) -> Result<Option<Head>, Error> {
        self.far.call(Call::CentreHead, "", |office, wrong| Ok(office.asked(wrong).head())).await
    }

    async fn advance(&self, manifest: &[u8]) -> Result<Advance, Error> {
        let (key, manifest) = (Hash::of(manifest).to_string(), manifest.to_vec());
        self.far.call(Call::Advance, &key, move |office, wrong| office.told(wrong).advance(&manifest)).await
    }

    async fn hold(&self, segments: &[Segment]) -> Result<Held, Error> {
        let segments = segments.to_vec();
        let key = segments.iter().map(|segment| segment.key.hash.to_string()).collect::<Vec<_>>().join(" ");
        self.far.call(Call::Hold, &key, move |office, wrong| office.told(wrong).hold(&segments)).await
    }

    async fn metadata(&self, incarnation: Incarnation, cut: u64, lines: &[Line], complete: bool) -> Result<Applied, Error> {
        let (key, lines) = (format!("{cut} of {incarnation}"), lines.to_vec());
        let tell = move |office: &mut Office, wrong| office.told(wrong).metadata(incarnation, cut, &lines, complete);
        self.far.call(Call::Metadata, &key, tell).await
    }

    async fn cuts(&self, from: u64, most: u32) -> Result<Vec<KnownCut>, Error> {
        let key = format!("{from} and {most}");
        self.far.call(Call::Cuts, &key, move |office, wrong| Ok(office.asked(wrong).cuts(from, most))).await
    }

    async fn missing(&self, from: u64, most: u32) -> Result<Vec<MissingUnit>, Error> {
        let key = format!("{from} and {most}");
        self.far.call(Call::Missing, &key, move |office, wrong| Ok(office.asked(wrong).missing(from, most))).await
    }

    /// Nobody asks it but who compares, and he asks a copy.
    async fn segments(&self, _: i64, _: u32) -> Result<Vec<KnownSegment>, Error> {
        Err(Error::Unsupported("the worker asks for segments, and no fault met that".to_owned()))
    }
}
