//! What can be asked of the parts around the worker, and how that can go wrong.

use std::fmt;
use std::str::FromStr;

/// Something outside the worker that counts for itself what is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The object store.
    Target,
    /// The centre.
    Centre,
    /// The disk under the database, of which only changes are counted.
    Disk,
}

/// A kind of call, first those to an object store, then those to the centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// Puts an object if its name is free.
    Create,
    /// Puts an object.
    Put,
    /// Asks what there is of an object.
    Head,
    /// Reads an object.
    Get,
    /// Lists objects.
    List,
    /// Removes an object.
    Delete,
    /// Begins an upload in parts.
    Begin,
    /// Puts a part.
    Part,
    /// Makes an object of the parts.
    Complete,
    /// Gives an upload up.
    Abort,
    /// Asks which cut is the last.
    CentreHead,
    /// Registers a cut.
    Advance,
    /// Registers segments.
    Hold,
    /// Sends lines of metadata.
    Metadata,
    /// Asks which cuts there are.
    Cuts,
    /// Asks which units are missing.
    Missing,
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// It fails, and nothing was done.
    Error,
    /// It is done, and its answer is lost.
    Lost,
    /// No answer comes until whoever asked gives up. It is done then, or later, or never.
    TimeOut,
    /// It is done twice, and the second answer is heard.
    Duplicate,
    /// Bytes that are sent to a store, or that it answers, come out as others. A centre is put back to what it was some calls before.
    Wrong,
    /// It takes hours, in which the gateway lives on.
    Slow,
    /// Power is cut before it is done.
    Cut,
    /// Power is cut when it is done, before the answer is heard.
    CutAfter,
}

impl Call {
    /// All of them.
    pub const ALL: [Call; 16] = [
        Call::Create,
        Call::Put,
        Call::Head,
        Call::Get,
        Call::List,
        Call::Delete,
        Call::Begin,
        Call::Part,
        Call::Complete,
        Call::Abort,
        Call::CentreHead,
        Call::Advance,
        Call::Hold,
        Call::Metadata,
        Call::Cuts,
        Call::Missing,
    ];

    /// Of whom it is asked.
    pub fn part(self) -> Part {
        if self < Call::CentreHead { Part::Target } else { Part::Centre }
    }
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 3] = [Part::Target, Part::Centre, Part::Disk];
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 8] =
        [Fault::Error, Fault::Lost, Fault::TimeOut, Fault::Duplicate, Fault::Wrong, Fault::Slow, Fault::Cut, Fault::CutAfter];

    fn name(self) -> &'static str {
        match self {
            Fault::Error => "error",
            Fault::Lost => "lost",
            Fault::TimeOut => "time-out",
            Fault::Duplicate => "duplicate",
            Fault::Wrong => "wrong",
            Fault::Slow => "slow",
            Fault::Cut => "cut",
            Fault::CutAfter => "cut-after",
        }
    }
}

/// A fault at the call of that number, counted from 0 for each part by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Strike {
    /// Where.
    pub part: Part,
    /// At which call, or change of the disk.
    pub at: u64,
    /// How. A disk knows [`Fault::Cut`] alone: how it fails otherwise is what other campaigns are for.
    pub fault: Fault,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Target => "target",
            Part::Centre => "centre",
            Part::Disk => "disk",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// As it is given on the command line: `target:12:lost`.
impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.part, self.at, self.fault)
    }
}

impl FromStr for Strike {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text:?} is no fault: give one as target:12:lost, centre:12:lost, or disk:40:cut");
        let mut fields = text.split(':');
        let mut next = || fields.next().ok_or_else(unknown);
        let (part, at, name) = (next()?, next()?, next()?);
        let part = Part::ALL.into_iter().find(|known| known.to_string() == part).ok_or_else(unknown)?;
        let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name).ok_or_else(unknown)?;
        let possible = part != Part::Disk || fault == Fault::Cut;
        let at = at.parse().map_err(|_| unknown())?;
        possible.then_some(Strike { part, at, fault }).ok_or_else(unknown)
    }
}
